//! Limits that only the whole policy can break. Their numbers are the kernel side's.

use std::collections::HashSet;

use execlayer_common::limits::{MAX_BUDGETS, MAX_CONDITIONS, MAX_CONTEXT_NAMES, MAX_RULES};

use crate::{
    check::features,
    checked::{Condition, Rule, Test},
    diagnostic::Diagnostic,
    parse::Policy,
    source::Span,
};

/// Rules of all files together; a single file's are counted when it is parsed.
pub(super) fn rules(files: &[Policy], out: &mut Vec<Diagnostic>) {
    let mut all = files.iter().flat_map(|file| &file.rules);
    let most = MAX_RULES as usize - features::with_defaults().count();
    if let Some(rule) = all.nth(most) {
        let count = files.iter().map(|file| file.rules.len()).sum::<usize>();
        let message = format!(
            "the policy and what it extends have {count} rules; {most} are allowed (`MAX_RULES`, less those of features)"
        );
        out.push(
            Diagnostic::error(rule.span, message)
                .label("the first that is too many")
                .help("join rules that do the same: `path` takes a list, and globs have `{a,b}`"),
        );
    }
}

/// Names of context values of all rules together.
pub(super) fn context(rules: &[(Rule, Span)], out: &mut Vec<Diagnostic>) {
    let mut names = HashSet::new();
    for (rule, span) in rules {
        names.extend(rule.context.iter().map(|test| test.name));
        if names.len() > MAX_CONTEXT_NAMES {
            let message = format!(
                "the policy tests more than {MAX_CONTEXT_NAMES} different context values (`MAX_CONTEXT_NAMES`)"
            );
            out.push(
                Diagnostic::error(*span, message)
                    .label("the first that is too many")
                    .help("give what belongs together to an agent with a policy of its own"),
            );
            return;
        }
    }
}

/// Conditions that differ, and budgets, of which every rule has its own.
pub(super) fn conditions(rules: &[(Rule, Span)], out: &mut Vec<Diagnostic>) {
    let mut shared: HashSet<(Condition, &[Test])> = HashSet::new();
    let (mut conditions, mut budgets) = (0_u32, 0_u32);
    for (rule, span) in rules {
        let when = rule.when;
        if rule.is_always() {
            continue;
        }
        if when.at_most.is_some() {
            budgets += 1;
            conditions += 1;
        } else if shared.insert((when, &rule.context)) {
            conditions += 1;
        }
        let broken = if budgets > MAX_BUDGETS {
            Some(("budgets (`at_most`)", MAX_BUDGETS, "MAX_BUDGETS"))
        } else if conditions > MAX_CONDITIONS {
            Some(("different conditions (`when` and `context`)", MAX_CONDITIONS, "MAX_CONDITIONS"))
        } else {
            None
        };
        if let Some((what, most, limit)) = broken {
            let message = format!("the policy has more than {most} {what} (`{limit}`)");
            out.push(
                Diagnostic::error(*span, message)
                    .label("the first that is too many")
                    .help("join rules that hold under the same condition"),
            );
            return;
        }
    }
}
