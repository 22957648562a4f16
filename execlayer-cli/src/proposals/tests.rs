//! Claims about proposed rules.

use std::time::Duration;

use super::*;

fn question(access: &[&str], subject: &str) -> Question {
    Question {
        id: 7,
        agent: "tester".into(),
        pid: 42,
        uid: 1000,
        program: "/usr/bin/git".into(),
        operation: "open".into(),
        access: access.iter().map(ToString::to_string).collect(),
        subject: subject.into(),
        rule: Some("web".into()),
        file: Some("policy.toml".into()),
        line: Some(3),
        message: None,
        command: Vec::new(),
        digest: None,
        asked: "human".into(),
        held: true,
        calls: 1,
        remember: None,
        waits: 0,
        left: 60,
    }
}

fn pattern(access: &[&str], subject: &str) -> Option<(&'static str, String)> {
    Proposal::of(&question(access, subject)).ok().map(|found| (found.key, found.pattern))
}

#[test]
fn signs_of_globs_stand_for_themselves() {
    let subject = "/a/*?[x]{y,z}$${HOME}";
    let expected = r"/a/\*\?\[x\]\{y\,z\}\$\$\{HOME\}";
    assert_eq!(pattern(&["read"], subject), Some(("path", expected.into())));
    let socket = Some(("to", r"unix:@na\*me".into()));
    assert_eq!(pattern(&["connect"], "@na*me"), socket);
    for address in ["tcp:192.0.2.1:443", "udp:[2001:db8::1]:53"] {
        assert_eq!(pattern(&["connect"], address), Some(("to", address.into())));
        assert_eq!(pattern(&["bind"], address), Some(("to", address.into())));
    }
}

#[test]
fn what_is_not_surely_the_subject_is_refused() {
    for subject in
        [r"/a\x0a", r"/a\b", "/a\nb", "/a\x1b[2J", "/a\u{202e}b", "relative", "", "/a/", "/a/../b"]
    {
        assert_eq!(pattern(&["read"], subject), None, "{subject:?}");
    }
    for subject in ["other:192.0.2.1:1", "tcp:host:1", "tcp:192.0.2.1", "@", "x", r"@a\x00"] {
        assert_eq!(pattern(&["connect"], subject), None, "{subject:?}");
    }
    assert_eq!(pattern(&["bind"], "/run/x"), None, "a path is made and not bound to");
    for access in [&[][..], &["govern"], &["read", "signal"]] {
        assert_eq!(pattern(access, "/a"), None, "{access:?}");
    }
}

#[test]
fn every_proposal_is_a_rule_that_the_compiler_takes_and_has_an_id_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rules.toml");
    let subjects = ["/a/it's \"q\" {1}", "/b/it's \"q\" {1}", "/é", "/a b/*", "/x..y--z"];
    let of = |subject| Proposal::of(&question(&["read", "write", "append"], subject)).unwrap();
    let proposals: Vec<Proposal> = subjects.iter().map(|subject| of(subject)).collect();
    let first = append(&path, &proposals, SystemTime::UNIX_EPOCH).unwrap();
    let second = append(&path, &proposals, SystemTime::UNIX_EPOCH).unwrap();
    let all: std::collections::BTreeSet<_> = first.iter().chain(&second).collect();
    assert_eq!(all.len(), 10, "{all:?}");
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text.matches("[[rule]]").count(), 10);
    assert_eq!(mistake(format!("{FRAME}{text}")), None);
    // The compiler has the last word.
    assert!(Proposal::of(&question(&["read"], "/ü/")).is_err());
}

#[test]
fn a_file_that_is_no_list_of_rules_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let proposals = [Proposal::of(&question(&["read"], "/a")).unwrap()];
    let path = folder.path().join("rules.toml");
    for text in ["name = \"policy\"\n", "[[rule]]\nid = \"a\"", "\u{1}"] {
        std::fs::write(&path, text).unwrap();
        assert!(append(&path, &proposals, SystemTime::UNIX_EPOCH).is_err(), "{text}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }
    let old = "[[rule]]\nid = \"allow-a\"\nallow = [\"read\"]\npath = \"/x\"";
    std::fs::write(&path, old).unwrap();
    assert_eq!(append(&path, &proposals, SystemTime::UNIX_EPOCH).unwrap(), ["allow-a-2"]);
    assert!(std::fs::read_to_string(&path).unwrap().starts_with(&format!("{old}\n")));
}

#[test]
fn dates_are_those_of_the_calendar() {
    for (seconds, text) in [
        (0, "1970-01-01"),
        (951_782_400, "2000-02-29"),
        (1_709_164_800, "2024-02-29"),
        (1_735_689_599, "2024-12-31"),
        (4_107_542_400, "2100-03-01"),
    ] {
        assert_eq!(date(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)), text);
    }
}
