//! What goes between the daemon and its child: one JSON object a line each way, and how long a task
//! may take. Must not do anything with it.

use std::{io, net::IpAddr, time::Duration};

use execlayer_common::provenance::DeciderKind;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Answer;

/// Bytes of what somebody outside says.
pub(super) const MAX_NOTE: usize = 200;
/// Bytes of a line from the child.
pub(super) const MAX_SAID: usize = 4_096;
/// Attempts after the first, whatever a policy says.
pub(super) const MAX_RETRIES: u32 = 10;
/// How long a task may wait for a free thread.
pub(super) const IN_LINE: Duration = Duration::from_secs(3);
/// How long all names of a decider together may take.
pub(super) const RESOLVING: Duration = Duration::from_secs(10);
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// To the child. Has a secret, so nothing prints it.
#[derive(Serialize, Deserialize)]
pub(super) struct Errand {
    pub(super) number: u64,
    pub(super) decider: DeciderKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) secret: Option<Vec<u8>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) ca: Option<String>,
    pub(super) question: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) address: Option<IpAddr>,
}

/// From the child.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Said {
    pub(super) number: u64,
    pub(super) answer: Answer,
    pub(super) note: String,
}

/// Takes the whole lines out of what the child has sent so far.
pub(super) fn take(input: &mut Vec<u8>) -> io::Result<Vec<Said>> {
    let nonsense = || io::Error::new(io::ErrorKind::InvalidData, "it said what is no reply");
    let mut said = Vec::new();
    while let Some(end) = input.iter().position(|byte| *byte == b'\n') {
        let line: Vec<u8> = input.drain(..=end).collect();
        said.push(serde_json::from_slice(&line).map_err(|_not_a_line| nonsense())?);
    }
    if input.len() > MAX_SAID { Err(nonsense()) } else { Ok(said) }
}

/// How long asking may take at most, from start to end; `None` if the courier does not ask it.
pub(super) fn longest(decider: &DeciderKind) -> Option<Duration> {
    let asking = match decider {
        DeciderKind::Host { .. } => RESOLVING,
        DeciderKind::Command { timeout, .. } => seconds(*timeout),
        DeciderKind::Webhook { timeout, retries, .. } => {
            let retries = (*retries).min(MAX_RETRIES);
            let pauses: Duration = (0..retries).map(pause).sum();
            seconds(*timeout).saturating_mul(retries + 1).saturating_add(pauses)
        }
        DeciderKind::Human {} | DeciderKind::Sha256 { .. } | DeciderKind::Budget { .. } => {
            return None;
        }
    };
    Some(IN_LINE + asking)
}

/// Before the attempt that follows this one, counted from 0.
pub(super) fn pause(attempt: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(1 << attempt.min(10)).min(LONGEST_PAUSE)
}

/// A policy's seconds.
pub(super) fn seconds(count: u32) -> Duration {
    Duration::from_secs(count.into())
}

/// Text from outside, as one line that no terminal takes for more than text.
pub(super) fn note(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default().trim();
    let mut note = String::new();
    for symbol in line.chars() {
        let is_plain = symbol == ' ' || symbol.is_ascii_graphic() || symbol.is_alphanumeric();
        let symbol = if is_plain { symbol } else { '?' };
        if note.len() + symbol.len_utf8() > MAX_NOTE {
            break;
        }
        note.push(symbol);
    }
    note
}

#[cfg(test)]
mod tests {
    use super::{MAX_NOTE, note};

    #[test]
    fn a_note_is_one_printable_line() {
        assert_eq!(note(" yes\u{1b}[31m \u{202e}x\nsecond"), "yes?[31m ?x");
        assert_eq!(note("größer"), "größer");
        assert_eq!(note(&"ä".repeat(300)).len(), MAX_NOTE);
        assert_eq!(note(""), "");
    }
}
