//! Clocks: the kernel's events are in time since boot, people read dates. Must not wait for anything.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// CLOCK_REALTIME minus CLOCK_BOOTTIME, in nanoseconds: what turns an event's time into a date.
///
/// # Errors
///
/// What the kernel said.
pub fn boot_to_real() -> Result<u64, nix::Error> {
    // Read around the other clock, so that being interrupted in between shows only half.
    let before = nanoseconds(ClockId::CLOCK_REALTIME)?;
    let boot = nanoseconds(ClockId::CLOCK_BOOTTIME)?;
    let after = nanoseconds(ClockId::CLOCK_REALTIME)?;
    let real = before / 2 + after / 2;
    Ok(real.saturating_sub(boot))
}

/// ns since boot, suspend included: the kernel programs' clock.
#[must_use]
pub fn boot() -> u64 {
    nanoseconds(ClockId::CLOCK_BOOTTIME).unwrap_or_default()
}

/// Seconds since boot.
#[must_use]
pub fn seconds_since_boot() -> u64 {
    boot() / 1_000_000_000
}

/// Seconds since 1970.
#[must_use]
pub fn now() -> u64 {
    nanoseconds(ClockId::CLOCK_REALTIME).unwrap_or_default() / 1_000_000_000
}

fn nanoseconds(clock: ClockId) -> Result<u64, nix::Error> {
    let now = Duration::from(clock_gettime(clock)?);
    Ok(u64::try_from(now.as_nanos()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::{boot_to_real, now};

    #[test]
    fn boot_time_and_its_offset_lie_before_now() {
        let offset = boot_to_real().unwrap() / 1_000_000_000;
        assert!(offset > 0 && offset <= now());
    }
}
