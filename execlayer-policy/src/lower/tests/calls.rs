//! The engine judges calls of tools as the reference evaluator does over the policy that it was made of.

use execlayer_common::{
    access::Operation,
    call::{Name, Number, Request, SEPARATOR, Value},
};
use execlayer_engine::PolicyBundle;
use proptest::{collection::vec, option, prelude::*};

use super::random::{Choices, NAMES, mutate, policies, sample};
use crate::{evaluate::evaluate_call, lower::lower};

/// A value, as a test can hold it.
#[derive(Clone, Debug)]
enum Given {
    Text(Vec<u8>),
    Number(i64),
    Flag(bool),
    List(Vec<Vec<u8>>),
}

fn given() -> impl Strategy<Value = Given> {
    let text = || vec(proptest::sample::select(&b"/ab.\0"[..]), 0..3);
    prop_oneof![
        text().prop_map(Given::Text),
        (-4..5_i64).prop_map(Given::Number),
        any::<bool>().prop_map(Given::Flag),
        vec(text(), 0..3).prop_map(Given::List),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_call_is_judged_as_the_reference_judges_it(
        policy in policies(),
        bytes in vec(any::<u8>(), 60),
        contexts in vec(vec(option::weighted(0.7, given()), NAMES.len()), 4),
    ) {
        let lowered = lower(&policy).unwrap();
        let words = lowered.image.words();
        let calls = policy.rules().iter().flat_map(|rule| &rule.calls);
        for (turn, (written, context)) in calls.zip(contexts.iter().cycle()).enumerate() {
            let mut choices = Choices::new(&bytes[turn % bytes.len()..]);
            let lists: Vec<Vec<&[u8]>> = context.iter().map(|given| match given {
                Some(Given::List(list)) => list.iter().map(Vec::as_slice).collect(),
                _ => Vec::new(),
            }).collect();
            let values = NAMES.iter().zip(context).zip(&lists).filter_map(|((name, given), list)| {
                let value = match given.as_ref()? {
                    Given::Text(text) => Value::Text(text),
                    Given::Number(number) => Value::Number(Number::whole(*number)),
                    Given::Flag(flag) => Value::Flag(*flag),
                    Given::List(_) => Value::List(list),
                };
                Some((Name::new(name).unwrap(), value))
            });
            let values: Vec<_> = values.collect();
            // One after another, so that budgets are used up.
            let bundle = PolicyBundle::new(words, lowered.provenance.clone()).unwrap();
            let mut used = vec![0; policy.rules().len()];
            for _ in 0..6 {
                let mut subject = Vec::new();
                sample(&written.pattern.0, &mut choices, &mut subject);
                mutate(&mut subject, &mut choices);
                let Some(at) = subject.iter().position(|&byte| byte == SEPARATOR) else { continue };
                let Ok(call) = Request::new(&subject[..at], &subject[at + 1..]) else { continue };
                let call = call.with(&values).unwrap().by(1000).at(600, 7);
                let expected = evaluate_call(&policy, &call, &mut |rule, budget| {
                    let used = &mut used[usize::from(rule.0)];
                    *used += 1;
                    *used <= budget.uses
                });
                let looked = bundle.look(&call);
                let text = subject.escape_ascii();
                prop_assert_eq!(bundle.evaluate(&call), expected, "{} {} {:?}", Operation::Call.name(), text, values);
                prop_assert_eq!(looked, expected, "looking is the same, and uses nothing");
            }
        }
    }
}
