//! The screen: standard output for results, standard error for everything else; colours only on a
//! terminal that wants them. Must not know what is printed.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use crate::error::{CliError, Exit};

/// Where results and remarks go.
#[derive(Debug)]
pub(crate) struct Screen {
    /// Colours of standard output.
    pub(crate) on_output: Paint,
    /// Colours of standard error.
    pub(crate) on_error: Paint,
    /// Standard output is a terminal that can be cleared.
    pub(crate) is_live: bool,
}

impl Screen {
    pub(crate) fn new() -> Self {
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let wanted = !set("NO_COLOR") && !dumb;
        Self {
            on_output: Paint(wanted && io::stdout().is_terminal()),
            on_error: Paint(wanted && io::stderr().is_terminal()),
            is_live: !dumb && io::stdout().is_terminal(),
        }
    }

    /// A result.
    pub(crate) fn print(&self, text: &str) -> Result<(), CliError> {
        let text = text.trim_end_matches('\n');
        written(writeln!(io::stdout().lock(), "{text}"))
    }

    /// A result for programs.
    pub(crate) fn print_json(&self, value: &impl Serialize) -> Result<(), CliError> {
        let text = to_json(value)?;
        self.print(&text)
    }

    /// A result for programs that read line by line.
    pub(crate) fn print_json_line(&self, value: &impl Serialize) -> Result<(), CliError> {
        self.print(&serde_json::to_string(value).map_err(internal)?)
    }

    /// A result in the place of the one before.
    pub(crate) fn redraw(&self, text: &str) -> Result<(), CliError> {
        self.print(&format!("\x1b[H\x1b[2J{text}"))
    }

    /// A prompt: the answer stands on the same line.
    pub(crate) fn prompt(&self, text: &str) -> Result<(), CliError> {
        let mut out = io::stdout().lock();
        written(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
    }

    /// A result that is not text.
    pub(crate) fn print_bytes(&self, bytes: &[u8]) -> Result<(), CliError> {
        written(io::stdout().lock().write_all(bytes))
    }

    /// A remark. Lost if standard error is closed: there is nobody left to tell.
    pub(crate) fn note(&self, text: &str) {
        let _ = writeln!(io::stderr().lock(), "{}", text.trim_end_matches('\n'));
    }
}

pub(crate) fn to_json(value: &impl Serialize) -> Result<String, CliError> {
    serde_json::to_string_pretty(value).map_err(internal)
}

fn internal(error: serde_json::Error) -> CliError {
    CliError::failure(format!("internal error: {error}"))
}

/// A reader that went away is no failure to talk about.
fn written(result: io::Result<()>) -> Result<(), CliError> {
    result.map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => CliError::silent(Exit::Failure),
        _ => CliError::failure(format!("standard output cannot be written: {error}")),
    })
}

/// Colours, or none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paint(pub(crate) bool);

impl Paint {
    pub(crate) const fn bold(self) -> &'static str {
        if self.0 { "\x1b[1m" } else { "" }
    }

    pub(crate) const fn red(self) -> &'static str {
        if self.0 { "\x1b[1;31m" } else { "" }
    }

    pub(crate) const fn green(self) -> &'static str {
        if self.0 { "\x1b[32m" } else { "" }
    }

    pub(crate) const fn yellow(self) -> &'static str {
        if self.0 { "\x1b[33m" } else { "" }
    }

    pub(crate) const fn reset(self) -> &'static str {
        if self.0 { "\x1b[0m" } else { "" }
    }

    /// How the policy compiler is to colour its findings.
    pub(crate) const fn style(self) -> execlayer_policy::diagnostic::Style {
        use execlayer_policy::diagnostic::Style;
        if self.0 { Style::Colour } else { Style::Plain }
    }
}

/// Text of others that a terminal shows and does not obey.
pub(crate) fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let overrides = matches!(c, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if c.is_control() || overrides {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

/// Rows below a header, in columns as wide as they need to be.
#[derive(Debug)]
pub(crate) struct Table {
    header: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(header: &[&'static str]) -> Self {
        Self { header: header.to_vec(), rows: Vec::new() }
    }

    /// Adds a row, with a cell for each column.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().map(|cell| printable(&cell)).collect());
    }

    /// The table; numbers stand on the right.
    pub(crate) fn render(&self, paint: Paint) -> String {
        let columns: Vec<(usize, bool)> = self
            .header
            .iter()
            .enumerate()
            .map(|(at, name)| {
                let cells = || self.rows.iter().filter_map(move |row| row.get(at));
                let width = cells().map(|cell| cell.chars().count()).max().unwrap_or(0);
                let is_number = |cell: &String| cell.bytes().all(|byte| byte.is_ascii_digit());
                (width.max(name.chars().count()), cells().all(is_number))
            })
            .collect();
        let line = |cells: &mut dyn Iterator<Item = &str>| {
            let cells: Vec<String> = cells
                .zip(&columns)
                .map(
                    |(cell, &(width, right))| {
                        if right { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
                    },
                )
                .collect();
            cells.join("  ").trim_end().to_owned()
        };
        let header = line(&mut self.header.iter().copied());
        let mut text = format!("{}{header}{}\n", paint.bold(), paint.reset());
        for row in &self.rows {
            text.push_str(&line(&mut row.iter().map(String::as_str)));
            text.push('\n');
        }
        text
    }
}

/// Bytes for people.
pub(crate) fn size(bytes: u64) -> String {
    match bytes {
        0..1_024 => format!("{bytes} B"),
        1_024..1_048_576 => format!("{:.1} KiB", bytes as f64 / 1_024.0),
        _ => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_numbers_stand_right() {
        let mut table = Table::new(&["count", "rule"]);
        table.row(["3".into(), "a".into()]);
        table.row(["200".into(), "long-rule".into()]);
        assert_eq!(table.render(Paint(false)), "count  rule\n    3  a\n  200  long-rule\n");
    }

    #[test]
    fn a_terminal_does_not_obey_the_text_of_others() {
        let shown = printable("/a\x1b[2J\n\u{202e}b");
        assert_eq!(shown, "/a\\u{1b}[2J\\u{a}\\u{202e}b");
        let mut table = Table::new(&["subject"]);
        table.row(["\x1b]0;x\x07".into()]);
        assert!(!table.render(Paint(false)).contains('\x1b'));
    }

    #[test]
    fn sizes_are_rounded_to_one_digit() {
        assert_eq!(size(512), "512 B");
        assert_eq!(size(1_536), "1.5 KiB");
        assert_eq!(size(4 << 20), "4.0 MiB");
    }
}
