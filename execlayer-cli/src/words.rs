//! What daemon and tool say to each other, in plain words. Must not print, and lets nothing through
//! that a terminal would obey.

use std::time::{Duration, SystemTime};

use execlayer_api::MAX_GRANT;

use crate::output::printable;

/// An access as its author would say it: `execute /usr/bin/git`.
pub(crate) fn act(access: &[String], subject: &str) -> String {
    let verb = match access {
        [one] if one == "exec" => "execute".to_owned(),
        [one] if one == "connect" => "connect to".to_owned(),
        [one] if one == "bind" => "be reached at".to_owned(),
        _ => access.join("+"),
    };
    printable(&format!("{verb} {subject}"))
}

/// The rule that decided, and where it stands.
pub(crate) fn rule(id: Option<&str>, file: Option<&str>, line: Option<u32>) -> String {
    let Some(id) = id else { return "no rule".to_owned() };
    let place = match (file, line) {
        (Some(file), Some(line)) => format!(" ({file}:{line})"),
        (Some(file), None) => format!(" ({file})"),
        (None, _) => String::new(),
    };
    printable(&format!("rule `{id}`{place}"))
}

/// A command line that shows where one word ends and the next begins.
pub(crate) fn command(words: &[String]) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/._-+=:@%,\\".contains(c);
    let quoted = words.iter().map(|word| {
        if !word.is_empty() && word.chars().all(plain) {
            word.clone()
        } else {
            format!("'{}'", word.replace('\'', r"'\''"))
        }
    });
    printable(&quoted.collect::<Vec<_>>().join(" "))
}

/// Beginning and end of a long text: the end of a path names the file.
pub(crate) fn shortened(text: &str, width: usize) -> String {
    let length = text.chars().count();
    if length <= width {
        return text.to_owned();
    }
    let half = width / 2;
    let begin: String = text.chars().take(half).collect();
    let end: String = text.chars().skip(length - half).collect();
    format!("{begin}…{end}")
}

/// Seconds for people.
pub(crate) fn span(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// A time since 1970 as seen from now.
pub(crate) fn ago(seconds: u64) -> String {
    let then = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds));
    let passed = then.and_then(|then| SystemTime::now().duration_since(then).ok());
    match passed {
        None => "in the future".to_owned(),
        Some(passed) => format!("{} ago", span(passed.as_secs())),
    }
}

/// How many, with its noun.
pub(crate) fn count(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// Seconds of `30s`, `10m`, `2h` or `7d`: an argument.
pub(crate) fn duration(text: &str) -> Result<u64, String> {
    const FORM: &str = "write it as 30s, 10m, 2h or 7d";
    let unit = match text.chars().next_back() {
        Some('s') => 1,
        Some('m') => 60,
        Some('h') => 60 * 60,
        Some('d') => 24 * 60 * 60,
        _ => return Err(FORM.to_owned()),
    };
    let digits = text.get(..text.len() - 1).unwrap_or_default();
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(FORM.to_owned());
    }
    // What does not fit into a number is too long in any case.
    let seconds = digits.parse().ok().and_then(|number: u64| number.checked_mul(unit));
    match seconds {
        Some(0) => Err("it must be one second at least".to_owned()),
        Some(seconds @ 1..=MAX_GRANT) => Ok(seconds),
        _ => Err(format!("{} days are the longest", MAX_GRANT / (24 * 60 * 60))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit_and_a_limit() {
        let good = [("1s", 1), ("30s", 30), ("10m", 600), ("2h", 7_200), ("30d", MAX_GRANT)];
        for (text, seconds) in good {
            assert_eq!(duration(text), Ok(seconds), "{text}");
        }
        for text in ["", "s", "10", "10 m", "-1s", "+1s", "1.5h", "1w", "1ö", "m10"] {
            assert!(duration(text).is_err_and(|why| why.contains("10m")), "{text}");
        }
        for text in ["31d", "2592001s", "99999999999999999999d", "18446744073709551615d"] {
            assert!(duration(text).is_err_and(|why| why.contains("30 days")), "{text}");
        }
        assert!(duration("0m").is_err_and(|why| why.contains("one second")));
    }

    #[test]
    fn acts_are_said_and_cannot_write_to_the_terminal() {
        let access = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(act(&access(&["exec"]), "/bin/x"), "execute /bin/x");
        assert_eq!(act(&access(&["connect"]), "tcp:[::1]:1"), "connect to tcp:[::1]:1");
        assert_eq!(act(&access(&["bind"]), "tcp:0.0.0.0:1"), "be reached at tcp:0.0.0.0:1");
        assert_eq!(act(&access(&["use"]), "io-uring"), "use io-uring");
        assert_eq!(act(&access(&["read", "write"]), "/a\x1b[2J\n"), r"read+write /a\u{1b}[2J\u{a}");
        assert_eq!(command(&access(&["a", "b c", "", "it's\x07"])), r"a 'b c' '' 'it'\''s\u{7}'");
        assert_eq!(rule(Some("r\x1b"), Some("f"), Some(3)), r"rule `r\u{1b}` (f:3)");
    }

    #[test]
    fn a_long_text_keeps_both_ends() {
        let long = shortened(&format!("/begin{}/end", "x".repeat(4_000)), 80);
        assert_eq!(long.chars().count(), 81);
        assert!(long.starts_with("/begin") && long.ends_with("/end"), "{long}");
    }
}
