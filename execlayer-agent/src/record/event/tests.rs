//! What a reader of events can rely on.

use execlayer_common::{
    access::{Access, Operation},
    provenance::{Provenance, RuleOrigin},
};

use super::{Known, event};
use crate::{
    kernel::events::{
        decode,
        tests::{denied, denied_in},
    },
    record::redact::Redaction,
};

fn provenance() -> Provenance {
    let rule = |id: &str, reason: Option<&str>| RuleOrigin {
        id: id.to_owned(),
        file: 1,
        line: 41,
        reason: reason.map(str::to_owned),
        transition: None,
        asking: None,
    };
    Provenance {
        format: execlayer_common::provenance::FORMAT,
        policy: "coding-agent".to_owned(),
        version: 3,
        agent: "claude-code".to_owned(),
        files: vec!["policy.toml".to_owned(), "base.toml".to_owned()],
        cgroups: Vec::new(),
        executables: Vec::new(),
        accepts_from: Vec::new(),
        deciders: Vec::new(),
        context: Vec::new(),
        rules: vec![rule("a", None), rule("b", None), rule("no-keys", Some("keys stay"))],
    }
}

fn parsed(subject: &[u8], provenance: Option<&Provenance>) -> serde_json::Value {
    written(&denied(subject, b"/usr/bin/python3"), provenance)
}

fn written(record: &[u8], provenance: Option<&Provenance>) -> serde_json::Value {
    let seen = decode(record).unwrap().observed();
    let known = Known {
        provenance,
        digest: provenance.map(|_known| "d1"),
        cgroup: Some("/execlayer.slice/a"),
        offset: 1_000_000_000,
        redaction: &Redaction::default(),
    };
    let line = event(&seen, None, known).unwrap();
    assert!(!line.contains(&b'\n'), "one line");
    serde_json::from_slice(&line).unwrap()
}

#[test]
fn an_event_names_who_what_and_the_rule_with_its_file_and_line() {
    let known = provenance();
    let line = parsed(b"/home/a/.ssh/id", Some(&known));
    let expected = serde_json::json!({
        "format": 2, "kind": "verdict", "time": "1970-01-01T00:00:02.500000000Z",
        "agent": "claude-code", "policy": "coding-agent", "version": 3, "digest": "d1",
        "profile": 1, "generation": 7,
        "pid": 11, "tgid": 12, "ppid": 13, "uid": 14, "gid": 15,
        "comm": "python3", "exe": "/usr/bin/python3",
        "argv": null, "cwd": null, "ancestors": [],
        "operation": "open", "access": ["read", "write"], "subject": "/home/a/.ssh/id",
        "verdict": "deny", "enforced": true,
        "rule": "no-keys", "file": "base.toml", "line": 41,
        "reason": "rule", "message": "keys stay",
        "provisional": false, "session": 17, "cgroup": 18,
        "cgroup_path": "/execlayer.slice/a", "container": null,
        "started": "1970-01-01T00:00:01.000000016Z", "kernel_time_ns": 1_500_000_000_u64,
    });
    assert_eq!(line, expected);
}

#[test]
fn bytes_that_are_no_utf8_are_kept_exactly_beside_a_readable_form() {
    let line = parsed(b"/a\n\xff", None);
    assert_eq!(line["subject"], "/a\\x0a\\xff");
    assert_eq!(line["subject_hex"], "2f610aff");
    let line = parsed("/a\n\u{e9}".as_bytes(), None);
    assert_eq!(line["subject"], "/a\n\u{e9}");
    assert!(line.get("subject_hex").is_none());
}

#[test]
fn an_event_of_a_generation_that_nobody_knows_is_written_with_its_numbers() {
    let line = parsed(b"/a", None);
    assert_eq!(line["rule"], serde_json::Value::Null);
    assert_eq!(line["agent"], serde_json::Value::Null);
    assert_eq!((&line["profile"], &line["generation"]), (&1.into(), &7.into()));
}

#[test]
fn a_rule_number_beyond_the_provenance_names_no_rule() {
    let mut known = provenance();
    known.rules.truncate(2);
    assert_eq!(parsed(b"/a", Some(&known))["rule"], serde_json::Value::Null);
}

#[test]
fn every_access_that_a_policy_can_name_is_named() {
    let of_files = Access::of(Operation::File).names().collect::<Vec<_>>();
    assert_eq!(of_files.len(), 16);
    assert_eq!(of_files.get(..5).unwrap(), ["read", "write", "append", "create", "delete"]);
    assert_eq!(Access::of(Operation::Exec).names().collect::<Vec<_>>(), ["exec", "enter"]);
    assert_eq!(Access::of(Operation::Unix).names().collect::<Vec<_>>(), ["connect", "bind"]);
    assert_eq!(Access::of(Operation::Feature).names().collect::<Vec<_>>(), ["use"]);
    assert!(Access::GOVERN.names().next().is_none());
}

#[test]
fn who_asked_is_named_without_secrets() {
    let line = written(&denied_in(b"/home/a\xff", b"curl\0--token\0abc\0\0"), None);
    assert_eq!(line["argv"], serde_json::json!(["curl", "--token", "[redacted]", ""]));
    assert_eq!(line["cwd"], "/home/a\\xff");
    let ancestors = serde_json::json!([{"pid": 13, "comm": "sh"}, {"pid": 7, "comm": "ag"}]);
    assert_eq!((&line["ancestors"], line.get("argv_cut")), (&ancestors, None));
    let long = [b'x'; 511];
    assert_eq!(written(&denied_in(b"", &long), None)["argv_cut"], true);
}

#[test]
fn the_longest_record_fits_into_the_log() {
    let mut record = denied(&[0xff; 4_095], &[0xff; 4_095]);
    let whole = denied_in(&[0xff; 1_023], &[0xff; 511]);
    let behind = whole.len() - 1_023 - 511;
    let header = whole[..size_of::<execlayer_common::event::EventHeader>()].to_vec();
    record[..header.len()].copy_from_slice(&header);
    record[4..6].copy_from_slice(&4_095_u16.to_ne_bytes());
    record[6..8].copy_from_slice(&4_095_u16.to_ne_bytes());
    record.extend(&whole[behind..]);
    let line = written(&record, Some(&provenance()));
    let bytes = serde_json::to_vec(&line).unwrap().len();
    assert!(bytes <= super::MOST, "{bytes}");
    assert!(line["subject_hex"].is_string() && line["exe_hex"].is_string(), "the names are whole");
    assert!(line["argv"].is_null() && line["cwd"].is_null(), "{line}");
}
