//! The name of one dentry, put down as it lies there. Must not follow anything.

use crate::{
    kernel::{Dentry, fields},
    kread::{member, typed_at},
    scratch::{COMPONENT, Name},
};

/// The name of `dentry`; `None` if it does not lie in it.
///
/// KERNEL: DNAME_INLINE_LEN is 40 from 6.11 on, 32 before (include/linux/dcache.h, 64 bit with SMP).
#[inline(always)]
pub fn of(dentry: *const Dentry) -> Option<Name> {
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
