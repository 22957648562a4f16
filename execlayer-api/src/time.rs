//! Dates as people read and write them. UTC only; must not look at a clock.

/// Reads `2027-01-31`, `2027-01-31T12:00:00Z` or a number of seconds since 1970.
///
/// # Errors
///
/// How it is to be written, or that there is no such day.
pub fn parse(text: &str) -> Result<u64, String> {
    let wrong = || "write it as 2027-01-31, 2027-01-31T12:00:00Z or seconds since 1970".to_owned();
    if let Ok(seconds) = text.parse() {
        return Ok(seconds);
    }
    let (date, clock) = match text.split_once('T') {
        None => (text, "00:00:00"),
        Some((date, clock)) => (date, clock.strip_suffix('Z').ok_or_else(wrong)?),
    };
    let [year, month, day] = numbers(date, '-', [4, 2, 2]).ok_or_else(wrong)?;
    let [hour, minute, second] = numbers(clock, ':', [2, 2, 2]).ok_or_else(wrong)?;
    let is_time = hour < 24 && minute < 60 && second < 60;
    if year < 1970 || !(1..=12).contains(&month) || !is_time {
        return Err(wrong());
    }
    if day == 0 || day > days_of(year, month) {
        return Err(format!("there is no day {date}"));
    }
    let months = (1..month).map(|month| days_of(year, month)).sum::<u64>();
    let years = (1970..year).map(|year| if is_leap(year) { 366 } else { 365 }).sum::<u64>();
    Ok((((years + months + day - 1) * 24 + hour) * 60 + minute) * 60 + second)
}

/// `2027-01-31T12:00:00Z`, of seconds since 1970.
#[must_use]
pub fn shown(seconds: u64) -> String {
    format!("{}Z", to_the_second(seconds))
}

/// RFC 3339 with nanoseconds, of nanoseconds since 1970.
#[must_use]
pub fn rfc3339(nanoseconds: u64) -> String {
    let (seconds, fraction) = (nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000);
    format!("{}.{fraction:09}Z", to_the_second(seconds))
}

fn to_the_second(seconds: u64) -> String {
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
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

fn numbers(text: &str, between: char, digits: [usize; 3]) -> Option<[u64; 3]> {
    let mut parts = text.split(between);
    let mut found = [0; 3];
    for (place, length) in found.iter_mut().zip(digits) {
        let part = parts.next()?;
        let is_number = part.len() == length && part.bytes().all(|byte| byte.is_ascii_digit());
        *place = if is_number { part.parse().ok()? } else { return None };
    }
    parts.next().is_none().then_some(found)
}

const fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

const fn days_of(year: u64, month: u64) -> u64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::{parse, rfc3339, shown};

    #[test]
    fn dates_are_seconds_in_utc() {
        for (text, seconds) in [
            ("1970-01-01", 0),
            ("1970-01-01T00:00:59Z", 59),
            ("2000-02-29", 951_782_400),
            ("2026-11-27T15:30:00Z", 1_795_793_400),
            ("1795793400", 1_795_793_400),
        ] {
            assert_eq!(parse(text), Ok(seconds), "{text}");
            assert_eq!(parse(&shown(seconds)), Ok(seconds), "{text}");
        }
        assert_eq!(shown(951_782_400 + 86_399), "2000-02-29T23:59:59Z");
        assert_eq!(shown(4_102_444_800), "2100-01-01T00:00:00Z");
        assert!(shown(u64::MAX).ends_with('Z'));
        for text in [
            "",
            "2026",
            "2026-1-1x",
            "2026-13-01",
            "2026-02-29",
            "2100-02-29",
            "2026-11-27T24:00:00Z",
            "2026-11-27T15:30:00",
            "1969-12-31",
            "2026-11-27 ",
        ] {
            assert!(parse(text).is_err() || text.parse::<u64>().is_ok(), "{text}");
        }
    }

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
}
