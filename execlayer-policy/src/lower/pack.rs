//! Sparse rows to words that share one array. Owns where every state and its cells lie
//! ([`execlayer_common::automaton`]); must not know what the words behind them mean.
//!
//! INVARIANT(probe): whatever word a walk looks at is a cell with its owner's label or a free word.
//! The header lies before the first state, everything else behind the last word that a state could
//! look at, and both count as words of the image.

use std::collections::HashMap;

use execlayer_common::{
    automaton::{self, DEFAULT, END, FREE, SPAN},
    image::HEADER_WORDS,
    limits,
};

use super::dfa::{DEAD, Dfa};

/// Where the states of some automata lie.
#[derive(Debug)]
pub(super) struct Placed {
    /// By automaton and state; 0 for the dead state.
    indices: Vec<Vec<u32>>,
    /// A state without any cell, where a byte leads that others go on without; but `/` ends the walk.
    sink: u32,
    /// The first word that no state looks at.
    pub(super) end: u32,
}

impl Placed {
    /// Finds a place for every state: the rows with most cells first, each at the first index where
    /// all of its cells are free. `None` if they take more words than an image can have.
    pub(super) fn new(automata: &[&Dfa]) -> Option<Self> {
        let mut indices: Vec<Vec<u32>> = automata.iter().map(|dfa| vec![0; dfa.len()]).collect();
        let mut rows: Vec<(usize, u32, usize)> = Vec::new();
        for (at, dfa) in automata.iter().enumerate() {
            rows.extend((1..dfa.len() as u32).map(|state| (at, state, labels(dfa, state).count())));
        }
        rows.sort_by_key(|&(_, _, cells)| core::cmp::Reverse(cells));
        let mut room = Room::new();
        let mut row = Vec::new();
        for (at, state, _) in rows {
            row.clear();
            row.extend(labels(automata[at], state));
            indices[at][state as usize] = room.place(&row)?;
        }
        let sink = if automata.iter().any(|dfa| dfa.excepts_dead()) { room.place(&[])? } else { 0 };
        let last = indices.iter().flatten().max().copied().unwrap_or(0).max(sink);
        let end = if last == 0 { HEADER_WORDS } else { last + SPAN };
        (end <= limits::MAX_IMAGE_BYTES / 4).then_some(Self { indices, sink, end })
    }

    /// The index of a state.
    pub(super) fn index(&self, automaton: usize, state: u32) -> u32 {
        self.indices[automaton][state as usize]
    }

    /// Writes the cells of one automaton. `sets`: the indices of its decision sets.
    pub(super) fn write(&self, automaton: usize, dfa: &Dfa, sets: &[u32], words: &mut [u32]) {
        for state in 1..dfa.len() as u32 {
            let index = self.index(automaton, state);
            let mut put = |label: u32, word| words[(index + label) as usize] = word;
            for exception in dfa.exceptions(state) {
                let label = u32::from(exception.byte);
                let next = match exception.target {
                    DEAD if exception.byte != b'/' => self.sink,
                    target => self.index(automaton, target),
                };
                put(label, automaton::cell(label, next));
            }
            let default = dfa.defaults[state as usize];
            if default != DEAD {
                let next = self.index(automaton, default);
                put(
                    DEFAULT,
                    match dfa.is_absorbing(default) {
                        true => automaton::absorbing_cell(next),
                        false => automaton::cell(DEFAULT, next),
                    },
                );
            }
            if let Some(set) = dfa.accepts[state as usize].checked_sub(1) {
                put(END, automaton::cell(END, sets[set as usize]));
            }
        }
    }
}

/// Words before the sets: the header as zeros, all others free.
pub(super) fn blank(end: u32) -> Vec<u32> {
    let mut words = vec![FREE; end as usize];
    words[..HEADER_WORDS as usize].fill(0);
    words
}

/// Words that hold cells of an automaton.
pub(super) fn cells(dfa: &Dfa) -> u32 {
    (1..dfa.len() as u32).map(|state| labels(dfa, state).count() as u32).sum()
}

/// The labels of a state's cells, ascending.
fn labels(dfa: &Dfa, state: u32) -> impl Iterator<Item = u32> + '_ {
    let bytes = dfa.exceptions(state).iter().map(|exception| u32::from(exception.byte));
    let end = (dfa.accepts[state as usize] != 0).then_some(END);
    let default = (dfa.defaults[state as usize] != DEAD).then_some(DEFAULT);
    bytes.chain(end).chain(default)
}

/// What is taken, one bit for each word.
struct Room {
    cells: Vec<u64>,
    indices: Vec<u64>,
    /// By labels: no index below 64 times this has room for them, and none will.
    from: HashMap<Vec<u32>, usize>,
    /// By number of labels: the same, given up on for speed where it is no longer true.
    floor: Vec<usize>,
}

/// Groups of 64 indices that are tried in vain before the search for rows of as many cells goes on
/// from there for good.
const PATIENCE: usize = 512;

impl Room {
    fn new() -> Self {
        let mut room = Self {
            cells: Vec::new(),
            indices: Vec::new(),
            from: HashMap::new(),
            floor: vec![0; 259],
        };
        room.grow(0);
        // No state has an index in the header.
        for index in 0..HEADER_WORDS as usize {
            room.indices[index / 64] |= 1 << (index % 64);
        }
        room
    }

    fn grow(&mut self, group: usize) {
        let len = (group + 8).next_multiple_of(1 << 10);
        if self.cells.len() < len {
            self.cells.resize(len, 0);
            self.indices.resize(len, 0);
        }
    }

    fn place(&mut self, labels: &[u32]) -> Option<u32> {
        let known = self.from.get(labels).copied().unwrap_or(0);
        let from = known.max(self.floor[labels.len()]);
        let mut group = from;
        let free = loop {
            if group * 64 >= limits::MAX_IMAGE_BYTES as usize / 4 {
                return None;
            }
            self.grow(group);
            let free = self.free(group, labels);
            if free != 0 {
                break free;
            }
            group += 1;
        };
        if group - from > PATIENCE {
            self.floor[labels.len()] = from + PATIENCE / 2;
        }
        match self.from.get_mut(labels) {
            Some(known) => *known = group,
            None => {
                self.from.insert(labels.to_vec(), group);
            }
        }
        let index = group * 64 + free.trailing_zeros() as usize;
        self.indices[index / 64] |= 1 << (index % 64);
        for &label in labels {
            let cell = index + label as usize;
            self.cells[cell / 64] |= 1 << (cell % 64);
        }
        Some(index as u32)
    }

    /// Which of 64 indices are free, and have all of their cells free.
    fn free(&self, group: usize, labels: &[u32]) -> u64 {
        let mut free = !self.indices[group];
        for &label in labels {
            let (at, shift) = (group + label as usize / 64, label % 64);
            let high = self.cells[at + 1].checked_shl(64 - shift).unwrap_or(0);
            free &= !(self.cells[at] >> shift | high);
            if free == 0 {
                break;
            }
        }
        free
    }
}

#[cfg(test)]
mod tests {
    use execlayer_common::automaton::{HALT, Table};
    use proptest::prelude::*;

    use super::*;
    use crate::{image_world::View, lower::testing::dfas};

    /// Words that look like cells of every label, and so would be taken for cells.
    fn decoys() -> impl Iterator<Item = u32> {
        (0..512).map(|label| automaton::cell(label, 77))
    }

    fn packed(automata: &[&Dfa], sets: &[u32]) -> (Placed, Vec<u32>) {
        let placed = Placed::new(automata).unwrap();
        let mut words = blank(placed.end);
        for (header, decoy) in words[..HEADER_WORDS as usize].iter_mut().zip(decoys()) {
            *header = decoy;
        }
        for (at, dfa) in automata.iter().enumerate() {
            placed.write(at, dfa, sets, &mut words);
        }
        words.extend(decoys());
        (placed, words)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn every_step_and_every_end_is_that_of_the_automaton(
            one in dfas(12),
            other in dfas(5),
            wide in dfas(2),
        ) {
            let automata = [&one, &other, &wide];
            let sets: Vec<u32> = (0..4).map(|set| 5_000 + set).collect();
            let (placed, words) = packed(&automata, &sets);
            let view = View(&words);
            for (at, dfa) in automata.into_iter().enumerate() {
                for state in 1..dfa.len() as u32 {
                    let index = placed.index(at, state);
                    for byte in 0..=u8::MAX {
                        let next = dfa.next(state, byte);
                        let found = automaton::step(&view, index, byte);
                        let dead = if found == placed.sink { DEAD } else { found & !HALT };
                        prop_assert_eq!(dead, placed.index(at, next));
                        prop_assert!(byte == b'/' || automaton::hit(&view, index, byte) != Some(DEAD));
                        prop_assert!(found & HALT == 0 || dfa.is_absorbing(next));
                    }
                    let set = dfa.accepts[state as usize].checked_sub(1);
                    let set = set.map_or(0, |set| sets[set as usize]);
                    prop_assert_eq!(automaton::accepted(&view, index), set);
                }
            }
        }

        #[test]
        fn states_have_indices_of_their_own_between_header_and_end(dfa in dfas(20)) {
            let placed = Placed::new(&[&dfa]).unwrap();
            let mut indices: Vec<u32> = (1..dfa.len() as u32).map(|s| placed.index(0, s)).collect();
            indices.sort_unstable();
            prop_assert!(indices.windows(2).all(|pair| pair[0] < pair[1]));
            prop_assert!(indices.iter().all(|&at| HEADER_WORDS <= at && at + SPAN <= placed.end));
        }
    }

    #[test]
    fn a_default_that_leads_to_an_absorbing_state_ends_the_walk() {
        let mut dfa = Dfa::new();
        let exception = super::super::dfa::Exception { byte: b'a', target: 1 };
        dfa.push(0, 2, [exception].into_iter());
        dfa.push(1, 2, [].into_iter());
        dfa.start = 1;
        let (placed, words) = packed(&[&dfa], &[5_000]);
        let step = |byte| automaton::step(&View(&words), placed.index(0, 1), byte);
        assert_eq!(step(b'a'), placed.index(0, 1));
        assert_eq!(step(b'b'), placed.index(0, 2) | HALT);
    }

    #[test]
    fn rows_fill_the_gaps_that_others_leave() {
        let mut dfa = Dfa::new();
        for state in 1..=2_000 {
            let bytes = [b'/', b'0' + (state % 40) as u8];
            let exception = |byte| super::super::dfa::Exception { byte, target: state };
            dfa.push(0, DEAD, bytes.into_iter().filter(|&b| b > b'/').map(exception));
        }
        let placed = Placed::new(&[&dfa]).unwrap();
        let used = placed.end - HEADER_WORDS;
        assert!(used < cells(&dfa) + 4 * SPAN, "{used} words for {} cells", cells(&dfa));
    }

    #[test]
    fn more_states_than_an_image_has_words_are_refused() {
        let mut dfa = Dfa::new();
        let exception = |byte| super::super::dfa::Exception { byte, target: 1 };
        for _ in 0..5_000 {
            dfa.push(0, DEAD, (0..=u8::MAX).filter(|byte| byte % 2 == 0).map(exception));
        }
        assert!(Placed::new(&[&dfa]).is_some());
        assert!(Placed::new(&[&dfa, &dfa]).is_none());
    }

    #[test]
    fn words_that_belong_to_no_state_are_free() {
        let mut dfa = Dfa::new();
        dfa.push(1, DEAD, [].into_iter());
        let placed = Placed::new(&[&dfa]).unwrap();
        let mut words = blank(placed.end);
        placed.write(0, &dfa, &[9], &mut words);
        let view = View(&words);
        let taken = (HEADER_WORDS..placed.end).filter(|&at| view.word(at) != FREE);
        assert_eq!(taken.collect::<Vec<_>>(), [placed.index(0, 1) + END]);
    }
}
