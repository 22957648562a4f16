//! Images decide as the reference evaluator does over the policy that they were made of.

use execlayer_common::{
    access::{Access, Operation},
    image,
    verdict::{RuleIndex, Verdict},
};
use proptest::prelude::*;

use super::random::{Choices, mutate, policies, sample};
use crate::{
    checked::{CheckedPolicy, Rule, Written},
    evaluate::{Facts, evaluate, selects},
    image_world::{judge_image, selects_image},
    lower::{lower, testing},
    pattern::{ByteSet, Node},
};

const FACTS: Facts = Facts { uid: 1000, minute: 600 };

/// The verdict, and the budgets in the order in which they were used.
fn by_reference(
    policy: &CheckedPolicy,
    operation: Operation,
    subject: &[u8],
    wanted: Access,
    left: u64,
) -> (Verdict, Vec<u32>) {
    let numbers: Vec<RuleIndex> = (0..)
        .zip(policy.rules())
        .filter(|(_, rule)| rule.when.at_most.is_some())
        .map(|(number, _)| RuleIndex(number))
        .collect();
    let mut spent = Vec::new();
    let verdict = evaluate(policy, operation, subject, wanted, FACTS, &mut |rule, _| {
        let number = numbers.iter().position(|&other| other == rule).unwrap() as u32;
        spent.push(number);
        left >> number & 1 == 1
    });
    (verdict, spent)
}

fn by_image(
    words: &[u32],
    operation: Operation,
    subject: &[u8],
    wanted: Access,
    left: u64,
) -> (Verdict, Vec<u32>) {
    let mut spent = Vec::new();
    let mut budgets = |number, uses, window| {
        assert_eq!((uses, window), (3, 60));
        spent.push(number);
        left >> number & 1 == 1
    };
    let verdict = judge_image(words, operation, subject, wanted, FACTS, &mut budgets);
    (verdict, spent)
}

fn patterns(policy: &CheckedPolicy, operation: Operation) -> Vec<&Written> {
    let of_rules = |rule| -> Vec<&Written> {
        let rule: &Rule = rule;
        match operation {
            Operation::Inet => rule.inet.iter().chain(&rule.local).collect(),
            Operation::Unix => rule.unix.iter().collect(),
            Operation::Feature => rule.features.iter().collect(),
            Operation::Call => rule.calls.iter().collect(),
            _ => rule.paths.iter().chain(&rule.except).collect(),
        }
    };
    match operation {
        Operation::SelectCgroup => policy.cgroups.iter().collect(),
        Operation::SelectExe => policy.executables.iter().collect(),
        _ => policy.rules.iter().flat_map(of_rules).collect(),
    }
}

/// Each access alone, all together, and some.
fn wanted(operation: Operation, some: u32) -> impl Iterator<Item = Access> {
    let all = Access::of(operation);
    let single = (0..u32::BITS).map(|bit| Access(1 << bit)).filter(move |&bit| all.contains(bit));
    single.chain([all, Access(all.0 & some)]).filter(|wanted| !wanted.is_empty())
}

fn compare(policy: &CheckedPolicy, bytes: &[u8], left: u64) -> Result<(), TestCaseError> {
    let lowered = lower(policy).unwrap();
    let words = lowered.image.words();
    prop_assert_eq!(image::check_header(words), Ok(()));
    for operation in Operation::ALL.into_iter().filter(|&operation| operation != Operation::Call) {
        for (turn, written) in patterns(policy, operation).into_iter().enumerate() {
            let mut choices = Choices::new(&bytes[turn % bytes.len()..]);
            for _ in 0..4 {
                let mut subject = Vec::new();
                sample(&written.pattern.0, &mut choices, &mut subject);
                mutate(&mut subject, &mut choices);
                let text = subject.escape_ascii();
                if let Operation::SelectCgroup | Operation::SelectExe = operation {
                    let reference = selects(policy, operation, &subject);
                    let found = selects_image(words, operation, &subject);
                    prop_assert_eq!(found, reference, "{} {}", operation.name(), text);
                    continue;
                }
                for wanted in wanted(operation, choices.number()) {
                    let reference = by_reference(policy, operation, &subject, wanted, left);
                    let found = by_image(words, operation, &subject, wanted, left);
                    prop_assert_eq!(found, reference, "{} {} {:?}", operation.name(), text, wanted);
                }
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_policy_is_judged_as_the_reference_judges_it(
        policy in policies(),
        bytes in proptest::collection::vec(any::<u8>(), 60),
        left in any::<u64>(),
    ) {
        compare(&policy, &bytes, left)?;
    }

    #[test]
    fn equal_policies_give_equal_bytes(policy in policies()) {
        let (one, other) = (lower(&policy).unwrap(), lower(&policy.clone()).unwrap());
        prop_assert_eq!(one.image.to_bytes(), other.image.to_bytes());
    }
}

#[test]
fn repetitions_that_cover_parts_of_each_other_keep_what_both_need() {
    let any = || Node::Repeat(ByteSet::ALL);
    let either = |byte| Node::Either(vec![vec![Node::Byte(b'/')], vec![Node::Byte(byte)]]);
    let open = Node::Either(vec![vec![any(), either(b'c')], vec![any(), either(b'd')]]);
    // A directory in front, so that it is read forward.
    let nodes = vec![Node::Byte(b'p'), open, Node::Byte(b'x')];
    let paths = vec![testing::written("open", nodes)];
    let policy = testing::policy(vec![Rule { paths, ..testing::rule(1, &[]) }]);
    let lowered = lower(&policy).unwrap();
    assert!(!lowered.report.lanes[0].backward);
    for subject in ["p/x", "pa/x", "pcx", "padx", "pax", "px", "pa/xdx", "pa/xy"] {
        let subject = subject.as_bytes();
        let reference = by_reference(&policy, Operation::File, subject, Access::READ, 0);
        let found = by_image(lowered.image.words(), Operation::File, subject, Access::READ, 0);
        assert_eq!(found, reference, "{}", subject.escape_ascii());
    }
}

#[test]
fn subjects_made_of_patterns_of_the_shipped_policy_are_judged_as_the_reference_judges_them() {
    let policy = testing::shipped("coding-agent");
    let lowered = lower(&policy).unwrap();
    let mut verdicts = [0; 3];
    let bytes: Vec<u8> = (0..=u8::MAX).map(|byte| byte.wrapping_mul(167) ^ 0x5a).collect();
    for operation in
        [Operation::Exec, Operation::File, Operation::Unix, Operation::Inet, Operation::Feature]
    {
        for (turn, written) in patterns(&policy, operation).into_iter().enumerate() {
            let mut choices = Choices::new(&bytes[turn % 128..]);
            for _ in 0..6 {
                let mut subject = Vec::new();
                sample(&written.pattern.0, &mut choices, &mut subject);
                mutate(&mut subject, &mut choices);
                for wanted in wanted(operation, (turn as u32).wrapping_mul(0x9e37_79b9)) {
                    let reference = by_reference(&policy, operation, &subject, wanted, 0);
                    let found = by_image(lowered.image.words(), operation, &subject, wanted, 0);
                    assert_eq!(found, reference, "{} {}", operation.name(), subject.escape_ascii());
                    verdicts[match reference.0 {
                        Verdict::Allow(_) => 0,
                        Verdict::Ask(_) => 1,
                        Verdict::Deny(..) => 2,
                    }] += 1;
                }
            }
        }
    }
    assert!(verdicts.iter().all(|&count| count > 0), "{verdicts:?}");
}
