//! The first steps from a file towards its root, written out: most paths have no more components, and a
//! turn of `bpf_loop` costs half of what it does. What was seen is kept as it is, so that looking again
//! is one load for each dentry.

use core::mem::MaybeUninit;

use super::end;
use crate::{
    kernel::{Dentry, fields},
    kread::{opaque, typed},
    scratch::COMPONENTS,
};

/// Steps that are written out.
const STEPS: usize = COMPONENTS;

/// The dentries that were passed, with their counts; the first `depth` of them.
///
/// Memory, not variables: the compiler would carry each variable along on every way out of every step.
pub struct Near {
    dentries: [MaybeUninit<*const Dentry>; STEPS],
    counts: [MaybeUninit<u32>; STEPS],
    /// Opaque: the compiler would find out that another value says the same, and the verifier would not.
    depth: u64,
}

macro_rules! each_step {
    (|$index:ident| $body:block) => {
        each_step!(@ $index $body 0 1 2 3 4 5 6 7)
    };
    (@ $index:ident $body:block $($number:literal)*) => {
        $({
            const $index: usize = $number;
            $body
        })*
    };
}

#[allow(clippy::indexing_slicing, reason = "the macro counts below STEPS")]
impl Near {
    #[inline(always)]
    pub fn new() -> Self {
        Self {
            dentries: [MaybeUninit::uninit(); STEPS],
            counts: [MaybeUninit::uninit(); STEPS],
            depth: opaque(0),
        }
    }

    /// Follows the parents from `here` up to `stop`, and has each dentry visited with its number; how that
    /// ended. `here` is what is next.
    #[inline(always)]
    pub fn climb(
        &mut self,
        here: &mut *const Dentry,
        stop: u64,
        visit: impl Fn(usize, *const Dentry) -> u64,
    ) -> u64 {
        each_step!(|INDEX| {
            if *here as u64 == stop {
                return end::STOP;
            }
            let (count, parent) = match look(*here) {
                Ok(seen) => seen,
                Err(how) => return how,
            };
            let how = visit(INDEX, *here);
            if how != end::GOES_ON {
                return how;
            }
            // SAFETY: references to elements of this array.
            unsafe {
                self.dentries[INDEX].as_mut_ptr().write_volatile(*here);
                self.counts[INDEX].as_mut_ptr().write_volatile(count);
            }
            self.depth = opaque(INDEX as u64 + 1);
            *here = parent;
        });
        end::GOES_ON
    }

    /// Whether nothing of it changed since.
    #[inline(always)]
    pub fn is_unchanged(&self) -> bool {
        each_step!(|INDEX| {
            if self.depth <= INDEX as u64 {
                return true;
            }
            // SAFETY: elements below `depth` were written; VERIFIER knows the depth on every path.
            let (dentry, before) = unsafe {
                (
                    self.dentries[INDEX].as_ptr().read_volatile(),
                    self.counts[INDEX].as_ptr().read_volatile(),
                )
            };
            let count: u32 = typed(dentry, &fields::OFF_DENTRY_SEQ);
            if count != before {
                return false;
            }
        });
        true
    }
}

/// A dentry's count, and its parent.
#[inline(always)]
fn look(dentry: *const Dentry) -> Result<(u32, *const Dentry), u64> {
    let count: u32 = typed(dentry, &fields::OFF_DENTRY_SEQ);
    if count & 1 != 0 {
        return Err(end::RACED);
    }
    let parent: *const Dentry = typed(dentry, &fields::OFF_DENTRY_PARENT);
    if parent == dentry { Err(end::NOWHERE) } else { Ok((count, parent)) }
}
