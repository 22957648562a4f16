//! `context` of a case: the values that a call of a tool gives. Must not know what a policy asks of them.

use execlayer_common::call::Name;
use toml::de::DeValue;

use super::act::Given;
use crate::{
    diagnostic::Diagnostic,
    parse::{
        context::number,
        fields::{Fields, Value, place, wrong_type},
    },
};

pub(super) fn parse(fields: &Fields<'_>, out: &mut Vec<Diagnostic>) -> Vec<(Name, Given)> {
    let Some((table, span)) = fields.table("context", out) else { return Vec::new() };
    let mut context = Vec::with_capacity(table.len());
    for (key, value) in table {
        let text = key.get_ref().as_ref();
        let value = Value { span: place(span.source, value), value: value.get_ref() };
        match Name::new(text) {
            Ok(name) => context.extend(given(text, &value, out).map(|given| (name, given))),
            Err(error) => {
                let message = format!("`{text}` cannot name a context value");
                let at = place(span.source, key);
                out.push(Diagnostic::error(at, message).help(error.to_string()));
            }
        }
    }
    context
}

fn given(name: &str, value: &Value<'_>, out: &mut Vec<Diagnostic>) -> Option<Given> {
    const KINDS: &str = "a string, a number, a truth value or a list of strings";
    match value.value {
        DeValue::String(text) => Some(Given::Text(text.to_string())),
        DeValue::Boolean(flag) => Some(Given::Flag(*flag)),
        DeValue::Integer(_) | DeValue::Float(_) => number(value, out).map(Given::Number),
        DeValue::Array(list) => {
            let texts = list.iter().map(|item| match item.get_ref() {
                DeValue::String(text) => Some(text.to_string()),
                _ => None,
            });
            let texts: Option<Vec<String>> = texts.collect();
            if texts.is_none() {
                out.push(wrong_type(value, name, KINDS));
            }
            texts.map(Given::List)
        }
        DeValue::Datetime(_) | DeValue::Table(_) => {
            out.push(wrong_type(value, name, KINDS));
            None
        }
    }
}
