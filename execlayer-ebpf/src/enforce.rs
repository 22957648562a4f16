//! The only place where a verdict becomes a return value.

use execlayer_common::verdict::raw;

use crate::{judge::Judgement, kernel::EACCES};

/// What a hook returns when the way to a verdict failed.
pub const ON_FAILURE: i32 = -EACCES;

/// The hook's return value.
#[inline(always)]
pub const fn enforce(judgement: &Judgement) -> i32 {
    // Ask cannot be held yet: it is a denial with a reason of its own.
    if judgement.verdict == raw::ALLOW || judgement.monitor { 0 } else { ON_FAILURE }
}
