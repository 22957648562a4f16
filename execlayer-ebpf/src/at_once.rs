//! The common case in short: whether a file that is there is allowed at once. Its name is put down
//! component by component, each where the last one was, and read only as far as the policy has to.
//!
//! Says yes or nothing. It may be that it cannot know (a mount is crossed, a name is long, a lane reads
//! on, an entry has a condition) or that the call is not allowed: then the whole name is built and judged
//! as always. Must not record, and must not allow what `judge` would not.
//!
//! Exact as `walk` is: each dentry's count is read before its name, and all of them again behind the last
//! name.

mod name;
mod names;

use execlayer_common::slot::Slot;

use crate::{
    kernel::{Dentry, VfsMount},
    label,
    maps::SLOTS,
    scratch::{Scratch, forget},
    walk::{self, end, near::Near},
};

/// Whether the call is allowed at once. The question is in `scratch`, as for [`crate::judge::judge`].
#[inline(always)]
pub fn allows(
    profile: u32,
    scratch: *mut Scratch,
    mnt: *const VfsMount,
    dentry: *const Dentry,
) -> bool {
    let Some(slot) = SLOTS.get(profile.wrapping_sub(1)) else { return false };
    let allowed = is_allowed(scratch, Slot(*slot), mnt, dentry);
    // VERIFIER: what comes behind is looked at once, not for every way to a no.
    forget(scratch, allowed.into()) != 0
}

/// VERIFIER: a function of its own, so that its stack is free again when it has said nothing.
#[inline(never)]
fn is_allowed(
    scratch: *mut Scratch,
    slot: Slot,
    mnt: *const VfsMount,
    dentry: *const Dentry,
) -> u32 {
    let root = walk::root_of(label::current());
    let is_root = root.dentry == dentry as u64;
    if !slot.is_used() || is_root || root.mnt != mnt as u64 || walk::is_deleted(dentry) {
        return 0;
    }
    let (mut near, mut next) = (Near::new(), dentry);
    let how =
        near.climb(&mut next, root.dentry, |number, dentry| put_down(scratch, number, dentry));
    // After the last step it has not been looked whether that was the root.
    let is_whole = how == end::STOP || how == end::GOES_ON && next as u64 == root.dentry;
    u32::from(is_whole && names::allow(scratch, slot) && near.is_unchanged())
}

/// Puts a component down; how the walk ends if that cannot be.
#[inline(always)]
#[allow(clippy::indexing_slicing, reason = "the walk has as many steps as there are components")]
fn put_down(scratch: *mut Scratch, number: usize, dentry: *const Dentry) -> u64 {
    let Some(name) = name::of(dentry) else { return end::TOO_LONG };
    // SAFETY: this task owns the buffer.
    unsafe {
        (*scratch).names.names[number] = name;
        (*scratch).names.depth = number as u64 + 1;
    }
    end::GOES_ON
}
