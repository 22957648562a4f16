//! The records of the audit trail: their fields and their one encoding, but for the number that the trail gives them.
//! A field that is added is new to readers; one that is removed breaks them, and needs another [`FORMAT`].

use execlayer_api::{About, Grant, Whose, text, time};
use execlayer_common::{
    access::{Access, Operation},
    provenance::Provenance,
};
use serde::Serialize;

use crate::{
    RELEASE,
    kernel::events::Observed,
    record::{
        repeats::Repeat,
        trail::{Found, Sync},
    },
};

/// Version of the records.
pub const FORMAT: u32 = 2;

/// One event of the kernel.
#[derive(Debug, Serialize)]
struct EventLine<'a> {
    format: u32,
    kind: &'static str,
    time: String,
    agent: Option<&'a str>,
    policy: Option<&'a str>,
    version: Option<u64>,
    profile: u32,
    generation: u32,
    pid: u32,
    tgid: u32,
    ppid: u32,
    uid: u32,
    gid: u32,
    comm: String,
    exe: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exe_hex: Option<String>,
    operation: &'static str,
    access: Vec<&'static str>,
    subject: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject_hex: Option<String>,
    verdict: &'static str,
    enforced: bool,
    rule: Option<&'a str>,
    file: Option<&'a str>,
    line: Option<u32>,
    /// The agent to whose policy the rule leads.
    #[serde(skip_serializing_if = "Option::is_none")]
    transition: Option<&'a str>,
    reason: &'static str,
    message: Option<&'a str>,
    /// How many of them there were since a time, this last one included.
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
    provisional: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    question: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    held: Option<bool>,
    /// Question that was answered, or grant that decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<u64>,
    session: u64,
    cgroup: u64,
    kernel_time_ns: u64,
}

/// Records that are missing.
#[derive(Debug, Serialize)]
struct LostLine<'a> {
    format: u32,
    kind: &'static str,
    time: String,
    agent: Option<&'a str>,
    profile: Option<u32>,
    cause: &'static str,
    lost: u64,
}

/// What was there when the trail was opened.
#[derive(Debug, Serialize)]
struct TrailLine<'a> {
    format: u32,
    kind: &'static str,
    time: String,
    origin: &'a str,
    release: &'static str,
    sync: &'static str,
    size: u64,
    unsigned: u64,
    torn_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    set_aside: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<Head<'a>>,
}

/// The newest signed head of a log that is no longer written.
#[derive(Debug, Serialize)]
struct Head<'a> {
    origin: &'a str,
    size: u64,
    root: String,
}

/// What became of the gate as a whole.
#[derive(Debug, Serialize)]
struct GateLine<'a> {
    format: u32,
    kind: &'static str,
    time: String,
    what: &'static str,
    by: &'a str,
    release: &'static str,
}

/// A question that has ended.
#[derive(Debug, Serialize)]
struct AnswerLine<'a> {
    format: u32,
    kind: &'static str,
    time: String,
    question: u64,
    answer: &'static str,
    by: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    grant: Option<u64>,
    held_ms: u64,
}

/// An answer that is remembered, or no longer.
#[derive(Debug, Serialize)]
struct GrantLine<'a> {
    format: u32,
    kind: &'static str,
    time: String,
    grant: u64,
    what: &'static str,
    by: &'a str,
    agent: &'a str,
    allows: bool,
    scope: Whose,
    about: About,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<u64>,
    access: &'a [String],
    subject: &'a str,
    rule: Option<&'a str>,
    seconds: u64,
}

/// A rule's address, as far as provenance knows it.
#[derive(Clone, Copy, Debug, Default)]
#[expect(missing_docs, reason = "the fields are those of RuleOrigin, its file by name")]
pub struct RuleName<'a> {
    pub id: Option<&'a str>,
    pub file: Option<&'a str>,
    pub line: Option<u32>,
    pub transition: Option<&'a str>,
    pub message: Option<&'a str>,
}

/// Names the rule of an event.
#[must_use]
pub fn rule_of<'a>(observed: &Observed, provenance: Option<&'a Provenance>) -> RuleName<'a> {
    let origin = observed
        .rule
        .and_then(|rule| provenance.and_then(|known| known.rules.get(usize::from(rule.0))));
    let Some(origin) = origin else { return RuleName::default() };
    RuleName {
        id: Some(&origin.id),
        file: provenance
            .and_then(|known| known.files.get(origin.file as usize))
            .map(String::as_str),
        line: Some(origin.line),
        transition: origin.transition.as_deref(),
        message: origin.reason.as_deref(),
    }
}

/// Names of the wanted accesses, for the tool.
#[must_use]
pub fn access_texts(access: Access) -> Vec<String> {
    access.names().map(str::to_owned).collect()
}

/// What an event is about, for people: `\xNN` for what is not printable.
#[must_use]
pub fn subject(observed: &Observed) -> String {
    text::printable(observed.operation, &observed.subject)
}

/// The line of an event. `offset` turns its time into a date.
///
/// # Errors
///
/// None that the fields could cause.
pub fn event(
    observed: &Observed,
    provenance: Option<&Provenance>,
    offset: u64,
) -> Result<Vec<u8>, serde_json::Error> {
    event_or_repeat(observed, None, provenance, offset)
}

/// The line of verdicts that were not written out.
///
/// # Errors
///
/// None that the fields could cause.
pub fn repeat(
    repeat: &Repeat,
    provenance: Option<&Provenance>,
    offset: u64,
) -> Result<Vec<u8>, serde_json::Error> {
    event_or_repeat(&repeat.last, Some((repeat.count, repeat.since)), provenance, offset)
}

fn event_or_repeat(
    observed: &Observed,
    repeated: Option<(u64, u64)>,
    provenance: Option<&Provenance>,
    offset: u64,
) -> Result<Vec<u8>, serde_json::Error> {
    let rule = rule_of(observed, provenance);
    let (subject, subject_hex) = exact_or_hex(observed.operation, &observed.subject);
    let (exe, exe_hex) = exact_or_hex(Operation::Exec, &observed.exe);
    line(&EventLine {
        format: FORMAT,
        kind: match (&observed.asked, repeated) {
            (Some(_asked), _) => "question",
            (None, Some(_repeated)) => "repeat",
            (None, None) => "verdict",
        },
        time: time::rfc3339(observed.time.saturating_add(offset)),
        agent: provenance.map(|known| known.agent.as_str()),
        policy: provenance.map(|known| known.policy.as_str()),
        version: provenance.map(|known| known.version),
        profile: observed.profile,
        generation: observed.generation,
        pid: observed.pid,
        tgid: observed.tgid,
        ppid: observed.ppid,
        uid: observed.uid,
        gid: observed.gid,
        comm: text::escaped(&observed.comm),
        exe: (!observed.exe.is_empty()).then_some(exe),
        exe_hex,
        operation: observed.operation.name(),
        access: observed.access.names().collect(),
        subject,
        subject_hex,
        verdict: observed.decision.name(),
        enforced: !observed.monitor,
        rule: rule.id,
        file: rule.file,
        line: rule.line,
        transition: rule.transition.filter(|_| observed.access.contains(Access::ENTER)),
        reason: observed.reason.name(),
        message: rule.message,
        count: repeated.map(|(count, _since)| count),
        since: repeated.map(|(_count, since)| time::rfc3339(since.saturating_add(offset))),
        provisional: observed.provisional,
        question: observed.asked.map(|asked| asked.id),
        held: observed.asked.map(|asked| asked.is_held),
        answer: observed.answer,
        session: observed.session,
        cgroup: observed.cgroup,
        kernel_time_ns: observed.time,
    })
}

/// The line of a trail that was opened.
///
/// # Errors
///
/// None that the fields could cause.
pub fn trail(found: &Found, sync: Sync, real_time: u64) -> Result<Vec<u8>, serde_json::Error> {
    line(&TrailLine {
        format: FORMAT,
        kind: "trail",
        time: time::rfc3339(real_time),
        origin: &found.origin,
        release: RELEASE,
        sync: sync.name(),
        size: found.size,
        unsigned: found.unsigned,
        torn_bytes: found.torn,
        set_aside: found.set_aside.as_deref(),
        before: found.before.as_ref().map(|head| Head {
            origin: &head.origin,
            size: head.size,
            root: head.root.to_base64(),
        }),
    })
}

/// The line of records that are missing. `profile`: whose events; none for the daemon's own records. `cause`: `ring`
/// (no room between kernel and daemon), `write` (the disk) or `daemon` (it was killed, or could not read them).
///
/// # Errors
///
/// None that the fields could cause.
pub fn lost(
    profile: Option<u32>,
    agent: Option<&str>,
    cause: &'static str,
    lost: u64,
    real_time: u64,
) -> Result<Vec<u8>, serde_json::Error> {
    let time = time::rfc3339(real_time);
    line(&LostLine { format: FORMAT, kind: "lost", time, agent, profile, cause, lost })
}

/// The line of what became of the gate. `what`: `up` (it stands and was tried), `down` (nothing is
/// enforced any more) or `switched-off` (it was not put up); `by`: who did that.
///
/// # Errors
///
/// None that the fields could cause.
pub fn gate(what: &'static str, by: &str, real_time: u64) -> Result<Vec<u8>, serde_json::Error> {
    let time = time::rfc3339(real_time);
    line(&GateLine { format: FORMAT, kind: "gate", time, what, by, release: RELEASE })
}

/// The line of a question's end. `by`: who answered.
///
/// # Errors
///
/// None that the fields could cause.
pub fn answer(
    question: u64,
    answer: &'static str,
    by: &str,
    message: Option<&str>,
    grant: Option<u64>,
    held_ms: u64,
    real_time: u64,
) -> Result<Vec<u8>, serde_json::Error> {
    let time = time::rfc3339(real_time);
    line(&AnswerLine {
        format: FORMAT,
        kind: "answer",
        time,
        question,
        answer,
        by,
        message,
        grant,
        held_ms,
    })
}

/// The line of a grant. `what`: `given`, `revoked` or `ended`; `by`: who did that.
///
/// # Errors
///
/// None that the fields could cause.
pub fn grant(
    grant: &Grant,
    what: &'static str,
    by: &str,
    real_time: u64,
) -> Result<Vec<u8>, serde_json::Error> {
    line(&GrantLine {
        format: FORMAT,
        kind: "grant",
        time: time::rfc3339(real_time),
        grant: grant.id,
        what,
        by,
        agent: &grant.agent,
        allows: grant.allows,
        scope: grant.scope,
        about: grant.about,
        session: grant.session,
        access: &grant.access,
        subject: &grant.subject,
        rule: grant.rule.as_deref(),
        seconds: grant.left,
    })
}

fn line(fields: &impl Serialize) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec(fields)
}

fn exact_or_hex(operation: Operation, bytes: &[u8]) -> (String, Option<String>) {
    match text::exact(operation, bytes) {
        Some(exact) => (exact, None),
        None => (text::escaped(bytes), Some(text::hex(bytes))),
    }
}

#[cfg(test)]
mod tests;
