//! Claims about `pending`, `approve` and `deny`.

use execlayer_api::{ErrorCode, Request};

use crate::harness::{Daemon, Place, answer, refusal};

#[test]
fn what_waits_is_shown_with_its_rule_and_its_time() {
    let place = Place::new();
    let _daemon = Daemon::listen(&place.at("run"), |request| answer(request, "".as_ref()));
    let out = place.succeed(&["pending", "--run-dir", "run"]).out;
    for part in ["7", "tester", "connect tcp:192.0.2.1:443", "web", "56 s", "Someone should know"] {
        assert!(out.contains(part), "{part}: {out}");
    }
    let json = place.succeed(&["pending", "--run-dir", "run", "--json"]).json();
    assert_eq!((&json[0]["id"], &json[0]["left"]), (&7.into(), &56.into()));
}

#[test]
fn each_number_is_answered_by_itself() {
    let place = Place::new();
    let daemon = Daemon::listen(&place.at("run"), |request| answer(request, "".as_ref()));
    let out = place.succeed(&["approve", "--run-dir", "run", "7", "8"]).out;
    assert_eq!(out, "7: goes on\n8: goes on\n");
    let out = place.succeed(&["deny", "--run-dir", "run", "9", "--reason", "not now"]).out;
    assert_eq!(out, "9: is denied\n");
    let asked = |id, allow, message: Option<&str>| Request::Answer {
        id,
        allow,
        message: message.map(str::to_owned),
    };
    let expected = [asked(7, true, None), asked(8, true, None), asked(9, false, Some("not now"))];
    assert_eq!(daemon.asked(), expected);
}

#[test]
fn a_question_that_has_ended_is_said_to_be_gone() {
    let place = Place::new();
    let _daemon = Daemon::listen(&place.at("run"), |_| {
        Some(refusal(ErrorCode::UnknownQuestion, "there is no open question 7", "look again"))
    });
    let called = place.call(&["approve", "--run-dir", "run", "7"]);
    assert_eq!(called.code, Some(1));
    assert!(called.err.contains("no open question 7"), "{called:?}");
}
