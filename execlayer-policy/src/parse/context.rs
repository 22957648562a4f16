//! `context`: what a rule asks of the named values that a call gives. Owns how each test is written; must not know
//! what a pattern means or whether a test holds.

use execlayer_common::{call::Number, limits::MAX_CONTEXT_TESTS};
use toml::de::{DeArray, DeTable, DeValue};

use super::{
    fields::{Fields, Value, place, wrong_type},
    policy::{Asks, Test},
    text::Text,
};
use crate::{diagnostic::Diagnostic, source::Span};

const KEYS: [&str; 7] = ["at_least", "at_most", "above", "below", "every", "some", "given"];
const FORMS: &str = "write a pattern, a list of patterns, a number, `true`, `false`, or one of `{ at_least = 1, \
                     at_most = 9 }`, `{ every = [...] }`, `{ some = [...] }`, `{ given = false }`";

pub(super) fn parse(fields: &Fields<'_>, out: &mut Vec<Diagnostic>) -> Vec<Test> {
    let Some((table, span)) = fields.table("context", out) else { return Vec::new() };
    if table.is_empty() {
        out.push(
            Diagnostic::error(span, "`context` is empty")
                .help("leave it out for a rule that holds in every context"),
        );
    }
    if table.len() > MAX_CONTEXT_TESTS {
        let message = format!(
            "`context` tests {} values; {MAX_CONTEXT_TESTS} are allowed (`MAX_CONTEXT_TESTS`)",
            table.len()
        );
        out.push(Diagnostic::error(span, message).help("make several rules of it"));
    }
    let mut tests = Vec::with_capacity(table.len());
    for (key, value) in table {
        let name = Text { value: key.get_ref().to_string(), span: place(span.source, key) };
        let value = Value { span: place(span.source, value), value: value.get_ref() };
        if let Some(asks) = asks(&name, &value, out) {
            tests.push(Test { name, asks });
        }
    }
    tests
}

fn asks(name: &Text, value: &Value<'_>, out: &mut Vec<Diagnostic>) -> Option<Asks> {
    match value.value {
        DeValue::String(text) => {
            Some(Asks::Text(vec![Text { value: text.to_string(), span: value.span }]))
        }
        DeValue::Array(list) => texts(name, list, value.span, out).map(Asks::Text),
        DeValue::Boolean(flag) => Some(Asks::Flag(*flag)),
        DeValue::Integer(_) | DeValue::Float(_) => {
            let number = number(value, out)?;
            Some(Asks::Number(number, number))
        }
        DeValue::Table(table) => several(name, table, value.span, out),
        DeValue::Datetime(_) => {
            out.push(wrong_type(value, &name.value, "a test of a context value").help(FORMS));
            None
        }
    }
}

/// A test that is written as a table.
fn several(
    name: &Text,
    table: &DeTable<'_>,
    span: Span,
    out: &mut Vec<Diagnostic>,
) -> Option<Asks> {
    let before = out.len();
    let fields = Fields::new(table, "a test of a context value", span, &KEYS, out);
    let lists = [("every", Asks::Every as fn(Vec<Text>) -> Asks), ("some", Asks::Some)];
    let asked = lists.into_iter().find_map(|(key, make)| {
        fields.key(key)?;
        Some(make(fields.texts(key, out)))
    });
    let given = fields.value("given").and_then(|value| match value.value {
        DeValue::Boolean(given) => Some(Asks::Given(*given)),
        _ => {
            out.push(wrong_type(&value, "given", "`true` or `false`"));
            None
        }
    });
    let asked = asked.or(given).or_else(|| between(name, &fields, out));
    if out.len() > before {
        return None;
    }
    let single = ["every", "some", "given"].iter().any(|key| fields.key(key).is_some());
    if asked.is_none() || single && table.len() > 1 {
        let message = format!("`{}` is not one test", name.value);
        out.push(Diagnostic::error(span, message).help(FORMS));
        return None;
    }
    asked
}

fn between(name: &Text, fields: &Fields<'_>, out: &mut Vec<Diagnostic>) -> Option<Asks> {
    let mut bound = |key: &str| fields.value(key).and_then(|value| number(&value, out));
    let least = [bound("at_least"), bound("above").map(Number::above)];
    let most = [bound("at_most"), bound("below").map(Number::below)];
    if [least, most].iter().flatten().all(Option::is_none) {
        return None;
    }
    let least = least.into_iter().flatten().max().unwrap_or(Number::LEAST);
    let most = most.into_iter().flatten().min().unwrap_or(Number::MOST);
    if least > most {
        let message = format!("no number is what `{}` must be", name.value);
        out.push(Diagnostic::error(fields.span, message).help("the least is more than the most"));
    }
    Some(Asks::Number(least, most))
}

pub(crate) fn number(value: &Value<'_>, out: &mut Vec<Diagnostic>) -> Option<Number> {
    let found = match value.value {
        // Radix prefixes are gone from it, and other radices are not decimal text.
        DeValue::Integer(number) if number.radix() == 10 => Number::parse(number.as_str()),
        DeValue::Integer(number) => {
            i64::from_str_radix(number.as_str(), number.radix()).ok().map(Number::whole)
        }
        DeValue::Float(number) => Number::parse(number.as_str()),
        _ => {
            out.push(wrong_type(value, "a bound", "a number"));
            return None;
        }
    };
    let exact = found.filter(|number| number.is_exact());
    if exact.is_none() {
        out.push(
            Diagnostic::error(value.span, "this number cannot be compared with exactly").help(
                "up to nine places behind the point are, of numbers with up to twenty before it",
            ),
        );
    }
    exact
}

fn texts(
    name: &Text,
    list: &DeArray<'_>,
    span: Span,
    out: &mut Vec<Diagnostic>,
) -> Option<Vec<Text>> {
    if list.is_empty() {
        let message = format!("`{}` is an empty list", name.value);
        out.push(Diagnostic::error(span, message).help("name something or leave it out"));
        return None;
    }
    let mut texts = Vec::with_capacity(list.len());
    for item in list {
        let value = Value { span: place(span.source, item), value: item.get_ref() };
        match value.value {
            DeValue::String(text) => {
                texts.push(Text { value: text.to_string(), span: value.span });
            }
            _ => out.push(wrong_type(&value, &name.value, "a list of patterns").help(FORMS)),
        }
    }
    Some(texts)
}
