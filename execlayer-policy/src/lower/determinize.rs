//! Subset construction: positions to states with sparse rows. Owns the bound on states; must not
//! know why positions are superfluous.

use execlayer_common::limits;

use super::{
    dfa::{DEAD, Dfa, Exception, Row},
    interner::Interner,
    nfa::{Closure, Nfa, Position},
    prune::Pruner,
    sets::{self, Entry},
};
use crate::pattern::ByteSet;

/// An automaton, and the decision sets that its states accept with.
#[derive(Debug)]
pub(super) struct Determinized {
    pub(super) dfa: Dfa,
    pub(super) sets: Vec<Vec<u32>>,
    /// By unit: its share in the states.
    pub(super) shares: Vec<u64>,
}

/// Why there is none.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// More states than this.
    Explodes(usize),
    /// These rules can match one subject, and are more than a set holds.
    SetEntries(Vec<u16>),
}

/// States that positions which do not multiply are far from needing.
pub(super) fn allowance(nfa: &Nfa) -> usize {
    (nfa.positions.len() * 4 + (1 << 14)).min(limits::MAX_STATES)
}

/// Positions in all states together: bounds the memory that the construction takes.
const MAX_VOLUME: usize = 24 << 20;

/// `entries` by unit.
pub(super) fn determinize(
    nfa: &Nfa,
    entries: &[Entry],
    allowance: usize,
) -> Result<Determinized, Refused> {
    let mut work = Work {
        nfa,
        pruner: Pruner::new(nfa, entries),
        closure: Closure::default(),
        states: Interner::new(),
        sets: Interner::new(),
        targets: Vec::new(),
        decided: Vec::new(),
        words: Vec::new(),
    };
    let mut shares = vec![0; entries.len()];
    let mut dfa = Dfa::new();
    work.states.intern(&[]);
    work.targets.clear();
    work.closure.restart(nfa);
    work.closure.add_starts(nfa, &mut work.targets);
    dfa.start = work.target();

    let mut classes = Classes::default();
    let mut row = Row::default();
    let mut positions = Vec::new();
    while dfa.len() < work.states.len() {
        if work.states.len() > allowance || work.states.volume() > MAX_VOLUME {
            return Err(Refused::Explodes(work.states.len().min(allowance)));
        }
        positions.clear();
        positions.extend_from_slice(work.states.get(dfa.len() as u32));
        share(nfa, &positions, &mut shares);
        let accept = work.accept(&positions)?;
        classes.split(nfa, &positions);
        classes.fill(nfa, &positions);
        let mut leads = [DEAD; 256];
        for class in &classes.parts {
            work.lead(&class.targets);
            let target = work.target();
            class.bytes.iter().for_each(|byte| leads[usize::from(byte)] = target);
        }
        let default = leads[usize::from(classes.common)];
        let bytes = (0..=u8::MAX).zip(leads).filter(|&(_, target)| target != default);
        row.set(default, bytes.map(|(byte, target)| Exception { byte, target }));
        dfa.push(accept, row.common(), row.exceptions().iter().copied());
    }
    let sets = (0..work.sets.len() as u32).map(|set| work.sets.get(set).to_vec()).collect();
    Ok(Determinized { dfa, sets, shares })
}

/// Shares a state out among the units that it is for.
fn share(nfa: &Nfa, positions: &[u32], shares: &mut [u64]) {
    let owners = &nfa.owners;
    let units = || positions.chunk_by(|&a, &b| owners[a as usize] == owners[b as usize]);
    let part = (1 << 16) / units().count().max(1) as u64;
    units().for_each(|unit| shares[owners[unit[0] as usize] as usize] += part);
}

struct Work<'a> {
    nfa: &'a Nfa,
    pruner: Pruner<'a>,
    closure: Closure,
    states: Interner,
    sets: Interner,
    targets: Vec<u32>,
    decided: Vec<Entry>,
    words: Vec<u32>,
}

impl Work<'_> {
    fn lead(&mut self, next: &[u32]) {
        self.targets.clear();
        self.closure.restart(self.nfa);
        for &position in next {
            self.closure.add(self.nfa, position, &mut self.targets);
        }
    }

    /// The state of the positions in `targets`.
    fn target(&mut self) -> u32 {
        if self.targets.is_empty() {
            return DEAD;
        }
        self.targets.sort_unstable();
        self.pruner.prune(&mut self.targets);
        self.states.intern(&self.targets)
    }

    fn accept(&mut self, positions: &[u32]) -> Result<u32, Refused> {
        self.pruner.decided(positions, &mut self.decided);
        if self.decided.is_empty() {
            return Ok(0);
        }
        sets::write(&self.decided, &mut self.words).map_err(Refused::SetEntries)?;
        Ok(self.sets.intern(&self.words) + 1)
    }
}

/// The bytes in classes that a state's positions do not tell apart, and where each class leads.
#[derive(Debug, Default)]
struct Classes {
    parts: Vec<Part>,
    spare: Vec<Vec<u32>>,
    /// A byte of the class with most bytes.
    common: u8,
    seen: Vec<u32>,
    /// By byte: number of its class.
    of: Vec<usize>,
}

#[derive(Debug)]
struct Part {
    bytes: ByteSet,
    first: u8,
    targets: Vec<u32>,
}

impl Classes {
    fn split(&mut self, nfa: &Nfa, positions: &[u32]) {
        self.spare.extend(self.parts.drain(..).map(|part| part.targets));
        self.seen.clear();
        let mut rest = vec![ByteSet::ALL];
        let mut single = ByteSet::EMPTY;
        for &position in positions {
            match nfa.positions[position as usize] {
                Position::Byte { byte, .. } => single = single.with(byte),
                Position::Class { set, .. } | Position::Repeat { set, .. } => self.seen.push(set),
                Position::Fork { .. } | Position::Accept | Position::Except => {}
            }
        }
        self.seen.sort_unstable();
        self.seen.dedup();
        let sets = self.seen.iter().map(|&set| nfa.sets[set as usize]);
        for set in sets.chain([single]).filter(|&set| set != ByteSet::ALL) {
            for at in 0..rest.len() {
                let inside = rest[at].intersection(set);
                let outside = rest[at].intersection(set.complement());
                if !inside.is_empty() && !outside.is_empty() {
                    rest[at] = inside;
                    rest.push(outside);
                }
            }
        }
        self.of.resize(256, 0);
        let mut most = 0;
        for part in rest {
            // Bytes that positions name stand alone.
            if !part.intersection(single).is_empty() {
                for byte in part.iter() {
                    self.push(ByteSet::EMPTY.with(byte), byte);
                }
            } else if let Some(first) = part.first() {
                if part.len() > most {
                    (most, self.common) = (part.len(), first);
                }
                self.push(part, first);
            }
        }
        if most == 0 {
            self.common = 0;
        }
    }

    fn push(&mut self, bytes: ByteSet, first: u8) {
        let number = self.parts.len();
        bytes.iter().for_each(|byte| self.of[usize::from(byte)] = number);
        let mut targets = self.spare.pop().unwrap_or_default();
        targets.clear();
        self.parts.push(Part { bytes, first, targets });
    }

    fn fill(&mut self, nfa: &Nfa, positions: &[u32]) {
        for &position in positions {
            match nfa.positions[position as usize] {
                Position::Byte { byte, next } => {
                    self.parts[self.of[usize::from(byte)]].targets.push(next);
                }
                Position::Class { set, next } => self.fill_set(&nfa.sets[set as usize], next),
                Position::Repeat { set, .. } => {
                    self.fill_set(&nfa.sets[set as usize], position);
                }
                Position::Fork { .. } | Position::Accept | Position::Except => {}
            }
        }
    }

    fn fill_set(&mut self, set: &ByteSet, target: u32) {
        for part in self.parts.iter_mut().filter(|part| set.contains(part.first)) {
            part.targets.push(target);
        }
    }
}

#[cfg(test)]
mod tests {
    use execlayer_common::image::Effect;

    use super::*;
    use crate::lower::{sets::Holds, testing};

    fn built(backward: bool, units: &[(&[&str], &[&str])]) -> Determinized {
        let mut nfa = Nfa::new(backward);
        let mut entries = Vec::new();
        for (rule, (paths, excepts)) in (0..).zip(units) {
            let globs = |texts: &[&str]| -> Vec<_> {
                texts.iter().map(|text| testing::glob(text).pattern).collect()
            };
            nfa.add_unit(globs(paths).iter(), globs(excepts).iter());
            let (effect, holds) = (Effect::Allow, Holds::Always);
            entries.push(Entry { effect, holds, rule, condition: 0, access: 2 });
        }
        determinize(&nfa, &entries, allowance(&nfa)).unwrap()
    }

    /// The rule that decides, if one does.
    fn decided(built: &Determinized, backward: bool, subject: &str) -> Option<u32> {
        let mut bytes: Vec<u8> = subject.bytes().collect();
        if backward {
            bytes.reverse();
        }
        let set = built.dfa.accepts(bytes.into_iter()).checked_sub(1)?;
        built.sets[set as usize].last().map(|entry| entry & 0xffff)
    }

    #[test]
    fn both_directions_accept_the_same_subjects() {
        let units: [(&[&str], &[&str]); 3] = [
            (&["/a/**/b", "/a?/*"], &["/a/c/**"]),
            (&["/**/b*"], &[]),
            (&["/a/c/**/x/**"], &["/**/y"]),
        ];
        let (forward, backward) = (built(false, &units), built(true, &units));
        let cases = [
            ("/a/b", Some(0)),
            ("/a/x/y/b", Some(0)),
            ("/a/c/b", Some(1)),
            ("/ab/", Some(0)),
            ("/ab/c", Some(0)),
            ("/ab/c/d", None),
            ("/a/c/x/z", Some(2)),
            ("/a/c/x/y", None),
            ("/a/c/x/b", Some(1)),
            ("", None),
        ];
        for (subject, rule) in cases {
            assert_eq!(decided(&forward, false, subject), rule, "{subject}");
            assert_eq!(decided(&backward, true, subject), rule, "{subject} backward");
        }
    }

    #[test]
    fn each_double_star_forgets_what_came_before_it() {
        let parts = |count| "/**/aab".repeat(count);
        let states = |backward, count| built(backward, &[(&[&parts(count)], &[])]).dfa.len();
        for backward in [false, true] {
            let grow: Vec<usize> = (2..8).map(|count| states(backward, count)).collect();
            let steps: Vec<usize> = grow.windows(2).map(|pair| pair[1] - pair[0]).collect();
            assert!(steps.windows(2).all(|pair| pair[0] == pair[1]), "{grow:?}");
        }
    }

    #[test]
    fn below_a_directory_that_is_allowed_whole_later_rules_are_forgotten() {
        let later = ["/a/**/x*", "/a/*/y/**/z", "/a/b"];
        let alone = built(false, &[(&["/a/**"], &[])]).dfa.len();
        assert_eq!(built(false, &[(&["/a/**"], &[]), (&later, &[])]).dfa.len(), alone);
    }

    #[test]
    fn a_unit_whose_except_holds_for_good_is_forgotten() {
        let units: [(&[&str], &[&str]); 1] = [(&["/**"], &["/a/**"])];
        let found = built(false, &units);
        let state = b"/a/b".iter().fold(found.dfa.start, |at, &byte| found.dfa.next(at, byte));
        assert_eq!(state, DEAD);
    }
}
