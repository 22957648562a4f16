//! Durations such as `60s`, and their bounds. Must not know what they are for.

use super::{fields::Fields, when::number};
use crate::diagnostic::Diagnostic;

/// The longest that a duration may be: seconds, and how a policy writes them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Most(pub(super) u32, pub(super) &'static str);

/// Seconds of a key's duration, from 1.
pub(super) fn seconds(
    fields: &Fields<'_>,
    key: &str,
    most: Most,
    out: &mut Vec<Diagnostic>,
) -> Option<u32> {
    let text = fields.text(key, out)?;
    let Some(seconds) = parse(&text.value) else {
        out.push(
            Diagnostic::error(text.span, format!("`{}` is no duration", text.value))
                .help("write a number and `s`, `m`, `h` or `d`: \"60s\", \"10m\""),
        );
        return None;
    };
    if seconds > most.0 {
        let message = format!("`{key}` is {}, and must be {} or less", text.value, most.1);
        out.push(
            Diagnostic::error(text.span, message)
                .help(format!("write a duration from `1s` to `{}`", most.1)),
        );
        return None;
    }
    Some(seconds)
}

fn parse(text: &str) -> Option<u32> {
    let unit = text.chars().next_back()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return None,
    };
    let count = number(text.strip_suffix(unit)?)?;
    count.checked_mul(seconds).filter(|&seconds| seconds > 0)
}
