//! What need not be remembered about the bytes read so far. Owns which positions of a state are
//! superfluous; every one that is dropped must leave each subject's decision as it is.

use super::{
    nfa::{Nfa, Position},
    sets::{self, Entry},
};

/// Drops superfluous positions from states.
#[derive(Debug)]
pub(super) struct Pruner<'a> {
    nfa: &'a Nfa,
    /// By unit.
    entries: &'a [Entry],
    kept: Vec<u32>,
    loops: Vec<u32>,
    settled: Vec<Entry>,
}

/// What is known about a unit.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It cannot match any more.
    Lost,
    /// What follows decides.
    Open,
    /// It matches whatever follows.
    Settled,
}

impl<'a> Pruner<'a> {
    pub(super) fn new(nfa: &'a Nfa, entries: &'a [Entry]) -> Self {
        Self { nfa, entries, kept: Vec::new(), loops: Vec::new(), settled: Vec::new() }
    }

    /// Prunes a state: its positions in ascending order.
    pub(super) fn prune(&mut self, positions: &mut Vec<u32>) {
        self.kept.clear();
        self.settled.clear();
        let owners = &self.nfa.owners;
        for group in positions.chunk_by(|&a, &b| owners[a as usize] == owners[b as usize]) {
            let unit = owners[group[0] as usize];
            if self.unit(unit, group) == Fate::Settled {
                self.settled.push(self.entries[unit as usize]);
            }
        }
        if !self.settled.is_empty() {
            self.drop_outdone();
        }
        positions.clone_from(&self.kept);
    }

    fn unit(&mut self, number: u32, group: &[u32]) -> Fate {
        let nfa = self.nfa;
        let unit = &nfa.units[number as usize];
        let split = group.partition_point(|&position| position < unit.excepts);
        let (paths, excepts) = group.split_at(split);
        let is_universal = |&position: &u32| {
            nfa.loops[position as usize].as_ref().is_some_and(|found| found.universal)
        };
        if paths.is_empty() || excepts.iter().any(is_universal) {
            return Fate::Lost;
        }
        let universal = paths.iter().any(is_universal);
        if universal {
            self.kept.extend([unit.accept, unit.accept + 1]);
        } else {
            self.keep(paths);
        }
        self.keep(excepts);
        if universal && excepts.is_empty() { Fate::Settled } else { Fate::Open }
    }

    /// Keeps what no repetition covers. What a repetition that acts needs stays, so none of them can
    /// rest on what another one drops.
    fn keep(&mut self, positions: &[u32]) {
        let nfa = self.nfa;
        let found = |at: u32| nfa.loops[at as usize].as_deref();
        self.loops.clear();
        // A later repetition of a pattern has a lower number: it acts first, on the earlier ones.
        for &at in positions.iter().filter(|&&at| found(at).is_some()) {
            if !self.superfluous(at) {
                self.loops.push(at);
            }
        }
        for &at in positions {
            if self.loops.is_empty() || self.loops.contains(&at) || !self.superfluous(at) {
                self.kept.push(at);
            }
        }
    }

    fn superfluous(&self, at: u32) -> bool {
        let acting = || self.loops.iter().filter_map(|&at| self.nfa.loops[at as usize].as_deref());
        acting().any(|found| found.covers(at)) && !acting().any(|found| found.needs(at))
    }

    /// Drops units that cannot matter any more beside those that are settled.
    fn drop_outdone(&mut self) {
        sets::reduce(&mut self.settled);
        let (owners, entries, settled) = (&self.nfa.owners, self.entries, &self.settled);
        let (mut last, mut outdone) = (u32::MAX, false);
        self.kept.retain(|&position| {
            let unit = owners[position as usize];
            if unit != last {
                last = unit;
                outdone = entries[unit as usize].is_outdone(settled);
            }
            !outdone
        });
    }

    /// What a subject that ends in this state is decided by, reduced.
    pub(super) fn decided(&self, positions: &[u32], out: &mut Vec<Entry>) {
        let (nfa, owners) = (self.nfa, &self.nfa.owners);
        out.clear();
        for group in positions.chunk_by(|&a, &b| owners[a as usize] == owners[b as usize]) {
            let has = |end| group.iter().any(|&position| nfa.positions[position as usize] == end);
            if has(Position::Accept) && !has(Position::Except) {
                out.push(self.entries[owners[group[0] as usize] as usize]);
            }
        }
        sets::reduce(out);
    }
}
