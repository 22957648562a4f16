//! The texts of a compilation: by number, with byte spans that become lines and columns. Owns what a
//! loader may hand in; must not open files itself, nor know what the texts say.

use std::{fmt, sync::Arc};

use execlayer_common::limits::MAX_POLICY_BYTES;

/// The number of a text in its [`Sources`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(pub(crate) u32);

/// Bytes of one text, from `start` up to and not including `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The text.
    pub source: SourceId,
    /// First byte.
    pub start: u32,
    /// Byte behind the last one.
    pub end: u32,
}

/// A position for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
}

/// A file as a loader found it.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What to call it in messages. Two loads of one file must give the same name.
    pub name: String,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// Why a loader has no file to give.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// There is none; where it was looked for.
    #[error("there is no file `{0}`")]
    Missing(String),
    /// It is larger than [`MAX_POLICY_BYTES`]; its name and its size.
    #[error("`{0}` has {1} bytes; a policy file may have {MAX_POLICY_BYTES} (`MAX_POLICY_BYTES`)")]
    TooLarge(String, u64),
    /// It is there and cannot be read; its name and why.
    #[error("`{0}` cannot be read: {1}")]
    Unreadable(String, String),
}

/// Where texts come from. The caller does the reading, so the compiler stays free of I/O.
pub trait Loader {
    /// The policy with this name as `extends` or the command line gives it.
    ///
    /// # Errors
    ///
    /// A [`LoadError`] that says where the file was looked for.
    fn load(&mut self, name: &str) -> Result<Loaded, LoadError>;
}

/// Texts that are in memory already, by name: for tests and embedded policies.
impl Loader for std::collections::BTreeMap<String, String> {
    fn load(&mut self, name: &str) -> Result<Loaded, LoadError> {
        match self.get(name) {
            Some(text) => Ok(Loaded { name: name.to_owned(), bytes: text.clone().into_bytes() }),
            None => Err(LoadError::Missing(name.to_owned())),
        }
    }
}

/// Why content is no text of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TextError {
    TooLarge(u64),
    /// Line and column of the first byte that is not UTF-8.
    Encoding(Position),
}

impl fmt::Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge(bytes) => write!(
                f,
                "the file has {bytes} bytes; a policy file may have {MAX_POLICY_BYTES} (`MAX_POLICY_BYTES`)"
            ),
            Self::Encoding(at) => {
                write!(f, "line {}, column {} is not UTF-8", at.line, at.column)
            }
        }
    }
}

#[derive(Clone, Debug)]
struct Source {
    name: String,
    text: Arc<str>,
    /// Where each line starts.
    lines: Vec<u32>,
}

/// Every text of a compilation.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    all: Vec<Source>,
}

impl Sources {
    /// Adds a text that was read.
    pub(crate) fn add(&mut self, loaded: Loaded) -> Result<SourceId, TextError> {
        if loaded.bytes.len() > MAX_POLICY_BYTES {
            return Err(TextError::TooLarge(loaded.bytes.len() as u64));
        }
        let text = String::from_utf8(loaded.bytes).map_err(|error| {
            let valid = error.utf8_error().valid_up_to();
            let before = error.as_bytes().get(..valid).unwrap_or_default();
            let before = String::from_utf8_lossy(before);
            let line_start = before.rfind('\n').map_or(0, |at| at + 1);
            TextError::Encoding(Position {
                line: before.matches('\n').count() as u32 + 1,
                column: before.get(line_start..).map_or(0, |line| line.chars().count()) as u32 + 1,
            })
        })?;
        let breaks = text.bytes().enumerate().filter(|&(_, byte)| byte == b'\n');
        let lines = std::iter::once(0).chain(breaks.map(|(at, _)| at as u32 + 1)).collect();
        self.all.push(Source { name: loaded.name, text: text.into(), lines });
        Ok(SourceId(self.all.len() as u32 - 1))
    }

    /// The number of the text with this name.
    pub(crate) fn find(&self, name: &str) -> Option<SourceId> {
        self.all.iter().position(|source| source.name == name).map(|at| SourceId(at as u32))
    }

    /// Names in the order of their numbers.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.all.iter().map(|source| source.name.clone()).collect()
    }

    /// What the text is called.
    #[must_use]
    pub fn name(&self, id: SourceId) -> &str {
        self.get(id).map_or("", |source| &source.name)
    }

    /// The text.
    #[must_use]
    pub fn text(&self, id: SourceId) -> Arc<str> {
        self.get(id).map_or_else(|| "".into(), |source| Arc::clone(&source.text))
    }

    /// The bytes of a span as text; empty if the span is none of this text's.
    #[must_use]
    pub fn slice(&self, span: Span) -> &str {
        self.get(span.source)
            .and_then(|source| source.text.get(span.start as usize..span.end as usize))
            .unwrap_or_default()
    }

    /// Line and column of a byte.
    #[must_use]
    pub fn position(&self, id: SourceId, byte: u32) -> Position {
        let Some(source) = self.get(id) else {
            return Position { line: 1, column: 1 };
        };
        let line = source.lines.partition_point(|&start| start <= byte).max(1);
        let start = source.lines.get(line - 1).copied().unwrap_or(0);
        // A byte inside a character counts as that character's column.
        let before = source.text.as_bytes().get(start as usize..byte as usize).unwrap_or_default();
        let column = before.iter().filter(|&&byte| byte & 0xc0 != 0x80).count();
        Position { line: line as u32, column: column as u32 + 1 }
    }

    /// A line without its end, from 1.
    #[must_use]
    pub fn line(&self, id: SourceId, line: u32) -> &str {
        let Some(source) = self.get(id) else { return "" };
        let start = source.lines.get(line.saturating_sub(1) as usize).copied().unwrap_or(0);
        let end = source.lines.get(line as usize).map_or(source.text.len(), |&next| next as usize);
        source.text.get(start as usize..end).map_or("", |text| text.trim_end_matches(['\n', '\r']))
    }

    fn get(&self, id: SourceId) -> Option<&Source> {
        self.all.get(id.0 as usize)
    }
}
