//! Claims about `pending`, `approve` and `deny`.

use std::{
    io::{BufRead, BufReader},
    process::Stdio,
    sync::Mutex,
};

use execlayer_api::{
    About, Answered, ErrorCode, Outcome, Question, Remember, Request, Response, Whose,
};

use crate::{
    harness::{Daemon, Place, answer, question, refusal},
    pty::Pty,
};

fn asked(id: u64, allow: bool, remember: Remember, message: Option<&str>) -> Request {
    Request::Answer { id, allow, remember, message: message.map(str::to_owned) }
}

fn listing(questions: Vec<Question>) -> Option<Response> {
    Some(Response::Done(Outcome::Questions(questions)))
}

#[test]
fn what_waits_is_shown_with_its_rule_and_its_time() {
    let place = Place::new();
    let _daemon = Daemon::listen(&place.at("run"), |_| {
        let failed = Question { id: 8, held: false, asked: "lint".into(), calls: 31, ..question() };
        let other = Question { id: 9, agent: "other".into(), left: 600, ..question() };
        listing(vec![question(), failed, other])
    });
    let out = place.succeed(&["pending", "--run-dir", "run"]).out;
    let lines: Vec<&str> = out.lines().collect();
    let [_, waits, failed, other] = lines[..] else { panic!("{out}") };
    for part in [
        "7",
        "tester",
        "connect tcp:192.0.2.1:443",
        "web",
        "4 s",
        "56 s",
        "human",
        "Someone should",
    ] {
        assert!(waits.contains(part), "{part}: {out}");
    }
    assert!(!waits.contains("failed already"), "{out}");
    for part in ["lint", "31", "failed already; a yes is for the next try"] {
        assert!(failed.contains(part), "{part}: {out}");
    }
    assert!(other.contains("10 min"), "{out}");
    let json = place.succeed(&["pending", "--run-dir", "run", "--json"]).json();
    assert_eq!((&json[0]["id"], &json[0]["left"]), (&7.into(), &56.into()));
    let json = place.succeed(&["pending", "--run-dir", "run", "--json", "--agent", "other"]).json();
    assert_eq!((json.as_array().unwrap().len(), &json[0]["id"]), (1, &9.into()));
    let none = place.succeed(&["pending", "--run-dir", "run", "--agent", "nobody"]).out;
    assert_eq!(none, "no call is held\n");
}

#[test]
fn the_text_of_a_process_does_not_reach_the_terminal_as_it_is() {
    let place = Place::new();
    let evil = || "/a\x1b]0;x\x07\n8  tester  harmless\u{202e}".to_owned();
    let _daemon = Daemon::listen(&place.at("run"), move |_| {
        let all =
            Question { subject: evil(), program: evil(), message: Some(evil()), ..question() };
        listing(vec![Question { rule: Some(evil()), agent: evil(), asked: evil(), ..all }])
    });
    let out = place.succeed(&["pending", "--run-dir", "run"]).out;
    assert!(!out.contains(['\x1b', '\x07', '\u{202e}']), "{out:?}");
    assert_eq!(out.lines().count(), 2, "{out}");
}

#[test]
fn watching_tells_of_each_new_question_once() {
    for json in [false, true] {
        let place = Place::new();
        let looks = Mutex::new(0);
        let _daemon = Daemon::listen(&place.at("run"), move |_| {
            let mut looks = looks.lock().unwrap();
            *looks += 1;
            let subject = "/x\x1b[2J".to_owned();
            let second = Question { id: 8, held: false, subject, ..question() };
            // A daemon that hangs up ends the watching.
            match *looks {
                1 => listing(vec![question()]),
                2 => listing(vec![question(), second]),
                _ => None,
            }
        });
        let mut command = place.tool(&["pending", "--run-dir", "run", "--watch"]);
        if json {
            command.arg("--json");
        }
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let lines: Vec<String> = lines.map(Result::unwrap).collect();
        assert_eq!(child.wait().unwrap().code(), Some(7));
        let [first, second] = &lines[..] else { panic!("{lines:?}") };
        if json {
            let id = |line| serde_json::from_str::<serde_json::Value>(line).unwrap()["id"].clone();
            assert_eq!((id(first), id(second)), (7.into(), 8.into()));
        } else {
            let expected = "7 tester: /usr/bin/git (process 42) wants to connect to tcp:192.0.2.1:443; \
                            rule `web` (policy.toml:3); 56 s left; Someone should know where to.";
            assert_eq!(first, expected);
            assert!(second.starts_with("8 ") && second.contains("failed already"), "{second}");
            assert!(!second.contains('\x1b'), "{second:?}");
        }
    }
}

#[test]
fn on_a_terminal_the_list_is_drawn_anew_and_its_text_stays_harmless() {
    let place = Place::new();
    let looks = Mutex::new(0);
    let _daemon = Daemon::listen(&place.at("run"), move |_| {
        let mut looks = looks.lock().unwrap();
        *looks += 1;
        let evil = Question { subject: "/x\x1b[31m".into(), ..question() };
        listing(if *looks == 1 { vec![evil] } else { Vec::new() })
    });
    let mut command = place.tool(&["pending", "--run-dir", "run", "--watch"]);
    command.env("TERM", "xterm").env("NO_COLOR", "1");
    let mut pty = Pty::start(command, "");
    let text = pty.until("no call is held");
    assert!(text.contains(r"/x\u{1b}[31m") && !text.contains("\x1b[31m"), "{text:?}");
    assert_eq!(text.matches("\x1b[H\x1b[2J").count(), 2, "{text:?}");
}

#[test]
fn each_number_is_answered_by_itself() {
    let place = Place::new();
    let daemon = Daemon::listen(&place.at("run"), |request| answer(request, "".as_ref()));
    let out = place.succeed(&["approve", "--run-dir", "run", "7", "8"]).out;
    assert_eq!(out, "7: goes on\n8: goes on\n");
    let out = place.succeed(&["deny", "--run-dir", "run", "9", "--reason", "not now"]).out;
    assert_eq!(out, "9: is denied\n");
    let expected = [
        asked(7, true, Remember::AsRule, None),
        asked(8, true, Remember::AsRule, None),
        asked(9, false, Remember::AsRule, Some("not now")),
    ];
    assert_eq!(daemon.asked(), expected);
}

#[test]
fn an_answer_holds_for_as_long_as_it_is_said_to() {
    let lasting = |seconds, scope, about| Remember::For { seconds, scope, about };
    for (arguments, remember) in [
        (&["--once"][..], Remember::Once),
        (&["--for", "10m"], lasting(600, Whose::Tree, About::Subject)),
        (&["--for", "30s", "--everywhere"], lasting(30, Whose::Profile, About::Subject)),
        (&["--for", "2h", "--whole-rule"], lasting(7_200, Whose::Tree, About::Rule)),
        (
            &["--for=30d", "--whole-rule", "--everywhere"],
            lasting(execlayer_api::MAX_GRANT, Whose::Profile, About::Rule),
        ),
    ] {
        for allow in [true, false] {
            let place = Place::new();
            let daemon = Daemon::listen(&place.at("run"), |request| answer(request, "".as_ref()));
            let command = if allow { "approve" } else { "deny" };
            place.succeed(&[&[command, "--run-dir", "run", "7"], arguments].concat());
            assert_eq!(daemon.asked(), [asked(7, allow, remember, None)]);
        }
    }
}

#[test]
fn what_makes_no_sense_together_is_refused_before_anybody_is_asked() {
    let place = Place::new();
    let daemon = Daemon::listen(&place.at("run"), |request| answer(request, "".as_ref()));
    for (arguments, part) in [
        (&["--for", "31d"][..], "30 days"),
        (&["--for", "10"], "10m"),
        (&["--for", "0s"], "one second"),
        (&["--for", "1m", "--once"], "--once"),
        (&["--everywhere"], "--for"),
        (&["--whole-rule"], "--for"),
        (&["--always-this-subject", "--once"], "--once"),
        (&["--always-this-subject", "--for", "1m"], "--for"),
        (&["--rules-file", "x"], "--always-this-subject"),
    ] {
        let called = place.call(&[&["approve", "--run-dir", "run", "7"], arguments].concat());
        assert_eq!(called.code, Some(2), "{arguments:?}: {called:?}");
        assert!(called.err.contains(part), "{arguments:?}: {called:?}");
    }
    let deny = place.call(&["deny", "--run-dir", "run", "7", "--always-this-subject"]);
    assert_eq!(deny.code, Some(2));
    assert_eq!(daemon.asked(), []);
}

#[test]
fn what_is_remembered_and_how_many_calls_it_was_for_is_said() {
    let place = Place::new();
    let _daemon = Daemon::listen(&place.at("run"), |request| {
        let Request::Answer { id, allow, .. } = request else { return None };
        let calls = if *id == 7 { 3 } else { 0 };
        let grant = (*id == 7).then_some(4);
        let answered = Answered { id: *id, allowed: *allow, calls, grant };
        Some(Response::Done(Outcome::Answered(answered)))
    });
    let out = place.succeed(&["approve", "--run-dir", "run", "7", "8", "--for", "1h"]).out;
    let expected = "7: goes on (3 calls), remembered as grant 4\n8: is allowed, for the next try\n";
    assert_eq!(out, expected);
}

#[test]
fn a_question_that_has_ended_is_said_to_be_gone_and_the_others_are_answered() {
    let place = Place::new();
    let daemon = Daemon::listen(&place.at("run"), |request| match request {
        Request::Answer { id: 7, .. } => {
            Some(refusal(ErrorCode::UnknownQuestion, "there is no open question 7", "look"))
        }
        other => answer(other, "".as_ref()),
    });
    let called = place.call(&["approve", "--run-dir", "run", "7", "8"]);
    assert_eq!(called.code, Some(1));
    assert!(called.err.contains("no open question 7"), "{called:?}");
    assert_eq!(called.out, "8: goes on\n");
    assert_eq!(daemon.asked().len(), 2);
}
