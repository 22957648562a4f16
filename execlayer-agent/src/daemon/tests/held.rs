//! Claims about questions: from a record to the kernel's map, along a chain of deciders.

use execlayer_api::{About, Advice, Question, Remember, Whose};
use execlayer_common::{
    limits,
    provenance::DeciderKind,
    question::{
        ANY_OPERATION, Key, STATE_ALLOW, STATE_DENY, STATE_MEASURE, STATE_OPEN, daemon as words,
    },
};

use super::*;
use crate::{
    courier::Answer as Said,
    kernel::events::{
        Record, decode,
        tests::{asked, measured},
    },
};

/// A daemon whose policy asks in rule `a`, and a kernel that knows these questions, all about `/x`.
fn bench(kinds: Vec<DeciderKind>, remember: Option<u32>, ids: &[u64]) -> Bench {
    let gate = Fake {
        questions: ids.iter().map(|id| (key(), open(*id))).collect(),
        sessions: [(12, 17)].into(),
        ..Fake::default()
    };
    let mut bench = Bench::over(tempfile::tempdir().unwrap(), true, Fake::default());
    let deciders = kinds.into_iter().enumerate();
    bench.deciders =
        deciders.map(|(at, kind)| Decider { name: format!("decider-{at}"), kind }).collect();
    let deciders = (0..bench.deciders.len() as u32).collect();
    bench.asking = Some(Asking { timeout: None, remember, deciders });
    let path = bench.bundle("claude", None);
    bench.install(&path).unwrap();
    // A daemon that begins forgets what is there.
    bench.daemon.gate = Box::new(gate);
    bench
}

fn open(id: u64) -> execlayer_common::question::Question {
    execlayer_common::question::Question {
        state: STATE_OPEN,
        wakes: 0,
        id,
        expires: 0,
        call: 0,
        used_in: 0,
        used_by: 0,
        tgid: 12,
    }
}

fn key() -> Key {
    match decode(&asked(1, b"/x", true, true)).unwrap() {
        Record::Observed(observed) => observed.asked.unwrap().key,
        other => panic!("{other:?}"),
    }
}

impl Bench {
    fn state_of(&mut self, id: u64) -> Option<u32> {
        let questions = self.daemon.gate.holding().questions().unwrap();
        questions.iter().find(|(_key, known)| known.id == id).map(|(_key, known)| known.state)
    }

    fn questions(&mut self) -> Vec<Question> {
        match self.ask(Request::Questions {}) {
            Ok(Outcome::Questions(questions)) => questions,
            other => panic!("{other:?}"),
        }
    }

    fn answer(
        &mut self,
        id: u64,
        allow: bool,
        remember: Remember,
    ) -> Result<Outcome, (ErrorCode, String)> {
        self.ask(Request::Answer { id, allow, remember, message: None })
    }

    fn kinds_of_lines(&mut self, kind: &str) -> Vec<serde_json::Value> {
        self.lines().into_iter().filter(|line| line["kind"] == kind).collect()
    }
}

#[test]
fn a_person_answers_and_equal_questions_with_it() {
    if !is_root() {
        return;
    }
    for (allow, state) in [(true, STATE_ALLOW), (false, STATE_DENY)] {
        let mut bench = bench(Vec::new(), None, &[1, 2]);
        bench.daemon.observe(&asked(1, b"/x", true, true));
        bench.daemon.observe(&asked(2, b"/x", true, true));
        bench.daemon.observe(&asked(3, b"/y", true, true));
        let listed: Vec<_> = bench.questions().iter().map(|one| (one.id, one.calls)).collect();
        assert_eq!(listed, [(1, 2), (3, 1)]);
        let Ok(Outcome::Answered(answered)) = bench.answer(1, allow, Remember::AsRule) else {
            panic!()
        };
        assert_eq!((answered.allowed, answered.calls, answered.grant), (allow, 2, None));
        assert_eq!(bench.state_of(1), Some(STATE_OPEN), "the group still waits for another one");
        bench.answer(3, false, Remember::AsRule).unwrap();
        assert_eq!((bench.state_of(1), bench.state_of(2)), (Some(state), Some(state)));
        assert_eq!(code(bench.answer(1, true, Remember::Once)), ErrorCode::UnknownQuestion);
        let answers = bench.kinds_of_lines("answer");
        assert_eq!(answers.len(), 3);
        assert!(answers[0]["by"].as_str().unwrap().contains("uid 0, process 4711"));
    }
}

#[test]
fn only_root_answers_for_others_and_what_no_person_is_asked() {
    if !is_root() {
        return;
    }
    let command = DeciderKind::Command { argv: vec!["/bin/x".to_owned()], timeout: 1 };
    let mut outside = bench(vec![command], None, &[1]);
    outside.uid = 1_000;
    outside.daemon.observe(&asked(1, b"/x", true, true));
    assert_eq!(code(outside.answer(1, true, Remember::Once)), ErrorCode::Forbidden);
    outside.uid = 0;
    assert!(outside.answer(1, true, Remember::Once).is_ok());

    let mut people = bench(Vec::new(), None, &[1]);
    people.uid = 1_000;
    people.daemon.observe(&asked(1, b"/x", true, true));
    let wish = |scope, about| Remember::For { seconds: 60, scope, about };
    for wide in [wish(Whose::Profile, About::Subject), wish(Whose::Tree, About::Rule)] {
        assert_eq!(code(people.answer(1, true, wide)), ErrorCode::Forbidden);
    }
    assert!(people.answer(1, true, wish(Whose::Tree, About::Subject)).is_ok());
    assert_eq!(code(people.ask(Request::Revoke { id: 1 })), ErrorCode::Forbidden);
}

#[test]
fn a_digest_is_measured_and_only_one_that_is_listed_is_allowed() {
    if !is_root() {
        return;
    }
    for (digest, expected) in
        [(Some([7; 32]), STATE_ALLOW), (Some([8; 32]), STATE_DENY), (None, STATE_DENY)]
    {
        let digests = vec![execlayer_api::text::hex(&[7; 32])];
        let mut bench = bench(vec![DeciderKind::Sha256 { digests }], None, &[1]);
        bench.daemon.observe(&asked(1, b"/x", true, true));
        assert_eq!(bench.state_of(1), Some(STATE_MEASURE));
        // As the kernel does when it holds the call again.
        bench.daemon.gate = Box::new(Fake { questions: vec![(key(), open(1))], ..Fake::default() });
        bench.daemon.observe(&measured(1, digest));
        assert_eq!(bench.state_of(1), Some(expected), "{digest:?}");
    }
}

#[test]
fn what_an_outside_decider_does_not_know_goes_to_the_next_one() {
    if !is_root() {
        return;
    }
    let command = |at: u32| DeciderKind::Command { argv: vec![format!("/bin/{at}")], timeout: 1 };
    for (said, expected) in [(Said::Allow, STATE_ALLOW), (Said::Deny, STATE_DENY)] {
        let mut bench = bench(vec![command(0), command(1)], None, &[1]);
        bench.daemon.observe(&asked(1, b"/x", true, true));
        let errands = bench.daemon.take_errands();
        assert_eq!((errands.len(), errands[0].decider.clone()), (1, command(0)));
        assert_eq!(errands[0].question["subject"], "/x");
        bench.daemon.errand_done(1, Said::Unknown, "away");
        let errands = bench.daemon.take_errands();
        assert_eq!((errands.len(), errands[0].decider.clone()), (1, command(1)));
        bench.daemon.errand_done(1, said, "note");
        assert_eq!(bench.state_of(1), Some(expected));
        let answers = bench.kinds_of_lines("answer");
        assert_eq!(
            (&answers[0]["by"], &answers[0]["message"]),
            (&"command `decider-1`".into(), &"note".into())
        );
        bench.daemon.errand_done(1, Said::Allow, "too late");
        assert_eq!(bench.kinds_of_lines("answer").len(), 1);
    }
    let mut bench = bench(vec![command(0)], None, &[1]);
    bench.daemon.observe(&asked(1, b"/x", true, true));
    bench.daemon.errand_done(1, Said::Unknown, "away");
    assert_eq!(bench.state_of(1), Some(STATE_DENY), "nobody in the chain knows");
}

#[test]
fn an_answer_is_remembered_as_the_rule_or_the_person_says() {
    if !is_root() {
        return;
    }
    let week = Remember::For { seconds: 604_800, scope: Whose::Profile, about: About::Rule };
    for (remember, allow, expected) in [
        (Remember::AsRule, true, Some((17, 0))),
        (Remember::Once, true, None),
        (Remember::AsRule, false, None),
        (week, false, Some((0, ANY_OPERATION))),
    ] {
        let mut bench = bench(Vec::new(), Some(600), &[1]);
        bench.daemon.observe(&asked(1, b"/x", true, true));
        let Ok(Outcome::Answered(answered)) = bench.answer(1, allow, remember) else { panic!() };
        let grants = bench.daemon.gate.holding().grants().unwrap();
        let found = grants.first().map(|(key, _grant)| (key.session, key.operation));
        assert_eq!(found, expected, "{remember:?}");
        let Ok(Outcome::Grants(listed)) = bench.ask(Request::Grants {}) else { panic!() };
        assert_eq!(listed.first().map(|grant| grant.id), answered.grant);
        if let Some(id) = answered.grant {
            assert_eq!(listed[0].allows, allow);
            assert!(bench.ask(Request::Revoke { id }).is_ok());
            assert_eq!(code(bench.ask(Request::Revoke { id })), ErrorCode::UnknownGrant);
            assert!(bench.daemon.gate.holding().grants().unwrap().is_empty());
        }
    }
    let mut bench = bench(Vec::new(), None, &[1]);
    bench.daemon.observe(&asked(1, b"/x", true, true));
    let never = Remember::For { seconds: 0, scope: Whose::Tree, about: About::Subject };
    assert_eq!(code(bench.answer(1, true, never)), ErrorCode::BadRequest);
    assert_eq!(bench.questions().len(), 1, "it is still open");
}

#[test]
fn a_yes_to_a_call_that_has_failed_is_for_the_next_try() {
    if !is_root() {
        return;
    }
    let mut bench = bench(Vec::new(), None, &[]);
    bench.daemon.observe(&asked(1, b"/x", false, false));
    bench.daemon.observe(&asked(2, b"/x", false, false));
    let questions = bench.questions();
    assert_eq!(questions.len(), 1);
    assert_eq!((questions[0].held, questions[0].calls), (false, 2));
    bench.answer(1, true, Remember::AsRule).unwrap();
    assert_eq!(bench.daemon.gate.holding().grants().unwrap().len(), 1);
    let denials = bench.daemon.why(12).unwrap();
    assert_eq!(denials[0].advice, Advice::RetryAfterApproval);
    assert!(bench.daemon.why(13).is_err(), "it is not governed");
}

#[test]
fn a_flood_of_one_policy_is_cut_off_and_told_to_the_kernel() {
    if !is_root() {
        return;
    }
    let mut bench = bench(Vec::new(), None, &[]);
    let limit = u64::from(limits::MAX_PROFILE_QUESTIONS);
    for id in 1..=limit + 1 {
        bench.daemon.observe(&asked(id, b"/x", true, false));
    }
    let full = |bench: &mut Bench| bench.daemon.gate.holding().told(words::FULL + 1).unwrap();
    assert_eq!(full(&mut bench), 1);
    let too_many = bench.kinds_of_lines("answer");
    assert_eq!((too_many.len(), &too_many[0]["answer"]), (1, &"too-many".into()));
    bench.answer(1, false, Remember::Once).unwrap();
    assert_eq!(full(&mut bench), 0);
}
