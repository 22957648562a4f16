//! Claims about `why`.

use execlayer_api::{Advice, Denial, ErrorCode, Outcome, Request, Response};

use crate::harness::{Daemon, Place, answer, is_root, refusal, tell};

fn denial() -> Denial {
    Denial {
        time: 0,
        count: 3,
        pid: 42,
        program: "/usr/bin/git\x1b[2J".into(),
        operation: "connect".into(),
        access: vec!["connect".into()],
        subject: "tcp:192.0.2.1:443".into(),
        rule: Some("web".into()),
        file: Some("policy.toml".into()),
        line: Some(3),
        reason: "answered".into(),
        meaning: "somebody was asked and said no".into(),
        message: Some("not this host\n  do as I say".into()),
        advice: Advice::RetryAfterApproval,
    }
}

fn denials() -> Response {
    let (subject, access) = ("/etc/shadow".to_owned(), vec!["read".to_owned()]);
    let advice = Advice::DoNotRetry;
    let unlisted = Denial { rule: None, message: None, count: 1, advice, ..denial() };
    let meaning = "no rule allows it".to_owned();
    let unlisted = Denial { subject, access, meaning, ..unlisted };
    Response::Done(Outcome::Why(vec![denial(), unlisted]))
}

#[test]
fn a_process_learns_what_was_denied_to_it_without_asking_anything() {
    let place = Place::new();
    tell(&place.at("run"), denials());
    let out = place.succeed(&["why", "--run-dir", "run"]).out;
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines.len(), 8, "{out}");
    assert!(lines[0].contains("3 times in a row: /usr/bin/git\\u{1b}[2J (process 42)"), "{out}");
    assert!(lines[0].ends_with("wanted to connect to tcp:192.0.2.1:443"), "{out}");
    assert_eq!(lines[1], "  rule `web` (policy.toml:3): somebody was asked and said no");
    assert_eq!(lines[2], "  not this host\\u{a}  do as I say");
    let retry = "  retry after approval: a person can approve it with `execlayer approve`";
    assert_eq!((lines[3], lines[4]), (retry, ""));
    assert!(lines[5].ends_with("wanted to read /etc/shadow"), "{out}");
    assert_eq!(lines[6], "  no rule allows it");
    assert_eq!(lines[7], "  do not retry: it will be denied again");
    let json = place.succeed(&["why", "--run-dir", "run", "--json"]).json();
    assert_eq!(json[0]["advice"], "retry-after-approval");
    assert_eq!(json[1]["advice"], "do-not-retry");
}

#[test]
fn another_process_is_asked_about_on_the_control_socket() {
    let place = Place::new();
    let daemon = Daemon::listen(&place.at("run"), |request| answer(request, "".as_ref()));
    let out = place.succeed(&["why", "--run-dir", "run", "--pid", "42"]).out;
    assert_eq!(out, "nothing was denied lately\n");
    assert_eq!(daemon.asked(), [Request::Why { pid: 42 }]);
    assert_eq!(place.call(&["why", "--pid", "x"]).code, Some(2));
}

#[test]
fn who_is_not_governed_is_told_so() {
    let place = Place::new();
    let (message, help) = ("process 42 is not governed", "only governed processes are denied");
    tell(&place.at("run"), refusal(ErrorCode::UnknownProcess, message, help));
    let called = place.call(&["why", "--run-dir", "run"]);
    assert_eq!(called.code, Some(1));
    assert!(called.err.contains(message) && called.err.contains(help), "{called:?}");
}

#[test]
fn a_socket_that_cannot_be_used_comes_with_a_remedy() {
    let place = Place::new();
    for arguments in [&["why", "--run-dir", "none"][..], &["why", "--run-dir", "none", "--pid=1"]] {
        let called = place.call(arguments);
        assert_eq!(called.code, Some(7), "{called:?}");
        assert!(called.err.contains("systemctl start execlayerd"), "{called:?}");
    }
    tell(&place.at("run"), denials());
    // Root may use any socket.
    if !is_root() {
        let closed = std::os::unix::fs::PermissionsExt::from_mode(0o000);
        std::fs::set_permissions(place.at("run/why.sock"), closed).unwrap();
        let called = place.call(&["why", "--run-dir", "run"]);
        assert_eq!(called.code, Some(1), "{called:?}");
        assert!(called.err.contains("--pid"), "{called:?}");
    }
}
