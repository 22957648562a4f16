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

/// Syntax errors of one file that are reported.
const MAX_ERRORS: usize = 100;

/// A parsed file; what could not be read is missing from `table`.
pub(crate) struct Document<'t> {
    pub(crate) table: Spanned<DeTable<'t>>,
    /// Whether anything is missing because of a syntax error.
    pub(crate) broken: bool,
}

/// Parses `text`. If it has syntax errors, every block (from one line that starts with `[` to the
/// next) that has one is left out, and one error is reported for each: what the parser says after the
/// first is mostly about its own recovery. `storage` holds the text with those blocks blanked out, so
/// that spans stay true.
pub(crate) fn document<'t>(
    text: &'t str,
    storage: &'t mut String,
    source: SourceId,
    out: &mut Vec<Diagnostic>,
) -> Document<'t> {
    let (table, errors) = DeTable::parse_recoverable(text);
    let Some(first) = errors.first() else { return Document { table, broken: false } };
    let mut found = Vec::new();
    for block in blocks(text) {
        let start = storage.len();
        let errors = if found.len() < MAX_ERRORS {
            DeTable::parse_recoverable(block.trim_end()).1
        } else {
            Vec::new()
        };
        if errors.is_empty() && found.len() < MAX_ERRORS {
            storage.push_str(block);
            continue;
        }
        storage.extend(block.bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }));
        let error = errors.iter().min_by_key(|error| error.span().map_or(0, |span| span.start));
        if let Some(error) = error {
            let unclosed = errors.iter().map(Error::message).find(|m| m.starts_with("unclosed "));
            found.push(report(error, unclosed, source, start));
        }
    }
    let (table, errors) = DeTable::parse_recoverable(storage);
    // Errors that only the whole shows: a table given twice, whose keys are twice there too.
    let mut blamed = None;
    for error in errors.iter().take(MAX_ERRORS) {
        let before = error.span().and_then(|span| storage.get(..span.start));
        let block = before.and_then(|before| before.rfind("\n["));
        if blamed.replace(block) != Some(block) {
            found.push(report(error, None, source, 0));
        }
    }
    if found.is_empty() {
        found.push(report(first, None, source, 0));
    }
    out.append(&mut found);
    Document { table, broken: true }
}

/// Pieces that begin at a line that starts with `[`; together they are the text.
fn blocks(text: &str) -> impl Iterator<Item = &str> {
    let mut starts = vec![0];
    starts.extend(text.match_indices("\n[").map(|(at, _)| at + 1));
    let ends = starts.clone().into_iter().skip(1).chain([text.len()]);
    starts.into_iter().zip(ends).filter_map(|(start, end)| text.get(start..end))
}

/// `unclosed` is what the parser says at the end of the block, where that is the cause of what it says
/// first.
fn report(error: &Error, unclosed: Option<&str>, source: SourceId, offset: usize) -> Diagnostic {
    let span = error.span().unwrap_or(0..0);
    let start = (offset + span.start) as u32;
    let span = Span { source, start, end: (offset + span.end) as u32 };
    let message = unclosed.unwrap_or(error.message());
    let (message, expected) = match message.split_once(", expected ") {
        Some((message, expected)) => (message, Some(expected)),
        None => (message, None),
    };
    let before = if unclosed.is_some() { " before this" } else { "" };
    let diagnostic = Diagnostic::error(span, format!("broken TOML: {message}"));
    let diagnostic = match expected {
        Some(expected) => diagnostic.label(format!("expected {expected}{before}")),
        None => diagnostic,
    };
    diagnostic.help_if(remedy(message).map(str::to_owned))
}

/// What helps against the commonest slips.
fn remedy(message: &str) -> Option<&'static str> {
    Some(match message {
        "invalid basic string" => "close the string with `\"` on the line where it opens",
        "invalid literal string" => "close the string with `'` on the line where it opens",
        "string values must be quoted" => "put the value in quotes",
        "duplicate key" => "a key stands once in a table, and `[agent]` once in a file",
        _ if message.starts_with("unclosed array") => "close the list with `]`",
        _ => return None,
    })
}
