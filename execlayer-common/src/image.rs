//! The layout of an image: everything of one policy, as 32-bit little-endian words of one map value.
//! Must not know how an image is built or judged.
//!
//! Words: the header (see the constants), then in any order the automata's cells
//! ([`crate::automaton`]), the decision sets and the conditions. All indices are words from the
//! image's start.
//!
//! Decision set: deny mask, ask mask and allow mask of its unconditional entries, then a word with
//! the number of entries and [`SET_CONDITIONAL`], then the entries, two words each: the access mask
//! and an [`entry`]. Entries are sorted by [`entry`] key: deny, ask, allow.
//!
//! Condition: [`CONDITION_WORDS`] words: flags, uid, minutes of the UTC day (`from | to << 16`),
//! budget number, uses, window in seconds. Bits 8 to 31 of the flags are the index of its tests of context
//! ([`crate::context`]).

use crate::{access::Operation, context, limits};

/// First word of every image.
pub const MAGIC: u32 = 0x4c59_5845;
/// Version of this layout.
pub const FORMAT: u32 = 2;

/// Word of [`MAGIC`].
pub const H_MAGIC: u32 = 0;
/// Word of [`FORMAT`].
pub const H_FORMAT: u32 = 1;
/// Word of the number of words in use.
pub const H_WORDS: u32 = 2;
/// Word of the generation; zero in a file, written when the image is installed.
pub const H_GENERATION: u32 = 3;
/// Word of the flags.
pub const H_FLAGS: u32 = 4;
/// Word of the index of condition 1; condition 0 is "always" and is not stored.
pub const H_CONDITIONS: u32 = 5;
/// Word of the number of conditions.
pub const H_CONDITION_COUNT: u32 = 6;
/// Word of the number of rules.
pub const H_RULE_COUNT: u32 = 7;
/// Word of the number of budgets.
pub const H_BUDGET_COUNT: u32 = 8;
/// Word of the first start of [`Operation::Call`], which came last and found room here.
pub const H_CALL_STARTS: u32 = 9;
/// Word of the first start of every other operation: `H_STARTS + operation * MAX_LANES + lane`.
pub const H_STARTS: u32 = 16;
/// Words of the header.
pub const HEADER_WORDS: u32 = H_STARTS + Operation::Call as u32 * limits::MAX_LANES;

/// Set in a start word if the lane reads the subject from its last byte to its first.
pub const START_BACKWARD: u32 = 1 << 31;

/// The policy judges and records, and lets pass.
pub const FLAG_MONITOR: u32 = 1 << 0;
/// Allowed calls are recorded too.
pub const FLAG_RECORD_ALL: u32 = 1 << 1;
/// The image has a start for [`Operation::SelectCgroup`].
pub const FLAG_SELECTS_CGROUP: u32 = 1 << 2;
/// The image has a start for [`Operation::SelectExe`].
pub const FLAG_SELECTS_EXE: u32 = 1 << 3;

/// Set in a decision set's count word if an entry has a condition.
pub const SET_CONDITIONAL: u32 = 1 << 31;
/// Words before a decision set's first entry.
pub const SET_HEADER_WORDS: u32 = 4;
/// Words of an entry.
pub const ENTRY_WORDS: u32 = 2;

/// Words of a condition.
pub const CONDITION_WORDS: u32 = 6;
/// The condition has a uid.
pub const CONDITION_UID: u32 = 1 << 0;
/// The condition has a time of day.
pub const CONDITION_TIME: u32 = 1 << 1;
/// The condition has a budget.
pub const CONDITION_BUDGET: u32 = 1 << 2;
/// The condition has tests of context.
pub const CONDITION_CONTEXT: u32 = 1 << 3;
/// Bits of a condition's flags below the index of its tests.
pub const CONDITION_TESTS_SHIFT: u32 = 8;

/// What an entry does, in the order of its strength.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Effect {
    /// Deny.
    Deny = 0,
    /// Ask.
    Ask = 1,
    /// Allow.
    Allow = 2,
}

/// Second word of an entry: effect (bits 30 and 31), condition number (bits 16 to 27), rule number.
#[must_use]
pub const fn entry(effect: Effect, condition: u16, rule: u16) -> u32 {
    ((effect as u32) << 30) | ((condition as u32 & 0xfff) << 16) | rule as u32
}

/// Effect bits of an entry word: compare with an [`Effect`]'s number.
#[inline(always)]
#[must_use]
pub const fn entry_effect(word: u32) -> u32 {
    word >> 30
}

/// Condition number of an entry word.
#[inline(always)]
#[must_use]
pub const fn entry_condition(word: u32) -> u32 {
    (word >> 16) & 0xfff
}

/// Rule number of an entry word.
#[inline(always)]
#[must_use]
pub const fn entry_rule(word: u32) -> u16 {
    (word & 0xffff) as u16
}

/// Index of a start word.
#[inline(always)]
#[must_use]
pub const fn start_index(operation: Operation, lane: u32) -> u32 {
    if matches!(operation, Operation::Call) {
        return lane.wrapping_add(H_CALL_STARTS);
    }
    (operation as u32).wrapping_mul(limits::MAX_LANES).wrapping_add(lane).wrapping_add(H_STARTS)
}

/// Size class that holds an image of `words` words, or `None` if none does.
#[must_use]
pub fn class_of(words: u32) -> Option<u8> {
    limits::CLASS_WORDS.iter().position(|&room| words <= room).map(|class| class as u8)
}

/// Why bytes are no image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageError {
    /// Shorter than a header, or not whole words.
    Short,
    /// The first word is not [`MAGIC`].
    Magic,
    /// Another version of the layout; the version.
    Format(u32),
    /// The header's word count is not the number of words.
    Length,
    /// Larger than the largest size class.
    TooLarge,
    /// A start or table lies outside of the image.
    Range,
}

impl core::fmt::Display for ImageError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Short => f.write_str("the image is shorter than its header"),
            Self::Magic => f.write_str("these bytes are not an image"),
            Self::Format(found) => {
                write!(f, "image format {found} is not known here (this version reads {FORMAT})")
            }
            Self::Length => f.write_str("the image is cut short or has bytes behind its end"),
            Self::TooLarge => f.write_str("the image is larger than 4 MiB"),
            Self::Range => f.write_str("the image points outside of itself"),
        }
    }
}

impl core::error::Error for ImageError {}

/// Checks an image's header. The kernel masks every index, so this is for a clear refusal, not for
/// memory safety.
///
/// # Errors
///
/// An [`ImageError`] that names what is wrong.
pub fn check_header(words: &[u32]) -> Result<(), ImageError> {
    let at = |index: u32| words.get(index as usize).copied().ok_or(ImageError::Short);
    let len = u32::try_from(words.len()).map_err(|_too_long| ImageError::TooLarge)?;
    if len < HEADER_WORDS {
        return Err(ImageError::Short);
    }
    if at(H_MAGIC)? != MAGIC {
        return Err(ImageError::Magic);
    }
    if at(H_FORMAT)? != FORMAT {
        return Err(ImageError::Format(at(H_FORMAT)?));
    }
    if class_of(len).is_none() {
        return Err(ImageError::TooLarge);
    }
    if at(H_WORDS)? != len {
        return Err(ImageError::Length);
    }
    let conditions = u64::from(at(H_CONDITION_COUNT)?).saturating_mul(u64::from(CONDITION_WORDS));
    if at(H_CONDITION_COUNT)? > limits::MAX_CONDITIONS
        || at(H_BUDGET_COUNT)? > limits::MAX_BUDGETS
        || u64::from(at(H_CONDITIONS)?).saturating_add(conditions) > u64::from(len)
    {
        return Err(ImageError::Range);
    }
    for index in (H_CALL_STARTS..H_CALL_STARTS + limits::MAX_LANES).chain(H_STARTS..HEADER_WORDS) {
        let start = at(index)? & !START_BACKWARD;
        if start != 0 && (start < HEADER_WORDS || start >= len) {
            return Err(ImageError::Range);
        }
    }
    for number in 0..at(H_CONDITION_COUNT)? {
        let index = at(H_CONDITIONS)?.wrapping_add(number.wrapping_mul(CONDITION_WORDS));
        let flags = at(index)?;
        if flags & CONDITION_CONTEXT != 0 && !context::fits(words, flags >> CONDITION_TESTS_SHIFT) {
            return Err(ImageError::Range);
        }
    }
    Ok(())
}
