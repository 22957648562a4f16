//! The automaton's table format and its step. Owns how states and transitions are packed into
//! 32-bit words; must not know what a decision set means.
//!
//! A state is the index of a word. Its transition on byte `b` is the cell at `state + b`, and the
//! cell is the state's own if its label is `b`: no two states share an index, so a label names its
//! owner. What a state does on every other byte is its [`DEFAULT`] cell; where its accepting
//! decision set lies is its [`END`] cell. A cell that is missing means: dead, nothing matches. Only the
//! cell of `/` leads to [`DEAD`]; another byte that does although others go on leads to a state without
//! any cell, so that within a component a walk can be over only where a cell is missing.

/// Label of the cell that holds the index of the decision set, if the subject ends in this state.
pub const END: u32 = 256;
/// Label of the cell taken for every byte that has no cell of its own.
pub const DEFAULT: u32 = 257;
/// Label of a word that belongs to no state.
pub const FREE: u32 = 511;
/// Words from a state's index to the last cell that it can own, inclusive.
pub const SPAN: u32 = 258;
/// The state from which nothing can match. Index 0 holds the image's header, never a cell.
pub const DEAD: u32 = 0;
/// Set in what [`step`] returns if the rest of the subject cannot change the decision any more.
pub const HALT: u32 = 1 << 31;

/// Which bits of a cell are its label.
pub const LABEL_MASK: u32 = 0x1ff;
const ABSORBING: u32 = 1 << 9;
/// How far up in a cell it is said where it leads.
pub const NEXT_SHIFT: u32 = 12;

/// Read access to an image, word by word.
pub trait Table {
    /// The word at `index`. Out of range must read as some word of the table, never outside of it.
    fn word(&self, index: u32) -> u32;

    /// [`walk`] over a text, in whatever way is fastest where the table is.
    fn walk_text(&self, start: u32, text: &[u8]) -> u32
    where
        Self: Sized,
    {
        walk(self, start, text.iter())
    }
}

/// A transition cell: from its state on `label` to `next`. Bits 10 and 11 are free, and 0 in an image.
#[must_use]
pub const fn cell(label: u32, next: u32) -> u32 {
    (next << NEXT_SHIFT) | (label & LABEL_MASK)
}

/// The default cell of a state that leads, on every byte without a cell of its own, to `next`, which no
/// byte leaves.
#[must_use]
pub const fn absorbing_cell(next: u32) -> u32 {
    cell(DEFAULT, next) | ABSORBING
}

/// One step: the next state, with [`HALT`] set if no more bytes need to be read, or [`DEAD`].
#[inline(always)]
#[must_use]
pub fn step(table: &impl Table, state: u32, byte: u8) -> u32 {
    match hit(table, state, byte) {
        Some(next) => next,
        None => miss(table, state),
    }
}

/// Where a cell of the state's own leads on `byte`. Unless that is `/`, the walk is not over there.
#[inline(always)]
#[must_use]
pub fn hit(table: &impl Table, state: u32, byte: u8) -> Option<u32> {
    let label = byte as u32;
    let word = table.word(state.wrapping_add(label));
    (word & LABEL_MASK == label).then_some(word >> NEXT_SHIFT)
}

/// Where every byte leads for which the state has no cell; see [`step`].
#[inline(always)]
#[must_use]
pub fn miss(table: &impl Table, state: u32) -> u32 {
    let word = table.word(state.wrapping_add(DEFAULT));
    if word & LABEL_MASK != DEFAULT {
        return DEAD;
    }
    target(word)
}

/// Where a transition cell leads: a state, with [`HALT`] set if no byte leaves it.
#[inline(always)]
#[must_use]
pub const fn target(cell: u32) -> u32 {
    let next = cell >> NEXT_SHIFT;
    if cell & ABSORBING != 0 { next | HALT } else { next }
}

/// Whether the walk is over in `state`: dead, or nothing can change any more.
#[inline(always)]
#[must_use]
pub const fn is_over(state: u32) -> bool {
    state == DEAD || state & HALT != 0
}

/// Index of the decision set of a subject that ends in `state`, or 0 if nothing matches.
#[inline(always)]
#[must_use]
pub fn accepted(table: &impl Table, state: u32) -> u32 {
    if state == DEAD {
        return 0;
    }
    let word = table.word((state & !HALT).wrapping_add(END));
    if word & LABEL_MASK == END { word >> NEXT_SHIFT } else { 0 }
}

/// Walks `bytes` from `start` in user space. The kernel has a loop of its own around [`step`].
#[must_use]
pub fn walk<'a>(table: &impl Table, start: u32, bytes: impl Iterator<Item = &'a u8>) -> u32 {
    let mut state = start;
    for &byte in bytes {
        state = step(table, state, byte);
        if is_over(state) {
            break;
        }
    }
    state
}
