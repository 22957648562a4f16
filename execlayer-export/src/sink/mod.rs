//! Ways out of the machine. Each takes a batch of records and says whether the other side has it. Must not know where in
//! the log they are, nor try again.

use std::{io, time::Duration};

use crate::{
    format::{self, Record},
    settings::{Format, Settings, Target},
};

mod file;
mod http;
mod journal;
mod syslog;

pub use file::Heads;

/// How long one write or connection may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A record, as it is in the log and taken apart.
#[derive(Clone, Debug)]
pub struct Item {
    /// The line, without its end.
    pub line: Vec<u8>,
    /// Its fields.
    pub fields: Record,
}

/// Why a batch was not taken.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// It may be later.
    #[error("{0}")]
    Later(String),
    /// It never will as it is.
    #[error("{0}")]
    Refused(String),
}

impl Trouble {
    fn of(what: &str, error: &io::Error) -> Self {
        Self::Later(format!("{what}: {error}"))
    }
}

/// A way out.
pub trait Sink: Send {
    /// Sends records; they are all taken, or some may be, and all are to be sent again.
    ///
    /// # Errors
    ///
    /// A [`Trouble`].
    fn send(&mut self, items: &[Item]) -> Result<(), Trouble>;

    /// Sends a signed head of the log.
    ///
    /// # Errors
    ///
    /// A [`Trouble`].
    fn send_head(&mut self, size: u64, note: &str) -> Result<(), Trouble>;
}

/// The way that settings name. Nothing is opened or connected yet.
#[must_use]
pub fn of(settings: &Settings) -> Box<dyn Sink> {
    let format = settings.format;
    match &settings.target {
        Target::File(path) if format == Format::Checkpoint => Box::new(Heads::new(path)),
        Target::File(path) => Box::new(file::Lines::new(path, format)),
        Target::Journal(socket) => Box::new(journal::Journal::new(socket)),
        Target::Syslog(way) => Box::new(syslog::Messages::new(way, format)),
        Target::Http { url, ca, headers } => {
            Box::new(http::Posts::new(url, ca.as_deref(), headers.as_deref(), format))
        }
    }
}

/// A record in a format that has one line for it.
fn line(format: Format, item: &Item) -> Vec<u8> {
    match format {
        Format::Records | Format::Otlp | Format::Checkpoint => item.line.clone(),
        Format::Ocsf => format::ocsf::event(&item.fields).to_string().into_bytes(),
        Format::Ecs => format::ecs::event(&item.fields).to_string().into_bytes(),
        Format::Cef => format::cef::line(&item.fields).into_bytes(),
    }
}

fn lines(format: Format, items: &[Item]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for item in items {
        bytes.extend_from_slice(&line(format, item));
        bytes.push(b'\n');
    }
    bytes
}

fn no_heads() -> Trouble {
    Trouble::Refused("heads are not sent this way".to_owned())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::Item;

    /// A denial.
    pub(crate) fn item(seq: u64) -> Item {
        let fields = serde_json::json!({
            "seq": seq, "host": "build-7", "boot": "b1", "format": 2, "kind": "verdict",
            "time": "2026-01-01T12:00:00.500000000Z", "agent": "coding-agent", "policy": "p",
            "version": 1, "pid": 11, "tgid": 11, "ppid": 10, "uid": 1000, "gid": 1000,
            "comm": "cat", "exe": "/usr/bin/cat", "argv": ["cat", "/etc/shadow"], "cwd": "/",
            "operation": "open", "access": ["read"], "subject": "/etc/shadow",
            "verdict": "deny", "enforced": true, "rule": "no-shadow", "reason": "rule",
        });
        let serde_json::Value::Object(fields) = fields else { unreachable!() };
        Item { line: serde_json::to_vec(&fields).unwrap(), fields }
    }
}
