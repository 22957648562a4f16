//! Records as the kernel writes them, and what must be refused. Also builds records for other tests.

use std::mem::offset_of;

use execlayer_common::{
    access::{Access, Operation},
    event::{
        ABI, Ancestor, EVENT_MEASURABLE, EVENT_MONITOR, EventHeader, KIND_MEASURED, KIND_QUESTION,
        KIND_VERDICT, NO_RULE,
    },
    reason::Reason,
    verdict::raw,
};

use super::{Decision, HEADER, Record, RecordError, decode};

/// Bytes of a denied open of `subject` by profile 1, generation 7, rule 2.
pub(crate) fn denied(subject: &[u8], exe: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; HEADER];
    let mut put = |at: usize, field: &[u8]| bytes[at..at + field.len()].copy_from_slice(field);
    put(offset_of!(EventHeader, abi), &ABI.to_ne_bytes());
    put(offset_of!(EventHeader, kind), &KIND_VERDICT.to_ne_bytes());
    put(offset_of!(EventHeader, subject_len), &(subject.len() as u16).to_ne_bytes());
    put(offset_of!(EventHeader, exe_len), &(exe.len() as u16).to_ne_bytes());
    put(offset_of!(EventHeader, time), &1_500_000_000_u64.to_ne_bytes());
    put(offset_of!(EventHeader, profile), &1_u32.to_ne_bytes());
    put(offset_of!(EventHeader, generation), &7_u32.to_ne_bytes());
    put(offset_of!(EventHeader, rule), &2_u32.to_ne_bytes());
    put(offset_of!(EventHeader, access), &(Access::READ.0 | Access::WRITE.0).to_ne_bytes());
    put(offset_of!(EventHeader, operation), &[Operation::File as u8]);
    put(offset_of!(EventHeader, verdict), &[raw::DENY]);
    put(offset_of!(EventHeader, reason), &[Reason::Rule as u8]);
    put(offset_of!(EventHeader, pid), &11_u32.to_ne_bytes());
    put(offset_of!(EventHeader, tgid), &12_u32.to_ne_bytes());
    put(offset_of!(EventHeader, ppid), &13_u32.to_ne_bytes());
    put(offset_of!(EventHeader, uid), &14_u32.to_ne_bytes());
    put(offset_of!(EventHeader, gid), &15_u32.to_ne_bytes());
    put(offset_of!(EventHeader, start), &16_u64.to_ne_bytes());
    put(offset_of!(EventHeader, session), &17_u64.to_ne_bytes());
    put(offset_of!(EventHeader, cgroup), &18_u64.to_ne_bytes());
    put(offset_of!(EventHeader, comm), b"python3");
    bytes.extend(subject);
    bytes.extend(exe);
    bytes
}

/// The same of a process with a directory, arguments and two ancestors.
pub(crate) fn denied_in(cwd: &[u8], argv: &[u8]) -> Vec<u8> {
    let mut bytes = denied(b"/a", b"/b");
    let mut put = |at: usize, field: &[u8]| bytes[at..at + field.len()].copy_from_slice(field);
    put(offset_of!(EventHeader, cwd_len), &(cwd.len() as u16).to_ne_bytes());
    put(offset_of!(EventHeader, argv_len), &(argv.len() as u16).to_ne_bytes());
    put(offset_of!(EventHeader, ancestors_len), &2_u32.to_ne_bytes());
    let ancestors = offset_of!(EventHeader, ancestors);
    for (place, (pid, name)) in [(13_u32, b"sh"), (7, b"ag")].into_iter().enumerate() {
        put(ancestors + place * size_of::<Ancestor>(), &pid.to_ne_bytes());
        put(ancestors + place * size_of::<Ancestor>() + 4, name);
    }
    bytes.extend(cwd);
    bytes.extend(argv);
    bytes
}

/// Bytes of a question: `id` of thread 11 about executing `subject`, by rule 0.
pub(crate) fn asked(id: u64, subject: &[u8], is_held: bool, is_measurable: bool) -> Vec<u8> {
    let mut bytes = denied(subject, b"/usr/bin/bash");
    let mut put = |at: usize, field: &[u8]| bytes[at..at + field.len()].copy_from_slice(field);
    put(offset_of!(EventHeader, kind), &KIND_QUESTION.to_ne_bytes());
    put(offset_of!(EventHeader, question), &id.to_ne_bytes());
    put(offset_of!(EventHeader, operation), &[Operation::Exec as u8]);
    put(offset_of!(EventHeader, access), &Access::EXEC.0.to_ne_bytes());
    put(offset_of!(EventHeader, rule), &0_u32.to_ne_bytes());
    put(offset_of!(EventHeader, generation), &1_u32.to_ne_bytes());
    put(offset_of!(EventHeader, verdict), &[if is_held { raw::ASK } else { raw::DENY }]);
    let reason = if is_held { Reason::None } else { Reason::CannotHold };
    put(offset_of!(EventHeader, reason), &[reason as u8]);
    put(offset_of!(EventHeader, flags), &[u8::from(is_measurable) * EVENT_MEASURABLE]);
    put(offset_of!(EventHeader, thread_start), &19_u64.to_ne_bytes());
    put(offset_of!(EventHeader, hash), &[subject[1]; 16]);
    put(offset_of!(EventHeader, grant), &[subject[1]; 16]);
    bytes
}

/// Bytes that say that the file of question `id` has this digest, or none.
pub(crate) fn measured(id: u64, digest: Option<[u8; 32]>) -> Vec<u8> {
    let mut bytes = asked(id, b"/x", true, true);
    let mut put = |at: usize, field: &[u8]| bytes[at..at + field.len()].copy_from_slice(field);
    put(offset_of!(EventHeader, kind), &KIND_MEASURED.to_ne_bytes());
    put(offset_of!(EventHeader, hash), &digest.unwrap_or_default());
    let reason = if digest.is_some() { Reason::None } else { Reason::ReadFault };
    put(offset_of!(EventHeader, reason), &[reason as u8]);
    bytes
}

fn with(at: usize, field: &[u8]) -> Vec<u8> {
    let mut bytes = denied(b"/a", b"/b");
    bytes[at..at + field.len()].copy_from_slice(field);
    bytes
}

#[test]
fn every_field_arrives_where_the_header_has_it() {
    let seen = decode(&denied(b"/etc/shadow", b"/usr/bin/python3")).unwrap().observed();
    assert_eq!((seen.time, seen.profile, seen.generation), (1_500_000_000, 1, 7));
    assert_eq!(seen.rule.unwrap().0, 2);
    assert_eq!(seen.access, Access(Access::READ.0 | Access::WRITE.0));
    assert_eq!((seen.operation, seen.decision), (Operation::File, Decision::Deny));
    assert_eq!((seen.reason, seen.monitor, seen.provisional), (Reason::Rule, false, false));
    assert_eq!((seen.pid, seen.tgid, seen.ppid, seen.uid, seen.gid), (11, 12, 13, 14, 15));
    assert_eq!((seen.start, seen.session, seen.cgroup), (16, 17, 18));
    assert_eq!(seen.comm, b"python3");
    assert_eq!(seen.subject, b"/etc/shadow");
    assert_eq!(seen.exe, b"/usr/bin/python3");
}

#[test]
fn bytes_that_are_no_utf8_and_newlines_are_kept() {
    let seen = decode(&denied(b"/a\n\xff\0b", b"")).unwrap().observed();
    assert_eq!(seen.subject, b"/a\n\xff\0b");
}

#[test]
fn every_cut_is_refused() {
    let bytes = denied(b"/etc/shadow", b"/usr/bin/python3");
    for end in 0..bytes.len() {
        assert_eq!(decode(&bytes[..end]), Err(RecordError::Short), "cut at {end}");
    }
}

#[test]
fn padding_behind_the_record_is_not_read() {
    let mut bytes = denied(b"/a", b"/b");
    bytes.extend([1, 2, 3]);
    assert_eq!(decode(&bytes).unwrap().observed().exe, b"/b");
}

#[test]
fn numbers_that_name_nothing_are_refused() {
    type Check = fn(&RecordError) -> bool;
    let cases: [(usize, &[u8], Check); 8] = [
        (offset_of!(EventHeader, abi), &[9, 9], |e| matches!(e, RecordError::Abi(_))),
        (offset_of!(EventHeader, kind), &[9, 9], |e| matches!(e, RecordError::Kind(_))),
        (offset_of!(EventHeader, profile), &[65], |e| {
            matches!(e, RecordError::Value("profile", 65))
        }),
        (offset_of!(EventHeader, rule), &[0, 0, 1], |e| matches!(e, RecordError::Value("rule", _))),
        (offset_of!(EventHeader, operation), &[7], |e| {
            matches!(e, RecordError::Value("operation", 7))
        }),
        (offset_of!(EventHeader, verdict), &[0], |e| matches!(e, RecordError::Value("verdict", 0))),
        (offset_of!(EventHeader, reason), &[200], |e| {
            matches!(e, RecordError::Value("reason", 200))
        }),
        (offset_of!(EventHeader, flags), &[128], |e| matches!(e, RecordError::Value("flags", 128))),
    ];
    for (at, field, check) in cases {
        let error = decode(&with(at, field)).unwrap_err();
        assert!(check(&error), "{error:?} at {at}");
    }
}

#[test]
fn no_rule_and_monitor_mode_are_told_apart_from_rule_0_and_enforcement() {
    let seen =
        decode(&with(offset_of!(EventHeader, rule), &NO_RULE.to_ne_bytes())).unwrap().observed();
    assert_eq!(seen.rule, None);
    let seen = decode(&with(offset_of!(EventHeader, flags), &[EVENT_MONITOR])).unwrap().observed();
    assert!(seen.monitor);
}

#[test]
fn a_question_and_its_measure_arrive_whole() {
    let seen = decode(&asked(5, b"/x", true, true)).unwrap().observed();
    let question = seen.asked.unwrap();
    assert_eq!((question.id, question.key.tid, question.key.start), (5, 11, 19));
    assert_eq!(question.key.subject, question.grant);
    assert!(question.is_held && question.is_measurable);
    let failed = decode(&asked(5, b"/x", false, false)).unwrap().observed().asked.unwrap();
    assert!(!failed.is_held && !failed.is_measurable);
    let digest: [u8; 32] = core::array::from_fn(|at| at as u8);
    assert_eq!(decode(&measured(5, Some(digest))), Ok(Record::Measured(5, Some(digest))));
    assert_eq!(decode(&measured(5, None)), Ok(Record::Measured(5, None)));
}

#[test]
fn who_asks_is_known_with_directory_arguments_and_ancestors() {
    let seen = decode(&denied_in(b"/home/a", b"cat\0x y\0")).unwrap().observed();
    assert_eq!((&*seen.cwd, &*seen.argv), (&b"/home/a"[..], &b"cat\0x y\0"[..]));
    assert_eq!(seen.ancestors, [(13, b"sh".to_vec()), (7, b"ag".to_vec())]);
    let mut too_many = denied_in(b"", b"");
    let at = offset_of!(EventHeader, ancestors_len);
    too_many[at..at + 4].copy_from_slice(&9_u32.to_ne_bytes());
    assert_eq!(decode(&too_many), Err(RecordError::Value("ancestors", 9)));
    let whole = denied_in(b"/home/a", b"cat\0");
    assert_eq!(decode(&whole[..whole.len() - 1]), Err(RecordError::Short));
}
