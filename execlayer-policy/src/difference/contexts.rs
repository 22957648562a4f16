//! What rules ask of a call's context, alike in both images where it is alike. Owns when two tests are the same; must
//! not judge.
//!
//! Each list of tests is taken to hold, not to hold, or not to be known, whatever the others do. So nothing is missed;
//! of lists that exclude each other, more may be told than can be.

use std::collections::{BTreeMap, HashMap};

use execlayer_common::{
    automaton::{self, HALT, Table as _},
    context::{Kind, TEST_WORDS, test_index},
    image::Effect,
};

use super::Side;
use crate::image_world::View;

/// What a list of tests comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// The values are as they ask.
    Holds,
    /// They are not.
    Fails,
    /// One is missing, or of another kind.
    Unknown,
}

impl Outcome {
    pub(super) const ALL: [Self; 3] = [Self::Holds, Self::Fails, Self::Unknown];

    pub(super) const fn is_met(self, effect: u32) -> bool {
        match self {
            Self::Holds => true,
            Self::Fails => false,
            Self::Unknown => effect != Effect::Allow as u32,
        }
    }
}

/// The lists of tests that bear on one subject, by number.
#[derive(Debug, Default)]
pub(super) struct Contexts {
    /// By what they ask.
    known: HashMap<Vec<u32>, usize>,
    /// By image and index.
    numbers: [BTreeMap<u32, usize>; 2],
}

impl Contexts {
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    /// Takes the tests at `tests` of an image; their list's number.
    pub(super) fn add(&mut self, image: usize, side: Side<'_>, tests: u32) -> usize {
        let next = self.known.len();
        let number = *self.known.entry(asked(side, tests)).or_insert(next);
        if let Some(numbers) = self.numbers.get_mut(image) {
            numbers.insert(tests, number);
        }
        number
    }

    pub(super) fn number(&self, image: usize, tests: u32) -> Option<usize> {
        self.numbers.get(image)?.get(&tests).copied()
    }
}

/// What tests ask, as words that are equal if the tests are.
fn asked(side: Side<'_>, tests: u32) -> Vec<u32> {
    let view = View(side.image);
    let mut words = Vec::new();
    for number in 0..view.word(tests) {
        let at = test_index(tests, number);
        let head = view.word(at);
        let name = side.provenance.context.get((head & 0xff) as usize);
        words.extend(name.into_iter().flat_map(|name| name.bytes()).map(u32::from));
        words.extend([u32::MAX, head >> 8]);
        if Kind::of_head(head).is_some_and(Kind::has_automaton) {
            walked(view, view.word(at + 1), &mut words);
        } else {
            words.extend((1..TEST_WORDS).map(|word| view.word(at + word)));
        }
    }
    words
}

/// A minimal automaton as words: its states in the order in which they are reached.
fn walked(view: View<'_>, start: u32, words: &mut Vec<u32>) {
    let mut numbers = HashMap::from([(start, 0_u32)]);
    let mut states = vec![start];
    let mut at = 0;
    while let Some(&state) = states.get(at) {
        words.push(u32::from(automaton::accepted(&view, state) != 0));
        for byte in 0..=u8::MAX {
            let next = automaton::step(&view, state, byte) & !HALT;
            let count = numbers.len() as u32;
            let number = *numbers.entry(next).or_insert(count);
            if number == count && next != automaton::DEAD {
                states.push(next);
            }
            words.push(if next == automaton::DEAD { u32::MAX } else { number });
        }
        at += 1;
    }
}
