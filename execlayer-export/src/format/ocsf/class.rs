//! The class of an event, what happened in it, and what the class is about. Must not hold what all classes have.

use serde_json::{Map, Value, json};

use super::{Event, LOG, PRODUCT, file, put};
use crate::format::{
    reading::{INT, LONG, Peer, number, text, texts},
    said,
};

/// A class: its number, its name, its category's number and name.
type Class = (u64, &'static str, u64, &'static str);

const BASE: Class = (0, "Base Event", 0, "Uncategorized");
const FILE: Class = (1001, "File System Activity", 1, "System Activity");
const KERNEL: Class = (1003, "Kernel Activity", 1, "System Activity");
const PROCESS: Class = (1007, "Process Activity", 1, "System Activity");
const EVENT_LOG: Class = (1008, "Event Log Activity", 1, "System Activity");
const ENTITY: Class = (3004, "Entity Management", 3, "Identity & Access Management");
const NETWORK: Class = (4001, "Network Activity", 4, "Network Activity");
const LIFECYCLE: Class = (6002, "Application Lifecycle", 6, "Application Activity");

/// The number of what is in no list of the schema's; its name says what it is.
const OTHER: u64 = 99;

impl<'a> Event<'a> {
    pub(super) fn class(&mut self) {
        let record = self.read.record;
        match said::kind(record) {
            "verdict" | "question" | "repeat" | "call" => match text(record, "operation") {
                Some("open") => self.open(),
                Some("exec") => self.exec(),
                Some(operation @ ("connect" | "connect-unix")) => self.connect(operation),
                Some("use") => self.feature(),
                operation => self.is(BASE, (OTHER, operation.unwrap_or("unknown"))),
            },
            "answer" => self.answer(),
            "grant" => self.grant(),
            "policy" => self.policy_in_force(),
            "gate" | "state" => self.gate(),
            "trail" => self.log((6, "Start")),
            "removed" => self.log((2, "Delete")),
            "lost" => self.log((OTHER, "Lose")),
            kind => self.is(BASE, (OTHER, if kind.is_empty() { "unknown" } else { kind })),
        }
    }

    fn is(&mut self, (class, name, category, category_name): Class, activity: (u64, &str)) {
        self.put("class_uid", Some(class));
        self.put("class_name", Some(name));
        self.put("category_uid", Some(category));
        self.put("category_name", Some(category_name));
        self.put("activity_id", Some(activity.0));
        self.put("activity_name", Some(activity.1));
        self.put("type_uid", Some(class * 100 + activity.0));
        // The name of a type is that of an activity in the schema, whatever this one is called here.
        let activity = if activity.0 == OTHER { "Other" } else { activity.1 };
        self.put("type_name", Some(format!("{name}: {activity}")));
    }

    fn open(&mut self) {
        let access = texts(self.read.record, "access");
        self.is(FILE, file_activity(&access));
        let is = |names: &[&str]| {
            !access.is_empty() && access.iter().all(|access| names.contains(access))
        };
        let kind = match () {
            () if is(&["mkdir", "rmdir"]) => (2, "Folder"),
            () if is(&["symlink"]) => (7, "Symbolic Link"),
            () => (0, "Unknown"),
        };
        let path = self.subject("file.path");
        self.put("file", Some(file(path, kind)));
    }

    /// The process that starts keeps the number of the one that wanted it.
    fn exec(&mut self) {
        self.is(PROCESS, (1, "Launch"));
        self.put_named("launch_type", (3, "Exec"));
        let path = self.subject("process.file.path");
        let record = self.read.record;
        let known = |name| number(record, name).filter(|pid| *pid <= INT);
        let pid = known("tgid").or_else(|| known("pid"));
        let mut process = Map::new();
        put(&mut process, "pid", pid);
        put(&mut process, "uid", pid.is_none().then_some("unknown"));
        put(&mut process, "file", Some(file(path, (8, "Executable File"))));
        self.put("process", Some(process));
    }

    /// `bind` is about an address of this machine, anything else about one of another.
    fn connect(&mut self, operation: &str) {
        let is_bind = texts(self.read.record, "access").contains(&"bind");
        let is_unix = operation == "connect-unix";
        self.is(NETWORK, if is_bind { (7, "Listen") } else { (1, "Open") });
        let direction = match (is_bind, is_unix) {
            (_, true) => (4, "Local"),
            (true, false) => (0, "Unknown"),
            (false, false) => (2, "Outbound"),
        };
        let mut connection = Map::new();
        put(&mut connection, "direction_id", Some(direction.0));
        put(&mut connection, "direction", Some(direction.1));
        let end = if is_bind { "src_endpoint" } else { "dst_endpoint" };
        let subject = self.read.text("subject").unwrap_or("unknown");
        match Peer::new(subject).filter(|_peer| !is_unix) {
            Some(peer) => {
                let ip = peer.ip.to_string();
                put(&mut connection, "protocol_name", Some(peer.protocol));
                put(&mut connection, "protocol_num", peer.number());
                let version = if peer.ip.is_ipv4() { 4 } else { 6 };
                put(&mut connection, "protocol_ver_id", Some(version));
                self.put(end, Some(json!({"ip": ip, "port": peer.port})));
                self.observe(&format!("{end}.ip"), (2, "IP Address"), &ip);
            }
            None => {
                put(&mut connection, "protocol_name", is_unix.then_some("unix"));
                self.put(end, Some(json!({"name": subject})));
            }
        }
        self.put("connection_info", Some(connection));
    }

    fn feature(&mut self) {
        self.is(KERNEL, (4, "Invoke"));
        let name = self.read.text("subject").unwrap_or("unknown");
        self.put("kernel", Some(json!({"name": name, "type_id": OTHER, "type": "Feature"})));
    }

    fn answer(&mut self) {
        self.is(ENTITY, (OTHER, "Answer"));
        let question = self.read.number("question", LONG);
        self.entity("Question", question);
        let message = self.read.text("message");
        self.put("comment", message);
    }

    fn grant(&mut self) {
        let activity = match self.read.text("what") {
            Some("given") => (1, "Create"),
            Some("revoked") => (4, "Delete"),
            Some("ended") => (11, "Deactivate"),
            what => (OTHER, what.unwrap_or("unknown")),
        };
        self.is(ENTITY, activity);
        let grant = self.read.number("grant", LONG);
        self.entity("Grant", grant);
    }

    fn entity(&mut self, kind: &str, id: Option<u64>) {
        let id = id.map_or_else(|| "unknown".to_owned(), |id| id.to_string());
        let name = format!("{kind} {id}");
        self.put("entity", Some(json!({"type_id": OTHER, "type": kind, "uid": id, "name": name})));
    }

    fn policy_in_force(&mut self) {
        let activity = match self.read.text("what") {
            Some("in-force") => (10, "Activate"),
            what => (OTHER, what.unwrap_or("unknown")),
        };
        self.is(ENTITY, activity);
        let mut policy = self.policy();
        let name = policy.get("name").cloned().unwrap_or_else(|| "unknown".into());
        put(&mut policy, "name", Some(name.clone()));
        put(&mut policy, "is_applied", (activity.0 != OTHER).then_some(true));
        let policy: Value = policy.into();
        let entity = json!({"type_id": 5, "type": "Policy", "name": name, "policy": policy});
        self.put("entity", Some(entity));
    }

    fn gate(&mut self) {
        let activity = match text(self.read.record, "what") {
            Some("up") => (6, "Enable"),
            Some("down" | "switched-off") => (7, "Disable"),
            what => (OTHER, what.unwrap_or("unknown")),
        };
        self.is(LIFECYCLE, activity);
        let mut app = json!({"name": PRODUCT, "vendor_name": PRODUCT});
        if let Some(release) = text(self.read.record, "release") {
            app["version"] = release.into();
        }
        self.put("app", Some(app));
    }

    fn log(&mut self, activity: (u64, &str)) {
        self.is(EVENT_LOG, activity);
        self.put("log_name", Some(LOG));
        self.put("log_provider", Some("execlayerd"));
        self.put("log_type_id", Some(2));
        self.put("log_type", Some("Application"));
    }

    /// The path that an event is about.
    fn subject(&mut self, name: &str) -> &'a str {
        let path = self.read.text("subject");
        if let Some(path) = path {
            self.observe(name, (45, "File Path"), path);
        }
        path.unwrap_or("unknown")
    }

    fn observe(&mut self, name: &str, (id, kind): (u64, &str), value: &str) {
        let observed = json!([{"name": name, "type_id": id, "type": kind, "value": value}]);
        self.put("observables", Some(observed));
    }
}

/// The gravest of what was wanted of a file.
fn file_activity(access: &[&str]) -> (u64, &'static str) {
    const ACTIVITIES: [(&[&str], (u64, &str)); 7] = [
        (&["delete", "rmdir"], (4, "Delete")),
        (&["rename"], (5, "Rename")),
        (&["create", "mkdir", "mknod", "link", "symlink"], (1, "Create")),
        (&["chmod", "chown"], (7, "Set Security")),
        (&["utime", "xattr"], (6, "Set Attributes")),
        (&["write", "append"], (3, "Update")),
        (&["read"], (2, "Read")),
    ];
    let is_wanted = |names: &[&str]| access.iter().any(|access| names.contains(access));
    let mut activities = ACTIVITIES.into_iter();
    activities.find(|(names, _)| is_wanted(names)).map_or((14, "Open"), |(_, activity)| activity)
}
