//! The common case in short: whether a file that is there is allowed at once. Its name is put down
//! component by component, each where the last one was, and read only as far as the policy has to.
//!
//! Says yes or nothing. It may be that it cannot know (a mount is crossed, a name is long, a lane reads
//! on, an entry has a condition) or that the call is not allowed: then the whole name is built and judged
//! as always. Must not record, and must not allow what `judge` would not.
//!
//! Exact as `walk` is: each dentry's count is read before its name, and all of them again behind the last
//! name.

mod chain;
mod names;

use execlayer_common::slot::Slot;

use crate::{
    gate::Call,
    kernel::{Dentry, VfsMount},
    label,
    maps::SLOTS,
    scratch::{Scratch, forget},
    walk,
};

/// Whether the call is allowed at once. The question is in `scratch`, as for [`crate::judge::judge`].
#[inline(always)]
pub fn allows(
    call: &Call,
    scratch: *mut Scratch,
    mnt: *const VfsMount,
    dentry: *const Dentry,
) -> bool {
    let Some(slot) = SLOTS.get(call.label.profile.wrapping_sub(1)) else { return false };
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
    if !slot.is_used() || root.mnt != mnt as u64 || walk::is_deleted(dentry) {
        return 0;
    }
    let mut chain = chain::Chain::new();
    let allowed = chain.climb(scratch, dentry, root.dentry) && names::allow(scratch, slot);
    u32::from(allowed && chain.is_unchanged())
}
