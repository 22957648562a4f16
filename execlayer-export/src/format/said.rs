//! What a record says in one sentence, how grave it is, and its name among all records. Must not know a format.

use std::fmt::Write;

use super::{
    Record,
    reading::{Date, number, text, texts},
};

/// How grave a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Gravity {
    /// What is meant to be.
    Info,
    /// What somebody may want to know: a question, a change of what is allowed, the gate goes up.
    Notice,
    /// What a policy denies, in monitor mode too; the trail lost what no head covered.
    Warning,
    /// The gate is down, or the trail is not whole.
    Error,
}

impl Gravity {
    /// The word for it, as syslog has it (RFC 5424, table 2).
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Notice => "notice",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }

    /// Its number there.
    #[must_use]
    pub const fn severity(self) -> u8 {
        match self {
            Self::Error => 3,
            Self::Warning => 4,
            Self::Notice => 5,
            Self::Info => 6,
        }
    }
}

/// The record's kind; empty if it has none.
#[must_use]
pub fn kind(record: &Record) -> &str {
    text(record, "kind").unwrap_or_default()
}

/// Whether the record is one of the four kinds that say what was judged.
pub(super) fn is_judgement(record: &Record) -> bool {
    matches!(kind(record), "verdict" | "question" | "repeat" | "call")
}

/// Whether a policy's word counts: not in monitor mode.
pub(super) fn is_enforced(record: &Record) -> bool {
    record.get("enforced").and_then(serde_json::Value::as_bool).unwrap_or(true)
}

/// A name that no other record has, and this one always: host, boot, number, and time in nanoseconds since 1970; the
/// last because a log that is set aside gives its numbers to the next one. None of a record without host, boot or number.
#[must_use]
pub fn uid(record: &Record) -> Option<String> {
    let (host, boot) = (text(record, "host")?, text(record, "boot")?);
    Some(format!("{host}/{boot}/{}/{}", number(record, "seq")?, nanoseconds(record)))
}

/// When it was, in nanoseconds since 1970; 0 if that is not known.
pub(super) fn nanoseconds(record: &Record) -> u64 {
    text(record, "time").and_then(Date::new).map_or(0, |date| date.nanoseconds)
}

/// How grave the record is.
#[must_use]
pub fn gravity(record: &Record) -> Gravity {
    let has = |name: &str| number(record, name).is_some_and(|count| count > 0);
    let is = |name: &str, is: &str| text(record, name) == Some(is);
    match kind(record) {
        "verdict" | "question" | "repeat" | "call" if is("verdict", "deny") => Gravity::Warning,
        "verdict" | "repeat" | "call" if is("verdict", "allow") => Gravity::Info,
        "verdict" | "question" | "repeat" | "call" | "grant" | "policy" | "removed" => {
            Gravity::Notice
        }
        "answer" if !is("answer", "allowed") => Gravity::Notice,
        "gate" if is("what", "up") => Gravity::Notice,
        "state" if is("what", "failed") => Gravity::Error,
        "state" if is("what", "degraded") => Gravity::Warning,
        "gate" | "lost" => Gravity::Error,
        "trail" if record.contains_key("set_aside") => Gravity::Error,
        "trail" if has("unsigned") || has("torn_bytes") => Gravity::Warning,
        _ => Gravity::Info,
    }
}

/// What happened, in a word: operation and verdict, or kind and what became of it.
pub(super) fn action(record: &Record) -> String {
    let kind = kind(record);
    let kind = if kind.is_empty() { "unknown" } else { kind };
    if !is_judgement(record) {
        let what = text(record, "what").or_else(|| text(record, "answer"));
        return what.map_or_else(|| kind.to_owned(), |what| format!("{kind}-{what}"));
    }
    let verdict = text(record, "verdict").unwrap_or("unknown");
    let would = if is_enforced(record) { "" } else { "would-" };
    format!("{}-{would}{verdict}", text(record, "operation").unwrap_or("unknown"))
}

/// Whether what was wanted came to be; none if nothing was.
pub(super) fn outcome(record: &Record) -> Option<&'static str> {
    match kind(record) {
        "verdict" | "question" | "repeat" | "call" => Some(match text(record, "verdict") {
            Some("allow") => "success",
            Some("deny" | "ask") if !is_enforced(record) => "success",
            Some("deny") => "failure",
            _ => "unknown",
        }),
        "answer" if text(record, "answer") == Some("allowed") => Some("success"),
        "answer" | "lost" => Some("failure"),
        _ => None,
    }
}

/// What happened, for people: one line without control characters.
#[must_use]
pub fn sentence(record: &Record) -> String {
    let mut said = String::new();
    // Writing to a string cannot fail.
    let _ = match kind(record) {
        "verdict" | "question" | "repeat" | "call" => judgement(record, &mut said),
        "answer" => answer(record, &mut said),
        "grant" => grant(record, &mut said),
        "policy" => policy(record, &mut said),
        "gate" => gate(record, &mut said),
        "state" => state(record, &mut said),
        "trail" => trail(record, &mut said),
        "removed" => write!(said, "removed the records before number {}", count(record, "first")),
        "lost" => lost(record, &mut said),
        "" => write!(said, "record without a kind"),
        kind => write!(said, "record of kind {kind}"),
    };
    printable(&said)
}

type Written = Result<(), std::fmt::Error>;

fn judgement(record: &Record, said: &mut String) -> Written {
    let verdict = match text(record, "verdict") {
        Some("allow") => "allowed",
        Some("ask") => "asked about",
        Some("deny") if !is_enforced(record) => "would have denied",
        Some("deny") => "denied",
        _ => "judged",
    };
    let operation = text(record, "operation").unwrap_or("something");
    write!(said, "{verdict} {operation}")?;
    let access = texts(record, "access").into_iter().filter(|access| *access != operation);
    let access = access.collect::<Vec<_>>().join(", ");
    if !access.is_empty() {
        write!(said, " {access}")?;
    }
    write!(said, " of {}", text(record, "subject").unwrap_or("something unknown"))?;
    let by = text(record, "comm").unwrap_or("a process");
    write!(said, " to {by}")?;
    if let Some(pid) = number(record, "tgid").or_else(|| number(record, "pid")) {
        write!(said, " (pid {pid})")?;
    }
    if let Some(agent) = text(record, "agent") {
        write!(said, " of agent {agent}")?;
    }
    match (text(record, "rule"), text(record, "reason")) {
        (Some(rule), _) => write!(said, ": rule {rule}")?,
        (None, Some(reason)) => write!(said, ": {reason}")?,
        (None, None) => {}
    }
    if kind(record) == "repeat" {
        let since = text(record, "since").unwrap_or("an unknown time");
        write!(said, ", {} times since {since}", count(record, "count"))?;
    }
    match number(record, "question") {
        Some(question) => write!(said, ", question {question}"),
        None => Ok(()),
    }
}

fn answer(record: &Record, said: &mut String) -> Written {
    let answer = text(record, "answer").unwrap_or("unknown");
    write!(said, "question {} ended: {answer}", count(record, "question"))?;
    by(record, said)?;
    match number(record, "held_ms") {
        Some(held) => write!(said, ", after {held} ms"),
        None => Ok(()),
    }
}

fn grant(record: &Record, said: &mut String) -> Written {
    let what = text(record, "what").unwrap_or("recorded");
    write!(said, "grant {} {what}", count(record, "grant"))?;
    by(record, said)?;
    let allows = match record.get("allows").and_then(serde_json::Value::as_bool) {
        Some(false) => "denies",
        _ => "allows",
    };
    let agent = text(record, "agent").unwrap_or("unknown");
    let subject = text(record, "subject").unwrap_or("something unknown");
    let access = texts(record, "access").join(", ");
    write!(said, ": {allows} agent {agent} {access} of {subject}")?;
    match number(record, "seconds") {
        Some(seconds) if text(record, "what") == Some("given") => write!(said, " for {seconds} s"),
        _ => Ok(()),
    }
}

fn policy(record: &Record, said: &mut String) -> Written {
    let name = text(record, "policy").unwrap_or("unknown");
    let agent = text(record, "agent").unwrap_or("unknown");
    let is = match text(record, "what") {
        Some("in-force") | None => "is in force",
        Some(what) => what,
    };
    write!(said, "policy {name} version {} {is} for agent {agent}", count(record, "version"))
}

fn gate(record: &Record, said: &mut String) -> Written {
    let (what, then) = match text(record, "what") {
        Some("up") => ("went up", ""),
        Some("down") => ("went down", ": nothing is enforced any more"),
        Some("switched-off") => ("was switched off", ": nothing is enforced"),
        what => (what.unwrap_or("changed"), ""),
    };
    write!(said, "the gate {what}")?;
    by(record, said)?;
    write!(said, "{then}")
}

fn state(record: &Record, said: &mut String) -> Written {
    said.push_str(match text(record, "what") {
        Some("tried") => "the gate was tried",
        Some("failed") => "the gate cannot be put up",
        Some("degraded") => "something fails",
        Some("mended") => "nothing fails any more",
        Some("stopped") => "the daemon stopped",
        what => what.unwrap_or("something changed"),
    });
    let reasons = texts(record, "reasons");
    if reasons.is_empty() { Ok(()) } else { write!(said, ": {}", reasons.join("; ")) }
}

fn trail(record: &Record, said: &mut String) -> Written {
    write!(said, "opened the audit trail with {} records", count(record, "size"))?;
    for (name, what) in
        [("unsigned", "that no head covered"), ("torn_bytes", "bytes of a torn line")]
    {
        if let Some(count) = number(record, name).filter(|count| *count > 0) {
            write!(said, ", {count} {what}")?;
        }
    }
    match text(record, "set_aside") {
        Some(why) => write!(said, "; set aside: {why}"),
        None => Ok(()),
    }
}

fn lost(record: &Record, said: &mut String) -> Written {
    write!(said, "lost {} records", count(record, "lost"))?;
    if let Some(agent) = text(record, "agent") {
        write!(said, " of agent {agent}")?;
    }
    match text(record, "cause") {
        Some("ring") => write!(said, ": no room between kernel and daemon"),
        Some("write") => write!(said, ": the disk"),
        Some("daemon") => write!(said, ": the daemon was killed, or could not read them"),
        Some(cause) => write!(said, ": {cause}"),
        None => Ok(()),
    }
}

fn by(record: &Record, said: &mut String) -> Written {
    match text(record, "by") {
        Some(by) => write!(said, " by {by}"),
        None => Ok(()),
    }
}

fn count(record: &Record, name: &str) -> String {
    number(record, name).map_or_else(|| "?".to_owned(), |number| number.to_string())
}

/// With escapes for what would break a line or deceive who reads it.
fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                printable.extend(char.escape_unicode());
            }
            char if char.is_control() => printable.extend(char.escape_default()),
            char => printable.push(char),
        }
    }
    printable
}
