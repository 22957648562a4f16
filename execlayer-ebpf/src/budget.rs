//! A budget's counter: uses in the current window, in one word that several CPUs change.

use aya_ebpf::helpers::generated::bpf_ktime_get_boot_ns;

use crate::atomic;

/// Attempts before a use counts as refused; each failure means that another CPU got through.
const TRIES: u32 = 8;

/// Uses the budget once; whether a use was left. The word is `window number << 32 | uses`.
#[inline(always)]
pub fn spend(budget: *mut u64, uses: u32, window: u32) -> bool {
    // SAFETY: a helper without arguments.
    let seconds = unsafe { bpf_ktime_get_boot_ns() } / 1_000_000_000;
    let now = if window == 0 { 0 } else { seconds / u64::from(window) } & 0xffff_ffff;
    for _ in 0..TRIES {
        // SAFETY: a live, aligned map value; one 64-bit load.
        let seen = unsafe { budget.read_volatile() };
        // Whoever looked at the clock before another CPU began a window is in that one.
        let current = if seen >> 32 > now { seen >> 32 } else { now };
        let used = if seen >> 32 == current { seen & 0xffff_ffff } else { 0 };
        if used >= u64::from(uses) {
            return false;
        }
        let next = (current << 32) | used.wrapping_add(1);
        // SAFETY: as above; it is changed here only.
        if unsafe { atomic::exchange_if(budget, seen, next) } {
            return true;
        }
    }
    false
}
