//! Recorded calls of each agent: what the daemon is asked, and how allow, deny and hold sound.

use serde_json::Value;

use crate::harness::{Daemon, Recorded};

const DENY: &str = r#"{"decision":"deny","reason":"rule","message":"A person pushes.",
    "rule":{"id":"no-push","file":"policy.toml","line":12},"agent":"coder"}"#;
const HOLD: &str = r#"{"decision":"hold","reason":"rule","rule":{"id":"push"},
    "hold":{"question":7,"expires_in":60,"url":"/v1/questions/7"}}"#;

#[test]
fn the_daemon_is_asked_about_every_recorded_call_and_its_allow_is_no_decision() {
    for recorded in Recorded::all() {
        let daemon = Daemon::always(r#"{"decision":"allow","reason":"rule","agent":"coder"}"#);
        let ended = daemon.hook(&recorded.agent, &[], recorded.input.as_bytes());
        ended.assert_says(&recorded.allow(), &recorded.name);
        let asked = daemon.asked();
        assert_eq!(asked.len(), 1);
        assert_eq!(asked[0].0, "POST /v1/evaluate HTTP/1.1");
        let body: Value = serde_json::from_str(&asked[0].1).unwrap();
        assert_eq!(&body, recorded.request(), "{}", recorded.name);
    }
}

#[test]
fn a_deny_says_why_in_the_agents_words() {
    let daemon = Daemon::always(DENY);
    for recorded in Recorded::all() {
        let ended = daemon.hook(&recorded.agent, &[], recorded.input.as_bytes());
        let why = "denied by rule `no-push` (policy.toml:12): A person pushes.";
        ended.assert_says(&recorded.deny(why), &recorded.name);
    }
}

#[test]
fn a_monitored_call_is_an_allow() {
    let daemon = Daemon::always(r#"{"decision":"allow","monitored":true,"would_be":"deny"}"#);
    let recorded = Recorded::one("claude-code/bash");
    let ended = daemon.hook("claude-code", &[], recorded.input.as_bytes());
    ended.assert_says(&recorded.allow(), "monitored");
}

#[test]
fn a_held_call_is_denied_at_once_if_it_was_said_so() {
    let daemon = Daemon::always(HOLD);
    for recorded in Recorded::all() {
        let ended = daemon.hook(&recorded.agent, &["--on-hold", "deny"], recorded.input.as_bytes());
        let why = "question 7 is still open: answer it with `execlayer approve 7` and try again";
        ended.assert_says(&recorded.deny(why), &recorded.name);
    }
}

#[test]
fn a_held_call_is_asked_about_only_where_the_agent_asks() {
    for recorded in Recorded::all() {
        let daemon = Daemon::always(HOLD);
        let ended = daemon.hook(&recorded.agent, &["--on-hold", "ask"], recorded.input.as_bytes());
        if recorded.may_ask() {
            let why = "needs an answer by rule `push` (question 7)";
            ended.assert_says(&recorded.says("ask", why), &recorded.name);
        } else {
            ended.assert_blocks(&recorded.name);
            assert!(daemon.asked().is_empty(), "{}", recorded.name);
        }
    }
}

#[test]
fn ask_is_not_an_allow_if_the_daemon_allows_or_denies() {
    let recorded = Recorded::one("claude-code/bash");
    let ended =
        Daemon::always(DENY).hook("claude-code", &["--on-hold", "ask"], recorded.input.as_bytes());
    let why = "denied by rule `no-push` (policy.toml:12): A person pushes.";
    ended.assert_says(&recorded.deny(why), "deny");
}

#[test]
fn numbers_reach_the_daemon_as_they_were_written() {
    let daemon = Daemon::always(r#"{"decision":"allow"}"#);
    let input = br#"{"hook_event_name":"PreToolUse","tool_name":"mcp__bank__pay","cwd":"/",
        "tool_input":{"amount": 12.50,"big": 9007199254740993,"tiny":1E-400}}"#;
    assert_eq!(daemon.hook("claude-code", &[], input).code, Some(0));
    let body = &daemon.asked()[0].1;
    assert!(
        body.contains(r#""amount":12.50,"big":9007199254740993,"cwd":"/","tiny":1E-400"#),
        "{body}"
    );
}
