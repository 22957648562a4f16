//! The smallest automaton that accepts alike. Owns the partition into equivalent states; exact:
//! states are told apart by whole rows, never by hashes.
//!
//! Blocks of states are split by where their rows lead, until no row changes. Of a block that
//! splits, the largest part keeps its number, so a state is looked at again only when one of its
//! targets went into a part of at most half its block's size.

use super::dfa::{DEAD, Dfa, Exception, Row};

/// Minimises, and numbers states by their distance from the start.
pub(super) fn minimize(dfa: &Dfa) -> Dfa {
    let mut partition = Partition::new(dfa);
    let mut dirty: Vec<u32> = (0..dfa.len() as u32).collect();
    while !dirty.is_empty() {
        let moved = partition.refine(dfa, dirty);
        dirty = partition.before(&moved);
    }
    renumber(dfa, &partition)
}

struct Partition {
    /// By state.
    block: Vec<u32>,
    /// States by block, and where each state is in it.
    members: Vec<u32>,
    place: Vec<usize>,
    blocks: Vec<Block>,
    /// States that lead to a state, and by state where they end.
    sources: Vec<u32>,
    source_ends: Vec<usize>,
    is_dirty: Vec<bool>,
}

#[derive(Clone, Copy)]
struct Block {
    start: usize,
    len: usize,
}

/// A state with its row in terms of blocks: a range of `Signatures::words`.
struct Signed {
    state: u32,
    start: usize,
    end: usize,
}

impl Partition {
    fn new(dfa: &Dfa) -> Self {
        let states = dfa.len();
        let mut members: Vec<u32> = (0..states as u32).collect();
        members.sort_by_key(|&state| dfa.accepts[state as usize]);
        let mut blocks: Vec<Block> = Vec::new();
        let mut block = vec![0; states];
        let mut place = vec![0; states];
        let mut last = None;
        for (at, &state) in members.iter().enumerate() {
            let accept = dfa.accepts[state as usize];
            if last != Some(accept) {
                last = Some(accept);
                blocks.push(Block { start: at, len: 0 });
            }
            let number = blocks.len() - 1;
            blocks[number].len += 1;
            block[state as usize] = number as u32;
            place[state as usize] = at;
        }
        let (sources, source_ends) = sources(dfa);
        let is_dirty = vec![false; states];
        Self { block, members, place, blocks, sources, source_ends, is_dirty }
    }

    /// Splits the blocks of the states whose rows changed; returns the states whose block is new.
    fn refine(&mut self, dfa: &Dfa, mut dirty: Vec<u32>) -> Vec<u32> {
        dirty.sort_unstable_by_key(|&state| (self.block[state as usize], state));
        dirty.iter().for_each(|&state| self.is_dirty[state as usize] = true);
        // Rows are read before any block is split: all in terms of the same partition.
        let (mut words, mut row) = (Vec::new(), Row::default());
        let mut signed = Vec::with_capacity(dirty.len());
        let mut tasks = Vec::new();
        for group in dirty.chunk_by(|&a, &b| self.block[a as usize] == self.block[b as usize]) {
            let Block { start, len } = self.blocks[self.block[group[0] as usize] as usize];
            if len == 1 {
                continue;
            }
            let from = signed.len();
            for &state in group {
                signed.push(self.sign(dfa, state, &mut row, &mut words));
            }
            let members = &self.members[start..start + len];
            let clean = members.iter().find(|&&state| !self.is_dirty[state as usize]).copied();
            let clean = clean.map(|state| self.sign(dfa, state, &mut row, &mut words));
            tasks.push((from..signed.len(), clean));
        }
        let mut moved = Vec::new();
        for (range, clean) in tasks {
            let group = &mut signed[range];
            let row = |signed: &Signed| &words[signed.start..signed.end];
            group.sort_by(|a, b| row(a).cmp(row(b)));
            let same = |a: &Signed, b: &Signed| row(a) == row(b);
            let parts: Vec<&[Signed]> = group.chunk_by(same).collect();
            let clean = clean.map(|clean| parts.iter().position(|part| same(&part[0], &clean)));
            self.split(&parts, clean, &mut moved);
        }
        dirty.iter().for_each(|&state| self.is_dirty[state as usize] = false);
        moved
    }

    /// Splits one block into `parts` of its dirty states. `clean`: whether it has others, and which
    /// part these belong to, if to any.
    fn split(&mut self, parts: &[&[Signed]], clean: Option<Option<usize>>, moved: &mut Vec<u32>) {
        let number = self.block[parts[0][0].state as usize];
        let Block { start, len } = self.blocks[number as usize];
        let dirty: usize = parts.iter().map(|part| part.len()).sum();
        let others = len - dirty;
        let size = |at: usize| parts[at].len() + if clean == Some(Some(at)) { others } else { 0 };
        let largest = (0..parts.len()).max_by_key(|&at| (size(at), parts.len() - at)).unwrap_or(0);
        let others_alone = clean == Some(None);
        let stays = if others_alone && others >= size(largest) { None } else { Some(largest) };

        let mut leaving: Vec<Vec<u32>> = Vec::new();
        for (at, part) in parts.iter().enumerate() {
            if stays == Some(at) {
                continue;
            }
            let mut states: Vec<u32> = part.iter().map(|signed| signed.state).collect();
            if clean == Some(Some(at)) {
                states.extend(self.clean_members(start, len));
            }
            leaving.push(states);
        }
        if others_alone && stays.is_some() {
            leaving.push(self.clean_members(start, len).collect());
        }
        for states in leaving {
            self.detach(number, &states);
            moved.extend(states);
        }
    }

    fn clean_members(&self, start: usize, len: usize) -> impl Iterator<Item = u32> + '_ {
        let members = self.members[start..start + len].iter().copied();
        members.filter(|&state| !self.is_dirty[state as usize])
    }

    /// Makes a block of its own of states of the block with this number.
    fn detach(&mut self, number: u32, states: &[u32]) {
        let new = self.blocks.len() as u32;
        let Block { start, len } = self.blocks[number as usize];
        let mut end = start + len;
        for &state in states {
            end -= 1;
            let (at, other) = (self.place[state as usize], self.members[end]);
            self.members.swap(at, end);
            self.place[other as usize] = at;
            self.place[state as usize] = end;
            self.block[state as usize] = new;
        }
        self.blocks[number as usize].len -= states.len();
        self.blocks.push(Block { start: end, len: states.len() });
    }

    fn sign(&self, dfa: &Dfa, state: u32, row: &mut Row, words: &mut Vec<u32>) -> Signed {
        let start = words.len();
        let block = |target: u32| self.block[target as usize];
        let exceptions = dfa.exceptions(state).iter();
        let default = block(dfa.defaults[state as usize]);
        row.set(default, exceptions.map(|e| Exception { target: block(e.target), ..*e }));
        words.push(row.common());
        // A block has a number below 2^24: there are no more than MAX_STATES.
        let exceptions = row.exceptions().iter();
        words.extend(exceptions.map(|e| u32::from(e.byte) << 24 | e.target));
        Signed { state, start, end: words.len() }
    }

    /// A state of the block with this number.
    fn first(&self, number: u32) -> u32 {
        self.members[self.blocks[number as usize].start]
    }

    /// The states that lead to one of `states`, each once.
    fn before(&mut self, states: &[u32]) -> Vec<u32> {
        let mut out = Vec::new();
        for &state in states {
            let at = state as usize;
            let start = if at == 0 { 0 } else { self.source_ends[at - 1] };
            for &source in &self.sources[start..self.source_ends[at]] {
                if !core::mem::replace(&mut self.is_dirty[source as usize], true) {
                    out.push(source);
                }
            }
        }
        out
    }
}

fn sources(dfa: &Dfa) -> (Vec<u32>, Vec<usize>) {
    let mut ends = vec![0; dfa.len()];
    let states = || 0..dfa.len() as u32;
    for state in states() {
        dfa.targets(state).for_each(|target| ends[target as usize] += 1);
    }
    let mut sum = 0;
    for end in &mut ends {
        sum += *end;
        *end = sum;
    }
    let mut sources = vec![0; sum];
    for state in states() {
        for target in dfa.targets(state) {
            ends[target as usize] -= 1;
            sources[ends[target as usize]] = state;
        }
    }
    // Filling moved every end to its start: the next one's start is this one's end.
    ends.remove(0);
    ends.push(sum);
    (sources, ends)
}

fn renumber(dfa: &Dfa, partition: &Partition) -> Dfa {
    const NONE: u32 = u32::MAX;
    let mut row = Row::default();
    let block = |state: u32| partition.block[state as usize];
    let mut numbers = vec![NONE; partition.blocks.len()];
    numbers[block(DEAD) as usize] = DEAD;
    let mut out = Dfa::new();
    // Representatives of the new states, in their order.
    let mut queue = vec![DEAD];
    let mut number = |state: u32, queue: &mut Vec<u32>| {
        let number = &mut numbers[block(state) as usize];
        if *number == NONE {
            *number = queue.len() as u32;
            queue.push(state);
        }
        *number
    };
    out.start = number(dfa.start, &mut queue);
    let mut at = 1;
    while let Some(&state) = queue.get(at) {
        at += 1;
        // Blocks by their first members: canonical before anything is numbered by it.
        let first = |state: u32| partition.first(block(state));
        let exceptions = dfa.exceptions(state).iter();
        let default = first(dfa.defaults[state as usize]);
        row.set(default, exceptions.map(|e| Exception { target: first(e.target), ..*e }));
        let mut exceptions = row.exceptions().to_vec();
        exceptions.iter_mut().for_each(|e| e.target = number(e.target, &mut queue));
        let default = number(row.common(), &mut queue);
        out.push(dfa.accepts[state as usize], default, exceptions.into_iter());
    }
    out
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;
    use crate::lower::testing::dfas;

    /// The number of classes that Moore's algorithm finds among states that can be reached, the dead
    /// state's among them.
    fn classes(dfa: &Dfa) -> usize {
        let mut reached = BTreeSet::from([DEAD]);
        let mut stack = vec![dfa.start];
        while let Some(state) = stack.pop() {
            if reached.insert(state) {
                stack.extend((0..=u8::MAX).map(|byte| dfa.next(state, byte)));
            }
        }
        let mut class: BTreeMap<u32, usize> =
            reached.iter().map(|&s| (s, dfa.accepts[s as usize] as usize)).collect();
        let mut count = 0;
        loop {
            let mut numbers = BTreeMap::new();
            let mut next = BTreeMap::new();
            for &state in &reached {
                let leads: Vec<usize> =
                    (0..=u8::MAX).map(|byte| class[&dfa.next(state, byte)]).collect();
                let known = numbers.len();
                let number = *numbers.entry((class[&state], leads)).or_insert(known);
                next.insert(state, number);
            }
            if numbers.len() == count {
                return count;
            }
            (count, class) = (numbers.len(), next);
        }
    }

    /// Whether both accept every subject alike: no pair of states that a subject leads to differs.
    fn alike(one: &Dfa, other: &Dfa) -> bool {
        let mut seen = BTreeSet::new();
        let mut stack = vec![(one.start, other.start)];
        while let Some((a, b)) = stack.pop() {
            if one.accepts[a as usize] != other.accepts[b as usize] {
                return false;
            }
            if seen.insert((a, b)) {
                stack.extend((0..=u8::MAX).map(|byte| (one.next(a, byte), other.next(b, byte))));
            }
        }
        true
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn the_smallest_automaton_accepts_alike(dfa in dfas(14)) {
            let small = minimize(&dfa);
            prop_assert!(alike(&dfa, &small));
            prop_assert_eq!(small.len(), classes(&dfa));
        }

        #[test]
        fn minimising_twice_changes_nothing(dfa in dfas(14)) {
            let small = minimize(&dfa);
            prop_assert_eq!(minimize(&small), small);
        }
    }

    #[test]
    fn states_that_accept_alike_whatever_follows_become_one_absorbing_state() {
        let mut dfa = Dfa::new();
        let exception = |target| [Exception { byte: b'a', target }].into_iter();
        dfa.push(0, 2, exception(3));
        dfa.push(1, 3, exception(2));
        dfa.push(1, 2, exception(3));
        dfa.start = 1;
        let small = minimize(&dfa);
        assert_eq!((small.len(), small.is_absorbing(2), small.next(1, b'a')), (3, true, 2));
    }

    #[test]
    fn an_automaton_that_accepts_nothing_starts_dead() {
        let mut dfa = Dfa::new();
        dfa.push(0, 1, [].into_iter());
        dfa.start = 1;
        assert_eq!(minimize(&dfa), Dfa::new());
    }
}
