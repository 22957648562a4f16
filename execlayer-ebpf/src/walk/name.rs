//! Names of single dentries, in front of what is in the buffer already. Must not follow anything.

use core::ffi::c_void;

use aya_ebpf::helpers::generated::bpf_probe_read_kernel;

use super::end;
use crate::{
    kernel::{Dentry, fields},
    kread::{load_word, member, store_word, typed_at, within},
    scratch::{IN_PATH, Scratch},
};

/// Longest component. KERNEL: NAME_MAX (include/uapi/linux/limits.h).
const NAME_MAX: u64 = 255;
/// Bytes of a name that lies in its dentry, at least. KERNEL: DNAME_INLINE_LEN is 40 from 6.11 on, 32
/// before (include/linux/dcache.h, 64 bit with SMP).
const INLINE_MAX: u64 = 32;

/// Writes `/` and the name in front of `pos`; how the walk ends if that cannot be.
#[inline(always)]
pub fn prepend(scratch: *mut Scratch, name: u64, len: u64) -> u64 {
    let Some(begin) = room(scratch, len) else { return end::TOO_LONG };
    // SAFETY: PATH_END and NAME_MAX + 1 more bytes are there; both are masked.
    let failed = unsafe {
        let path = (&raw mut (*scratch).path).cast::<u8>();
        bpf_probe_read_kernel(
            path.add(begin as usize).cast(),
            (within::<NAME_MAX>(len)) as u32,
            name as *const c_void,
        )
    };
    slash(scratch, begin);
    if failed == 0 { end::GOES_ON } else { end::FAULT }
}

/// Where a name of that length begins, if there is room for it and a slash.
#[inline(always)]
fn room(scratch: *mut Scratch, len: u64) -> Option<u64> {
    // SAFETY: this task owns the buffer.
    let pos = unsafe { (*scratch).pos };
    if len > NAME_MAX || pos <= len {
        return None;
    }
    Some(within::<IN_PATH>(pos.wrapping_sub(len)))
}

/// Writes the slash before a name that begins there.
#[inline(always)]
fn slash(scratch: *mut Scratch, begin: u64) {
    let slash = within::<IN_PATH>(begin.wrapping_sub(1));
    put(scratch, slash, b'/');
    // SAFETY: this task owns the buffer.
    unsafe { (*scratch).pos = slash };
}

#[inline(always)]
pub fn put(scratch: *mut Scratch, at: u64, byte: u8) {
    // SAFETY: `at` is masked by the callers.
    unsafe { (&raw mut (*scratch).path).cast::<u8>().add(at as usize).write(byte) };
}

/// Writes `/` and the dentry's name in front of `pos`.
#[inline(always)]
pub fn prepend_typed(scratch: *mut Scratch, dentry: *const Dentry) -> u64 {
    let name = member(dentry, &fields::OFF_DENTRY_NAME);
    // KERNEL: struct qstr is { u32 hash; u32 len; } and the pointer (include/linux/dcache.h).
    let len = u64::from(typed_at::<u32>(name, 4));
    let bytes: u64 = typed_at(name, 8);
    let inline = member(dentry, &fields::OFF_DENTRY_INLINE);
    if bytes != inline as u64 || len > INLINE_MAX {
        return prepend(scratch, bytes, len);
    }
    let Some(begin) = room(scratch, len) else { return end::TOO_LONG };
    // SAFETY: offsets are masked, and behind PATH_END there is more room than one name takes.
    unsafe {
        let path = (&raw mut (*scratch).path).cast::<u8>();
        let behind = path.add(within::<IN_PATH>(begin.wrapping_add(len)) as usize);
        let to = path.add(begin as usize);
        // Whole words are written: the last one reaches at most seven bytes into what is behind the name.
        let kept = load_word(behind);
        store_word::<0>(to, typed_at(inline, 0));
        if len > 8 {
            store_word::<8>(to, typed_at(inline, 8));
            if len > 16 {
                store_word::<16>(to, typed_at(inline, 16));
                if len > 24 {
                    store_word::<24>(to, typed_at(inline, 24));
                }
            }
        }
        store_word::<0>(behind, kept);
    }
    slash(scratch, begin);
    end::GOES_ON
}
