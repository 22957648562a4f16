//! Records of the kernel: what is read of one is what stands there, a record that is cut short is refused, and
//! what is written down about one is one line of JSON.

use std::mem::offset_of;

use execlayer_agent::{
    kernel::events::{Decision, Observed, Record, RecordError, decode},
    record::{
        event::{Known, event},
        line,
        redact::Redaction,
    },
};
use execlayer_common::{
    access::{Access, Operation},
    event::{
        ABI, Ancestor, EVENT_INTERPRETER, EVENT_MEASURABLE, EVENT_MONITOR, EVENT_PROVISIONAL,
        EventHeader, KIND_CANCELLED, KIND_MEASURED, KIND_QUESTION, KIND_VERDICT, NO_RULE,
    },
    provenance::Provenance,
    reason::Reason,
    verdict::raw,
};

const HEADER: usize = size_of::<EventHeader>();
const OPERATION: usize = offset_of!(EventHeader, operation);
const FLAGS: usize = offset_of!(EventHeader, flags);
/// Where the thread's name is, and behind it.
const COMM: (usize, usize) = (offset_of!(EventHeader, comm), offset_of!(EventHeader, question));

/// Where the lengths of what follows are, and the ancestors.
const LENGTHS: usize = offset_of!(EventHeader, cwd_len);
const ANCESTORS: usize = offset_of!(EventHeader, ancestors);

pub(crate) fn body(bytes: &[u8]) {
    let Ok(record) = decode(bytes) else { return };
    assert!(bytes.len() >= HEADER, "a record of {} bytes", bytes.len());
    assert_eq!(decode(&bytes[..HEADER - 1]), Err(RecordError::Short));
    let Record::Observed(observed) = record else { return };
    let texts = [&observed.subject, &observed.exe, &observed.cwd, &observed.argv];
    let whole = HEADER + texts.iter().map(|text| text.len()).sum::<usize>();
    assert!(bytes.len() >= whole);
    if whole > HEADER {
        assert_eq!(decode(&bytes[..whole - 1]), Err(RecordError::Short));
    }
    assert_eq!(decode(&bytes[..whole]).as_ref(), Ok(&Record::Observed(observed.clone())));
    let again = encoded(&observed);
    assert_eq!(again[..FLAGS], bytes[..FLAGS]);
    // Two flags are of questions only.
    let known = if observed.asked.is_some() { u8::MAX } else { EVENT_MONITOR | EVENT_PROVISIONAL };
    assert_eq!(again[FLAGS], bytes[FLAGS] & known);
    assert_eq!(again[FLAGS + 1..COMM.0], bytes[FLAGS + 1..COMM.0]);
    assert!(bytes[COMM.0..COMM.1].starts_with(&observed.comm));
    assert!(!observed.comm.contains(&0));
    let known = if observed.asked.is_some() { COMM.1 } else { LENGTHS };
    assert_eq!(again[known..ANCESTORS], bytes[known..ANCESTORS]);
    assert_eq!(again[HEADER..], bytes[HEADER..whole]);
    for (place, (pid, name)) in observed.ancestors.iter().enumerate() {
        let at = ANCESTORS + place * size_of::<Ancestor>();
        assert_eq!(pid.to_ne_bytes(), bytes[at..at + 4]);
        assert!(bytes[at + 4..].starts_with(name) && name.len() <= 16 && !name.contains(&0));
    }
    written(&observed, None);
}

/// The log's line of it is one line of JSON, and nothing in it moves a terminal's cursor.
pub(crate) fn written(observed: &Observed, provenance: Option<&Provenance>) {
    let redaction = Redaction::default();
    let known = Known {
        provenance,
        digest: None,
        cgroup: None,
        offset: u64::MAX / 2,
        redaction: &redaction,
    };
    let line = event(observed, None, known).unwrap();
    assert!(line.iter().all(|byte| *byte >= b' '), "{}", line.escape_ascii());
    assert!(serde_json::from_slice::<serde_json::Value>(&line).unwrap().is_object());
    let shown = line::subject(observed);
    assert!(!shown.chars().any(char::is_control), "{shown:?}");
    let _ = line::access_texts(observed.access);
}

/// The bytes that a record was read from, as far as they are known.
fn encoded(observed: &Observed) -> Vec<u8> {
    let Observed { asked, .. } = observed;
    let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
    let mut comm = observed.comm.clone();
    comm.resize(COMM.1 - COMM.0, 0);
    let decision = match observed.decision {
        Decision::Allow => raw::ALLOW,
        Decision::Ask => raw::ASK,
        Decision::Deny => raw::DENY,
    };
    let flags = flag(observed.monitor, EVENT_MONITOR)
        | flag(observed.provisional, EVENT_PROVISIONAL)
        | flag(asked.is_some_and(|asked| asked.is_measurable), EVENT_MEASURABLE)
        | flag(asked.is_some_and(|asked| asked.key.reserved != 0), EVENT_INTERPRETER);
    let mut bytes = Vec::new();
    let kind = if asked.is_some() { KIND_QUESTION } else { KIND_VERDICT };
    for value in [ABI, kind, observed.subject.len() as u16, observed.exe.len() as u16] {
        bytes.extend(value.to_ne_bytes());
    }
    bytes.extend(observed.time.to_ne_bytes());
    let rule = observed.rule.map_or(NO_RULE, |rule| rule.0.into());
    for value in [observed.profile, observed.generation, rule, observed.access.0] {
        bytes.extend(value.to_ne_bytes());
    }
    bytes.extend([observed.operation as u8, decision, observed.reason as u8, flags]);
    for value in [observed.pid, observed.tgid, observed.ppid, observed.uid, observed.gid] {
        bytes.extend(value.to_ne_bytes());
    }
    for value in [observed.start, observed.session, observed.cgroup] {
        bytes.extend(value.to_ne_bytes());
    }
    bytes.extend(comm);
    let question = asked.map_or(observed.answer.unwrap_or(0), |asked| asked.id);
    let start = asked.map_or(0, |asked| asked.key.start);
    let words = asked.map_or([[0; 2]; 2], |asked| [asked.key.subject, asked.grant]);
    for value in [question, start].into_iter().chain(words.into_iter().flatten()) {
        bytes.extend(value.to_ne_bytes());
    }
    for text in [&observed.cwd, &observed.argv] {
        bytes.extend((text.len() as u16).to_ne_bytes());
    }
    bytes.extend((observed.ancestors.len() as u32).to_ne_bytes());
    assert_eq!(bytes.len(), ANCESTORS);
    // Names are compared apart: what stands behind their end is not read.
    bytes.resize(HEADER, 0);
    for text in [&observed.subject, &observed.exe, &observed.cwd, &observed.argv] {
        bytes.extend(text);
    }
    bytes
}

/// A record as the kernel writes it.
pub(crate) fn observed() -> Observed {
    match decode(&record(KIND_VERDICT, raw::DENY, b"/etc/passwd")) {
        Ok(Record::Observed(observed)) => *observed,
        other => panic!("{other:?}"),
    }
}

fn record(kind: u16, verdict: u8, subject: &[u8]) -> Vec<u8> {
    let exe = b"/usr/bin/python3".as_slice();
    let mut bytes = Vec::new();
    for value in [ABI, kind, subject.len() as u16, exe.len() as u16] {
        bytes.extend(value.to_ne_bytes());
    }
    bytes.extend(1_500_000_000_u64.to_ne_bytes());
    for value in [1, 7, 2, Access::READ.0] {
        bytes.extend(value.to_ne_bytes());
    }
    let reason = if kind == KIND_MEASURED { Reason::None } else { Reason::Rule };
    bytes.extend([Operation::File as u8, verdict, reason as u8, 0]);
    (11..16_u32).for_each(|value| bytes.extend(value.to_ne_bytes()));
    (16..19_u64).for_each(|value| bytes.extend(value.to_ne_bytes()));
    bytes.extend(b"python3\0\0\0\0\0\0\0\0\0");
    (21..27_u64).for_each(|value| bytes.extend(value.to_ne_bytes()));
    let (cwd, argv) = (b"/home/dev".as_slice(), b"python3\0-c\0print()\0".as_slice());
    for value in [cwd.len() as u16, argv.len() as u16, 1, 0] {
        bytes.extend(value.to_ne_bytes());
    }
    bytes.extend(13_u32.to_ne_bytes());
    bytes.extend(b"bash\0");
    bytes.resize(HEADER, 0);
    for text in [subject, exe, cwd, argv] {
        bytes.extend(text);
    }
    bytes
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let mut all = vec![record(KIND_VERDICT, raw::ALLOW, b"\xff\x1b[31m\n/a\\")];
    for kind in [KIND_VERDICT, KIND_QUESTION, KIND_CANCELLED, KIND_MEASURED] {
        all.push(record(kind, raw::ASK, b"/usr/bin/make"));
        all.push(record(kind, raw::DENY, b""));
    }
    let mut addressed = record(KIND_VERDICT, raw::DENY, b"t4\x0a\0\0\x01\x01\xbb");
    addressed[OPERATION] = Operation::Inet as u8;
    all.push(addressed);
    all
}
