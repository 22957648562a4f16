//! One lane of an image, walked from the first byte of a subject to the last, also if it reads backward.
//! Must not know of a second image.

use std::{collections::HashMap, rc::Rc};

use execlayer_common::automaton::{self, DEAD, HALT};

use crate::image_world::View;

/// A lane. Its states are numbers that only it understands.
#[derive(Debug)]
pub(super) enum Lane<'a> {
    Forward { view: View<'a>, start: u32 },
    Backward(Box<Backward<'a>>),
}

impl<'a> Lane<'a> {
    pub(super) fn new(view: View<'a>, start: u32, is_backward: bool) -> Self {
        if is_backward {
            Self::Backward(Box::new(Backward::new(view, start)))
        } else {
            Self::Forward { view, start }
        }
    }

    pub(super) fn start(&self) -> u32 {
        match self {
            Self::Forward { start, .. } => *start,
            Self::Backward(_) => 0,
        }
    }

    /// The state behind `byte`.
    pub(super) fn step(&mut self, state: u32, byte: u8) -> u32 {
        match self {
            Self::Forward { .. } if automaton::is_over(state) => state,
            Self::Forward { view, .. } => automaton::step(view, state, byte),
            Self::Backward(lane) => lane.step(state, byte),
        }
    }

    /// The decision set of a subject that ends in `state`, or 0.
    pub(super) fn accepted(&self, state: u32) -> u32 {
        match self {
            Self::Forward { view, .. } => automaton::accepted(view, state),
            Self::Backward(lane) => lane.outcomes.get(state as usize).map_or(0, |all| all[0]),
        }
    }

    /// Whether no byte leads to another decision set.
    pub(super) fn is_over(&self, state: u32) -> bool {
        match self {
            Self::Forward { .. } => automaton::is_over(state),
            Self::Backward(lane) => lane.is_over(state),
        }
    }

    /// Marks the bytes on which it may go on differently than on all others.
    pub(super) fn mark_labels(&self, state: u32, labels: &mut [bool; 256]) {
        match self {
            Self::Forward { view, .. } => {
                if !automaton::is_over(state) {
                    mark(view, state, labels);
                }
            }
            Self::Backward(lane) => {
                if !lane.is_over(state) {
                    labels.iter_mut().zip(&lane.labels).for_each(|(label, own)| *label |= own);
                }
            }
        }
    }

    /// Words that it keeps.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Forward { .. } => 0,
            Self::Backward(lane) => lane.outcomes.len() * lane.states.len(),
        }
    }
}

fn mark(view: &View<'_>, state: u32, labels: &mut [bool; 256]) {
    for (byte, label) in (0..=u8::MAX).zip(labels) {
        *label |= automaton::hit(view, state, byte).is_some();
    }
}

/// A lane that reads from the last byte. Walked from the first one, what is known of a beginning is where it
/// leads from every state in which what follows may have been read: a decision set for each.
#[derive(Debug)]
pub(super) struct Backward<'a> {
    view: View<'a>,
    /// The image's states; the first is where it starts, at the last byte.
    states: Vec<u32>,
    numbers: HashMap<u32, u32>,
    labels: [bool; 256],
    /// By state of this lane: the decision set of each of `states`.
    outcomes: Vec<Rc<[u32]>>,
    known: HashMap<Rc<[u32]>, u32>,
    steps: HashMap<(u32, u8), u32>,
}

impl<'a> Backward<'a> {
    fn new(view: View<'a>, start: u32) -> Self {
        let mut lane = Self {
            view,
            states: vec![start],
            numbers: HashMap::from([(start, 0)]),
            labels: [false; 256],
            outcomes: Vec::new(),
            known: HashMap::new(),
            steps: HashMap::new(),
        };
        let mut next = 0;
        while let Some(&state) = lane.states.get(next) {
            next += 1;
            if state == DEAD {
                continue;
            }
            mark(&view, state, &mut lane.labels);
            for byte in 0..=u8::MAX {
                let to = automaton::step(&view, state, byte) & !HALT;
                if !lane.numbers.contains_key(&to) {
                    lane.numbers.insert(to, lane.states.len() as u32);
                    lane.states.push(to);
                }
            }
        }
        let ends = lane.states.iter().map(|&state| automaton::accepted(&view, state)).collect();
        lane.number(ends);
        lane
    }

    fn number(&mut self, outcome: Rc<[u32]>) -> u32 {
        let next = self.outcomes.len() as u32;
        let number = *self.known.entry(Rc::clone(&outcome)).or_insert(next);
        if number == next {
            self.outcomes.push(outcome);
        }
        number
    }

    fn step(&mut self, state: u32, byte: u8) -> u32 {
        if let Some(&known) = self.steps.get(&(state, byte)) {
            return known;
        }
        let Some(before) = self.outcomes.get(state as usize) else { return state };
        let behind = |&from: &u32| {
            let to = match from {
                DEAD => DEAD,
                from => automaton::step(&self.view, from, byte) & !HALT,
            };
            self.numbers.get(&to).and_then(|&to| before.get(to as usize)).copied().unwrap_or(0)
        };
        let outcome = self.states.iter().map(behind).collect();
        let number = self.number(outcome);
        self.steps.insert((state, byte), number);
        number
    }

    fn is_over(&self, state: u32) -> bool {
        let Some(outcome) = self.outcomes.get(state as usize) else { return true };
        outcome.iter().all(|set| *set == outcome[0])
    }
}
