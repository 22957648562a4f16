//! Whatever goes wrong ends with the code that blocks, one line that says why, and nothing that an agent
//! could take for an allow.

use std::{
    fs::{self, File},
    io::Write,
    os::unix::net::UnixListener,
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use crate::harness::{AGENTS, Daemon, Recorded, Say, command, hook, ok, response};

const ALLOW: &str = r#"{"decision":"allow"}"#;

/// One recorded call of each agent.
fn each() -> Vec<Recorded> {
    ["claude-code/bash", "codex/bash", "gemini/shell", "cursor/shell"].map(Recorded::one).into()
}

#[test]
fn a_daemon_that_does_not_say_allow_properly_blocks() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";
    let cases = [
        ("yes", ok(r#"{"decision":"yes"}"#)),
        ("no decision", ok("{}")),
        ("a list", ok(r#"["allow"]"#)),
        ("an object for a word", ok(r#"{"decision":{"allow":null}}"#)),
        ("twice", ok(r#"{"decision":"deny","decision":"allow"}"#)),
        ("two bodies", ok(r#"{"decision":"allow"}{"decision":"allow"}"#)),
        ("hold without a question", ok(r#"{"decision":"hold"}"#)),
        (
            "not UTF-8",
            format!("{head}content-length: 3\r\n\r\n")
                .into_bytes()
                .into_iter()
                .chain(*b"\xff{}")
                .collect(),
        ),
        ("wrong type", response("200 OK", "text/html", ALLOW)),
        ("a problem with 200", response("200 OK", "application/problem+json", ALLOW)),
        ("201", response("201 Created", "application/json", ALLOW)),
        ("204", response("204 No Content", "application/json", ALLOW)),
        ("301", response("301 Moved", "application/json", ALLOW)),
        ("403", response("403 Forbidden", "application/problem+json", r#"{"title":"x"}"#)),
        ("500", response("500 Oh", "application/json", ALLOW)),
        ("503", response("503 Oh", "application/json", ALLOW)),
        ("no length", format!("{head}\r\n{ALLOW}").into_bytes()),
        ("too short", format!("{head}content-length: 21\r\n\r\n{ALLOW}").into_bytes()),
        ("too long", format!("{head}content-length: 19\r\n\r\n{ALLOW}").into_bytes()),
        (
            "two lengths",
            format!("{head}content-length: 20\r\ncontent-length: 20\r\n\r\n{ALLOW}").into_bytes(),
        ),
        (
            "chunked",
            format!("{head}transfer-encoding: chunked\r\n\r\n14\r\n{ALLOW}\r\n0\r\n\r\n")
                .into_bytes(),
        ),
        ("huge", format!("{head}content-length: 4000000000\r\n\r\n{ALLOW}").into_bytes()),
        ("half a head", head.as_bytes().to_vec()),
        ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec()),
        ("no HTTP", b"allow\n".to_vec()),
        ("the body alone", ALLOW.as_bytes().to_vec()),
        ("nothing", Vec::new()),
    ];
    for recorded in each() {
        for (case, bytes) in &cases {
            let say = Say::Bytes(bytes.clone());
            let daemon = Daemon::listen(move |_| say.clone());
            let ended = daemon.hook(&recorded.agent, &[], recorded.input.as_bytes());
            ended.assert_blocks(&format!("{}: {case}", recorded.agent));
            assert_eq!(daemon.asked().len(), 1, "{case}");
        }
    }
}

#[test]
fn every_answer_that_is_cut_short_blocks() {
    let whole = ok(ALLOW);
    let recorded = Recorded::one("gemini/shell");
    for length in (0..whole.len()).step_by(3) {
        let say = Say::Bytes(whole[..length].to_vec());
        let daemon = Daemon::listen(move |_| say.clone());
        daemon
            .hook("gemini", &[], recorded.input.as_bytes())
            .assert_blocks(&format!("{length} bytes"));
    }
}

#[test]
fn a_daemon_that_is_slow_silent_or_endless_blocks() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx: ".to_vec();
    let body =
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1048576\r\n\r\n"
            .to_vec();
    for say in [Say::Silence, Say::Slowly(ok(ALLOW)), Say::Flood(head), Say::Flood(body)] {
        let daemon = Daemon::listen(move |_| say.clone());
        for recorded in each() {
            let ended =
                daemon.hook(&recorded.agent, &["--deadline", "1"], recorded.input.as_bytes());
            ended.assert_blocks(&recorded.agent);
        }
    }
}

#[test]
fn a_daemon_that_is_not_there_blocks() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    drop(UnixListener::bind(folder.path().join("left.sock")).unwrap());
    for socket in ["none.sock", "file", "left.sock", ".", &"long".repeat(40)] {
        for recorded in each() {
            let socket = folder.path().join(socket);
            hook(&socket, &recorded.agent, &[], recorded.input.as_bytes())
                .assert_blocks("no daemon");
        }
    }
}

#[test]
fn a_daemon_that_accepts_nobody_blocks() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("api.sock");
    let _listener = UnixListener::bind(&socket).unwrap();
    let recorded = Recorded::one("claude-code/bash");
    let ended = hook(&socket, "claude-code", &["--deadline", "1"], recorded.input.as_bytes());
    ended.assert_blocks("nobody accepts");
}

#[test]
fn a_call_that_is_not_understood_blocks_and_nobody_is_asked() {
    let event = r#""hook_event_name":"PreToolUse","cwd":"/w""#;
    let calls = [
        String::new(),
        "null".to_owned(),
        "[]".to_owned(),
        "{}".to_owned(),
        "{".to_owned(),
        r#""{}""#.to_owned(),
        format!("{{{event}}}"),
        format!("\u{feff}{{{event},\"tool_name\":\"Any\",\"tool_input\":{{}}}}"),
        format!(r#"{{{event},"tool_name":"Bash"}}"#),
        format!(r#"{{{event},"tool_name":"Bash","tool_input":null}}"#),
        format!(r#"{{{event},"tool_name":"Bash","tool_input":[]}}"#),
        format!(r#"{{{event},"tool_name":"Bash","tool_input":"ls"}}"#),
        format!(r#"{{{event},"tool_name":"Bash","tool_input":{{}}}}"#),
        format!(r#"{{{event},"tool_name":"Bash","tool_input":{{"command":["ls"]}}}}"#),
        format!(r#"{{{event},"tool_name":"Bash","tool_input":{{"command":"ls","command":"rm"}}}}"#),
        format!(
            r#"{{{event},"tool_name":"Bash","tool_input":{{"command":"ls","\u0063ommand":"rm"}}}}"#
        ),
        format!(
            r#"{{{event},"tool_name":"Bash","tool_name":"Any","tool_input":{{"command":"ls"}}}}"#
        ),
        format!(r#"{{{event},"tool_name":"Bash","tool_input":{{"command":"\ud800"}}}}"#),
        format!(r#"{{{event},"tool_name":"Bash","tool_input":{{"command":"ls"}}}}x"#),
        format!(r#"{{{event},"tool_name":["Bash"],"tool_input":{{"command":"ls"}}}}"#),
        format!(r#"{{{event},"tool_name":"","tool_input":{{}}}}"#),
        format!(r#"{{{event},"tool_name":"Any","tool_input":{{}},"session_id":7}}"#),
        format!(
            r#"{{{event},"tool_name":"Bash","tool_input":{{"command":"{}"}}}}"#,
            "x".repeat(65_537)
        ),
        format!(r#"{{{event},"tool_name":"A\u0000","tool_input":{{}}}}"#),
        r#"{"hook_event_name":"PostToolUse","tool_name":"Any","tool_input":{}}"#.to_owned(),
        r#"{"tool_name":"Any","tool_input":{}}"#.to_owned(),
        format!("{{{event},\"x\":\"{}\"}}", "x".repeat(4 << 20)),
        format!("{}1", "[".repeat(1 << 20)),
        format!("{{{event},\"tool_name\":\"Any\",\"tool_input\":{}", "{\"a\":".repeat(500_000)),
    ];
    let daemon = Daemon::always(ALLOW);
    for agent in AGENTS {
        for call in &calls {
            let ended = daemon.hook(agent, &[], call.as_bytes());
            ended.assert_blocks(&format!("{agent}: {call:.120}"));
        }
        daemon.hook(agent, &[], b"\xff\xfe{}").assert_blocks("not UTF-8");
    }
    assert!(daemon.asked().is_empty());
}

#[test]
fn an_event_that_asks_for_no_permission_blocks() {
    let daemon = Daemon::always(ALLOW);
    for event in
        ["stop", "beforeSubmitPrompt", "afterFileEdit", "BeforeShellExecution", "PreToolUse"]
    {
        let input = format!(
            r#"{{"hook_event_name":"{event}","command":"ls","tool_name":"Shell","tool_input":{{"command":"ls"}}}}"#
        );
        daemon.hook("cursor", &[], input.as_bytes()).assert_blocks(event);
    }
    assert!(daemon.asked().is_empty());
}

#[test]
fn a_call_that_is_too_long_blocks_even_if_its_end_says_nothing() {
    let daemon = Daemon::always(ALLOW);
    let recorded = Recorded::one("claude-code/bash");
    let mut input = recorded.input.into_bytes();
    input.resize(4 << 20, b' ');
    assert_eq!(daemon.hook("claude-code", &[], &input).code, Some(0));
    input.push(b' ');
    daemon.hook("claude-code", &[], &input).assert_blocks("too long");
    assert_eq!(daemon.asked().len(), 1);
}

#[test]
fn an_agent_that_does_not_finish_its_call_is_blocked() {
    let daemon = Daemon::always(ALLOW);
    let recorded = Recorded::one("claude-code/bash");
    let mut child = command(&daemon.socket(), "claude-code", &["--deadline", "1"]).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(recorded.input.as_bytes()).unwrap();
    let begin = Instant::now();
    while child.try_wait().unwrap().is_none() {
        // Far more than any machine needs, and less than for ever.
        assert!(begin.elapsed() < Duration::from_secs(60), "it does not end");
        std::thread::sleep(Duration::from_millis(20));
    }
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(2), &[][..]));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no verdict within 1 s"));
}

#[test]
fn an_answer_that_cannot_be_written_blocks() {
    let output = |case| match case {
        "a full disk" => File::create("/dev/full").unwrap().into(),
        "a pipe that nobody reads" => std::io::pipe().unwrap().1.into(),
        _ => Stdio::null(),
    };
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("input");
    fs::write(&input, Recorded::one("claude-code/bash").input).unwrap();
    for case in ["a full disk", "a pipe that nobody reads", "a closed output"] {
        for body in [ALLOW, r#"{"decision":"deny"}"#] {
            let daemon = Daemon::always(body);
            let mut hook = command(&daemon.socket(), "claude-code", &[]);
            let ended =
                hook.stdin(File::open(&input).unwrap()).stdout(output(case)).output().unwrap();
            assert_eq!(ended.status.code(), Some(2), "{case}: {ended:?}");
            assert!(String::from_utf8_lossy(&ended.stderr).contains("standard output"), "{case}");
        }
    }
}

/// Arguments that make no sense block, too: they stand in a settings file that nobody watches.
#[test]
fn arguments_that_make_no_sense_block() {
    let daemon = Daemon::always(ALLOW);
    let recorded = Recorded::one("claude-code/bash");
    let bad: [&[&str]; 6] = [
        &["--deadline", "0"],
        &["--deadline", "3601"],
        &["--deadline", "1.5"],
        &["--on-hold", "allow"],
        &["--allow-skips-prompt"],
        &["more"],
    ];
    for arguments in bad {
        let ended = daemon.hook("claude-code", arguments, recorded.input.as_bytes());
        assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(!ended.err.is_empty());
    }
    for agent in ["", "claude", "CLAUDE-CODE", "cline"] {
        let ended = hook(Path::new("/none"), agent, &[], recorded.input.as_bytes());
        assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""), "{agent}");
    }
    assert!(daemon.asked().is_empty());
}

#[test]
fn what_others_said_does_not_reach_the_terminal_as_it_is() {
    let body = r#"{"title":"No\u001b[2J\nsecond line","detail":"\u202ex"}"#;
    let say = Say::Bytes(response("403 No", "application/problem+json", body));
    let daemon = Daemon::listen(move |_| say.clone());
    let recorded = Recorded::one("codex/bash");
    let ended = daemon.hook("codex", &[], recorded.input.as_bytes());
    ended.assert_blocks("a problem");
    assert!(!ended.err.contains('\u{1b}') && !ended.err.contains('\u{202e}'), "{}", ended.err);
}
