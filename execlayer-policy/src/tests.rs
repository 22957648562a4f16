//! Tests of the stages together; each file holds the claims of one of them.

mod bad_deciders;
mod bad_features;
mod bad_files;
mod bad_operations;
mod bad_rules;
mod calls;
mod cases;
mod deciders;
mod destinations;
mod evaluator;
mod explained;
mod extends;
mod features;
mod globs;
mod policies;
mod rendering;
mod shipped;
mod transitions;

use std::collections::BTreeMap;

use crate::{
    check::{self, Options, Outcome},
    checked::CheckedPolicy,
    diagnostic::Style,
};

/// The outcome of one file named `policy.toml`.
fn outcome(text: &str) -> Outcome {
    outcome_of(&[("policy.toml", text)])
}

/// The outcome of several files; the first is the policy.
fn outcome_of(files: &[(&str, &str)]) -> Outcome {
    let main = files.first().map_or("", |(name, _)| name);
    let mut files: BTreeMap<String, String> =
        files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    check::check(main, &mut files, &Options::default())
}

/// All findings as a person sees them.
fn rendered(outcome: &Outcome) -> String {
    outcome.diagnostics.iter().map(|found| found.render(&outcome.sources, Style::Plain)).collect()
}

/// The policy of a text without errors.
pub(crate) fn policy(text: &str) -> CheckedPolicy {
    let outcome = outcome(text);
    let shown = rendered(&outcome);
    outcome.policy.unwrap_or_else(|| panic!("no policy:\n{shown}"))
}

/// A policy of these rules, from line 7 on.
pub(crate) fn with_rules(rules: &str) -> String {
    format!("name = \"p\"\nversion = 1\n\n[agent]\nname = \"a\"\n\n{rules}")
}

/// What a person sees of a policy with these rules; the first rule begins in line 7.
fn findings(rules: &str) -> String {
    rendered(&outcome(&with_rules(rules)))
}
