//! A record as a document of the Elastic Common Schema. Facts: github.com/elastic/ecs, release [`VERSION`];
//! docs/export-formats.md says what goes where. Must not put the product's own fields outside of `execlayer`.

use serde_json::{Map, Value, json};

use super::{
    PRODUCT, Record,
    reading::{INT, LONG, Peer, Reading, base, command_line, plain, put, text, texts},
    said::{self, Gravity},
};

/// The release of the schema that the documents are of.
pub const VERSION: &str = "8.6.0";

/// A document under way: each field set, until it is known whether it is empty.
struct Document<'a> {
    read: Reading<'a>,
    fields: Map<String, Value>,
}

/// The document of a record: nested objects, the product's own fields in `execlayer`.
#[must_use]
pub fn event(record: &Record) -> Value {
    let mut document = Document { read: Reading::new(record), fields: Map::new() };
    let time = document.read.date("time").map_or("1970-01-01T00:00:00Z", |time| time.text);
    put(&mut document.fields, "@timestamp", Some(time));
    put(&mut document.fields, "message", Some(said::sentence(record)));
    document.set("ecs", json!({"version": VERSION}));
    document.set("log", json!({"level": said::gravity(record).name()}));
    document.host();
    document.event();
    if said::is_judgement(record) {
        document.process();
        document.subject();
        document.rule();
    }
    document.related();
    let is_judgement = said::is_judgement(record);
    // A name has one type in an index: what a verdict's `answer` is a number of, an answer's is a word for.
    let own = |name: &str| match name {
        "answer" if is_judgement => "answered".to_owned(),
        name => plain(name),
    };
    let mut left = document.read.left(own);
    // Its values are of any type, and of another in the next record: an index would refuse that one.
    if let Some(context) = left.get_mut("context") {
        *context = context.to_string().into();
    }
    if !left.is_empty() {
        document.fields.insert("execlayer".to_owned(), left.into());
    }
    document.fields.into()
}

impl Document<'_> {
    /// A field set; left out if nothing is in it.
    fn set(&mut self, name: &str, fields: impl Into<Value>) {
        let fields = fields.into();
        if fields.as_object().is_some_and(|fields| !fields.is_empty()) {
            self.fields.insert(name.to_owned(), fields);
        }
    }

    fn host(&mut self) {
        let mut host = Map::new();
        let name = self.read.text("host");
        put(&mut host, "hostname", name);
        put(&mut host, "name", name);
        put(&mut host, "boot", self.read.text("boot").map(|boot| json!({"id": boot})));
        put(&mut host, "os", Some(json!({"type": "linux"})));
        self.set("host", host);
        let mut observer = Map::new();
        put(&mut observer, "product", Some(PRODUCT));
        put(&mut observer, "vendor", Some(PRODUCT));
        put(&mut observer, "version", self.read.text("release"));
        self.set("observer", observer);
        let container = self.read.text("container");
        self.set("container", container.map_or(json!({}), |id| json!({"id": id})));
    }

    fn event(&mut self) {
        let record = self.read.record;
        let is_judgement = said::is_judgement(record);
        let gravity = said::gravity(record);
        let is_alert = is_judgement && gravity >= Gravity::Warning;
        let mut event = Map::new();
        put(&mut event, "kind", Some(if is_alert { "alert" } else { "event" }));
        let (category, types) = category(record);
        put(&mut event, "category", (!category.is_empty()).then_some(category));
        put(&mut event, "type", (!types.is_empty()).then_some(types));
        put(&mut event, "action", Some(said::action(record)));
        put(&mut event, "outcome", said::outcome(record));
        put(&mut event, "module", Some("execlayer"));
        put(&mut event, "dataset", Some("execlayer.audit"));
        put(&mut event, "provider", Some("execlayerd"));
        put(&mut event, "code", self.read.text("kind"));
        put(&mut event, "id", said::uid(record));
        put(&mut event, "sequence", self.read.number("seq", LONG));
        put(&mut event, "severity", Some(gravity as u64 + 1));
        put(&mut event, "reason", self.read.text("reason"));
        let held = self.read.number("held_ms", LONG / 1_000_000);
        put(&mut event, "duration", held.map(|held| held * 1_000_000));
        if said::kind(record) == "repeat" {
            put(&mut event, "start", self.read.date("since").map(|since| since.text));
            let end = text(record, "time").filter(|_time| said::nanoseconds(record) > 0);
            put(&mut event, "end", end);
        }
        self.set("event", event);
    }

    /// Who asked.
    fn process(&mut self) {
        let mut process = Map::new();
        let thread = self.read.number("pid", LONG);
        put(&mut process, "pid", self.read.number("tgid", INT).or(thread));
        put(&mut process, "thread", thread.map(|thread| json!({"id": thread})));
        put(&mut process, "name", self.read.text("comm"));
        put(&mut process, "executable", self.read.text("exe"));
        if let Some(argv) = self.read.texts("argv") {
            put(&mut process, "command_line", Some(command_line(&argv)));
            put(&mut process, "args_count", Some(argv.len()));
            put(&mut process, "args", Some(argv));
        }
        put(&mut process, "working_directory", self.read.text("cwd"));
        put(&mut process, "start", self.read.date("started").map(|started| started.text));
        if let Some(parent) = self.read.number("ppid", LONG) {
            let mut fields = json!({"pid": parent});
            // They stay where they are, too: a document has room for one parent.
            let mut ancestors = Reading::new(self.read.record).ancestors().into_iter();
            if let Some((_pid, comm)) = ancestors.find(|(pid, _comm)| *pid == parent) {
                fields["name"] = comm.into();
            }
            put(&mut process, "parent", Some(fields));
        }
        self.set("process", process);
        let mut user = Map::new();
        put(&mut user, "id", self.read.number("uid", LONG).map(|uid| uid.to_string()));
        let group = self.read.number("gid", LONG);
        put(&mut user, "group", group.map(|gid| json!({"id": gid.to_string()})));
        self.set("user", user);
    }

    /// What it was about: a file, or an address of somebody else; `bind` is about one of this machine.
    fn subject(&mut self) {
        let record = self.read.record;
        let operation = text(record, "operation").unwrap_or_default();
        let end = match texts(record, "access").contains(&"bind") {
            true => "source",
            false => "destination",
        };
        let Some(subject) = text(record, "subject") else { return };
        match (operation, Peer::new(subject)) {
            ("open" | "exec", _) => {
                self.set("file", json!({"path": subject, "name": base(subject)}));
            }
            ("connect", Some(peer)) => {
                let ip = peer.ip.to_string();
                self.set(end, json!({"address": ip, "ip": ip, "port": peer.port}));
                self.set("related", json!({"ip": [ip]}));
                let mut network = Map::new();
                let version = if peer.ip.is_ipv4() { "ipv4" } else { "ipv6" };
                put(&mut network, "type", Some(version));
                let number = peer.number();
                put(&mut network, "transport", number.map(|_number| peer.protocol));
                put(&mut network, "iana_number", number.map(|number| number.to_string()));
                put(&mut network, "direction", (end == "destination").then_some("egress"));
                self.set("network", network);
            }
            ("connect" | "connect-unix", _) => self.set(end, json!({"address": subject})),
            _ => return,
        }
        self.read.text("subject");
    }

    fn rule(&mut self) {
        let mut rule = Map::new();
        let id = self.read.text("rule");
        put(&mut rule, "id", id);
        put(&mut rule, "name", id);
        put(&mut rule, "description", self.read.text("message"));
        put(&mut rule, "ruleset", self.read.text("policy"));
        let version = self.read.number("version", LONG);
        put(&mut rule, "version", version.map(|version| version.to_string()));
        self.set("rule", rule);
    }

    fn related(&mut self) {
        let mut related =
            self.fields.get("related").and_then(Value::as_object).cloned().unwrap_or_default();
        let of =
            |set: &str, name: &str| self.fields.get(set).and_then(|set| set.get(name)).cloned();
        put(&mut related, "hosts", of("host", "name").map(|host| vec![host]));
        put(&mut related, "user", of("user", "id").map(|user| vec![user]));
        self.set("related", related);
    }
}

/// `event.category` and `event.type`: of each type, one of the categories says that it is expected.
fn category(record: &Record) -> (Vec<&'static str>, Vec<&'static str>) {
    let what = text(record, "what").unwrap_or_default();
    let (category, kind): (&[&str], &[&str]) = match said::kind(record) {
        "verdict" | "question" | "repeat" | "call" => {
            let verdict = match text(record, "verdict") {
                Some("allow") => "allowed",
                Some("deny") if said::is_enforced(record) => "denied",
                _ => "info",
            };
            let (category, kind) = match text(record, "operation") {
                Some("open") => ("file", file_type(&texts(record, "access"))),
                Some("exec") => ("process", "start"),
                Some("connect" | "connect-unix") => {
                    return (vec!["network"], vec!["connection", verdict]);
                }
                _ => ("process", "access"),
            };
            // Only of these are `allowed` and `denied` expected.
            return (vec![category, "intrusion_detection"], vec![kind, verdict]);
        }
        "answer" => (&["iam"], &["admin", "info"]),
        "grant" if what == "given" => (&["iam"], &["admin", "creation"]),
        "grant" => (&["iam"], &["admin", "deletion"]),
        "policy" | "gate" | "state" => (&["configuration"], &["change"]),
        "trail" => (&["process"], &["start"]),
        "removed" => (&["file"], &["deletion"]),
        "lost" => (&["intrusion_detection"], &["info"]),
        _ => (&[], &[]),
    };
    (category.to_vec(), kind.to_vec())
}

fn file_type(access: &[&str]) -> &'static str {
    let is = |names: &[&str]| access.iter().any(|access| names.contains(access));
    match () {
        () if is(&["delete", "rmdir"]) => "deletion",
        () if is(&["create", "mkdir", "mknod", "link", "symlink"]) => "creation",
        () if access.iter().any(|access| *access != "read") => "change",
        () => "access",
    }
}
