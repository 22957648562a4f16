//! Which positions of a pattern are superfluous while it repeats every byte (`**`). Owns that
//! question only; dropping them is what keeps `**` from multiplying states.
//!
//! While the repetition is alive, it and the positions beside it match whatever a position matches
//! all of whose ways to the end lead through one of them, or through a step that one of them makes.

use std::ops::Range;

use super::nfa::{Closure, Nfa, Position};
use crate::pattern::ByteSet;

/// A repetition of every byte, with respect to the other positions of its pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Loop {
    /// The pattern matches here and whatever follows.
    pub(super) universal: bool,
    base: u32,
    covered: Vec<u64>,
    beside: Vec<u64>,
}

impl Loop {
    /// Whether `position` is superfluous beside this.
    pub(super) fn covers(&self, position: u32) -> bool {
        bit(&self.covered, self.base, position)
    }

    /// Whether `position` is what this goes on to: needed as long as this is.
    pub(super) fn needs(&self, position: u32) -> bool {
        bit(&self.beside, self.base, position)
    }
}

fn bit(bits: &[u64], base: u32, position: u32) -> bool {
    let Some(at) = position.checked_sub(base) else { return false };
    bits.get(at as usize / 64).is_some_and(|word| word >> (at % 64) & 1 == 1)
}

fn bits(positions: impl Iterator<Item = u32>, range: &Range<u32>) -> Vec<u64> {
    let mut out = vec![0; range.len().div_ceil(64)];
    for position in positions {
        if let Some(at) = position.checked_sub(range.start).filter(|_| range.contains(&position)) {
            out[at as usize / 64] |= 1 << (at % 64);
        }
    }
    out
}

/// A pattern with more positions or repetitions is not looked at: the automaton is the same after
/// minimising, it only takes more states to get there.
const MAX_POSITIONS: usize = 512;
const MAX_LOOPS: usize = 8;

/// Every repetition of all bytes in the pattern from position `from` to the last one.
pub(super) fn find(nfa: &Nfa, from: u32) -> Vec<(u32, Loop)> {
    let range = from..nfa.positions.len() as u32;
    let is_loop = |&at: &u32| match nfa.positions[at as usize] {
        Position::Repeat { set, .. } => nfa.sets[set as usize] == ByteSet::ALL,
        _ => false,
    };
    let loops: Vec<u32> = range.clone().filter(is_loop).collect();
    if loops.is_empty() || loops.len() > MAX_LOOPS || range.len() > MAX_POSITIONS {
        return Vec::new();
    }
    let steps = steps(nfa, &range);
    loops.into_iter().map(|at| (at, examine(nfa, &range, &steps, at))).collect()
}

struct Step {
    from: u32,
    reads: ByteSet,
    to: Vec<u32>,
}

fn steps(nfa: &Nfa, range: &Range<u32>) -> Vec<Step> {
    let mut closure = Closure::default();
    let step = |at| {
        let (reads, next) = match nfa.positions[at as usize] {
            Position::Byte { byte, next } => (ByteSet::EMPTY.with(byte), next),
            Position::Class { set, next } => (nfa.sets[set as usize], next),
            Position::Repeat { set, .. } => (nfa.sets[set as usize], at),
            Position::Fork { .. } | Position::Accept | Position::Except => return None,
        };
        let mut to = Vec::new();
        closure.restart(nfa);
        closure.add(nfa, next, &mut to);
        Some(Step { from: at, reads, to })
    };
    range.clone().filter_map(step).collect()
}

fn examine(nfa: &Nfa, range: &Range<u32>, steps: &[Step], at: u32) -> Loop {
    let mut beside = Vec::new();
    let mut closure = Closure::default();
    closure.restart(nfa);
    closure.add(nfa, at, &mut beside);
    let universal = beside.iter().any(|&position| {
        matches!(nfa.positions[position as usize], Position::Accept | Position::Except)
    });

    let taken: Vec<&Step> =
        steps.iter().filter(|step| step.from != at && beside.contains(&step.from)).collect();
    let is_taken = |step: &Step, to: u32| {
        taken.iter().any(|other| {
            step.reads.intersection(other.reads) == step.reads && other.to.contains(&to)
        })
    };
    // Backward from the end over steps that are not taken here, around the positions beside.
    let end = nfa.positions.len();
    let mut before: Vec<Vec<u32>> = vec![Vec::new(); end - range.start as usize];
    let mut open = vec![false; before.len()];
    let mut stack = Vec::new();
    for step in steps {
        for &to in step.to.iter().filter(|&&to| !beside.contains(&to) && !is_taken(step, to)) {
            match to.checked_sub(range.start) {
                Some(to) if range.contains(&(to + range.start)) => {
                    before[to as usize].push(step.from);
                }
                // Outside of the pattern lies only the position that accepts.
                _ => stack.push(step.from),
            }
        }
    }
    for end in range.clone() {
        if matches!(nfa.positions[end as usize], Position::Accept | Position::Except) {
            stack.push(end);
        }
    }
    while let Some(position) = stack.pop() {
        let local = (position - range.start) as usize;
        if !open[local] {
            open[local] = true;
            stack.extend_from_slice(&before[local]);
        }
    }
    let covered =
        range.clone().filter(|&p| !open[(p - range.start) as usize] && !beside.contains(&p));
    Loop {
        universal,
        base: range.start,
        covered: bits(covered, range),
        beside: bits(beside.iter().copied(), range),
    }
}
