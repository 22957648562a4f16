//! The text of a glob to [`Item`]s: signs, escapes, classes, braces and variables. Must not know what
//! items mean together.

use std::ops::Range;

use super::glob::{Item, PatternError, Placed, Variables};
use crate::{pattern::ByteSet, suggest::suggestion};

/// Braces within braces.
const MAX_DEPTH: usize = 16;

/// Signs that mean something; in variables' values they stand for themselves.
const SIGNS: [char; 9] = ['*', '?', '[', ']', '{', '}', ',', '\\', '$'];

/// Items, and the text with variables filled in.
pub(super) fn lex(
    text: &str,
    variables: &Variables,
) -> Result<(Vec<Placed>, String), PatternError> {
    let mut lexer = Lexer { text, at: 0, variables, filled: String::new() };
    let items = lexer.sequence(0)?;
    match lexer.peek() {
        None => Ok((items, lexer.filled)),
        Some(_) => Err(PatternError::new(lexer.at..lexer.at + 1, "`}` closes nothing")
            .help("write `\\}` for the character itself")),
    }
}

struct Lexer<'t> {
    text: &'t str,
    at: usize,
    variables: &'t Variables,
    filled: String,
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn take(&mut self, sign: char) -> bool {
        let found = self.peek() == Some(sign);
        if found {
            self.at += sign.len_utf8();
        }
        found
    }

    /// Items up to the end, or inside braces up to `,` or `}`.
    fn sequence(&mut self, depth: usize) -> Result<Vec<Placed>, PatternError> {
        let mut items = Vec::new();
        loop {
            let from = self.at;
            match self.peek() {
                None | Some('}') => return Ok(items),
                Some(',') if depth > 0 => return Ok(items),
                Some('{') => {
                    let choices = self.group(depth + 1)?;
                    items.push(Placed { item: Item::Group(choices), bytes: from..self.at });
                    continue;
                }
                Some('$') if self.rest().starts_with("${") => {
                    self.variable(&mut items)?;
                    continue;
                }
                Some(_) => {}
            }
            match self.next() {
                Some('*') => items.push(self.stars(from)?),
                Some('?') => items.push(self.placed(Item::Class(ByteSet::ALL.without(b'/')), from)),
                Some('[') => {
                    let set = self.class(from)?;
                    items.push(self.placed(Item::Class(set), from));
                }
                Some('\\') => {
                    let bytes = self.escape(from)?;
                    items.extend(bytes.into_iter().map(|b| self.placed(Item::Byte(b), from)));
                }
                Some(c) => {
                    let mut buffer = [0; 4];
                    let bytes = c.encode_utf8(&mut buffer).bytes();
                    items.extend(bytes.map(|b| self.placed(Item::Byte(b), from)));
                }
                None => {}
            }
            self.copy(from);
        }
    }

    fn placed(&self, item: Item, from: usize) -> Placed {
        Placed { item, bytes: from..self.at }
    }

    fn copy(&mut self, from: usize) {
        let text = self.text;
        self.filled.push_str(text.get(from..self.at).unwrap_or_default());
    }

    fn stars(&mut self, from: usize) -> Result<Placed, PatternError> {
        let double = self.take('*');
        if self.peek() == Some('*') {
            let end = self.at + 1;
            return Err(PatternError::new(from..end, "three stars in a row mean nothing")
                .help("`*` stays inside one component, `**` crosses slashes"));
        }
        Ok(self.placed(if double { Item::DoubleStar } else { Item::Star }, from))
    }

    /// The bytes that an escape stands for; the backslash is read already.
    fn escape(&mut self, from: usize) -> Result<Vec<u8>, PatternError> {
        match self.next() {
            Some('x') => {
                let digits =
                    self.rest().get(..2).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
                let Some(byte) = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok())
                else {
                    return Err(PatternError::new(
                        from..self.at,
                        "`\\x` needs two hexadecimal digits",
                    )
                    .help("write a byte as `\\xff`, and the letter x without a backslash"));
                };
                self.at += 2;
                Ok(vec![byte])
            }
            Some(c) => Ok(c.to_string().into_bytes()),
            None => Err(PatternError::new(from..self.at, "the pattern ends in a backslash")
                .help("write `\\\\` for a backslash")),
        }
    }

    /// A class; `[` is read already.
    fn class(&mut self, from: usize) -> Result<ByteSet, PatternError> {
        let start = self.at;
        let negated = self.take('!');
        if self.peek() == Some('^') {
            return Err(PatternError::new(start..start + 1, "`^` does not begin a class here")
                .help("write `[!...]` for any other byte, or `\\^` for the character itself"));
        }
        let mut set = ByteSet::EMPTY;
        loop {
            let first_at = self.at;
            if self.take(']') {
                break;
            }
            let first = self.member(from)?;
            if !self.take('-') {
                set = set.with(first);
                continue;
            }
            if self.peek() == Some(']') {
                // A dash before the end is a dash.
                set = set.with(first).with(b'-');
                continue;
            }
            let last = self.member(from)?;
            if last < first {
                let message = format!("`{}` runs backward", self.slice(first_at..self.at));
                return Err(
                    PatternError::new(first_at..self.at, message).help("write the lower end first")
                );
            }
            set = set.with_range(first, last);
        }
        if set.is_empty() {
            return Err(PatternError::new(from..self.at, "the class is empty")
                .help("name what it matches; write `\\]` for a closing bracket"));
        }
        if set.contains(b'/') {
            return Err(PatternError::new(from..self.at, "a class never matches `/`")
                .help("leave `/` and ranges across it out: digits are `0-9`, letters `a-z`"));
        }
        Ok(if negated { set.complement().without(b'/') } else { set })
    }

    /// One byte of a class that began at `from`.
    fn member(&mut self, from: usize) -> Result<u8, PatternError> {
        let at = self.at;
        let bytes = match self.next() {
            None => {
                return Err(PatternError::new(from..self.at, "the class `[` never closes")
                    .help("add `]`, or write `\\[` for the character itself"));
            }
            Some('\\') => self.escape(at)?,
            Some(c) => c.to_string().into_bytes(),
        };
        match bytes.as_slice() {
            [byte] => Ok(*byte),
            _ => {
                let message = format!("`{}` is more than one byte", self.slice(at..self.at));
                Err(PatternError::new(at..self.at, message)
                    .help("a class matches one byte; write such characters as `{ä,ö}`"))
            }
        }
    }

    fn slice(&self, bytes: Range<usize>) -> &str {
        self.text.get(bytes).unwrap_or_default()
    }

    fn group(&mut self, depth: usize) -> Result<Vec<Vec<Placed>>, PatternError> {
        let from = self.at;
        if depth > MAX_DEPTH {
            let message = format!("braces are nested deeper than {MAX_DEPTH}");
            return Err(PatternError::new(from..from + 1, message));
        }
        self.at += 1;
        self.filled.push('{');
        let mut choices = vec![self.sequence(depth)?];
        while self.take(',') {
            self.filled.push(',');
            choices.push(self.sequence(depth)?);
        }
        if !self.take('}') {
            return Err(PatternError::new(from..self.text.len(), "the brace `{` never closes")
                .help("add `}`, or write `\\{` for the character itself"));
        }
        self.filled.push('}');
        if choices.len() == 1 {
            return Err(PatternError::new(from..self.at, "the braces hold only one choice").help(
                "write `{a,b}` for choices, `${NAME}` for a variable, `\\{` for the character",
            ));
        }
        Ok(choices)
    }

    /// A variable: its value's bytes stand for themselves.
    fn variable(&mut self, items: &mut Vec<Placed>) -> Result<(), PatternError> {
        let from = self.at;
        let (value, length) = value(self.rest(), from, self.variables)?;
        self.at += length;
        items.extend(value.bytes().map(|b| Placed { item: Item::Byte(b), bytes: from..self.at }));
        for c in value.chars() {
            if SIGNS.contains(&c) {
                self.filled.push('\\');
            }
            self.filled.push(c);
        }
        Ok(())
    }
}

/// The value of the variable at the start of `text`, which begins with `${`, and how long its name
/// is with the braces; `at` is where `text` stands.
pub(super) fn value<'v>(
    text: &str,
    at: usize,
    variables: &'v Variables,
) -> Result<(&'v str, usize), PatternError> {
    let Some(end) = text.find('}') else {
        return Err(PatternError::new(at..at + text.len(), "the variable `${` never closes")
            .help("add `}`, or write `\\$` for the character itself"));
    };
    let name = text.get(2..end).unwrap_or_default();
    match variables.get(name) {
        Some(value) => Ok((value, end + 1)),
        None => {
            let help =
                suggestion(name, variables.keys().map(String::as_str)).unwrap_or_else(|| {
                    format!("give it a value under `[variables]`, or as an argument: `{name}=...`")
                });
            let message = format!("the variable `{name}` has no value");
            Err(PatternError::new(at..at + end + 1, message).help(help))
        }
    }
}
