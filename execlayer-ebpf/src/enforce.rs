//! The only place where a verdict becomes a return value.

use crate::{judge::Outcome, kernel::EACCES};

/// What a hook returns when the way to a verdict failed.
pub const ON_FAILURE: i32 = -EACCES;

/// The hook's return value.
#[inline(always)]
pub const fn enforce(outcome: Outcome) -> i32 {
    // Ask cannot be held yet: it is a denial with a reason of its own.
    if outcome.passes() { 0 } else { ON_FAILURE }
}
