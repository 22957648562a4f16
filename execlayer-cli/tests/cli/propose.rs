//! Claims about `approve --always-this-subject`.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
};

use execlayer_api::{Outcome, Question, Remember, Request, Response};

use crate::harness::{Daemon, Place, answer, question};

const FILE: &str = "execlayer-proposed-rules.toml";

/// With the questions 7, 8 and 9: an address, a file and one that no rule can name.
fn daemon(place: &Place) -> Daemon {
    Daemon::listen(&place.at("run"), |request| match request {
        Request::Questions {} => {
            let file = |id, subject: &str| {
                let (access, subject) = (vec!["read".into(), "write".into()], subject.into());
                let agent = "evil\n[[rule]]".into();
                Question { id, agent, operation: "open".into(), access, subject, ..question() }
            };
            let all = vec![question(), file(8, "/srv/a b/it's [1]*.txt"), file(9, r"/a\x1b")];
            Some(Response::Done(Outcome::Questions(all)))
        }
        other => answer(other, "".as_ref()),
    })
}

fn approve(arguments: &[&'static str]) -> Vec<&'static str> {
    [&["approve", "--run-dir", "run", "--always-this-subject"], arguments].concat()
}

#[test]
fn the_call_goes_on_once_and_the_rule_is_in_a_file_for_a_person() {
    let place = Place::new();
    let daemon = daemon(&place);
    let called = place.succeed(&approve(&["7", "8"]));
    assert_eq!(called.out, "7: goes on\n8: goes on\n");
    for part in [FILE, "no policy was changed", "sign", "ask beats allow"] {
        assert!(called.err.contains(part), "{part}: {called:?}");
    }
    let once = |id| Request::Answer { id, allow: true, remember: Remember::Once, message: None };
    assert_eq!(daemon.asked(), [Request::Questions {}, once(7), once(8)]);
    let text = fs::read_to_string(place.at(FILE)).unwrap();
    assert_eq!(fs::metadata(place.at(FILE)).unwrap().permissions().mode() & 0o777, 0o600);
    let lines: Vec<&str> = text.lines().collect();
    let comment = ": agent `tester`, question 7, asked by rule `web` (policy.toml:3).";
    assert!(lines[0].starts_with("# 20") && lines[0].ends_with(comment), "{text}");
    for line in [
        r#"allow = ["connect"]"#,
        r#"to = "tcp:192.0.2.1:443""#,
        r#"id = "allow-it-s-1-.txt""#,
        r#"allow = ["read", "write"]"#,
        r#"path = "/srv/a b/it's \\[1\\]\\*.txt""#,
    ] {
        assert!(lines.contains(&line), "{line}: {text}");
    }
    // The rules do what they say, and nothing more.
    let head = "name = \"p\"\nversion = 1\n[agent]\nname = \"p\"\n";
    place.write("p.toml", &format!("{head}{text}"));
    place.succeed(&["check", "p.toml"]);
    let cases = [
        ("read+write /srv/a b/it's [1]*.txt", "allow"),
        ("read /srv/a b/it's 1x.txt", "deny"),
        ("connect tcp:192.0.2.1:443", "allow"),
        ("connect udp:192.0.2.1:443", "deny"),
    ];
    let case = |(act, expect): &(&str, &str)| {
        format!("[[case]]\nname = \"{act}\"\ndo = \"{act}\"\nexpect = \"{expect}\"\n")
    };
    place.write("cases.toml", &cases.iter().map(case).collect::<String>());
    place.succeed(&["test", "p.toml", "cases.toml"]);
}

#[test]
fn a_second_proposal_stands_behind_the_first_under_another_id() {
    let place = Place::new();
    let _daemon = daemon(&place);
    place.succeed(&approve(&["7", "--rules-file", "mine.toml"]));
    let first = fs::read_to_string(place.at("mine.toml")).unwrap();
    place.succeed(&approve(&["7", "--rules-file", "mine.toml"]));
    let text = fs::read_to_string(place.at("mine.toml")).unwrap();
    assert!(text.starts_with(&first) && text.matches("[[rule]]").count() == 2, "{text}");
    assert!(text.contains("\"allow-tcp-192.0.2.1-443-2\""), "{text}");
    assert!(!place.at(FILE).exists());
}

#[test]
fn nothing_is_answered_or_written_if_one_of_them_cannot_be_proposed() {
    let place = Place::new();
    let daemon = daemon(&place);
    for (ids, part) in [(["7", "9"], "backslash"), (["7", "12"], "no open question 12")] {
        let called = place.call(&approve(&ids));
        assert_eq!(called.code, Some(1));
        let all = called.err.contains(part) && called.err.contains("nothing was answered");
        assert!(all && !called.err.contains('\x1b'), "{called:?}");
    }
    assert!(!place.at(FILE).exists());
    assert_eq!(daemon.asked(), [Request::Questions {}, Request::Questions {}]);
}

#[test]
fn a_file_that_leads_elsewhere_or_is_a_policy_is_refused_and_nothing_is_answered() {
    let place = Place::new();
    let daemon = daemon(&place);
    place.write("target", "");
    symlink(place.at("target"), place.at("link")).unwrap();
    symlink(place.at("nowhere"), place.at("dangling")).unwrap();
    fs::hard_link(place.at("target"), place.at("twin")).unwrap();
    place.write("open", "");
    fs::set_permissions(place.at("open"), fs::Permissions::from_mode(0o666)).unwrap();
    for (file, part) in [
        ("link", "symbolic link"),
        ("dangling", "symbolic link"),
        ("twin", "this user alone"),
        ("open", "this user alone"),
        ("small/policy.toml", "would not be a list of rules"),
        ("small", "cannot write"),
        ("none/rules.toml", "cannot write"),
    ] {
        let called = place.call(&approve(&["7", "--rules-file", file]));
        assert_eq!(called.code, Some(1), "{file}: {called:?}");
        assert!(called.err.contains(part), "{file}: {called:?}");
    }
    assert!(!place.at("nowhere").exists());
    assert_eq!(fs::read(place.at("target")).unwrap(), b"");
    assert!(daemon.asked().iter().all(|request| *request == Request::Questions {}));
}
