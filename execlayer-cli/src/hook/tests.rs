//! What the daemon says, byte by byte; and that a panic blocks.

use std::process::{Command, Stdio};

use proptest::prelude::*;

use super::*;

#[test]
fn only_the_word_allow_allows() {
    assert_eq!(Decision::parse(r#"{"decision":"allow","new":[1]}"#), Ok(Decision::Allow));
    for body in [
        "",
        "null",
        "[]",
        r#"["allow"]"#,
        r#""allow""#,
        "{}",
        r#"{"decision":null}"#,
        r#"{"decision":true}"#,
        r#"{"decision":"yes"}"#,
        r#"{"decision":"Allow"}"#,
        r#"{"decision":"allow "}"#,
        r#"{"decision":["allow"]}"#,
        r#"{"decision":{"allow":null}}"#,
        r#"{"Decision":"allow"}"#,
        r#"{"decision":"deny","decision":"allow"}"#,
        r#"{"decision":"allow","decision":"allow"}"#,
        r#"{"decision":"allow","\u0064ecision":"deny"}"#,
        r#"{"decision":"allow"} x"#,
        r#"{"decision":"allow""#,
        r#"{"decision":"hold"}"#,
        r#"{"decision":"hold","hold":null}"#,
        r#"{"decision":"hold","hold":{"question":"7"}}"#,
        r#"{"decision":"hold","hold":{"question":-7}}"#,
        r#"{"decision":"hold","hold":[7]}"#,
        r#"{"evaluations":[{"decision":"allow"}]}"#,
    ] {
        assert!(Decision::parse(body).is_err(), "{body}");
    }
}

#[test]
fn a_reason_names_the_rule_and_what_its_author_said() {
    let why = |body: &str| match Decision::parse(body).unwrap() {
        Decision::Deny(why) | Decision::Hold { why, .. } => why,
        Decision::Allow => panic!("{body}"),
    };
    assert_eq!(
        why(r#"{"decision":"deny","reason":"rule","message":"A person pushes.",
            "rule":{"id":"no-push","file":"policy.toml","line":12}}"#),
        "denied by rule `no-push` (policy.toml:12): A person pushes."
    );
    assert_eq!(why(r#"{"decision":"deny","reason":"unlisted"}"#), "denied (unlisted)");
    assert_eq!(why(r#"{"decision":"deny"}"#), "denied");
    assert_eq!(
        why(r#"{"decision":"hold","reason":"rule","rule":{"id":"push"},"hold":{"question":7}}"#),
        "needs an answer by rule `push`"
    );
}

#[test]
fn only_an_allowed_question_allows() {
    assert_eq!(State::parse(r#"{"id":7,"state":"allowed"}"#, 7), Ok(State::Allowed));
    assert_eq!(State::parse(r#"{"state":"open"}"#, 7), Ok(State::Open));
    let denied = State::Denied("question 7 was denied: not today".to_owned());
    assert_eq!(State::parse(r#"{"state":"denied","message":"not today"}"#, 7), Ok(denied));
    for state in ["timed-out", "used", "replaced"] {
        let parsed = State::parse(&format!(r#"{{"state":"{state}"}}"#), 7);
        assert!(matches!(parsed, Ok(State::Denied(_))), "{state}");
    }
    for body in [
        "{}",
        r#"{"state":"allow"}"#,
        r#"{"state":null}"#,
        r#"{"id":8,"state":"allowed"}"#,
        r#"{"id":"7","state":"allowed"}"#,
        r#"{"state":"denied","state":"allowed"}"#,
        r#"{"decision":"allow"}"#,
    ] {
        assert!(State::parse(body, 7).is_err(), "{body}");
    }
}

proptest! {
    #[test]
    fn nothing_that_an_agent_says_breaks_it(text in ".{0,200}", name in "[a-zA-Z]{0,12}") {
        let wrapped = format!(
            r#"{{"hook_event_name":"{name}","tool_name":"{name}","tool_input":{text},"cwd":"/"}}"#
        );
        for text in [&text, &wrapped] {
            for hear in [claude_code::hear, codex::hear, gemini::hear, cursor::hear] {
                if let Ok(said) = Object::parse(text) {
                    let _ = hear(said);
                }
            }
        }
    }
}

/// Panics in a process of its own, which is this one called again.
#[test]
fn a_panic_ends_with_the_code_that_blocks() {
    if std::env::var_os("EXECLAYER_TEST_PANICS").is_some() {
        block_on_panic();
        panic!("on purpose");
    }
    let name = "hook::tests::a_panic_ends_with_the_code_that_blocks";
    let mut this = Command::new(std::env::current_exe().unwrap());
    this.args(["--exact", name, "--nocapture"]).env("EXECLAYER_TEST_PANICS", "1");
    let output = this.stdin(Stdio::null()).output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{err}");
    assert!(err.contains("execlayer hook: internal error at "), "{err}");
}
