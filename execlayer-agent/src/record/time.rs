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

/// Seconds since 1970.
#[must_use]
pub fn now() -> u64 {
    nanoseconds(ClockId::CLOCK_REALTIME).unwrap_or_default() / 1_000_000_000
}

fn nanoseconds(clock: ClockId) -> Result<u64, nix::Error> {
    let now = Duration::from(clock_gettime(clock)?);
    Ok(u64::try_from(now.as_nanos()).unwrap_or(u64::MAX))
}

/// RFC 3339 in UTC with nanoseconds, of nanoseconds since 1970.
#[must_use]
pub fn rfc3339(nanoseconds: u64) -> String {
    let (seconds, fraction) = (nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000);
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{fraction:09}Z")
}

/// Year, month and day of a day since 1970, counted in years that begin in March so that the leap
/// day is a year's last.
fn civil(days: u64) -> (u64, u64, u64) {
    const ERA: u64 = 146_097;
    let days = days + 719_468;
    let (era, day) = (days / ERA, days % ERA);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::{boot_to_real, now, rfc3339};

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, date) in [
            (0, "1970-01-01T00:00:00.000000000Z"),
            (951_782_400, "2000-02-29T00:00:00.000000000Z"),
            (951_868_799, "2000-02-29T23:59:59.000000000Z"),
            (1_709_251_200, "2024-03-01T00:00:00.000000000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000000000Z"),
            (4_107_456_000, "2100-02-28T00:00:00.000000000Z"),
            (1_767_225_599, "2025-12-31T23:59:59.000000000Z"),
        ] {
            assert_eq!(rfc3339(seconds * 1_000_000_000), date);
        }
        assert_eq!(rfc3339(1_000_000_001), "1970-01-01T00:00:01.000000001Z");
    }

    #[test]
    fn boot_time_and_its_offset_lie_before_now() {
        let offset = boot_to_real().unwrap() / 1_000_000_000;
        assert!(offset > 0 && offset <= now());
    }
}
