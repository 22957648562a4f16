//! Patterns to one nondeterministic automaton for each lane. Owns positions and reading direction;
//! must not know what a unit decides.
//!
//! A unit is one rule with those of its patterns that the lane holds, and all of its excepts. Its
//! positions follow one another: first the one that accepts, then one that accepts for good.

use std::collections::HashMap;

use super::cover::{self, Loop};
use crate::pattern::{ByteSet, Node, Pattern};

/// A position in a pattern, before what it reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Position {
    /// Reads this byte.
    Byte { byte: u8, next: u32 },
    /// Reads a byte of the set with this number.
    Class { set: u32, next: u32 },
    /// Reads bytes of the set with this number until it goes on without reading.
    Repeat { set: u32, next: u32 },
    /// Reads nothing: is at `count` positions at once, listed from `first`.
    Fork { first: u32, count: u32 },
    /// Reads nothing: a pattern of the unit matches.
    Accept,
    /// Reads nothing: an except of the unit matches.
    Except,
}

/// Where a unit's positions lie.
#[derive(Clone, Debug)]
pub(super) struct Unit {
    /// [`Position::Accept`]; the position behind it repeats every byte before it.
    pub(super) accept: u32,
    /// Positions from here on belong to excepts.
    pub(super) excepts: u32,
    starts: Vec<u32>,
}

/// All units of a lane.
#[derive(Debug)]
pub(super) struct Nfa {
    pub(super) positions: Vec<Position>,
    /// By position: number of its unit.
    pub(super) owners: Vec<u32>,
    pub(super) sets: Vec<ByteSet>,
    pub(super) units: Vec<Unit>,
    /// Repetitions of every byte by position; see [`Loop`].
    pub(super) loops: Vec<Option<Box<Loop>>>,
    set_numbers: HashMap<ByteSet, u32>,
    forks: Vec<u32>,
    backward: bool,
}

impl Nfa {
    pub(super) fn new(backward: bool) -> Self {
        Self {
            positions: Vec::new(),
            owners: Vec::new(),
            sets: Vec::new(),
            units: Vec::new(),
            loops: Vec::new(),
            set_numbers: HashMap::new(),
            forks: Vec::new(),
            backward,
        }
    }

    pub(super) fn add_unit<'p>(
        &mut self,
        paths: impl Iterator<Item = &'p Pattern>,
        excepts: impl Iterator<Item = &'p Pattern>,
    ) {
        let accept = self.push(Position::Accept);
        self.repeat(ByteSet::ALL, accept);
        self.mark_loops(accept);
        let mut starts: Vec<u32> = paths.map(|pattern| self.add(pattern, accept)).collect();
        let first_except = self.positions.len() as u32;
        let mut excepted = None;
        for pattern in excepts {
            let end = *excepted.get_or_insert_with(|| self.push(Position::Except));
            self.loops.resize(self.positions.len(), None);
            starts.push(self.add(pattern, end));
        }
        self.owners.resize(self.positions.len(), self.units.len() as u32);
        self.units.push(Unit { accept, excepts: first_except, starts });
    }

    fn add(&mut self, pattern: &Pattern, end: u32) -> u32 {
        let from = self.positions.len() as u32;
        let start = self.sequence(&pattern.0, end);
        self.mark_loops(from);
        start
    }

    fn mark_loops(&mut self, from: u32) {
        let loops = cover::find(self, from);
        self.loops.resize(self.positions.len(), None);
        for (at, found) in loops {
            self.loops[at as usize] = Some(Box::new(found));
        }
    }

    fn sequence(&mut self, nodes: &[Node], next: u32) -> u32 {
        if self.backward {
            nodes.iter().fold(next, |next, node| self.node(node, next))
        } else {
            nodes.iter().rev().fold(next, |next, node| self.node(node, next))
        }
    }

    fn node(&mut self, node: &Node, next: u32) -> u32 {
        match node {
            Node::Byte(byte) => self.push(Position::Byte { byte: *byte, next }),
            Node::Class(set) => match (set.len(), set.first()) {
                (1, Some(byte)) => self.push(Position::Byte { byte, next }),
                _ => {
                    let set = self.set(*set);
                    self.push(Position::Class { set, next })
                }
            },
            Node::Repeat(set) if set.is_empty() => next,
            Node::Repeat(set) => self.repeat(*set, next),
            Node::Either(choices) => {
                let starts: Vec<u32> =
                    choices.iter().map(|choice| self.sequence(choice, next)).collect();
                let (first, count) = (self.forks.len() as u32, starts.len() as u32);
                self.forks.extend(starts);
                self.push(Position::Fork { first, count })
            }
        }
    }

    fn repeat(&mut self, set: ByteSet, next: u32) -> u32 {
        let set = self.set(set);
        self.push(Position::Repeat { set, next })
    }

    fn set(&mut self, set: ByteSet) -> u32 {
        *self.set_numbers.entry(set).or_insert_with(|| {
            self.sets.push(set);
            self.sets.len() as u32 - 1
        })
    }

    fn push(&mut self, position: Position) -> u32 {
        self.positions.push(position);
        self.positions.len() as u32 - 1
    }
}

/// Adds positions with all that can be reached from them without reading, each once.
#[derive(Debug, Default)]
pub(super) struct Closure {
    seen: Vec<u32>,
    round: u32,
    stack: Vec<u32>,
}

impl Closure {
    /// Forgets what was added.
    pub(super) fn restart(&mut self, nfa: &Nfa) {
        self.seen.resize(nfa.positions.len(), 0);
        if self.round == u32::MAX {
            self.seen.fill(0);
            self.round = 0;
        }
        self.round += 1;
    }

    pub(super) fn add(&mut self, nfa: &Nfa, position: u32, out: &mut Vec<u32>) {
        self.stack.push(position);
        while let Some(at) = self.stack.pop() {
            if self.seen[at as usize] == self.round {
                continue;
            }
            self.seen[at as usize] = self.round;
            match nfa.positions[at as usize] {
                Position::Fork { first, count } => {
                    let choices = first as usize..(first + count) as usize;
                    self.stack.extend_from_slice(&nfa.forks[choices]);
                }
                Position::Repeat { next, .. } => {
                    out.push(at);
                    self.stack.push(next);
                }
                _ => out.push(at),
            }
        }
    }

    /// Adds where every unit begins.
    pub(super) fn add_starts(&mut self, nfa: &Nfa, out: &mut Vec<u32>) {
        for unit in &nfa.units {
            for &start in &unit.starts {
                self.add(nfa, start, out);
            }
        }
    }
}
