//! The entries of one TOML table, taken key by key with their types. Owns the messages about unknown
//! and missing keys and wrong types; must not know what a value means.

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::text::Text;
use crate::{
    diagnostic::{Diagnostic, MAX_FINDINGS},
    source::{SourceId, Span},
    suggest::suggestion,
};

/// A value with its place.
#[derive(Clone, Debug)]
pub(crate) struct Value<'t> {
    pub(crate) value: &'t DeValue<'t>,
    pub(crate) span: Span,
}

/// A table whose keys are known.
pub(crate) struct Fields<'t> {
    /// What the table is called in messages.
    what: &'static str,
    /// Where the table begins.
    pub(crate) span: Span,
    source: SourceId,
    entries: Vec<(&'t str, Span, Value<'t>)>,
}

impl<'t> Fields<'t> {
    /// Reads the entries, in the order of the file, and reports every key that is not `known`.
    pub(crate) fn new(
        table: &'t DeTable<'t>,
        what: &'static str,
        span: Span,
        known: &[&str],
        out: &mut Vec<Diagnostic>,
    ) -> Self {
        let source = span.source;
        let mut entries = Vec::with_capacity(table.len());
        for (key, value) in table {
            let at = place(source, key);
            let name = key.get_ref().as_ref();
            if known.contains(&name) {
                let value = Value { span: place(source, value), value: value.get_ref() };
                entries.push((name, at, value));
                continue;
            }
            if out.len() >= MAX_FINDINGS {
                continue;
            }
            let help = suggestion(name, known.iter().copied())
                .unwrap_or_else(|| format!("its keys are {}", list(known)));
            out.push(Diagnostic::error(at, format!("unknown key `{name}` in {what}")).help(help));
        }
        Self { what, span, source, entries }
    }

    /// The value of a key.
    pub(crate) fn value(&self, key: &str) -> Option<Value<'t>> {
        self.entries.iter().find(|(name, ..)| *name == key).map(|(.., value)| value.clone())
    }

    /// Where a key stands.
    pub(crate) fn key(&self, key: &str) -> Option<Span> {
        self.entries.iter().find(|(name, ..)| *name == key).map(|(_, span, _)| *span)
    }

    /// Reports that a key must be there.
    pub(crate) fn missing(&self, key: &str, help: &str, out: &mut Vec<Diagnostic>) {
        let message = format!("{} has no `{key}`", self.what);
        out.push(Diagnostic::error(self.span, message).help(help));
    }

    /// A string.
    pub(crate) fn text(&self, key: &str, out: &mut Vec<Diagnostic>) -> Option<Text> {
        self.value(key).and_then(|value| text(&value, key, "a string", out))
    }

    /// A string or a list of strings; empty if it is not there.
    pub(crate) fn texts(&self, key: &str, out: &mut Vec<Diagnostic>) -> Vec<Text> {
        let expected = "a string or a list of strings";
        let Some(value) = self.value(key) else { return Vec::new() };
        let DeValue::Array(array) = value.value else {
            return text(&value, key, expected, out).into_iter().collect();
        };
        if array.is_empty() {
            let message = format!("`{key}` is an empty list");
            out.push(Diagnostic::error(value.span, message).help("name something or leave it out"));
        }
        let items = array
            .iter()
            .map(|item| Value { span: place(self.source, item), value: item.get_ref() });
        items.filter_map(|item| text(&item, key, expected, out)).collect()
    }

    /// A whole number from `least`.
    pub(crate) fn number(&self, key: &str, least: u64, out: &mut Vec<Diagnostic>) -> Option<u64> {
        let value = self.value(key)?;
        let number = match value.value {
            DeValue::Integer(number) => number,
            _ => {
                out.push(wrong_type(&value, key, "a whole number"));
                return None;
            }
        };
        match u64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) if number >= least => Some(number),
            _ => {
                let message = format!("`{key}` is {number}, and must be {least} or more");
                out.push(Diagnostic::error(value.span, message));
                None
            }
        }
    }

    /// A table.
    pub(crate) fn table(
        &self,
        key: &str,
        out: &mut Vec<Diagnostic>,
    ) -> Option<(&'t DeTable<'t>, Span)> {
        let value = self.value(key)?;
        match value.value {
            DeValue::Table(table) => Some((table, value.span)),
            _ => {
                out.push(wrong_type(&value, key, "a table"));
                None
            }
        }
    }

    /// One of a few words.
    pub(crate) fn word<T: Copy>(
        &self,
        key: &str,
        words: &[(&str, T)],
        out: &mut Vec<Diagnostic>,
    ) -> Option<T> {
        let text = self.text(key, out)?;
        if let Some((_, meaning)) = words.iter().find(|(word, _)| *word == text.value) {
            return Some(*meaning);
        }
        let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let message = format!("`{key}` cannot be `{}`", text.value);
        let help = suggestion(&text.value, names.iter().copied())
            .unwrap_or_else(|| format!("it is one of {}", list(&names)));
        out.push(Diagnostic::error(text.span, message).help(help));
        None
    }
}

fn text(value: &Value<'_>, key: &str, expected: &str, out: &mut Vec<Diagnostic>) -> Option<Text> {
    match value.value {
        DeValue::String(text) => Some(Text { value: text.to_string(), span: value.span }),
        _ => {
            out.push(wrong_type(value, key, expected));
            None
        }
    }
}

/// The place of something that the TOML parser made.
pub(crate) fn place<T>(source: SourceId, spanned: &Spanned<T>) -> Span {
    let range = spanned.span();
    Span { source, start: range.start as u32, end: range.end as u32 }
}

/// The message about a value of another type than `expected`.
pub(crate) fn wrong_type(value: &Value<'_>, key: &str, expected: &str) -> Diagnostic {
    let found = match value.value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "a truth value",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    };
    Diagnostic::error(value.span, format!("`{key}` must be {expected}, and is {found}"))
}

/// Names in backticks, separated by commas.
pub(crate) fn list(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
