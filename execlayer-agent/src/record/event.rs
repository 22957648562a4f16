//! The records of events: what was judged, who asked, what decided. A field that is added is new to readers; one that is
//! removed breaks them, and needs another [`FORMAT`].

use execlayer_api::{text, time};
use execlayer_common::{
    access::{Access, Operation},
    limits::MAX_EVENT_ARGV,
    provenance::Provenance,
};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::{
    kernel::events::Observed,
    record::{
        line::{FORMAT, line, rule_of},
        place,
        redact::Redaction,
        repeats::Repeat,
    },
};

/// Bytes of a record; the rest of what an entry may have is for what the trail puts before it.
const MOST: usize = execlayer_audit::segment::MAX_RECORD - 512;

/// Bytes of a call's subject in a record that would be too long, each of which may take four characters of text and two
/// of hex.
const MOST_OF_CALL: usize = 8 << 10;

/// What is known about an event beside what the kernel wrote.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// What leads from its rule's number to the rule.
    pub provenance: Option<&'a Provenance>,
    /// SHA-256 of the policy that judged.
    pub digest: Option<&'a str>,
    /// Path of the cgroup.
    pub cgroup: Option<&'a str>,
    /// What turns its times into dates.
    pub offset: u64,
    /// What is taken out of arguments.
    pub redaction: &'a Redaction,
}

/// One event of the kernel.
#[derive(Debug, Serialize)]
struct EventLine<'a> {
    format: u32,
    kind: &'static str,
    time: String,
    agent: Option<&'a str>,
    policy: Option<&'a str>,
    version: Option<u64>,
    digest: Option<&'a str>,
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
    /// As far as they could be read; the process may have changed them.
    argv: Option<Vec<String>>,
    #[serde(skip_serializing_if = "is_false")]
    argv_cut: bool,
    cwd: Option<String>,
    /// Governed processes above, the parent first.
    ancestors: Vec<Ancestor>,
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
    /// The agent's own names of a tool's call and of its session, and the values that the call gives.
    #[serde(skip_serializing_if = "Option::is_none")]
    call: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent_session: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<Box<RawValue>>,
    session: u64,
    cgroup: u64,
    cgroup_path: Option<&'a str>,
    container: Option<&'a str>,
    started: String,
    kernel_time_ns: u64,
}

#[derive(Debug, Serialize)]
struct Ancestor {
    pid: u32,
    comm: String,
}

fn is_false(value: &bool) -> bool {
    !value
}

/// The record of an event; of a [`Repeat`], that of the last one, with their number.
///
/// # Errors
///
/// None that the fields could cause.
pub fn event(
    observed: &Observed,
    repeat: Option<&Repeat>,
    known: Known<'_>,
) -> Result<Vec<u8>, serde_json::Error> {
    let record = whole(observed, repeat, known)?;
    if record.len() <= MOST {
        return Ok(record);
    }
    // Two paths of the greatest length without a printable byte: what is there for people only gives way.
    let (cwd, argv, ancestors) = (Vec::new(), Vec::new(), Vec::new());
    let mut bare = Observed { cwd, argv, ancestors, ..observed.clone() };
    if let Some(tool) = &mut bare.tool {
        tool.context = format!("{{\"left_out_bytes\":{}}}", tool.context.len());
    }
    let known = Known { cgroup: None, ..known };
    let record = whole(&bare, repeat, known)?;
    if record.len() <= MOST {
        return Ok(record);
    }
    let mut barest = Observed { exe: Vec::new(), ..bare };
    // What a tool is called about can be longer than a record.
    if barest.tool.is_some() {
        barest.subject.truncate(MOST_OF_CALL);
    }
    whole(&barest, repeat, known)
}

fn whole(
    observed: &Observed,
    repeat: Option<&Repeat>,
    known: Known<'_>,
) -> Result<Vec<u8>, serde_json::Error> {
    let Known { provenance, offset, .. } = known;
    let rule = rule_of(observed, provenance);
    let tool = observed.tool.as_deref();
    let (subject, subject_hex) = exact_or_hex(observed.operation, &observed.subject);
    // What a tool is called about is often a command line.
    let subject = if tool.is_some() { known.redaction.of_text(&subject) } else { subject };
    let (exe, exe_hex) = exact_or_hex(Operation::Exec, &observed.exe);
    let date = |kernel_time: u64| time::rfc3339(kernel_time.saturating_add(offset));
    let ancestors = observed.ancestors.iter();
    line(&EventLine {
        format: FORMAT,
        kind: match (&observed.asked, repeat) {
            (Some(_asked), _) => "question",
            (None, Some(_repeat)) => "repeat",
            (None, None) if observed.tool.is_some() => "call",
            (None, None) => "verdict",
        },
        time: date(observed.time),
        agent: provenance.map(|known| known.agent.as_str()),
        policy: provenance.map(|known| known.policy.as_str()),
        version: provenance.map(|known| known.version),
        digest: known.digest,
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
        argv: (!observed.argv.is_empty()).then(|| known.redaction.of(words(&observed.argv))),
        argv_cut: observed.argv.len() == MAX_EVENT_ARGV as usize,
        cwd: (!observed.cwd.is_empty()).then(|| text::escaped(&observed.cwd)),
        ancestors: ancestors
            .map(|(pid, comm)| Ancestor { pid: *pid, comm: text::escaped(comm) })
            .collect(),
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
        count: repeat.map(|repeat| repeat.count),
        since: repeat.map(|repeat| date(repeat.since)),
        provisional: observed.provisional,
        question: observed.asked.map(|asked| asked.id),
        held: observed.asked.map(|asked| asked.is_held),
        answer: observed.answer,
        call: tool.and_then(|tool| tool.call.as_deref()),
        agent_session: tool.and_then(|tool| tool.agent_session.as_deref()),
        context: tool.map(|tool| known.redaction.of_object(&tool.context)).transpose()?,
        session: observed.session,
        cgroup: observed.cgroup,
        cgroup_path: known.cgroup,
        container: known.cgroup.and_then(place::container),
        started: date(observed.start),
        kernel_time_ns: observed.time,
    })
}

/// Arguments, each with a NUL behind it but perhaps the last.
fn words(argv: &[u8]) -> Vec<String> {
    let argv = argv.strip_suffix(&[0]).unwrap_or(argv);
    argv.split(|&byte| byte == 0).map(text::escaped).collect()
}

fn exact_or_hex(operation: Operation, bytes: &[u8]) -> (String, Option<String>) {
    match text::exact(operation, bytes) {
        Some(exact) => (exact, None),
        None => (text::escaped(bytes), Some(text::hex(bytes))),
    }
}

#[cfg(test)]
mod tests;
