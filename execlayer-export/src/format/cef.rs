//! A record as a line of ArcSight's Common Event Format. Facts: "Implementing ArcSight Common Event Format (CEF)",
//! version 25 (2017), "Character Encoding" and the tables of the extension dictionary; docs/export-formats.md says what
//! goes where. Must not put a syslog header before it: that is of who sends it.

use super::{
    PRODUCT, Record,
    reading::{Date, INT, LONG, Peer, Reading, base, command_line, number, plain, text, texts},
    said::{self, Gravity},
};

/// The most characters that a receiver keeps of `msg`.
const LONGEST_MESSAGE: usize = 1_023;

/// The line of a record, without its newline. It has no other.
#[must_use]
pub fn line(record: &Record) -> String {
    let severity = match said::gravity(record) {
        Gravity::Info => "1",
        Gravity::Notice => "3",
        Gravity::Warning => "6",
        Gravity::Error => "9",
    };
    let version = text(record, "release").unwrap_or(env!("CARGO_PKG_VERSION"));
    let action = said::action(record);
    let header = ["CEF:0", PRODUCT, PRODUCT, version, &action, name(record), severity];
    let mut line = header.map(of_header).join("|");
    line.push('|');
    let extension = extension(record);
    let pairs = extension.iter().map(|(key, value)| format!("{key}={}", of_extension(value)));
    line.push_str(&pairs.collect::<Vec<_>>().join(" "));
    line
}

/// The kind of event, for people.
fn name(record: &Record) -> &'static str {
    match said::kind(record) {
        "verdict" | "question" | "repeat" | "call" => match text(record, "verdict") {
            Some("allow") => "Access allowed",
            Some("ask") => "Access asked about",
            Some("deny") if said::is_enforced(record) => "Access denied",
            Some("deny") => "Access that would be denied",
            _ => "Access judged",
        },
        "answer" => "Question ended",
        "grant" => "Grant changed",
        "policy" => "Policy changed",
        "gate" => "Gate changed",
        "state" => "State changed",
        "trail" => "Audit trail opened",
        "removed" => "Records removed",
        "lost" => "Records lost",
        _ => "Record",
    }
}

/// Keys and values, in the order of the line.
#[derive(Default)]
struct Extension(Vec<(String, String)>);

impl Extension {
    fn put(&mut self, key: &str, value: Option<impl ToString>) {
        if let Some(value) = value {
            self.0.push((key.to_owned(), value.to_string()));
        }
    }

    /// One of the format's fields for anything, with what it is.
    fn put_custom(&mut self, key: &str, label: &str, value: Option<impl ToString>) {
        if value.is_some() {
            self.put(key, value);
            self.put(&format!("{key}Label"), Some(label));
        }
    }
}

fn extension(record: &Record) -> Vec<(String, String)> {
    let mut read = Reading::new(record);
    let mut fields = Extension::default();
    fields.put("rt", read.date("time").map(Date::milliseconds));
    fields.put("dvchost", read.text("host"));
    fields.put("deviceProcessName", Some("execlayerd"));
    fields.put("cat", read.text("kind"));
    fields.put("externalId", read.number("seq", LONG));
    fields.put_custom("cs6", "Boot", read.text("boot"));
    fields.put("outcome", said::outcome(record));
    if said::is_judgement(record) {
        let would = if said::is_enforced(record) { "" } else { "would-" };
        fields.put("act", read.text("verdict").map(|verdict| format!("{would}{verdict}")));
        let _in_act = read.flag("enforced");
        process(&mut read, &mut fields);
        subject(&mut read, &mut fields);
    } else {
        fields.put("act", read.text("what").or_else(|| read.text("answer")));
        fields.put("suser", read.text("by"));
    }
    fields.put("reason", read.text("reason").or_else(|| read.text("cause")));
    fields.put_custom("cs1", "Rule", read.text("rule"));
    fields.put_custom("cs2", "Policy", read.text("policy"));
    fields.put_custom("cs3", "Agent", read.text("agent"));
    fields.put_custom("cn1", "Policy version", read.number("version", LONG));
    fields.put_custom("cn2", "Question", read.number("question", LONG));
    fields.put_custom("cn3", "Held milliseconds", read.number("held_ms", LONG));
    if said::kind(record) == "repeat" {
        fields.put("cnt", read.number("count", INT));
        fields.put("start", read.date("since").map(Date::milliseconds));
        let end = text(record, "time").and_then(Date::new);
        fields.put("end", end.map(Date::milliseconds));
    }
    let _in_the_header = read.text("release");
    let message = said::sentence(record);
    fields.put("msg", Some(message.chars().take(LONGEST_MESSAGE).collect::<String>()));
    for (name, value) in read.left(own) {
        fields.put(&name, Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned)));
    }
    fields.0
}

/// Who asked.
fn process(read: &mut Reading<'_>, fields: &mut Extension) {
    fields.put("suid", read.number("uid", LONG));
    let process = read.number("tgid", INT);
    // A thread that is not its process's first has a number of its own, which stays.
    let is_first = process.is_none() || number(read.record, "pid") == process;
    let thread = if is_first { read.number("pid", LONG) } else { None };
    fields.put("spid", process.or(thread));
    fields.put("sproc", read.text("comm"));
    fields.put_custom("cs4", "Command line", read.texts("argv").map(|argv| command_line(&argv)));
    fields.put_custom("cs5", "Container", read.text("container"));
}

/// What it was about: a file, or an address of somebody else; `bind` is about one of this machine.
fn subject(read: &mut Reading<'_>, fields: &mut Extension) {
    let Some(subject) = text(read.record, "subject") else { return };
    let is_bind = texts(read.record, "access").contains(&"bind");
    match (text(read.record, "operation"), Peer::new(subject)) {
        (Some("open" | "exec"), _) => {
            fields.put("filePath", Some(subject));
            fields.put("fname", Some(base(subject)));
        }
        (Some("connect"), Some(peer)) => {
            fields.put("proto", Some(peer.protocol.to_uppercase()));
            match (peer.ip.is_ipv4(), is_bind) {
                (true, false) => fields.put("dst", Some(peer.ip)),
                (true, true) => fields.put("src", Some(peer.ip)),
                (false, false) => {
                    fields.put_custom("c6a3", "Destination IPv6 Address", Some(peer.ip));
                }
                (false, true) => fields.put_custom("c6a2", "Source IPv6 Address", Some(peer.ip)),
            }
            fields.put(if is_bind { "spt" } else { "dpt" }, Some(peer.port));
        }
        _ => return,
    }
    read.text("subject");
}

/// A key of the product's own: `cgroup_path` is `ExecLayerCgroupPath`.
fn own(name: &str) -> String {
    let mut own = PRODUCT.to_owned();
    for word in plain(name).split('_') {
        let mut chars = word.chars();
        own.extend(chars.next().map(|char| char.to_ascii_uppercase()));
        own.push_str(chars.as_str());
    }
    own
}

/// A field of the header has no newline in any form.
fn of_header(value: &str) -> String {
    let value = value.replace('\\', "\\\\").replace('|', "\\|");
    value.replace(['\n', '\r'], " ")
}

/// Ends of lines have a form of their own. Other control characters have none, and receivers make of them what they like.
fn of_extension(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '\\' => escaped.push_str("\\\\"),
            '=' => escaped.push_str("\\="),
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            c if c.is_ascii_control() => escaped.push_str(&format!("\\\\x{:02x}", u32::from(c))),
            c => escaped.push(c),
        }
    }
    escaped
}
