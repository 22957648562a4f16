//! Tests of a call's named values: their words in an image, and what they come to. Must not know where values
//! come from or what a rule does.
//!
//! A value that is not given, or is of another kind than the test, is not known: then a rule that denies or asks
//! holds, and one that allows does not. So nothing is gained by leaving a value out.
//!
//! Words: the number of tests, then [`TEST_WORDS`] for each: the name's number in the policy and the kind
//! ([`test_head`]); the automaton's start or the flag; the least and the greatest number, four words each.

use crate::{
    automaton::{self, Table},
    call::{Number, Value},
    image::Effect,
    limits,
};

/// Words of a test.
pub const TEST_WORDS: u32 = 10;

/// What a test asks of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Kind {
    /// That there is one, whatever it is.
    Given = 0,
    /// That there is none.
    Absent = 1,
    /// That it is true, or false.
    Flag = 2,
    /// That it is a text that the automaton accepts.
    Text = 3,
    /// That it is a number between two, both included.
    Number = 4,
    /// That it is a list of texts which the automaton all accepts.
    Every = 5,
    /// That it is a list of texts of which the automaton accepts one.
    Some = 6,
}

impl Kind {
    /// The kind with this number, or `None`.
    #[must_use]
    pub const fn from_raw(raw: u32) -> Option<Self> {
        Some(match raw {
            0 => Self::Given,
            1 => Self::Absent,
            2 => Self::Flag,
            3 => Self::Text,
            4 => Self::Number,
            5 => Self::Every,
            6 => Self::Some,
            _ => return None,
        })
    }

    /// The kind of the test whose first word this is, or `None`.
    #[must_use]
    pub const fn of_head(head: u32) -> Option<Self> {
        Self::from_raw((head >> 8) & 0xff)
    }

    /// Whether its second word is the start of an automaton.
    #[must_use]
    pub const fn has_automaton(self) -> bool {
        matches!(self, Self::Text | Self::Every | Self::Some)
    }
}

/// First word of a test: the name's number (bits 0 to 7), the kind (bits 8 to 15).
#[must_use]
pub const fn test_head(name: u8, kind: Kind) -> u32 {
    name as u32 | (kind as u32) << 8
}

/// Where a test of the list at `tests` is.
#[inline]
#[must_use]
pub const fn test_index(tests: u32, number: u32) -> u32 {
    tests.wrapping_add(1).wrapping_add(number.wrapping_mul(TEST_WORDS))
}

/// Whether the tests at `tests` hold for a rule with this effect. `value` gives the value of a name by its number
/// in the policy.
#[inline]
#[must_use]
pub fn hold<'v>(
    table: &impl Table,
    tests: u32,
    effect: u32,
    value: impl Fn(u32) -> Option<Value<'v>>,
) -> bool {
    let unknown = effect != Effect::Allow as u32;
    let count = table.word(tests).min(limits::MAX_CONTEXT_TESTS as u32);
    (0..count).all(|number| holds(table, test_index(tests, number), &value).unwrap_or(unknown))
}

/// Whether the test at `at` holds; `None` if it is not known.
#[inline]
fn holds<'v>(
    table: &impl Table,
    at: u32,
    value: impl Fn(u32) -> Option<Value<'v>>,
) -> Option<bool> {
    let head = table.word(at);
    let value = value(head & 0xff);
    let kind = Kind::of_head(head)?;
    let word = |number: u32| table.word(at.wrapping_add(number));
    let accepts = |text: &[u8]| {
        if word(1) == automaton::DEAD {
            return false;
        }
        let last = table.walk_text(word(1), text);
        automaton::accepted(table, last) != 0
    };
    Some(match (kind, value) {
        (Kind::Given, value) => value.is_some(),
        (Kind::Absent, value) => value.is_none(),
        (Kind::Flag, Some(Value::Flag(flag))) => u32::from(flag) == word(1),
        (Kind::Text, Some(Value::Text(text))) => accepts(text),
        (Kind::Number, Some(Value::Number(number))) => {
            let bound = |first| {
                Number::from_words([0, 1, 2, 3].map(|at: u32| word(at.wrapping_add(first))))
            };
            bound(2) <= number && number <= bound(6)
        }
        (Kind::Every, Some(Value::List(list))) => list.iter().all(|text| accepts(text)),
        (Kind::Some, Some(Value::List(list))) => list.iter().any(|text| accepts(text)),
        (Kind::Flag | Kind::Text | Kind::Number | Kind::Every | Kind::Some, _) => return None,
    })
}

/// Whether tests and what they point to lie within an image.
pub(crate) fn fits(words: &[u32], tests: u32) -> bool {
    let at = |index: u32| words.get(index as usize).copied();
    let Some(count) = at(tests).filter(|&count| count as usize <= limits::MAX_CONTEXT_TESTS) else {
        return false;
    };
    (0..count).all(|number| {
        let test = test_index(tests, number);
        let (Some(head), Some(start)) = (at(test), at(test.wrapping_add(1))) else { return false };
        let last = at(test.wrapping_add(TEST_WORDS).wrapping_sub(1));
        match Kind::of_head(head) {
            Some(kind) => last.is_some() && (!kind.has_automaton() || at(start).is_some()),
            None => false,
        }
    })
}
