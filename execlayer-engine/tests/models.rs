//! Models of what threads do together with one policy: loom tries every order of their steps.

#![cfg(loom)]

use std::sync::Arc;

use execlayer_engine::{Live, PolicyBundle, Request, Verdict};
use execlayer_policy::author::{Draft, Rule};
use loom::thread;

fn bundle(rule: Rule) -> PolicyBundle {
    Draft::new("model", "model").rule(rule).build().unwrap()
}

fn is_allowed(bundle: &PolicyBundle, second: u64) -> bool {
    let call = Request::new(b"pay", b"").unwrap().at(0, second);
    matches!(bundle.evaluate(&call), Verdict::Allow(_))
}

/// Has two threads judge by one policy; how many calls they were allowed.
fn allowed(bundle: &Arc<PolicyBundle>, seconds: [&'static [u64]; 2]) -> usize {
    let judge = |bundle: &PolicyBundle, seconds: &[u64]| {
        seconds.iter().filter(|second| is_allowed(bundle, **second)).count()
    };
    let [own, other] = seconds;
    let theirs = Arc::clone(bundle);
    let thread = thread::spawn(move || judge(&theirs, other));
    judge(bundle, own) + thread.join().unwrap()
}

#[test]
fn a_budget_has_as_many_uses_as_it_has_in_every_order() {
    loom::model(|| {
        let bundle = Arc::new(bundle(Rule::allow("two").action("pay").at_most("2/hour")));
        assert_eq!(allowed(&bundle, [&[1, 1], &[1, 1]]), 2);
    });
}

#[test]
fn whoever_is_late_takes_no_use_of_a_window_that_is_over() {
    loom::model(|| {
        let bundle = Arc::new(bundle(Rule::allow("one").action("pay").at_most("1/min")));
        // One looked at its clock before the minute was over, and the other after.
        let count = allowed(&bundle, [&[59], &[60]]);
        assert!((1..=2).contains(&count), "{count}");
        assert!(!is_allowed(&bundle, 61), "the minute has a second use");
        assert!(is_allowed(&bundle, 120), "the next one has none");
    });
}

#[test]
fn a_verdict_is_that_of_one_policy_in_every_order_of_swaps() {
    loom::model(|| {
        let live = Arc::new(Live::new(bundle(Rule::allow("old").action("pay").at_most("1/hour"))));
        let judges: Vec<_> = (0..2)
            .map(|_| {
                let live = Arc::clone(&live);
                thread::spawn(move || {
                    live.with(|bundle| {
                        let call = Request::new(b"pay", b"").unwrap();
                        let verdict = bundle.evaluate(&call);
                        let rule = bundle.rule(verdict).map(|rule| rule.id.clone());
                        (matches!(verdict, Verdict::Allow(_)), rule.unwrap())
                    })
                })
            })
            .collect();
        drop(live.replace(bundle(Rule::deny("new").action("pay"))));
        let said: Vec<_> = judges.into_iter().map(|judge| judge.join().unwrap()).collect();
        let by_old = said.iter().filter(|(_, rule)| rule == "old").count();
        let allowed = said.iter().filter(|(is_allowed, _)| *is_allowed).count();
        assert!(said.iter().all(|(is_allowed, rule)| !(*is_allowed && rule == "new")), "{said:?}");
        assert_eq!(allowed, by_old.min(1), "one use of the old one, none of the new: {said:?}");
    });
}
