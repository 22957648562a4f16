//! A record as an event of the Open Cybersecurity Schema Framework. Facts: github.com/ocsf/ocsf-schema, release
//! [`VERSION`]; docs/export-formats.md says what goes where. Must not hold the choice of a class (`ocsf/class.rs`).

use serde_json::{Map, Value, json};

use super::{
    PRODUCT, Record,
    reading::{Date, INT, LONG, Reading, base, command_line, put, text},
    said::{self, Gravity},
};

mod class;

/// The release of the schema that the events are of.
pub const VERSION: &str = "1.8.0";

/// The name of the log that the events are from.
const LOG: &str = "execlayer-audit";

/// An event under way.
struct Event<'a> {
    read: Reading<'a>,
    fields: Map<String, Value>,
    profiles: Vec<&'static str>,
}

/// The event of a record: one object, with all that the schema requires of its class.
#[must_use]
pub fn event(record: &Record) -> Value {
    let mut event =
        Event { read: Reading::new(record), fields: Map::new(), profiles: vec!["host"] };
    event.class();
    event.actor();
    event.control();
    event.times();
    event.device();
    let message = said::sentence(record);
    event.put("message", Some(message));
    let (severity, name) = match said::gravity(record) {
        Gravity::Info => (1, "Informational"),
        Gravity::Notice => (2, "Low"),
        Gravity::Warning => (3, "Medium"),
        Gravity::Error => (4, "High"),
    };
    event.put("severity_id", Some(severity));
    event.put("severity", Some(name));
    event.metadata();
    let left = event.read.left(str::to_owned);
    if !left.is_empty() {
        event.fields.insert("unmapped".to_owned(), left.into());
    }
    event.fields.into()
}

impl Event<'_> {
    fn put(&mut self, name: &str, value: Option<impl Into<Value>>) {
        put(&mut self.fields, name, value);
    }

    /// Puts a value under an attribute's number, and its name beside it.
    fn put_named(&mut self, name: &str, (id, caption): (u64, &str)) {
        self.put(&format!("{name}_id"), Some(id));
        self.put(name, Some(caption));
    }

    /// A date as milliseconds, and as it is.
    fn put_date(&mut self, name: &str, date: Option<Date<'_>>) {
        dated(&mut self.fields, &mut self.profiles, name, date);
    }

    fn metadata(&mut self) {
        self.profiles.sort_unstable();
        self.profiles.dedup();
        let mut product = json!({"name": PRODUCT, "vendor_name": PRODUCT});
        if let Some(release) = self.read.text("release") {
            product["version"] = release.into();
        }
        let mut metadata = Map::new();
        put(&mut metadata, "version", Some(VERSION));
        put(&mut metadata, "product", Some(product));
        put(&mut metadata, "profiles", Some(self.profiles.clone()));
        put(&mut metadata, "log_name", Some(LOG));
        put(&mut metadata, "event_code", self.read.text("kind"));
        put(&mut metadata, "uid", said::uid(self.read.record));
        put(&mut metadata, "sequence", self.read.number("seq", INT));
        let format = self.read.number("format", LONG);
        put(&mut metadata, "log_version", format.map(|format| format.to_string()));
        put(&mut metadata, "original_time", text(self.read.record, "time"));
        put(&mut metadata, "correlation_uid", self.correlation());
        self.put("metadata", Some(metadata));
    }

    /// What a question, its answer and the verdicts after it have in common.
    fn correlation(&self) -> Option<String> {
        let record = self.read.record;
        let boot = text(record, "boot")?;
        let question = record.get("question").and_then(Value::as_u64)?;
        Some(format!("{boot}/question/{question}"))
    }

    fn times(&mut self) {
        let time = self.read.date("time");
        self.put("time", Some(time.map_or(0, Date::milliseconds)));
        if let Some(time) = time {
            self.put("time_dt", Some(time.text));
            self.profiles.push("datetime");
        }
        if said::kind(self.read.record) == "repeat" {
            let since = self.read.date("since");
            self.put_date("start_time", since);
            self.put_date("end_time", time);
            let count = self.read.number("count", INT);
            self.put("count", count);
        }
        let held = self.read.number("held_ms", LONG);
        self.put("duration", held);
    }

    fn device(&mut self) {
        let host = self.read.text("host");
        let mut device = json!({
            "type_id": 0, "type": "Unknown", "hostname": host.unwrap_or("unknown"),
            "os": {"name": "Linux", "type_id": 200, "type": "Linux"},
        });
        if let Some(boot) = self.read.text("boot") {
            device["boot_uid"] = boot.into();
        }
        self.put("device", Some(device));
    }

    /// What a policy, a decider or a person said about it.
    fn control(&mut self) {
        let record = self.read.record;
        let (action, disposition, status) = match said::kind(record) {
            "verdict" | "question" | "repeat" | "call" => match text(record, "verdict") {
                Some("allow") => ((1, "Allowed"), (1, "Allowed"), (1, "Success")),
                Some("deny" | "ask") if !said::is_enforced(record) => {
                    ((3, "Observed"), (15, "Detected"), (1, "Success"))
                }
                Some("deny") => ((2, "Denied"), (2, "Blocked"), (2, "Failure")),
                Some("ask") => ((0, "Unknown"), (23, "Challenge"), (0, "Unknown")),
                _ => return,
            },
            "answer" => match text(record, "answer") {
                Some("allowed") => ((1, "Allowed"), (8, "Approved"), (1, "Success")),
                Some("denied") => ((2, "Denied"), (25, "Rejected"), (1, "Success")),
                Some("timed-out" | "too-many") => ((2, "Denied"), (2, "Blocked"), (2, "Failure")),
                _ => ((0, "Unknown"), (16, "No Action"), (2, "Failure")),
            },
            "lost" => {
                self.put_named("status", (2, "Failure"));
                let cause = self.read.text("cause");
                return self.put("status_detail", cause);
            }
            _ => return,
        };
        self.profiles.push("security_control");
        self.put_named("action", action);
        self.put_named("disposition", disposition);
        self.put_named("status", status);
        if !said::is_judgement(record) {
            self.read.text("answer");
            return;
        }
        self.read.text("verdict");
        self.read.flag("enforced");
        let is_alert = said::gravity(record) >= Gravity::Warning;
        self.put("is_alert", Some(is_alert));
        let reason = self.read.text("reason");
        self.put("status_detail", reason);
        let policy = self.policy();
        if policy.contains_key("name") {
            self.put("policy", Some(policy));
        }
        if let Some(rule) = self.read.text("rule") {
            let mut fields = Map::new();
            put(&mut fields, "uid", Some(rule));
            put(&mut fields, "name", Some(rule));
            put(&mut fields, "desc", self.read.text("message"));
            self.put("firewall_rule", Some(fields));
        }
    }

    fn policy(&mut self) -> Map<String, Value> {
        let mut policy = Map::new();
        put(&mut policy, "name", self.read.text("policy"));
        if policy.is_empty() {
            return policy;
        }
        put(&mut policy, "uid", self.read.text("digest"));
        let version = self.read.number("version", LONG);
        put(&mut policy, "version", version.map(|version| version.to_string()));
        policy
    }

    /// Who did it: the process, and the agent that it is of; or who answered.
    fn actor(&mut self) {
        let mut actor = Map::new();
        if said::is_judgement(self.read.record) {
            put(&mut actor, "app_name", self.read.text("agent"));
            put(&mut actor, "process", self.process());
        } else if let Some(by) = self.read.text("by") {
            put(&mut actor, "user", Some(json!({"name": by})));
        }
        if actor.is_empty() && said::is_judgement(self.read.record) {
            put(&mut actor, "app_name", Some("unknown"));
        }
        if !actor.is_empty() {
            self.put("actor", Some(actor));
        }
    }

    /// The process that asked; none if its number is not known.
    fn process(&mut self) -> Option<Map<String, Value>> {
        let thread = self.read.number("pid", LONG);
        let pid = self.read.number("tgid", INT).or(thread.filter(|pid| *pid <= INT))?;
        let mut process = Map::new();
        put(&mut process, "pid", Some(pid));
        put(&mut process, "ptid", thread);
        put(&mut process, "name", self.read.text("comm"));
        put(&mut process, "file", self.read.text("exe").map(|exe| file(exe, (0, "Unknown"))));
        put(&mut process, "cmd_line", self.read.texts("argv").map(|argv| command_line(&argv)));
        put(&mut process, "working_directory", self.read.text("cwd"));
        let started = self.read.date("started");
        dated(&mut process, &mut self.profiles, "created_time", started);
        for (name, id) in [("user", "uid"), ("group", "gid")] {
            let id = self.read.number(id, LONG);
            put(&mut process, name, id.map(|id| json!({"uid": id.to_string()})));
        }
        if let Some(container) = self.read.text("container") {
            put(&mut process, "container", Some(json!({"uid": container})));
            self.profiles.push("container");
        }
        let ancestors = self.read.ancestors();
        if let Some(parent) = self.read.number("ppid", INT) {
            let mut fields = json!({"pid": parent});
            if let Some((_pid, comm)) = ancestors.iter().find(|(pid, _comm)| *pid == parent) {
                fields["name"] = (*comm).into();
            }
            put(&mut process, "parent_process", Some(fields));
        }
        if !ancestors.is_empty() {
            let each = ancestors.iter().map(|(pid, comm)| json!({"pid": pid, "name": comm}));
            put(&mut process, "ancestry", Some(each.collect::<Vec<_>>()));
        }
        Some(process)
    }
}

/// A date as milliseconds, and, by the profile `datetime`, as it is.
fn dated(
    fields: &mut Map<String, Value>,
    profiles: &mut Vec<&'static str>,
    name: &str,
    date: Option<Date<'_>>,
) {
    if let Some(date) = date {
        put(fields, name, Some(date.milliseconds()));
        put(fields, &format!("{name}_dt"), Some(date.text));
        profiles.push("datetime");
    }
}

fn file(path: &str, (id, caption): (u64, &str)) -> Value {
    json!({"path": path, "name": base(path), "type_id": id, "type": caption})
}
