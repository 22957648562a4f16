//! The only place where a verdict becomes a return value.

use crate::{
    hold::Fate,
    judge::Outcome,
    kernel::{EACCES, ERESTARTNOINTR},
};

/// What a hook returns when the way to a verdict failed.
pub const ON_FAILURE: i32 = -EACCES;

/// The hook's return value.
#[inline(always)]
pub const fn enforce(outcome: Outcome) -> i32 {
    // In monitor mode a call that would be asked about passes, too.
    if outcome.passes() { 0 } else { ON_FAILURE }
}

/// The hook's return value for a call that was asked about.
///
/// VERIFIER: from 6.12 on each value must be seen to be one that a hook may return.
#[inline(always)]
pub fn answer(fate: Fate) -> i32 {
    if fate == Fate::PASS || fate == Fate::GRANTED {
        0
    } else if fate == Fate::HELD {
        -ERESTARTNOINTR
    } else {
        ON_FAILURE
    }
}
