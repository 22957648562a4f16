//! Claims about questions and their ends, before a gate in memory.

use execlayer_common::{
    access::{Access, Operation},
    question::STATE_MEASURE,
    reason::Reason,
};

use super::*;
use crate::kernel::{
    events::{Asked, Decision, Observed},
    fake::Fake,
};

fn key(tid: u32) -> Key {
    Key { tid, operation: 0, access: 1, reserved: 0, start: 7, subject: [1, 2] }
}

/// A question of thread `tid` of this very process, which is not about to end.
pub(crate) fn pending(tid: u32, deadline: u64) -> Pending {
    let observed = Observed {
        time: 0,
        profile: 1,
        generation: 1,
        rule: None,
        access: Access::EXEC,
        operation: Operation::Exec,
        decision: Decision::Ask,
        reason: Reason::None,
        monitor: false,
        provisional: false,
        pid: tid,
        tgid: std::process::id(),
        ppid: 1,
        uid: 0,
        gid: 0,
        start: 0,
        session: 0,
        cgroup: 0,
        comm: Vec::new(),
        subject: b"/bin/x".to_vec(),
        exe: Vec::new(),
        cwd: Vec::new(),
        argv: Vec::new(),
        ancestors: Vec::new(),
        asked: None,
        answer: None,
        tool: None,
    };
    let asked = Asked {
        id: u64::from(tid),
        key: key(tid),
        grant: [1, 2],
        is_held: true,
        is_measurable: false,
    };
    // Like no other, if not said otherwise.
    let same = Same::of(&observed, &asked, true);
    let stage = Stage::Human;
    Pending { asked, observed, deadline, same, stage, position: 0, digest: None, repeats: 0 }
}

fn gate(tids: &[u32]) -> Fake {
    let question = |tid: u32| Question {
        state: STATE_OPEN,
        wakes: 0,
        id: u64::from(tid),
        expires: 0,
        call: 0,
        used_in: 0,
        used_by: 0,
        tgid: std::process::id(),
    };
    Fake {
        questions: tids.iter().map(|tid| (key(*tid), question(*tid))).collect(),
        ..Fake::default()
    }
}

fn state(gate: &Fake, tid: u32) -> Option<u32> {
    gate.questions.iter().find(|(known, _)| *known == key(tid)).map(|(_, question)| question.state)
}

fn own() -> u32 {
    std::process::id()
}

#[test]
fn an_answer_lies_in_the_kernel_and_the_task_is_woken() {
    for (ending, expected) in [
        (Ending::Allowed, STATE_ALLOW),
        (Ending::Denied, STATE_DENY),
        (Ending::TimedOut, STATE_DENY),
        (Ending::Left, STATE_DENY),
    ] {
        let (mut gate, mut deferred) = (gate(&[1]), Deferred::default());
        deferred.ask(1, pending(1, 100));
        assert!(deferred.settle(1, ending).is_some());
        deferred.release(&mut gate, 10).unwrap();
        assert_eq!(state(&gate, 1), Some(expected), "{ending:?}");
        assert_eq!(gate.woken, [own()]);
        assert!(deferred.settle(1, ending).is_none(), "only once");
    }
}

#[test]
fn an_answer_is_for_its_own_question_and_not_for_the_next_one_of_its_key() {
    let (mut gate, mut deferred) = (gate(&[1]), Deferred::default());
    deferred.ask(1, pending(1, 100));
    gate.questions[0].1.id = 9;
    deferred.settle(1, Ending::Allowed);
    deferred.release(&mut gate, 10).unwrap();
    assert_eq!(state(&gate, 1), Some(STATE_OPEN));
    deferred.reconcile(&mut gate, 10 + ANSWER_LIFE).unwrap();
    assert_eq!(state(&gate, 1), Some(STATE_OPEN), "and it is not removed with the old one");
}

#[test]
fn a_group_goes_on_with_its_last_answer_and_only_then_does_the_time_of_all_run() {
    let (mut gate, mut deferred) = (gate(&[1, 2]), Deferred::default());
    deferred.ask(1, pending(1, 100));
    deferred.ask(2, pending(2, 100));
    deferred.settle(2, Ending::Allowed);
    deferred.release(&mut gate, 10).unwrap();
    assert!(gate.woken.is_empty());
    assert_eq!(state(&gate, 2), Some(STATE_OPEN));
    deferred.settle(1, Ending::Denied);
    deferred.release(&mut gate, 90).unwrap();
    assert_eq!(gate.woken, [own()]);
    assert_eq!((state(&gate, 1), state(&gate, 2)), (Some(STATE_DENY), Some(STATE_ALLOW)));
    assert!(gate.questions.iter().all(|(_, question)| question.expires == 90 + ANSWER_LIFE));
}

#[test]
fn what_the_kernel_refuses_is_tried_again() {
    for step in ["answer", "wake"] {
        let (mut gate, mut deferred) = (gate(&[1]), Deferred::default());
        deferred.ask(1, pending(1, 100));
        deferred.settle(1, Ending::Allowed);
        gate.failing.insert(step);
        assert!(deferred.release(&mut gate, 10).is_err(), "{step}");
        assert!(gate.woken.is_empty());
        gate.failing.clear();
        deferred.release(&mut gate, 20).unwrap();
        assert_eq!(gate.woken, [own()], "{step}");
    }
}

#[test]
fn time_denies() {
    let mut deferred = Deferred::default();
    deferred.ask(1, pending(1, 100));
    assert_eq!(deferred.due(99), []);
    assert_eq!(deferred.due(100), [(1, Ending::TimedOut)]);
}

#[test]
fn a_process_that_is_gone_is_not_asked_about_any_more() {
    let mut deferred = Deferred::default();
    let mut gone = pending(1, 100);
    gone.observed.tgid = u32::MAX;
    deferred.ask(1, gone);
    assert_eq!(deferred.due(0), [(1, Ending::Left)]);
}

#[test]
fn answers_that_nobody_came_for_are_removed_and_not_before() {
    let (mut gate, mut deferred) = (gate(&[1]), Deferred::default());
    deferred.ask(1, pending(1, 100));
    deferred.settle(1, Ending::Allowed);
    deferred.release(&mut gate, 10).unwrap();
    deferred.reconcile(&mut gate, 10 + ANSWER_LIFE - 1).unwrap();
    assert_eq!(state(&gate, 1), Some(STATE_ALLOW));
    deferred.reconcile(&mut gate, 10 + ANSWER_LIFE).unwrap();
    assert_eq!(state(&gate, 1), None);
}

#[test]
fn who_stopped_once_more_when_it_was_let_go_goes_on_when_its_answer_ends() {
    for (used_in, woken) in [(0, vec![own(), own()]), (1, vec![own()])] {
        let (mut gate, mut deferred) = (gate(&[1]), Deferred::default());
        deferred.ask(1, pending(1, 100));
        deferred.settle(1, Ending::Allowed);
        deferred.release(&mut gate, 10).unwrap();
        gate.questions[0].1.used_in = used_in;
        deferred.reconcile(&mut gate, 10 + ANSWER_LIFE).unwrap();
        assert_eq!((state(&gate, 1), gate.woken), (None, woken));
    }
}

#[test]
fn a_question_that_ends_while_its_file_is_measured_is_answered_and_not_measured_any_more() {
    let (mut gate, mut deferred) = (gate(&[1]), Deferred::default());
    let mut measured = pending(1, 100);
    measured.stage = Stage::Measured;
    deferred.ask(1, measured);
    gate.questions[0].1.state = STATE_MEASURE;
    gate.measured.insert(1, 1);
    deferred.settle(1, Ending::TimedOut);
    deferred.release(&mut gate, 10).unwrap();
    assert_eq!(state(&gate, 1), Some(STATE_DENY));
    deferred.reconcile(&mut gate, 10 + ANSWER_LIFE).unwrap();
    assert!(gate.measured.is_empty());
}

#[test]
fn a_question_whose_record_was_lost_is_asked_again_and_not_at_the_first_look() {
    let (mut gate, mut deferred) = (gate(&[1]), Deferred::default());
    assert_eq!(deferred.reconcile(&mut gate, 0).unwrap().asked_again, 0);
    assert_eq!(state(&gate, 1), Some(STATE_OPEN));
    assert_eq!(deferred.reconcile(&mut gate, 1).unwrap().asked_again, 1);
    assert_eq!((state(&gate, 1), gate.woken), (None, vec![own()]));
}

#[test]
fn a_question_that_the_kernel_ended_is_told() {
    let (mut gate, mut deferred) = (gate(&[]), Deferred::default());
    deferred.ask(1, pending(1, 100));
    assert_eq!(deferred.reconcile(&mut gate, 0).unwrap().gone, [1]);
}

#[test]
fn a_question_without_a_held_call_is_not_the_kernels() {
    let (mut gate, mut deferred) = (gate(&[]), Deferred::default());
    let mut failed = pending(1, 100);
    failed.asked.is_held = false;
    deferred.ask(1, failed);
    assert_eq!(deferred.reconcile(&mut gate, 0).unwrap().gone, [0; 0]);
    assert!(deferred.settle(1, Ending::Allowed).is_some());
    deferred.release(&mut gate, 0).unwrap();
    assert!(gate.woken.is_empty());
}

/// A question that agrees with others.
fn equal(tid: u32) -> Pending {
    let one = pending(tid, 100);
    Pending { same: Same::of(&one.observed, &one.asked, false), ..one }
}

#[test]
fn of_equal_questions_one_is_asked_about_and_the_next_when_it_leaves() {
    let (mut gate, mut deferred) = (gate(&[1, 2, 3]), Deferred::default());
    assert!(deferred.ask(1, equal(1)));
    assert!(!deferred.ask(2, equal(2)), "its answer is the first one's");
    assert!(deferred.ask(3, pending(3, 100)), "another one");
    assert_eq!(deferred.equal_to(2), [1, 2]);
    assert_eq!(deferred.get(2).unwrap().stage, Stage::Follows);
    deferred.get_mut(1).unwrap().position = 4;
    let (_settled, leads) = deferred.settle(1, Ending::Left).unwrap();
    assert_eq!(leads, Some(2));
    assert_eq!(deferred.get(2).unwrap().position, 4, "where the first one stood");
    let (_settled, leads) = deferred.settle(2, Ending::Allowed).unwrap();
    assert_eq!(leads, None);
    deferred.release(&mut gate, 0).unwrap();
    assert!(gate.woken.is_empty(), "the third one still waits");
}

#[test]
fn calls_that_failed_already_are_counted_where_an_equal_one_is_open() {
    let mut deferred = Deferred::default();
    let mut failed = equal(2);
    failed.asked.is_held = false;
    deferred.ask(1, equal(1));
    assert!(!deferred.ask(2, failed));
    assert_eq!(deferred.get(1).unwrap().repeats, 1);
    assert_eq!(deferred.open().count(), 1);
}

#[test]
fn a_cancelled_question_only_lets_its_task_go_on() {
    let (mut gate, mut deferred) = (gate(&[1]), Deferred::default());
    deferred.ask(1, pending(1, 100));
    deferred.settle(1, Ending::Cancelled);
    deferred.release(&mut gate, 0).unwrap();
    assert_eq!((state(&gate, 1), gate.woken), (Some(STATE_OPEN), vec![own()]));
}

#[test]
fn questions_are_counted_by_profile() {
    let mut deferred = Deferred::default();
    deferred.ask(1, pending(1, 100));
    deferred.ask(2, pending(2, 100));
    assert_eq!((deferred.count_of(1), deferred.count_of(2)), (2, 0));
    deferred.settle(1, Ending::Denied);
    assert_eq!(deferred.count_of(1), 1);
}

#[test]
fn who_waits_since_an_earlier_daemon_asks_again() {
    // One is open, one is answered and was not let go, and one has used its answer.
    let mut gate = gate(&[1, 2, 3]);
    gate.questions[1].1.state = STATE_ALLOW;
    (gate.questions[2].1.state, gate.questions[2].1.used_in) = (STATE_ALLOW, 1);
    assert_eq!(ask_all_again(&mut gate).unwrap(), 1);
    assert!(gate.questions.is_empty());
    assert_eq!(gate.woken, [own(), own()]);
}
