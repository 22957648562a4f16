//! Claims about remembered answers, before a gate in memory.

use super::*;
use crate::kernel::fake::Fake;

fn wish(scope: Whose, about: About, subject: u64) -> Wish {
    Wish {
        policy: (1, 5),
        digest: "one".to_owned(),
        rule: 3,
        operation: 0,
        access: 1,
        place: 0,
        session: 77,
        subject: [subject, 0],
        grant: Grant {
            id: 0,
            agent: "a".to_owned(),
            allows: true,
            scope,
            session: None,
            about,
            access: Vec::new(),
            subject: "/bin/x".to_owned(),
            rule: None,
            by: "somebody".to_owned(),
            left: 0,
        },
        seconds: 10,
    }
}

#[test]
fn the_kernel_learns_whose_and_which_calls_it_is_about() {
    let (mut gate, mut grants) = (Fake::default(), Grants::default());
    for (scope, about, session, operation, subject) in [
        (Whose::Tree, About::Subject, 77, 0, [9, 0]),
        (Whose::Profile, About::Subject, 0, 0, [9, 0]),
        (Whose::Tree, About::Rule, 77, question::ANY_OPERATION, [3, 5]),
    ] {
        gate.grants.clear();
        grants.give(&mut gate, wish(scope, about, 9), SECOND).unwrap();
        let (key, grant) = gate.grants[0];
        assert_eq!((key.session, key.operation, key.subject), (session, operation, subject));
        assert_eq!((grant.state, grant.expires), (STATE_ALLOW, 11 * SECOND));
    }
}

#[test]
fn one_in_place_of_another() {
    let (mut gate, mut grants) = (Fake::default(), Grants::default());
    let first = grants.give(&mut gate, wish(Whose::Tree, About::Subject, 9), 0).unwrap();
    let second = grants.give(&mut gate, wish(Whose::Tree, About::Subject, 9), 0).unwrap();
    assert_ne!(first.id, second.id);
    assert_eq!(grants.list(0).len(), 1);
    assert_eq!(gate.grants.len(), 1);
}

#[test]
fn it_ends_by_time_by_hand_and_with_the_policy_that_its_rule_is_of() {
    let (mut gate, mut grants) = (Fake::default(), Grants::default());
    let about_subject = grants.give(&mut gate, wish(Whose::Tree, About::Subject, 9), 0).unwrap();
    let about_rule = grants.give(&mut gate, wish(Whose::Tree, About::Rule, 9), 0).unwrap();
    let ids = |grants: Vec<Grant>| grants.iter().map(|grant| grant.id).collect::<Vec<_>>();
    let same = |generation: u32| move |_: u32| Some((generation, "one"));
    let other = |_: u32| Some((7, "other"));
    assert_eq!(ids(grants.sweep(&mut gate, 0, same(5)).unwrap()), [0; 0]);
    assert_eq!(ids(grants.sweep(&mut gate, 0, same(6)).unwrap()), [0; 0]);
    assert!(
        gate.grants.iter().any(|(key, _grant)| key.subject == [3, 6]),
        "it moves with its policy"
    );
    assert_eq!(gate.grants.len(), 2);
    assert_eq!(ids(grants.sweep(&mut gate, 0, other).unwrap()), [about_rule.id]);
    assert_eq!(ids(grants.sweep(&mut gate, 10 * SECOND, other).unwrap()), [about_subject.id]);
    assert!(gate.grants.is_empty());
    let again = grants.give(&mut gate, wish(Whose::Tree, About::Subject, 9), 0).unwrap();
    assert!(grants.revoke(&mut gate, again.id).unwrap().is_some());
    assert!(grants.revoke(&mut gate, again.id).unwrap().is_none());
}

#[test]
fn what_the_kernel_refuses_is_not_remembered() {
    let (mut gate, mut grants) = (Fake::default(), Grants::default());
    gate.failing.insert("grant");
    assert!(grants.give(&mut gate, wish(Whose::Tree, About::Subject, 9), 0).is_err());
    assert!(grants.list(0).is_empty());
}
