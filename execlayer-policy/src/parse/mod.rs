//! The stage parse: one file's text to a [`Policy`], with every error of the file. Must not read other
//! files, fill in variables or compare rules.

mod asking;
pub(crate) mod context;
mod decider;
mod duration;
pub(crate) mod fields;
pub(crate) mod glob;
pub(crate) mod inet;
mod lex;
mod operations;
pub(crate) mod policy;
mod rule;
mod shape;
pub(crate) mod syntax;
pub(crate) mod text;
mod url;
pub(crate) mod when;

use execlayer_common::limits::MAX_RULES;
use toml::de::{DeTable, DeValue};

pub(crate) use self::policy::Policy;
use self::{
    fields::{Fields, Value, place, wrong_type},
    policy::Agent,
    syntax::document,
    text::Text,
};
use crate::{
    checked::{Mode, Record},
    diagnostic::Diagnostic,
    pattern::Pattern,
    source::{SourceId, Sources, Span},
};

const KEYS: [&str; 7] = ["name", "version", "extends", "variables", "agent", "decider", "rule"];
const AGENT_KEYS: [&str; 6] = ["name", "cgroup", "exe", "accepts_from", "mode", "record"];

/// A pattern of paths as a policy's `path` has it, without variables: for whoever looks for paths elsewhere.
///
/// # Errors
///
/// What is wrong with it, in words.
pub fn path_pattern(text: &str) -> Result<Pattern, String> {
    let glob = glob::parse(text, &glob::Variables::new(), glob::Kind::Path);
    glob.map(|glob| glob.pattern).map_err(|error| match error.help {
        Some(help) => format!("{}: {help}", error.message),
        None => error.message,
    })
}

/// Parses a file; what is wrong goes to `out`, what could be read is returned.
pub(crate) fn parse(sources: &Sources, source: SourceId, out: &mut Vec<Diagnostic>) -> Policy {
    let text = sources.text(source);
    let mut storage = String::new();
    let document = document(&text, &mut storage, source, out);
    let start = Span { source, start: 0, end: 0 };
    let top = Fields::new(document.table.get_ref(), "a policy", start, &KEYS, out);
    let policy = Policy {
        source,
        broken: document.broken,
        name: top.text("name", out),
        version: top.number("version", 1, out),
        extends: top.texts("extends", out),
        variables: variables(&top, out),
        agent: agent(&top, out),
        deciders: deciders(&top, out),
        rules: rules(&top, out),
    };
    if !policy.broken {
        if top.key("name").is_none() {
            top.missing("name", "add a line `name = \"...\"` at the top of the file", out);
        }
        if top.key("version").is_none() {
            top.missing("version", "add a line `version = 1` at the top of the file", out);
        }
    }
    policy
}

fn variables(top: &Fields<'_>, out: &mut Vec<Diagnostic>) -> Vec<(Text, Text)> {
    let Some((table, span)) = top.table("variables", out) else { return Vec::new() };
    let mut variables = Vec::new();
    for (key, value) in table {
        let name = Text { value: key.get_ref().to_string(), span: place(span.source, key) };
        let value = Value { value: value.get_ref(), span: place(span.source, value) };
        match value.value {
            DeValue::String(text) => {
                variables.push((name, Text { value: text.to_string(), span: value.span }));
            }
            _ => out.push(wrong_type(&value, &name.value, "a string")),
        }
    }
    variables.sort_by_key(|(name, _)| name.span.start);
    variables
}

fn agent(top: &Fields<'_>, out: &mut Vec<Diagnostic>) -> Option<Agent> {
    let (table, span) = top.table("agent", out)?;
    let fields = Fields::new(table, "`[agent]`", span, &AGENT_KEYS, out);
    if fields.key("name").is_none() {
        fields.missing("name", "add `name = \"...\"`: events and commands use it", out);
    }
    let modes = [("enforce", Mode::Enforce), ("monitor", Mode::Monitor)];
    let records = [("denied", Record::Denied), ("all", Record::All)];
    Some(Agent {
        span,
        name: fields.text("name", out),
        cgroups: fields.texts("cgroup", out),
        executables: fields.texts("exe", out),
        accepts_from: fields.texts("accepts_from", out),
        mode: fields.word("mode", &modes, out).unwrap_or(Mode::Enforce),
        record: fields.word("record", &records, out).unwrap_or(Record::Denied),
    })
}

fn deciders(top: &Fields<'_>, out: &mut Vec<Diagnostic>) -> Vec<policy::Decider> {
    let tables = tables(top, "decider", out);
    tables.into_iter().map(|(table, span)| decider::parse(table, span, out)).collect()
}

fn rules(top: &Fields<'_>, out: &mut Vec<Diagnostic>) -> Vec<policy::Rule> {
    let tables = tables(top, "rule", out);
    if let Some((_, first_too_many)) = tables.get(MAX_RULES as usize) {
        let count = tables.len();
        let message =
            format!("the policy has {count} rules; {MAX_RULES} are allowed (`MAX_RULES`)");
        out.push(
            Diagnostic::error(*first_too_many, message)
                .label("the first that is too many")
                .help("join rules that do the same: `path` takes a list, and globs have `{a,b}`"),
        );
        return Vec::new();
    }
    tables.into_iter().map(|(table, span)| rule::parse(table, span, out)).collect()
}

/// A list of tables, as `[[key]]` makes them.
fn tables<'t>(
    top: &Fields<'t>,
    key: &str,
    out: &mut Vec<Diagnostic>,
) -> Vec<(&'t DeTable<'t>, Span)> {
    let Some(value) = top.value(key) else { return Vec::new() };
    let DeValue::Array(array) = value.value else {
        let help = format!("write `[[{key}]]`, with two brackets");
        out.push(wrong_type(&value, key, "a list of tables").help(help));
        return Vec::new();
    };
    let mut tables = Vec::with_capacity(array.len());
    for item in array.iter() {
        let item = Value { value: item.get_ref(), span: place(value.span.source, item) };
        match item.value {
            DeValue::Table(table) => tables.push((table, item.span)),
            _ => out.push(wrong_type(&item, key, "a list of tables")),
        }
    }
    tables
}
