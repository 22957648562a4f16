//! The dentries from a file to the task's root, kept so that looking again is one load for each. Must not
//! know what their names are for.

use core::mem::MaybeUninit;

use crate::{
    kernel::{Dentry, fields},
    kread::{member, opaque, typed, typed_at},
    scratch::{COMPONENT, COMPONENTS, Name, Scratch},
    walk::near::look,
};

/// The dentries that were passed, with their counts; the first `depth` of them.
pub struct Chain {
    dentries: [MaybeUninit<*const Dentry>; COMPONENTS],
    counts: [MaybeUninit<u32>; COMPONENTS],
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

#[allow(clippy::indexing_slicing, reason = "the macro counts below COMPONENTS")]
impl Chain {
    #[inline(always)]
    pub fn new() -> Self {
        Self {
            dentries: [MaybeUninit::uninit(); COMPONENTS],
            counts: [MaybeUninit::uninit(); COMPONENTS],
            depth: opaque(0),
        }
    }

    /// Follows the parents from `dentry`, and puts the names into scratch; whether that leads to `root`,
    /// and `dentry` is not the root itself.
    #[inline(always)]
    pub fn climb(&mut self, scratch: *mut Scratch, dentry: *const Dentry, root: u64) -> bool {
        let mut here = dentry;
        each_step!(|INDEX| {
            let Ok((count, parent)) = look(here) else { return false };
            let Some(name) = name_of(here) else { return false };
            // SAFETY: this task owns the buffer; references to elements of these arrays.
            unsafe {
                (*scratch).names.names[INDEX] = name;
                self.dentries[INDEX].as_mut_ptr().write_volatile(here);
                self.counts[INDEX].as_mut_ptr().write_volatile(count);
            }
            self.depth = opaque(INDEX as u64 + 1);
            here = parent;
            if here as u64 == root {
                // SAFETY: this task owns the buffer.
                unsafe { (*scratch).names.depth = INDEX as u64 + 1 };
                return true;
            }
        });
        false
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

/// The name of `dentry`; `None` if it does not lie in it.
///
/// KERNEL: DNAME_INLINE_LEN is 40 from 6.11 on, 32 before (include/linux/dcache.h, 64 bit with SMP).
#[inline(always)]
fn name_of(dentry: *const Dentry) -> Option<Name> {
    let name = member(dentry, &fields::OFF_DENTRY_NAME);
    // KERNEL: struct qstr is { u32 hash; u32 len; } and the pointer (include/linux/dcache.h).
    let len = u64::from(typed_at::<u32>(name, 4));
    let bytes: u64 = typed_at(name, 8);
    let inline = member(dentry, &fields::OFF_DENTRY_INLINE);
    if bytes != inline as u64 || len > COMPONENT as u64 {
        return None;
    }
    let word = |at| typed_at::<u64>(inline, at);
    let second = if len > 8 { word(8) } else { 0 };
    let (third, fourth) = if len > 16 { (word(16), word(24)) } else { (0, 0) };
    Some(Name { words: [word(0), second, third, fourth], len })
}
