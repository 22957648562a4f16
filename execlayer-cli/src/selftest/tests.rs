//! Claims about the list of acts, the policy, and the comparison.

use std::collections::BTreeSet;

use nix::errno::Errno;

use super::{
    Act, Outcome, Plan, Side, Stop, acts,
    compare::{Counts, Verdict, compare},
    lowered,
    plan::Ports,
    trial::{Trial, Trials},
};
use crate::error::Exit;

fn nothing(_: &Plan, _: Side) -> Result<(), Stop> {
    Ok(())
}

const PAIR: Act = Act::pair("an act", "open", nothing);
const LONE: Act = Act::lone("an act", "unshare", nothing).by(Errno::EPERM);
const EACCES: Outcome = Outcome::Failed(Errno::EACCES as i32);
const EPERM: Outcome = Outcome::Failed(Errno::EPERM as i32);

/// What came of [`PAIR`] on the open side and on the shut one.
fn trials(open: Outcome, shut: Outcome) -> Trials {
    let of = |side, outcome| Trial { act: "an act".to_owned(), side, outcome };
    Trials(vec![of(Side::Open, open), of(Side::Shut, shut)])
}

fn free() -> Trials {
    trials(Outcome::Done, Outcome::Done)
}

fn lost() -> Outcome {
    Outcome::Lost("it hung".to_owned())
}

/// Verdict, why, and the exit code if this is the only act.
fn judged(act: &Act, free: &Trials, governed: &Trials) -> (Verdict, Option<String>, Exit) {
    let finding = compare("group", act, free, governed);
    let exit = Counts::of(std::slice::from_ref(&finding)).exit();
    (finding.verdict, finding.why, exit)
}

#[test]
fn stopped_on_one_side_and_done_on_the_other_is_as_it_must_be() {
    let governed = trials(Outcome::Done, EACCES);
    assert_eq!(judged(&PAIR, &free(), &governed), (Verdict::Stopped, None, Exit::Done));
    let alone = trials(lost(), EPERM);
    assert_eq!(judged(&LONE, &free(), &alone), (Verdict::Stopped, None, Exit::Done));
}

#[test]
fn what_is_done_on_the_shut_side_went_through_whatever_the_twin_did() {
    for twin in [Outcome::Done, EACCES, lost()] {
        let governed = trials(twin, Outcome::Done);
        let expected = (Verdict::WentThrough, None, Exit::WentThrough);
        assert_eq!(judged(&PAIR, &free(), &governed), expected);
    }
}

#[test]
fn another_error_than_the_gates_is_no_proof() {
    let governed = trials(Outcome::Done, EPERM);
    assert_eq!(judged(&PAIR, &free(), &governed), (Verdict::Otherwise, None, Exit::Expectation));
}

#[test]
fn a_gate_that_stops_the_twin_stops_too_much() {
    let (verdict, why, exit) = judged(&PAIR, &free(), &trials(EACCES, EACCES));
    assert_eq!((verdict, exit), (Verdict::TwinStopped, Exit::Expectation));
    assert_eq!(why.as_deref(), Some("its allowed twin: EACCES"));
}

#[test]
fn what_does_not_work_ungoverned_was_not_tried() {
    let good = trials(Outcome::Done, EACCES);
    let absent = Outcome::Failed(Errno::EAFNOSUPPORT as i32);
    for free in [trials(Outcome::Done, absent.clone()), trials(absent, Outcome::Done)] {
        let (verdict, why, exit) = judged(&PAIR, &free, &good);
        assert_eq!((verdict, exit), (Verdict::NotTried, Exit::NotTried));
        assert_eq!(why.as_deref(), Some("ungoverned, too: EAFNOSUPPORT"));
    }
    let (verdict, why, _) = judged(&PAIR, &free(), &trials(Outcome::Done, lost()));
    assert_eq!((verdict, why.as_deref()), (Verdict::NotTried, Some("it hung")));
    let (verdict, why, _) = judged(&PAIR, &free(), &Trials::default());
    assert_eq!((verdict, why.as_deref()), (Verdict::NotTried, Some("not reached")));
}

#[test]
fn the_worst_act_gives_the_exit_code() {
    let counts = |went_through, otherwise, not_tried| Counts {
        acts: 9,
        went_through,
        otherwise,
        not_tried,
        ..Counts::default()
    };
    assert_eq!(counts(1, 1, 1).exit(), Exit::WentThrough);
    assert_eq!(counts(0, 1, 1).exit(), Exit::Expectation);
    assert_eq!(counts(0, 0, 1).exit(), Exit::NotTried);
    assert_eq!(counts(0, 0, 0).exit(), Exit::Done);
    assert_eq!(Counts { twins_stopped: 1, ..counts(0, 0, 1) }.exit(), Exit::Expectation);
}

#[test]
fn what_processes_say_to_each_other_is_read_back() {
    let said = trials(lost(), EACCES).0.into_iter();
    let said: Vec<String> = said.map(|trial| serde_json::to_string(&trial).unwrap()).collect();
    let read = Trials::read(&said.join("\n")).unwrap();
    assert_eq!((read.of("an act", Side::Open), read.of("an act", Side::Shut)), (lost(), EACCES));
    assert!(Trials::read("a library's own words").is_err());
}

#[test]
fn every_act_has_a_name_of_its_own() {
    let names: Vec<&str> = acts::all().map(|(_, act)| act.name).collect();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
    assert!(names.iter().all(|name| acts::part(name).is_none()));
    assert!(acts::all().filter(|(_, act)| act.has_twin).count() >= 40);
}

#[test]
fn the_policy_compiles_wherever_the_yard_is() {
    let ports = Ports { open: 1_024, shut: 65_535, free_open: 1_025, free_shut: 1_026 };
    for yard in ["/tmp/execlayer-selftest-0", "/srv/a *{b,[c]}?/execlayer-selftest-1"] {
        let plan = Plan {
            yard: yard.into(),
            ports,
            outsider: 1,
            byte: 0,
            daemon: 1,
            run_dir: "/run/execlayer".into(),
            state_dir: "/var/lib/execlayer".into(),
            acts: Vec::new(),
        };
        let image = |monitor| lowered(&plan, monitor).unwrap().image.words().to_vec();
        assert_ne!(image(false), image(true));
    }
}
