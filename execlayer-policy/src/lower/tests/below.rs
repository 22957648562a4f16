//! Claims about directories at which the automata go on alike: what the kernel compares when one is moved.

use execlayer_common::{
    access::{Access, Operation},
    automaton::Table as _,
    decide, image, limits,
};
use proptest::prelude::*;

use super::random::{Choices, mutate, policies, sample};
use crate::{
    checked::CheckedPolicy,
    evaluate::{Facts, evaluate},
    image_world::{ImageWorld, View},
    lower::lower,
};

const FACTS: Facts = Facts { uid: 1000, minute: 600 };

/// Where each lane goes on below a directory; `None` if one reads from the end, and so knows nothing of below.
fn below(words: &[u32], operation: Operation, directory: &[u8]) -> Option<Vec<u32>> {
    let starts = (0..limits::MAX_LANES).map(|lane| image::start_index(operation, lane));
    if starts.map(|at| View(words).word(at)).any(|start| start & image::START_BACKWARD != 0) {
        return None;
    }
    let world = ImageWorld::new(View(words), directory, FACTS, |_, _, _| false);
    decide::matches_below(&world, operation);
    Some(world.below().to_vec())
}

/// Names of directories: beginnings of what the patterns match, and names beside them.
fn directories(policy: &CheckedPolicy, choices: &mut Choices<'_>) -> Vec<Vec<u8>> {
    let mut found = vec![b"/a".to_vec(), b"/b".to_vec(), b"/a/b".to_vec()];
    for written in policy.rules().iter().flat_map(|rule| &rule.paths) {
        let mut subject = Vec::new();
        sample(&written.pattern.0, choices, &mut subject);
        mutate(&mut subject, choices);
        let slashes = subject.iter().enumerate().filter(|(at, byte)| *at != 0 && **byte == b'/');
        found.extend(slashes.map(|(at, _)| subject[..at].to_vec()).collect::<Vec<_>>());
    }
    found.sort_unstable();
    found.dedup();
    found.truncate(12);
    found
}

/// What may follow the name of a directory: what follows a slash in something that a pattern matches.
fn rests(policy: &CheckedPolicy, choices: &mut Choices<'_>) -> Vec<Vec<u8>> {
    let mut found = vec![b"a".to_vec(), b"b/a".to_vec()];
    for written in policy.rules().iter().flat_map(|rule| rule.paths.iter().chain(&rule.except)) {
        let mut subject = Vec::new();
        sample(&written.pattern.0, choices, &mut subject);
        let slashes = subject.iter().enumerate().filter(|(_, byte)| **byte == b'/');
        found.extend(slashes.map(|(at, _)| subject[at + 1..].to_vec()).collect::<Vec<_>>());
    }
    found.truncate(24);
    found
}

fn verdicts(policy: &CheckedPolicy, operation: Operation, subject: &[u8]) -> Vec<(u8, u8)> {
    let bits = (0..u32::BITS).map(|bit| Access(1 << bit));
    bits.filter(|bit| Access::of(operation).contains(*bit))
        .map(|wanted| {
            let verdict = evaluate(policy, operation, subject, wanted, FACTS, &mut |_, _| true);
            (verdict.raw(), verdict.reason() as u8)
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn directories_at_which_all_lanes_go_on_alike_hold_what_is_judged_alike(
        policy in policies(),
        bytes in proptest::collection::vec(any::<u8>(), 80),
    ) {
        let lowered = lower(&policy).unwrap();
        let words = lowered.image.words();
        let mut choices = Choices::new(&bytes);
        let (directories, rests) =
            (directories(&policy, &mut choices), rests(&policy, &mut choices));
        for operation in [Operation::File, Operation::Exec] {
            for (at, one) in directories.iter().enumerate() {
                let Some(state) = below(words, operation, one) else { break };
                let alike = |other: &&Vec<u8>| {
                    below(words, operation, other).as_ref() == Some(&state)
                };
                for other in directories[at + 1..].iter().filter(alike) {
                    for rest in &rests {
                        let [left, right] =
                            [one, other].map(|directory| [directory, &b"/"[..], rest].concat());
                        prop_assert_eq!(
                            verdicts(&policy, operation, &left),
                            verdicts(&policy, operation, &right),
                            "{} and {}", left.escape_ascii(), right.escape_ascii()
                        );
                    }
                }
            }
        }
    }
}
