//! A string of the policy with its place, and the way from a byte of its value back to the byte of
//! the file. Knows TOML's quotes and escapes; must not know what the string means.

use std::ops::Range;

use crate::source::{Sources, Span};

/// A string value.
#[derive(Clone, Debug)]
pub(crate) struct Text {
    pub(crate) value: String,
    /// The value as it stands in the file, quotes included.
    pub(crate) span: Span,
}

impl Text {
    /// Where bytes of the value stand in the file.
    pub(crate) fn locate(&self, sources: &Sources, bytes: Range<usize>) -> Span {
        let raw = sources.slice(self.span);
        let map = Literal::new(raw).map(raw);
        let at = |index: usize| map.get(index).or(map.last()).copied().unwrap_or(0);
        let start = at(bytes.start);
        let end = at(bytes.end).max(start);
        Span {
            source: self.span.source,
            start: self.span.start + start,
            end: self.span.start + end,
        }
    }

    /// Where the file writes a byte above 0x7f as `\xNN` in a quoted string that has escapes of its
    /// own: TOML makes a character of it, which is two bytes.
    pub(crate) fn character_escape(&self, sources: &Sources) -> Option<Span> {
        let raw = sources.slice(self.span);
        let literal = Literal::new(raw);
        if !literal.escapes {
            return None;
        }
        let mut rest = 0;
        while let Some(found) = raw.get(rest..).and_then(|tail| tail.find('\\')) {
            let at = rest + found;
            let high =
                matches!(raw.as_bytes().get(at + 2), Some(b'8' | b'9' | b'a'..=b'f' | b'A'..=b'F'));
            if raw.as_bytes().get(at + 1) == Some(&b'x') && high {
                let start = self.span.start + at as u32;
                return Some(Span { source: self.span.source, start, end: start + 4 });
            }
            rest = at + 2;
        }
        None
    }
}

/// How a string is quoted.
#[derive(Clone, Copy)]
struct Literal {
    /// Bytes before the value.
    open: usize,
    /// Whether `\` means something.
    escapes: bool,
}

impl Literal {
    fn new(raw: &str) -> Self {
        let (quotes, escapes) = match raw {
            _ if raw.starts_with("\"\"\"") => (3, true),
            _ if raw.starts_with("'''") => (3, false),
            _ if raw.starts_with('"') => (1, true),
            _ if raw.starts_with('\'') => (1, false),
            // A bare key.
            _ => (0, false),
        };
        // A line break right behind the opening is not part of the value.
        let tail = raw.get(quotes..).unwrap_or_default();
        let skipped = match tail {
            _ if quotes != 3 => 0,
            _ if tail.starts_with("\r\n") => 2,
            _ if tail.starts_with('\n') => 1,
            _ => 0,
        };
        Self { open: quotes + skipped, escapes }
    }

    /// For each byte of the value, and for its end, the offset in `raw`.
    fn map(self, raw: &str) -> Vec<u32> {
        let mut map = Vec::with_capacity(raw.len());
        let mut at = self.open;
        while let Some(c) = raw.get(at..).and_then(|tail| tail.chars().next()) {
            let (length, bytes) = if c == '\\' && self.escapes {
                escape(raw.get(at..).unwrap_or_default())
            } else {
                (c.len_utf8(), c.len_utf8())
            };
            for index in 0..bytes {
                // Bytes of one escape all stand where it begins.
                map.push((at + if length == bytes { index } else { 0 }) as u32);
            }
            at += length;
        }
        // The closing quotes were taken for bytes of the value; as its end they are right.
        map
    }
}

/// Length of the escape at the start of `raw`, and how many bytes of value it makes.
fn escape(raw: &str) -> (usize, usize) {
    let digits = match raw.as_bytes().get(1) {
        Some(b'x') => 2,
        Some(b'u') => 4,
        Some(b'U') => 8,
        Some(b'\n' | b'\r' | b' ' | b'\t') => {
            let tail = raw.get(1..).unwrap_or_default();
            return (1 + tail.len() - tail.trim_start().len(), 0);
        }
        _ => return (2, 1),
    };
    let character = raw
        .get(2..2 + digits)
        .and_then(|digits| u32::from_str_radix(digits, 16).ok())
        .and_then(char::from_u32);
    (2 + digits, character.map_or(1, char::len_utf8))
}
