//! Names: of policies, rules and variables. Must not look into patterns for anything but the
//! variables that they use.

use std::collections::HashMap;

use crate::{
    check::{Options, features},
    diagnostic::{Diagnostic, Severity},
    parse::{Policy, glob::Variables, text::Text},
    suggest::suggestion,
};

/// Bytes of a name or id.
const MAX_NAME: usize = 128;

/// The values that hold: arguments before the policy, the policy before what it extends.
pub(super) fn variables(
    files: &[Policy],
    options: &Options<'_>,
    out: &mut Vec<Diagnostic>,
) -> Variables {
    let mut values = Variables::new();
    for (name, value) in files.iter().flat_map(|file| &file.variables) {
        if !is_variable(&name.value) {
            out.push(
                Diagnostic::error(name.span, format!("`{}` is no name of a variable", name.value))
                    .help("capital letters, digits and `_`: `WORKSPACE`"),
            );
        }
        values.insert(name.value.clone(), value.value.clone());
    }
    for (name, value) in &options.variables {
        if !values.contains_key(name) && !is_used(files, name) {
            let help = suggestion(name, values.keys().map(String::as_str));
            let message = format!("no file of this policy has a variable `{name}`");
            out.push(Diagnostic::new(Severity::Warning, None, message).help_if(help));
        }
        values.insert(name.clone(), value.clone());
    }
    values
}

/// Checks names, and that ids are unique over all files.
pub(super) fn check(files: &[Policy], out: &mut Vec<Diagnostic>) {
    let mut ids: HashMap<&str, &Text> = HashMap::new();
    for file in files {
        if let Some(name) = &file.name {
            spelling(name, "name", out);
        }
        for id in file.rules.iter().filter_map(|rule| rule.id.as_ref()) {
            spelling(id, "id", out);
            if features::with_defaults().any(|feature| id.value == features::default_id(feature)) {
                out.push(
                    Diagnostic::error(id.span, format!("the id `{}` is taken", id.value))
                        .label("every policy has a rule of this id unless it allows the feature itself")
                        .help("choose another id"),
                );
            }
            if let Some(first) = ids.insert(&id.value, id) {
                out.push(
                    Diagnostic::error(id.span, format!("two rules have the id `{}`", id.value))
                        .related(first.span, "the other one is here")
                        .help("ids are unique over the policy and all that it extends"),
                );
            }
        }
    }
}

/// Names go into events, commands and file names.
pub(super) fn spelling(name: &Text, what: &str, out: &mut Vec<Diagnostic>) {
    let text = &name.value;
    let sign = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    let good = !text.is_empty()
        && text.len() <= MAX_NAME
        && text.chars().all(sign)
        && text.split('/').all(|part| !matches!(part, "" | "." | ".."));
    if !good {
        out.push(
            Diagnostic::error(name.span, format!("`{text}` cannot be used as {what}"))
                .help("use letters, digits, `-`, `_` and `.`, with single slashes between parts"),
        );
    }
}

fn is_variable(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_uppercase())
        && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
}

fn is_used(files: &[Policy], name: &str) -> bool {
    let sign = format!("${{{name}}}");
    let rules = files.iter().flat_map(|file| &file.rules);
    let agents = files.iter().filter_map(|file| file.agent.as_ref());
    rules
        .flat_map(|rule| [&rule.paths, &rule.except, &rule.to])
        .chain(agents.flat_map(|agent| [&agent.cgroups, &agent.executables]))
        .flatten()
        .any(|text| text.value.contains(&sign))
}
