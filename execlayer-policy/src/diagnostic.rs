//! What is wrong with a policy, where, and what to do about it; for people and for programs. Must not
//! know which stage found it.

use std::fmt::Write as _;

use serde::Serialize;

use crate::source::{Sources, Span};

/// Findings that are kept; nobody reads more, and a hostile file must not fill the memory.
pub(crate) const MAX_FINDINGS: usize = 1_000;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Nothing can be compiled.
    Error,
    /// Compiled, and probably not what was meant.
    Warning,
    /// Compiled, and worth knowing.
    Hint,
}

impl Severity {
    const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Hint => "hint",
        }
    }
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong: lower case, no period.
    pub message: String,
    /// Where.
    pub span: Option<Span>,
    /// What the caret points at.
    pub label: Option<String>,
    /// Other places that belong to it.
    pub related: Vec<(Span, String)>,
    /// What to do.
    pub help: Option<String>,
}

impl Diagnostic {
    pub(crate) fn new(severity: Severity, span: Option<Span>, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { severity, message, span, label: None, related: Vec::new(), help: None }
    }

    pub(crate) fn error(span: Span, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, Some(span), message)
    }

    pub(crate) fn warning(span: Span, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, Some(span), message)
    }

    pub(crate) fn hint(span: Span, message: impl Into<String>) -> Self {
        Self::new(Severity::Hint, Some(span), message)
    }

    pub(crate) fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    pub(crate) fn related(mut self, span: Span, note: impl Into<String>) -> Self {
        self.related.push((span, note.into()));
        self
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(crate) fn help_if(mut self, help: Option<String>) -> Self {
        self.help = self.help.or(help);
        self
    }

    /// Puts findings into the order of the files, errors first where there are too many to keep.
    pub(crate) fn arrange(found: &mut Vec<Self>) {
        if found.len() > MAX_FINDINGS {
            let more = found.len() - MAX_FINDINGS;
            found.sort_by_key(|finding| (finding.severity, finding.span));
            found.truncate(MAX_FINDINGS);
            let severity = found.first().map_or(Severity::Hint, |finding| finding.severity);
            found.push(Self::new(severity, None, format!("there are {more} more findings")));
        }
        found.sort_by_key(|finding| (finding.span.is_none(), finding.span));
    }

    /// The finding as text for people.
    #[must_use]
    pub fn render(&self, sources: &Sources, style: Style) -> String {
        let mut out = String::new();
        if let Some(span) = self.span {
            let at = sources.position(span.source, span.start);
            out.push_str(&printable(&format!(
                "{}:{}:{}: ",
                sources.name(span.source),
                at.line,
                at.column
            )));
        }
        let paint = style.of(self.severity);
        let name = self.severity.name();
        let _ = writeln!(out, "{paint}{name}{}: {}", style.reset(), printable(&self.message));
        if let Some(span) = self.span {
            excerpt(&mut out, sources, span, self.label.as_deref(), paint, style);
        }
        for (span, note) in &self.related {
            let at = sources.position(span.source, span.start);
            let file = printable(sources.name(span.source));
            let _ = writeln!(out, "  {file}:{}:{}: {}", at.line, at.column, printable(note));
            excerpt(&mut out, sources, *span, None, style.bold(), style);
        }
        if let Some(help) = &self.help {
            let _ = writeln!(out, "  {}help{}: {}", style.bold(), style.reset(), printable(help));
        }
        out
    }

    /// The finding as fields, for programs.
    #[must_use]
    pub fn record(&self, sources: &Sources) -> DiagnosticRecord {
        DiagnosticRecord {
            severity: self.severity,
            message: self.message.clone(),
            place: self.span.map(|span| PlaceRecord::new(span, sources)),
            label: self.label.clone(),
            related: self
                .related
                .iter()
                .map(|(span, note)| (PlaceRecord::new(*span, sources), note.clone()))
                .collect(),
            help: self.help.clone(),
        }
    }
}

/// A [`Diagnostic`] without its sources.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DiagnosticRecord {
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// Where.
    pub place: Option<PlaceRecord>,
    /// What is at that place.
    pub label: Option<String>,
    /// Other places that belong to it.
    pub related: Vec<(PlaceRecord, String)>,
    /// What to do.
    pub help: Option<String>,
}

/// A span for programs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlaceRecord {
    /// The file's name.
    pub file: String,
    /// First line, from 1.
    pub line: u32,
    /// First column in characters, from 1.
    pub column: u32,
    /// Line behind the end.
    pub end_line: u32,
    /// Column behind the end.
    pub end_column: u32,
}

impl PlaceRecord {
    fn new(span: Span, sources: &Sources) -> Self {
        let from = sources.position(span.source, span.start);
        let to = sources.position(span.source, span.end);
        Self {
            file: sources.name(span.source).to_owned(),
            line: from.line,
            column: from.column,
            end_line: to.line,
            end_column: to.column,
        }
    }
}

/// Plain, or with terminal colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// No escape sequences.
    Plain,
    /// ANSI colours.
    Colour,
}

impl Style {
    const fn of(self, severity: Severity) -> &'static str {
        match (self, severity) {
            (Self::Plain, _) => "",
            (Self::Colour, Severity::Error) => "\x1b[1;31m",
            (Self::Colour, Severity::Warning) => "\x1b[1;33m",
            (Self::Colour, Severity::Hint) => "\x1b[1;36m",
        }
    }

    const fn bold(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Colour => "\x1b[1m",
        }
    }

    const fn reset(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Colour => "\x1b[0m",
        }
    }
}

/// Characters of a source line that are shown.
const WIDTH: usize = 100;

/// The source line and a caret line below the span; a long line is cut around it.
fn excerpt(
    out: &mut String,
    sources: &Sources,
    span: Span,
    label: Option<&str>,
    paint: &str,
    style: Style,
) {
    let from = sources.position(span.source, span.start);
    let to = sources.position(span.source, span.end);
    let line = sources.line(span.source, from.line);
    let column = from.column as usize - 1;
    let skip = if column < WIDTH * 3 / 4 { 0 } else { column - WIDTH / 2 };
    let mut shown: String = line.chars().skip(skip).take(WIDTH).collect();
    let room = shown.chars().count();
    if line.chars().nth(skip + WIDTH).is_some() {
        shown.push('…');
    }
    let (cut, indent) = if skip == 0 { ("", column) } else { ("…", column - skip + 1) };
    let end = if to.line == from.line { to.column as usize - 1 } else { usize::MAX };
    let width = end.saturating_sub(column).min((room + skip).saturating_sub(column)).max(1);
    let number = from.line.to_string();
    let gutter = " ".repeat(number.len());
    let _ = writeln!(out, "  {number} | {cut}{}", printable(&shown));
    let mark = format!("{}{paint}{}{}", " ".repeat(indent), "^".repeat(width), style.reset());
    let label = label.map(|label| format!(" {}", printable(label))).unwrap_or_default();
    let _ = writeln!(out, "  {gutter} | {mark}{label}");
}

/// Text that a terminal shows and does not obey: control characters have a stand-in of one column.
fn printable(text: &str) -> String {
    let show = |c: char| match c {
        '\t' => ' ',
        c if c.is_control()
            || matches!(c, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') =>
        {
            '\u{fffd}'
        }
        c => c,
    };
    text.chars().map(show).collect()
}
