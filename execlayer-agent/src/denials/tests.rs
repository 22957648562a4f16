//! Claims about what an agent is told of its denials.

use super::*;
use crate::kernel::events::{decode, tests::denied};

fn seen(subject: &str, session: u64) -> Observed {
    let mut seen = decode(&denied(subject.as_bytes(), b"/bin/x")).unwrap().observed();
    seen.session = session;
    seen
}

#[test]
fn those_alike_in_a_row_are_one_and_others_are_not() {
    let mut denials = Denials::default();
    for subject in ["/a", "/a", "/b", "/a"] {
        denials.observe(&seen(subject, 1), None, 0);
    }
    let counts: Vec<(String, u64)> =
        denials.of(1).into_iter().map(|denial| (denial.subject, denial.count)).collect();
    assert_eq!(counts, [("/a".into(), 2), ("/b".into(), 1), ("/a".into(), 1)]);
    assert!(denials.of(2).is_empty(), "another tree's are not told");
}

#[test]
fn what_passes_or_is_only_monitored_is_no_denial() {
    let mut denials = Denials::default();
    let (mut allowed, mut monitored) = (seen("/a", 1), seen("/b", 1));
    allowed.decision = Decision::Allow;
    monitored.monitor = true;
    denials.observe(&allowed, None, 0);
    denials.observe(&monitored, None, 0);
    assert!(denials.of(1).is_empty());
}

#[test]
fn room_is_bounded() {
    let mut denials = Denials::default();
    for session in 0..=MAX_SESSIONS as u64 {
        for number in 0..=MAX_DENIALS {
            let mut one = seen(&format!("/{number}"), session);
            one.time = session;
            denials.observe(&one, None, 0);
        }
    }
    assert_eq!(denials.sessions.len(), MAX_SESSIONS);
    assert!(denials.of(0).is_empty(), "the oldest tree is forgotten");
    assert_eq!(denials.of(1).len(), MAX_DENIALS);
    assert_eq!(denials.of(1)[0].subject, "/1");
}

#[test]
fn an_answer_says_why_and_whether_it_is_worth_another_try() {
    let mut denials = Denials::default();
    denials.ended(4, Ending::Denied, Some("not this host"));
    denials.ended(5, Ending::TimedOut, None);
    for (id, message, advice) in
        [(4, Some("not this host"), Advice::DoNotRetry), (5, None, Advice::RetryAfterApproval)]
    {
        let mut answered = seen(&format!("/{id}"), 1);
        (answered.reason, answered.answer) = (Reason::Answered, Some(id));
        denials.observe(&answered, None, 0);
        let last = denials.of(1).pop().unwrap();
        assert_eq!((last.message.as_deref(), last.advice), (message, advice));
    }
}
