//! The time of day, from the boot clock and the difference that the daemon keeps in a map.

use aya_ebpf::helpers::generated::bpf_ktime_get_boot_ns;

use crate::maps::CLOCK;

const NANOSECONDS_A_MINUTE: u64 = 60_000_000_000;

/// Minute of the UTC day.
#[inline(always)]
pub fn minute() -> u32 {
    // SAFETY: a helper without arguments.
    let now = unsafe { bpf_ktime_get_boot_ns() };
    let difference = CLOCK.get(0).copied().unwrap_or(0);
    (now.wrapping_add(difference) / NANOSECONDS_A_MINUTE % 1440) as u32
}
