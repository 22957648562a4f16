//! TOML to a tree with spans, with as many syntax errors as can be told apart. The only place that
//! knows how the TOML parser recovers; must not know the keys of a policy.

use toml::{
    Spanned,
    de::{DeTable, Error},
};

use crate::{
    diagnostic::Diagnostic,
    source::{SourceId, Span},
};

/// Parses `text`; what could not be read is missing from `table`.
pub(crate) struct Document<'t> {
    pub(crate) table: Spanned<DeTable<'t>>,
    /// Whether anything is missing because of a syntax error.
    pub(crate) broken: bool,
}

/// The text with every block (from one line that starts with `[` to the next) that has a syntax
/// error blanked out, if there is any; spans stay true. One error is reported for each block: what
/// the parser says after the first is mostly about its own recovery.
pub(crate) fn blank_broken(
    text: &str,
    source: SourceId,
    out: &mut Vec<Diagnostic>,
) -> Option<String> {
    let (_, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        return None;
    }
    let mut blanked = String::with_capacity(text.len());
    let mut found = Vec::new();
    for block in blocks(text) {
        let start = blanked.len();
        let (_, errors) = DeTable::parse_recoverable(block.trim_end());
        // Where two errors start together the later one is the cause: "unclosed array".
        let first = errors.iter().min_by_key(|error| error.span().map_or(0, |span| span.start));
        match first {
            None => blanked.push_str(block),
            Some(error) => {
                found.push(report(error, source, start));
                blanked.extend(block.bytes().map(|b| if b == b'\n' { '\n' } else { ' ' }));
            }
        }
    }
    // Errors that only the whole shows: a table given twice.
    let (_, errors) = DeTable::parse_recoverable(&blanked);
    found.extend(errors.iter().map(|error| report(error, source, 0)));
    if found.is_empty() {
        found.extend(errors.first().map(|error| report(error, source, 0)));
    }
    out.append(&mut found);
    Some(blanked)
}

/// Parses text that [`blank_broken`] left.
pub(crate) fn document(text: &str, broken: bool) -> Document<'_> {
    let (table, _) = DeTable::parse_recoverable(text);
    Document { table, broken }
}

/// Pieces that begin at a line that starts with `[`; together they are the text.
fn blocks(text: &str) -> impl Iterator<Item = &str> {
    let mut starts = vec![0];
    starts.extend(text.match_indices("\n[").map(|(at, _)| at + 1));
    let ends = starts.clone().into_iter().skip(1).chain([text.len()]);
    starts.into_iter().zip(ends).filter_map(|(start, end)| text.get(start..end))
}

fn report(error: &Error, source: SourceId, offset: usize) -> Diagnostic {
    let span = error.span().unwrap_or(0..0);
    let span =
        Span { source, start: (offset + span.start) as u32, end: (offset + span.end) as u32 };
    let (message, expected) = match error.message().split_once(", expected ") {
        Some((message, expected)) => (message, Some(format!("expected {expected}"))),
        None => (error.message(), None),
    };
    let diagnostic = Diagnostic::error(span, format!("broken TOML: {message}"));
    match expected {
        Some(expected) => diagnostic.label(expected),
        None => diagnostic,
    }
}
