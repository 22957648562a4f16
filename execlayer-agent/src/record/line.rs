//! The records of the audit trail but for events (`event`): their fields and their one encoding, without the number that
//! the trail gives them.
//! A field that is added is new to readers; one that is removed breaks them, and needs another [`FORMAT`].

use execlayer_api::{About, Grant, Installed, Whose, text, time};
use execlayer_common::{access::Access, provenance::Provenance};
use serde::Serialize;

use crate::{
    RELEASE,
    kernel::events::Observed,
    record::trail::{Found, Sync},
};

/// Version of the records.
pub const FORMAT: u32 = 2;

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

/// A policy that came into force.
#[derive(Debug, Serialize)]
struct PolicyLine<'a> {
    format: u32,
    kind: &'static str,
    time: String,
    what: &'static str,
    agent: &'a str,
    policy: &'a str,
    version: u64,
    digest: &'a str,
    profile: u32,
    generation: u32,
    signers: &'a [String],
}

/// How the daemon fares.
#[derive(Debug, Serialize)]
struct StateLine<'a> {
    format: u32,
    kind: &'static str,
    time: String,
    what: &'static str,
    reasons: &'a [String],
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

/// Records that are removed.
#[derive(Debug, Serialize)]
struct RemovedLine {
    format: u32,
    kind: &'static str,
    time: String,
    /// Number of the first that is left.
    first: u64,
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

/// The line of a policy that came into force. `signers`: ids of the keys that signed it, as far as the daemon trusts
/// them.
///
/// # Errors
///
/// None that the fields could cause.
pub fn policy(
    policy: &Installed,
    signers: &[String],
    real_time: u64,
) -> Result<Vec<u8>, serde_json::Error> {
    line(&PolicyLine {
        format: FORMAT,
        kind: "policy",
        time: time::rfc3339(real_time),
        what: "in-force",
        agent: &policy.agent,
        policy: &policy.policy,
        version: policy.version,
        digest: &policy.digest,
        profile: policy.profile,
        generation: policy.generation,
        signers,
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

/// The line of how the daemon fares. `what`: `tried` (the canary came through), `failed` (something at the start did not),
/// `degraded`, `mended` or `stopped`; `reasons`: what was tried, or why.
///
/// # Errors
///
/// None that the fields could cause.
pub fn state(
    what: &'static str,
    reasons: &[String],
    real_time: u64,
) -> Result<Vec<u8>, serde_json::Error> {
    let time = time::rfc3339(real_time);
    line(&StateLine { format: FORMAT, kind: "state", time, what, reasons })
}

/// The line of records that are removed because the settings keep them no longer: all before number `first`.
///
/// # Errors
///
/// None that the fields could cause.
pub fn removed(first: u64, real_time: u64) -> Result<Vec<u8>, serde_json::Error> {
    let time = time::rfc3339(real_time);
    line(&RemovedLine { format: FORMAT, kind: "removed", time, first })
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

pub(super) fn line(fields: &impl Serialize) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec(fields)
}

#[cfg(test)]
mod tests;
