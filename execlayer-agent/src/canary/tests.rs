//! The canary's own judgement: it must be able to fail. The acts are tried for real where nothing
//! governs them.

use std::process::Command;

use execlayer_common::verdict::RuleIndex;

use super::{Act, CanaryError, Outcome, Selector, judge, yard::Yard};
use crate::{
    kernel::events::{Decision, Observed, decode, tests::denied},
    profiles::CANARY,
};

fn events(yard: &Yard) -> Vec<Observed> {
    let event = |act| {
        let (operation, subject, rule) = yard.expected(act);
        let mut event = decode(&denied(&subject, b"")).unwrap().observed();
        (event.operation, event.rule) = (operation, Some(RuleIndex(rule)));
        event.profile = CANARY;
        event
    };
    Act::ALL.into_iter().map(event).collect()
}

fn all(outcome: &Outcome) -> Vec<(Act, Outcome)> {
    Act::ALL.into_iter().map(|act| (act, outcome.clone())).collect()
}

fn yard() -> (tempfile::TempDir, Yard) {
    let folder = tempfile::tempdir().unwrap();
    let yard = Yard::make(folder.path()).unwrap();
    (folder, yard)
}

#[test]
fn four_denials_with_four_events_pass() {
    let (_folder, yard) = yard();
    judge(Selector::Scope, &yard, &all(&Outcome::Denied), &events(&yard)).unwrap();
}

#[test]
fn one_act_that_goes_through_fails_by_its_name() {
    let (_folder, yard) = yard();
    for (at, act) in Act::ALL.into_iter().enumerate() {
        let mut outcomes = all(&Outcome::Denied);
        outcomes[at].1 = Outcome::Done;
        let error = judge(Selector::Exe, &yard, &outcomes, &events(&yard)).unwrap_err();
        assert!(
            matches!(error, CanaryError::WentThrough { act: found, .. } if found == act),
            "{error}"
        );
    }
}

#[test]
fn an_act_that_nobody_tried_or_that_failed_otherwise_is_no_denial() {
    let (_folder, yard) = yard();
    let mut outcomes = all(&Outcome::Denied);
    outcomes.pop();
    let error = judge(Selector::Cgroup, &yard, &outcomes, &events(&yard)).unwrap_err();
    assert!(matches!(error, CanaryError::Child(_)), "{error}");
    outcomes.push((Act::ConnectUnix, Outcome::Failed("x".into())));
    let error = judge(Selector::Cgroup, &yard, &outcomes, &events(&yard)).unwrap_err();
    assert!(matches!(error, CanaryError::Strange { .. }), "{error}");
}

#[test]
fn a_denial_without_an_event_of_its_own_rule_fails() {
    let (_folder, yard) = yard();
    type Spoil = fn(&mut Observed);
    let spoils: [Spoil; 5] = [
        |event| event.rule = None,
        |event| event.subject.push(b'x'),
        |event| event.decision = Decision::Allow,
        |event| event.profile = 1,
        |event| event.monitor = true,
    ];
    for at in 0..Act::ALL.len() {
        for spoil in spoils {
            let mut seen = events(&yard);
            spoil(&mut seen[at]);
            let error = judge(Selector::Scope, &yard, &all(&Outcome::Denied), &seen).unwrap_err();
            assert!(matches!(error, CanaryError::NoEvent { .. }), "{error}");
        }
    }
}

#[test]
fn the_yards_program_really_runs_and_the_yard_is_removed() {
    let (folder, yard) = yard();
    let (_operation, program, _rule) = yard.expected(Act::Exec);
    let program = String::from_utf8(program).unwrap();
    match Command::new(&program).status() {
        Ok(status) => assert!(status.success(), "{status}"),
        Err(error) if error.raw_os_error() == Some(libc::EACCES) => {
            println!("not run here: the folder for temporary files does not allow programs");
        }
        Err(error) => panic!("{error}"),
    }
    drop(yard);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn the_policy_denies_each_act_and_fits_the_smallest_tables() {
    let (_folder, yard) = yard();
    let (image, provenance) = yard.policy(None);
    assert_eq!(execlayer_common::image::check_header(&image), Ok(()));
    assert!(execlayer_common::image::class_of(image.len() as u32).unwrap() <= 1);
    for act in Act::ALL {
        let (_operation, _subject, rule) = yard.expected(act);
        let id = &provenance.rules[usize::from(rule)].id;
        assert!(id.starts_with("canary-") && act.name().starts_with(&id[7..]), "{id}");
    }
}

#[test]
fn what_a_lost_power_left_of_a_canary_is_removed_by_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for left in ["canary-0011", "profiles"] {
        std::fs::create_dir(at(left)).unwrap();
        std::fs::write(at(left).join("agent"), "").unwrap();
    }
    let _yard = Yard::make(folder.path()).unwrap();
    assert!(!at("canary-0011").exists());
    assert!(at("profiles").exists());
}
