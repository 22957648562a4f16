//! Atomic operations on map values. rustc leaves compare-and-exchange out of the standard types on
//! this target, though the instruction set has it from v3 on.
//!
//! KERNEL: BPF_CMPXCHG, BPF_XCHG and fetching BPF_ADD are full barriers, from 5.12 on
//! (Documentation/bpf/standardization/instruction-set.rst).

use core::intrinsics::{AtomicOrdering::SeqCst, atomic_cxchg, atomic_xadd, atomic_xchg};

/// Replaces `old` by `new`; whether `old` was there.
///
/// # Safety
///
/// `word` is a live, aligned map value that is changed by this module only.
#[inline(always)]
pub unsafe fn exchange_if(word: *mut u64, old: u64, new: u64) -> bool {
    // SAFETY: the caller's promise.
    unsafe { atomic_cxchg::<u64, { SeqCst }, { SeqCst }>(word, old, new) }.1
}

/// Replaces the value, whatever it is.
///
/// # Safety
///
/// As for [`exchange_if`].
#[inline(always)]
pub unsafe fn exchange(word: *mut u64, new: u64) {
    // SAFETY: the caller's promise.
    let _old = unsafe { atomic_xchg::<u64, { SeqCst }>(word, new) };
}

/// Adds to the value; what was there.
///
/// # Safety
///
/// As for [`exchange_if`].
#[inline(always)]
pub unsafe fn add(word: *mut u64, more: u64) -> u64 {
    // SAFETY: the caller's promise.
    unsafe { atomic_xadd::<u64, u64, { SeqCst }>(word, more) }
}
