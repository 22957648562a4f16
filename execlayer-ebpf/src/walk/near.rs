//! The first steps from a file towards its root, written out: most paths have no more components, and a
//! turn of `bpf_loop` costs half of what it does. What was seen is kept as it is, so that looking again
//! is one load for each dentry.

use super::{end, name};
use crate::{
    kernel::{Dentry, fields},
    kread::typed,
    scratch::{Ends, Scratch, forget},
};

/// Steps that are written out.
const STEPS: usize = 8;

/// The dentries that were passed, with their counts; the first `depth` of them.
pub struct Near {
    dentries: [*const Dentry; STEPS],
    counts: [u32; STEPS],
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

impl Near {
    /// Writes the names of `dentry` and what is above it; how that ended, and the dentry that is next.
    #[inline(always)]
    pub fn climb(
        scratch: *mut Scratch,
        dentry: *const Dentry,
        ends: Ends,
    ) -> (Self, u64, *const Dentry) {
        let mut near = Self { dentries: [dentry; STEPS], counts: [0; STEPS], depth: 0 };
        let mut here = dentry;
        let how = near.steps(scratch, &mut here, ends);
        near.depth = forget(scratch, near.depth);
        (near, forget(scratch, how), here)
    }

    #[inline(always)]
    #[allow(clippy::indexing_slicing, reason = "the macro counts below STEPS")]
    fn steps(&mut self, scratch: *mut Scratch, here: &mut *const Dentry, ends: Ends) -> u64 {
        each_step!(|INDEX| {
            let (count, parent) = match step(scratch, *here, ends) {
                Ok(seen) => seen,
                Err(how) => return how,
            };
            self.dentries[INDEX] = *here;
            self.counts[INDEX] = count;
            self.depth = INDEX as u64 + 1;
            *here = parent;
        });
        end::GOES_ON
    }

    /// Whether nothing of it changed since.
    #[inline(always)]
    #[allow(clippy::indexing_slicing, reason = "the macro counts below STEPS")]
    pub fn is_unchanged(&self) -> bool {
        each_step!(|INDEX| {
            if self.depth <= INDEX as u64 {
                return true;
            }
            let count: u32 = typed(self.dentries[INDEX], &fields::OFF_DENTRY_SEQ);
            if count != self.counts[INDEX] {
                return false;
            }
        });
        true
    }
}

/// One step: the dentry's count, and its parent.
#[inline(always)]
fn step(
    scratch: *mut Scratch,
    dentry: *const Dentry,
    ends: Ends,
) -> Result<(u32, *const Dentry), u64> {
    if let Some(how) = ends.reached(dentry) {
        return Err(how);
    }
    let count: u32 = typed(dentry, &fields::OFF_DENTRY_SEQ);
    if count & 1 != 0 {
        return Err(end::RACED);
    }
    let parent: *const Dentry = typed(dentry, &fields::OFF_DENTRY_PARENT);
    if parent == dentry {
        return Err(end::NOWHERE);
    }
    match name::prepend_typed(scratch, dentry) {
        end::GOES_ON => Ok((count, parent)),
        how => Err(how),
    }
}
