//! A call that a person is asked about: the hook waits, and time denies.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use crate::harness::{Daemon, Recorded, Say, ok, response};

const HOLD: &str = r#"{"decision":"hold","hold":{"question":7,"expires_in":60}}"#;

/// One that holds every call, and says these things about its question, the last one for ever.
fn daemon(says: &'static [&'static str]) -> Daemon {
    let asked = AtomicUsize::new(0);
    Daemon::listen(move |line| {
        if line.starts_with("POST") {
            return Say::Bytes(ok(HOLD));
        }
        let at = asked.fetch_add(1, Ordering::Relaxed).min(says.len() - 1);
        Say::Bytes(ok(says[at]))
    })
}

#[test]
fn an_answer_that_comes_while_waiting_decides() {
    for recorded in Recorded::all() {
        let allows = daemon(&[r#"{"id":7,"state":"open"}"#, r#"{"id":7,"state":"allowed"}"#]);
        let ended = allows.hook(&recorded.agent, &[], recorded.input.as_bytes());
        ended.assert_says(&recorded.allow(), &recorded.name);
        assert_eq!(allows.asked().len(), 3, "{}", recorded.name);
        assert!(allows.asked()[1].0.starts_with("GET /v1/questions/7?wait=30s "));

        let denies = daemon(&[r#"{"id":7,"state":"denied","message":"not today"}"#]);
        let ended = denies.hook(&recorded.agent, &[], recorded.input.as_bytes());
        let why = "question 7 was denied: not today";
        ended.assert_says(&recorded.deny(why), &recorded.name);
    }
}

#[test]
fn a_question_that_nobody_answered_denies() {
    let daemon = daemon(&[r#"{"state":"timed-out"}"#]);
    let recorded = Recorded::one("codex/bash");
    let ended = daemon.hook("codex", &[], recorded.input.as_bytes());
    ended.assert_says(&recorded.deny("nobody answered question 7 in time"), "timed out");
}

#[test]
fn a_question_that_is_open_at_the_deadline_denies_and_says_what_to_do() {
    let daemon = daemon(&[r#"{"state":"open"}"#]);
    let waits = |name: &str| {
        let recorded = Recorded::one(name);
        let begin = Instant::now();
        let ended = daemon.hook(&recorded.agent, &["--deadline", "4"], recorded.input.as_bytes());
        let why = "question 7 is still open: answer it with `execlayer approve 7` and try again";
        ended.assert_says(&recorded.deny(why), name);
        assert!(begin.elapsed() >= Duration::from_secs(3), "{name}");
    };
    std::thread::scope(|scope| {
        for name in ["claude-code/bash", "codex/bash", "gemini/shell", "cursor/shell"] {
            let waits = &waits;
            scope.spawn(move || waits(name));
        }
    });
    // It does not ask all the time, even if the daemon does not wait.
    assert!(daemon.asked().len() <= 4 * (1 + 13), "{}", daemon.asked().len());
}

#[test]
fn nothing_else_about_a_question_allows() {
    let recorded = Recorded::one("claude-code/bash");
    let cases: [fn() -> Say; 8] = [
        || Say::Bytes(ok(r#"{"state":"yes"}"#)),
        || Say::Bytes(ok(r#"{"id":8,"state":"allowed"}"#)),
        || Say::Bytes(ok(r#"{"decision":"allow"}"#)),
        || Say::Bytes(ok("{}")),
        || Say::Bytes(response("404 Not Found", "application/json", r#"{"state":"allowed"}"#)),
        || Say::Bytes(response("200 OK", "text/plain", r#"{"state":"allowed"}"#)),
        || Say::Bytes(Vec::new()),
        || Say::Silence,
    ];
    for (at, case) in cases.into_iter().enumerate() {
        let daemon =
            Daemon::listen(
                move |line| {
                    if line.starts_with("POST") { Say::Bytes(ok(HOLD)) } else { case() }
                },
            );
        let ended = daemon.hook("claude-code", &["--deadline", "4"], recorded.input.as_bytes());
        ended.assert_blocks(&format!("case {at}"));
    }
}
