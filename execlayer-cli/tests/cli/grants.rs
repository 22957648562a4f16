//! Claims about `grants` and `revoke`.

use execlayer_api::{About, ErrorCode, Grant, Outcome, Request, Response, Whose};

use crate::harness::{Daemon, Place, answer, refusal};

fn grant() -> Grant {
    Grant {
        id: 3,
        agent: "tester".into(),
        allows: true,
        scope: Whose::Tree,
        session: Some(12),
        about: About::Subject,
        access: vec!["read".into(), "write".into()],
        subject: "/srv/a\x1b[2J".into(),
        rule: Some("web".into()),
        by: "process 9 on the control socket".into(),
        left: 540,
    }
}

#[test]
fn what_is_remembered_is_shown_with_whose_it_is_and_how_long() {
    let place = Place::new();
    let _daemon = Daemon::listen(&place.at("run"), |_| {
        let (scope, about) = (Whose::Profile, About::Rule);
        let whole = Grant { id: 4, allows: false, scope, about, access: Vec::new(), ..grant() };
        Some(Response::Done(Outcome::Grants(vec![grant(), whole])))
    });
    let out = place.succeed(&["grants", "--run-dir", "run"]).out;
    let lines: Vec<&str> = out.lines().collect();
    let [_, first, second] = lines[..] else { panic!("{out}") };
    for part in ["3", "tester", "allows", "one process tree", "read+write /srv/a", "web", "9 min"] {
        assert!(first.contains(part), "{part}: {out}");
    }
    for part in ["4", "denies", "everybody", "all of the rule", "process 9"] {
        assert!(second.contains(part), "{part}: {out}");
    }
    assert!(!out.contains('\x1b'), "{out:?}");
    let json = place.succeed(&["grants", "--run-dir", "run", "--json"]).json();
    assert_eq!((&json[0]["id"], &json[1]["scope"]), (&3.into(), &"profile".into()));
}

#[test]
fn nothing_remembered_is_said() {
    let place = Place::new();
    let daemon = Daemon::listen(&place.at("run"), |request| answer(request, "".as_ref()));
    let out = place.succeed(&["grants", "--run-dir", "run"]).out;
    assert_eq!(out, "no answer is remembered\n");
    assert_eq!(daemon.asked(), [Request::Grants {}]);
}

#[test]
fn each_grant_is_revoked_by_itself_and_one_that_is_gone_is_said_to_be() {
    let place = Place::new();
    let daemon = Daemon::listen(&place.at("run"), |request| match request {
        Request::Revoke { id: 3 } => {
            Some(refusal(ErrorCode::UnknownGrant, "there is no grant 3", "`execlayer grants`"))
        }
        other => answer(other, "".as_ref()),
    });
    let called = place.call(&["revoke", "--run-dir", "run", "3", "4"]);
    assert_eq!((called.code, called.out.as_str()), (Some(1), "4: forgotten\n"));
    assert!(called.err.contains("there is no grant 3"), "{called:?}");
    assert_eq!(daemon.asked(), [Request::Revoke { id: 3 }, Request::Revoke { id: 4 }]);
    assert_eq!(place.call(&["revoke", "--run-dir", "run"]).code, Some(2));
    assert_eq!(place.call(&["revoke", "--run-dir", "none", "3"]).code, Some(7));
}
