//! What a reader of the audit trail can rely on.

use execlayer_common::{
    access::{Access, Operation},
    provenance::{Provenance, RuleOrigin},
};

use super::{event, lost};
use crate::kernel::events::{decode, tests::denied};

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
        rules: vec![rule("a", None), rule("b", None), rule("no-keys", Some("keys stay"))],
    }
}

fn parsed(subject: &[u8], provenance: Option<&Provenance>) -> serde_json::Value {
    let seen = decode(&denied(subject, b"/usr/bin/python3")).unwrap().observed();
    let line = event(&seen, provenance, 1_000_000_000).unwrap();
    assert!(!line.contains(&b'\n'), "one line");
    serde_json::from_slice(&line).unwrap()
}

#[test]
fn an_event_names_who_what_and_the_rule_with_its_file_and_line() {
    let known = provenance();
    let line = parsed(b"/home/a/.ssh/id", Some(&known));
    let expected = serde_json::json!({
        "format": 2, "kind": "verdict", "time": "1970-01-01T00:00:02.500000000Z",
        "agent": "claude-code", "policy": "coding-agent", "version": 3,
        "profile": 1, "generation": 7,
        "pid": 11, "tgid": 12, "ppid": 13, "uid": 14, "gid": 15,
        "comm": "python3", "exe": "/usr/bin/python3",
        "operation": "open", "access": ["read", "write"], "subject": "/home/a/.ssh/id",
        "verdict": "deny", "enforced": true,
        "rule": "no-keys", "file": "base.toml", "line": 41,
        "reason": "rule", "message": "keys stay",
        "provisional": false, "session": 17, "cgroup": 18, "kernel_time_ns": 1_500_000_000_u64,
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
fn a_loss_has_a_line_of_its_own() {
    let line = lost(Some(2), Some("codex"), "ring", 5, 0).unwrap();
    let line: serde_json::Value = serde_json::from_slice(&line).unwrap();
    assert_eq!((&line["kind"], &line["lost"]), (&"lost".into(), &5.into()));
    assert_eq!((&line["agent"], &line["profile"]), (&"codex".into(), &2.into()));
    assert_eq!(line["cause"], "ring");
}
