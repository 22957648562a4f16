//! Tests of context as words, and the automata that they walk. Owns the numbers of names and which tests share an
//! automaton; must not know when a condition is asked.

use std::collections::HashMap;

use execlayer_common::{
    access::Access,
    call::{Name, Number},
    context::{Kind, TEST_WORDS, test_head},
    image::{CONDITION_CONTEXT, CONDITION_TESTS_SHIFT, CONDITION_WORDS, Effect},
};

use super::{
    conditions::Conditions,
    dfa::Dfa,
    lanes::{self, Failure, Lane},
    sets::{Entry, Holds},
    source::Source,
};
use crate::checked::{Asks, CheckedPolicy, Test, Written};

/// What tests of context need of the image.
#[derive(Debug)]
pub(super) struct Tests {
    /// An automaton for each list of patterns.
    pub(super) lanes: Vec<Lane>,
    names: Vec<Name>,
    numbers: HashMap<Vec<Written>, usize>,
}

/// Every name that a rule tests, by its number.
pub(super) fn names(policy: &CheckedPolicy) -> Vec<Name> {
    let tests = policy.rules.iter().flat_map(|rule| &rule.context);
    let mut names: Vec<Name> = tests.map(|test| test.name).collect();
    names.sort_unstable();
    names.dedup();
    names
}

impl Tests {
    /// The automata of all tests; if there is none, the rule and why.
    pub(super) fn new(policy: &CheckedPolicy) -> Result<Self, (u16, Failure)> {
        let mut out = Self { lanes: Vec::new(), names: names(policy), numbers: HashMap::new() };
        for (rule, test) in (0..)
            .zip(&policy.rules)
            .flat_map(|(number, rule)| rule.context.iter().map(move |test| (number, test)))
        {
            let Some(patterns) = patterns(test) else { continue };
            if out.numbers.contains_key(patterns) {
                continue;
            }
            let entry = Entry {
                effect: Effect::Allow,
                holds: Holds::Always,
                rule,
                condition: 0,
                access: Access::CALL.0,
            };
            let source = Source { entry, patterns, excepts: &[] };
            let lane = lanes::single(source).map_err(|failure| (rule, failure))?;
            out.numbers.insert(patterns.to_vec(), out.lanes.len());
            out.lanes.push(lane);
        }
        Ok(out)
    }

    /// Writes the tests behind all else, and where they are into the conditions at `conditions_at`. `start` gives
    /// the index of the start of an automaton.
    pub(super) fn write(
        &self,
        conditions: &Conditions<'_>,
        conditions_at: usize,
        start: impl Fn(usize, &Dfa) -> u32,
        words: &mut Vec<u32>,
    ) {
        let mut known: HashMap<&[Test], u32> = HashMap::new();
        for (number, tests) in conditions.tests.iter().enumerate() {
            if tests.is_empty() {
                continue;
            }
            let next = words.len() as u32;
            let at = *known.entry(tests).or_insert(next);
            if at == next {
                words.push(tests.len() as u32);
                tests.iter().for_each(|test| words.extend(self.test(test, &start)));
            }
            let flags = &mut words[conditions_at + number * CONDITION_WORDS as usize];
            *flags |= CONDITION_CONTEXT | at << CONDITION_TESTS_SHIFT;
        }
    }

    fn test(&self, test: &Test, start: impl Fn(usize, &Dfa) -> u32) -> [u32; TEST_WORDS as usize] {
        let mut words = [0; TEST_WORDS as usize];
        let automaton = || {
            let number = patterns(test).and_then(|patterns| self.numbers.get(patterns));
            number.map_or(0, |&number| start(number, &self.lanes[number].dfa))
        };
        let (kind, word, bounds) = match &test.asks {
            Asks::Given(true) => (Kind::Given, 0, None),
            Asks::Given(false) => (Kind::Absent, 0, None),
            Asks::Flag(flag) => (Kind::Flag, u32::from(*flag), None),
            Asks::Number(least, most) => (Kind::Number, 0, Some((*least, *most))),
            Asks::Text(_) => (Kind::Text, automaton(), None),
            Asks::Every(_) => (Kind::Every, automaton(), None),
            Asks::Some(_) => (Kind::Some, automaton(), None),
        };
        let name = self.names.iter().position(|name| *name == test.name);
        words[0] = test_head(name.unwrap_or_default() as u8, kind);
        words[1] = word;
        if let Some((least, most)) = bounds {
            let bounds = [least, most].map(Number::to_words).concat();
            words[2..].copy_from_slice(&bounds);
        }
        words
    }
}

fn patterns(test: &Test) -> Option<&[Written]> {
    match &test.asks {
        Asks::Text(patterns) | Asks::Every(patterns) | Asks::Some(patterns) => Some(patterns),
        Asks::Given(_) | Asks::Flag(_) | Asks::Number(..) => None,
    }
}
