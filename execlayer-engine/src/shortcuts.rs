//! Shortcuts through automata: where one byte goes on and no other, and so on for a while, a comparison takes the
//! place of the walk. Made of a bundle's own copy of its image; must not change what is accepted.
//!
//! A chain begins behind a state that more than one byte leaves, and ends before the next one, before a state in which
//! a subject may end, and before the separator of a call's two parts. So a subject that ends within one matches nothing.

use execlayer_common::{
    access::Operation,
    automaton::{self, DEAD, DEFAULT, LABEL_MASK, NEXT_SHIFT, Table},
    call::SEPARATOR,
    context::{Kind, test_index},
    image::{
        CONDITION_CONTEXT, CONDITION_TESTS_SHIFT, CONDITION_WORDS, H_CONDITION_COUNT, H_CONDITIONS,
        START_BACKWARD, start_index,
    },
    limits::MAX_LANES,
};

/// In a cell, one of the two bits that the format leaves free: it leads to the chain of this number.
const LEADS: u32 = 1 << 10;
/// In a start, where no state's number reaches.
const BEGINS: u32 = 1 << 30;
/// Shorter ones are not worth a look.
const SHORTEST: usize = 4;
const LONGEST: usize = 255;

#[derive(Clone, Copy, Debug)]
struct Chain {
    first: u32,
    length: u32,
    /// The state behind it.
    end: u32,
    /// Its first and its last four bytes: all there is of a short one.
    ends: [[u8; 4]; 2],
}

/// The chain that begins in a state, as far as anybody has looked.
type Numbered = Option<Option<u32>>;

/// The chains of an image.
#[derive(Debug, Default)]
pub(crate) struct Shortcuts {
    chains: Vec<Chain>,
    bytes: Vec<u8>,
}

struct View<'a>(&'a [u32]);

impl Table for View<'_> {
    fn word(&self, index: u32) -> u32 {
        word(self.0, index)
    }
}

impl Shortcuts {
    /// Finds the chains of the automata that calls are judged by, and has the image lead to them.
    pub(crate) fn of(words: &mut [u32]) -> Self {
        let mut made = Self::default();
        let image = words.to_vec();
        let mut numbers = vec![None; image.len()];
        let mut known = vec![false; image.len()];
        let mut states = Vec::new();
        for at in starts(&image) {
            let start = word(&image, at) & !START_BACKWARD;
            states.push(start);
            if let Some(number) = made.chain(&image, &mut numbers, start) {
                put(words, at, word(&image, at) & START_BACKWARD | BEGINS | number);
            }
        }
        while let Some(state) = states.pop() {
            let Some(known) = known.get_mut(state as usize).filter(|known| !**known) else {
                continue;
            };
            *known = true;
            let is_within = only_byte(&image, state).is_some();
            for label in (0..=u32::from(u8::MAX)).chain([DEFAULT]) {
                let at = state.wrapping_add(label);
                let cell = word(&image, at);
                let next = cell >> NEXT_SHIFT;
                if cell & LABEL_MASK != label || next == DEAD {
                    continue;
                }
                states.push(next);
                // Nobody else has said where a shortcut is.
                put(words, at, cell & !LEADS);
                if !is_within && let Some(number) = made.chain(&image, &mut numbers, next) {
                    put(words, at, label | LEADS | number << NEXT_SHIFT);
                }
            }
        }
        made
    }

    /// The number of the chain that begins in a state, if one does. Each state is looked at once.
    fn chain(&mut self, image: &[u32], numbers: &mut [Numbered], head: u32) -> Option<u32> {
        *numbers.get_mut(head as usize)?.get_or_insert_with(|| self.find(image, head))
    }

    fn find(&mut self, image: &[u32], head: u32) -> Option<u32> {
        let (first, mut end) = (self.bytes.len(), head);
        while self.bytes.len() - first < LONGEST
            && let Some((byte, next)) = only_byte(image, end)
        {
            self.bytes.push(byte);
            end = next;
        }
        if self.bytes.len() - first < SHORTEST {
            self.bytes.truncate(first);
            return None;
        }
        let bytes = self.bytes.get(first..)?;
        let ends = [*bytes.first_chunk()?, *bytes.last_chunk()?];
        let length = bytes.len() as u32;
        let number = self.chains.len() as u32;
        self.chains.push(Chain { first: first as u32, length, end, ends });
        Some(number)
    }

    /// The state that `part` leads to from `state`, which may be what [`step`] gave, or [`DEAD`].
    #[inline]
    pub(crate) fn walk<const BACKWARD: bool>(
        &self,
        words: &[u32],
        mut state: u32,
        part: &[u8],
    ) -> u32 {
        let mut rest = part;
        if state & BEGINS != 0 {
            state = self.follow::<BACKWARD>(state & !BEGINS, &mut rest);
        }
        while !automaton::is_over(state) {
            let next = if BACKWARD { rest.split_last() } else { rest.split_first() };
            let Some((&byte, others)) = next else { break };
            rest = others;
            state = match step(words, state, byte) {
                state if state & BEGINS == 0 => state,
                begun => self.follow::<BACKWARD>(begun & !BEGINS, &mut rest),
            };
        }
        state
    }

    #[inline]
    fn follow<const BACKWARD: bool>(&self, number: u32, rest: &mut &[u8]) -> u32 {
        let Some(&Chain { first, length, end, ends }) = self.chains.get(number as usize) else {
            return DEAD;
        };
        let (first, length) = (first as usize, length as usize);
        let bytes = || self.bytes.get(first..first + length).unwrap_or_default();
        let split = if BACKWARD { rest.len().checked_sub(length) } else { Some(length) };
        let Some((ahead, behind)) = split.and_then(|at| rest.split_at_checked(at)) else {
            return DEAD;
        };
        let is_same = if BACKWARD {
            behind.iter().rev().eq(bytes())
        } else {
            [ahead.first_chunk(), ahead.last_chunk()] == [Some(&ends[0]), Some(&ends[1])]
                && (length <= 8 || ahead == bytes())
        };
        *rest = if BACKWARD { ahead } else { behind };
        if is_same { end } else { DEAD }
    }
}

/// The next state. That of a chain's beginning is the chain's number: its bytes are to follow.
#[inline]
pub(crate) fn step(words: &[u32], state: u32, byte: u8) -> u32 {
    let mut cell = word(words, state.wrapping_add(byte.into()));
    if cell & LABEL_MASK != byte.into() {
        cell = word(words, state.wrapping_add(DEFAULT));
        if cell & LABEL_MASK != DEFAULT {
            return DEAD;
        }
    }
    if cell & LEADS != 0 { BEGINS | cell >> NEXT_SHIFT } else { automaton::target(cell) }
}

/// Where the starts of the automata are that calls are judged by.
fn starts(words: &[u32]) -> Vec<u32> {
    let lanes = (0..MAX_LANES).map(|lane| start_index(Operation::Call, lane));
    let mut all: Vec<u32> = lanes.filter(|&at| word(words, at) != 0).collect();
    let first = word(words, H_CONDITIONS);
    for number in 0..word(words, H_CONDITION_COUNT) {
        let flags = word(words, first.wrapping_add(number.wrapping_mul(CONDITION_WORDS)));
        if flags & CONDITION_CONTEXT == 0 {
            continue;
        }
        let tests = flags >> CONDITION_TESTS_SHIFT;
        for test in 0..word(words, tests) {
            let at = test_index(tests, test);
            if Kind::of_head(word(words, at)).is_some_and(Kind::has_automaton) {
                all.push(at.wrapping_add(1));
            }
        }
    }
    // Rules may share their tests.
    all.sort_unstable();
    all.dedup();
    all
}

/// The only byte that leaves a state in which no subject ends, and where it leads; no separator.
fn only_byte(words: &[u32], state: u32) -> Option<(u8, u32)> {
    let view = View(words);
    if automaton::miss(&view, state) != DEAD || automaton::accepted(&view, state) != 0 {
        return None;
    }
    let mut only = None;
    for byte in 0..=u8::MAX {
        let Some(next) = automaton::hit(&view, state, byte).filter(|&next| next != DEAD) else {
            continue;
        };
        if only.replace((byte, next)).is_some() {
            return None;
        }
    }
    only.filter(|(byte, _next)| *byte != SEPARATOR)
}

/// The word of an image at `index`.
#[inline(always)]
pub(crate) fn word(words: &[u32], index: u32) -> u32 {
    words.get(index as usize).copied().unwrap_or(automaton::FREE)
}

fn put(words: &mut [u32], index: u32, value: u32) {
    if let Some(word) = words.get_mut(index as usize) {
        *word = value;
    }
}
