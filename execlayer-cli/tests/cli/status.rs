//! Claims about `status`.

use execlayer_api::{ErrorCode, Request};

use crate::harness::{Daemon, Place, answer, refusal};

#[test]
fn without_a_daemon_it_exits_with_7_and_says_how_to_start_one() {
    let place = Place::new();
    let called = place.call(&["status", "--run-dir", "nowhere"]);
    assert_eq!(called.code, Some(7));
    assert!(called.out.is_empty() && called.err.contains("execlayerd"), "{called:?}");
}

#[test]
fn what_is_in_force_is_shown_and_what_is_wrong_too() {
    let place = Place::new();
    let daemon = Daemon::listen(&place.at("run"), |request| answer(request, "".as_ref()));
    let out = place.succeed(&["status", "--run-dir", "run"]).out;
    for part in [
        "degraded: execlayerd 0.1.0 (service, process 42",
        "the audit trail cannot be written",
        "canary: passed",
        "1 of 2 attached",
        "not attached: bprm_check",
        "tester",
        "enforce",
    ] {
        assert!(out.contains(part), "{part}: {out}");
    }
    assert_eq!(daemon.asked(), [Request::Status {}]);
    let json = place.succeed(&["status", "--run-dir", "run", "--json"]).json();
    assert_eq!(json["state"], "degraded");
    assert_eq!(json["profiles"][0]["lost-events"], 5);
}

#[test]
fn a_daemon_that_refuses_is_quoted_with_its_help() {
    let place = Place::new();
    let _daemon = Daemon::listen(&place.at("run"), |_| {
        Some(refusal(ErrorCode::Forbidden, "only root may ask", "use sudo"))
    });
    let called = place.call(&["status", "--run-dir", "run"]);
    assert_eq!(called.code, Some(1));
    assert_eq!(called.err, "error: only root may ask\n  help: use sudo\n");
}

#[test]
fn a_daemon_that_hangs_up_is_a_daemon_that_does_not_answer() {
    let place = Place::new();
    let _daemon = Daemon::listen(&place.at("run"), |_| None);
    let called = place.call(&["status", "--run-dir", "run"]);
    assert_eq!(called.code, Some(7));
    assert!(called.err.contains("without an answer"), "{called:?}");
}
