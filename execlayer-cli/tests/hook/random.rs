//! Whatever an agent or a daemon says: 0 only if the daemon was asked and has an answer, an allow only if
//! it said that word.

use proptest::prelude::*;
use serde_json::Value;

use crate::harness::{AGENTS, Daemon, Recorded, Say, ok};

const ALLOW: &str = r#"{"decision":"allow","reason":"rule","agent":"coder"}"#;
const DENY: &str = r#"{"decision":"deny","reason":"rule","agent":"coder"}"#;

/// Each case is a process.
fn few() -> ProptestConfig {
    ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() }
}

fn is_allow(agent: &str, out: &str) -> bool {
    let said: Value = serde_json::from_str(out).unwrap();
    match agent {
        "cursor" => said["permission"] == "allow",
        _ => said == serde_json::json!({}),
    }
}

/// A call or an answer with some bytes changed, or cut.
fn changed(
    bytes: &[u8],
    changes: &[(prop::sample::Index, u8)],
    cut: Option<prop::sample::Index>,
) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for (at, byte) in changes {
        let at = at.index(bytes.len());
        bytes[at] = *byte;
    }
    if let Some(cut) = cut {
        bytes.truncate(cut.index(bytes.len()));
    }
    bytes
}

fn changes() -> impl Strategy<Value = Vec<(prop::sample::Index, u8)>> {
    let byte = prop_oneof![any::<u8>(), prop::sample::select(b"{}[]\":,0 \\nul".to_vec())];
    prop::collection::vec((any::<prop::sample::Index>(), byte), 0..4)
}

proptest! {
    #![proptest_config(few())]

    #[test]
    fn random_bytes_never_end_with_0(
        agent in prop::sample::select(AGENTS.to_vec()),
        input in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        let daemon = Daemon::always(ALLOW);
        let ended = daemon.hook(agent, &[], &input);
        ended.assert_blocks(agent);
        prop_assert!(daemon.asked().is_empty());
    }

    #[test]
    fn a_changed_call_ends_with_0_only_if_the_daemon_was_asked(
        recorded in prop::sample::select((0..Recorded::all().len()).collect::<Vec<_>>()),
        changes in changes(),
        cut in prop::option::weighted(0.2, any::<prop::sample::Index>()),
        allows in any::<bool>(),
    ) {
        let recorded = &Recorded::all()[recorded];
        let daemon = Daemon::always(if allows { ALLOW } else { DENY });
        let input = changed(recorded.input.as_bytes(), &changes, cut);
        let ended = daemon.hook(&recorded.agent, &[], &input);
        if ended.code == Some(0) {
            prop_assert_eq!(daemon.asked().len(), 1);
            prop_assert_eq!(is_allow(&recorded.agent, &ended.out), allows);
        } else {
            ended.assert_blocks(&recorded.name);
            prop_assert!(daemon.asked().is_empty(), "{:?}", ended);
        }
    }

    #[test]
    fn a_changed_answer_allows_only_if_it_still_says_so(
        changes in changes(),
        cut in prop::option::weighted(0.2, any::<prop::sample::Index>()),
        allows in any::<bool>(),
        agent in prop::sample::select(vec!["claude-code/bash", "codex/bash", "gemini/shell", "cursor/shell"]),
    ) {
        let answer = changed(&ok(if allows { ALLOW } else { DENY }), &changes, cut);
        let text = String::from_utf8_lossy(&answer).into_owned();
        let daemon = Daemon::listen(move |_| Say::Bytes(answer.clone()));
        let recorded = Recorded::one(agent);
        let ended = daemon.hook(&recorded.agent, &["--deadline", "5"], recorded.input.as_bytes());
        match ended.code {
            Some(0) if is_allow(&recorded.agent, &ended.out) => {
                prop_assert!(text.contains(r#""decision":"allow""#) && text.contains(" 200"), "{}", text);
            }
            Some(0) => prop_assert!(text.contains(r#""decision":"deny""#), "{}", text),
            _ => ended.assert_blocks(agent),
        }
    }

    #[test]
    fn random_answers_never_end_with_0(
        answer in prop::collection::vec(any::<u8>(), 0..300),
        body in ".{0,60}",
        is_body in any::<bool>(),
    ) {
        let answer = if is_body { ok(&body) } else { answer };
        let daemon = Daemon::listen(move |_| Say::Bytes(answer.clone()));
        let recorded = Recorded::one("cursor/shell");
        daemon.hook("cursor", &["--deadline", "5"], recorded.input.as_bytes()).assert_blocks("random");
    }
}
