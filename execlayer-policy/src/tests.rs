//! Tests of the stages together; each file holds the claims of one of them.

mod policies;
mod shipped;

use std::collections::BTreeMap;

use crate::{
    check::{self, Options, Outcome},
    checked::CheckedPolicy,
    diagnostic::Style,
};

/// The outcome of one file named `policy.toml`.
fn outcome(text: &str) -> Outcome {
    let mut files = BTreeMap::from([("policy.toml".to_owned(), text.to_owned())]);
    check::check("policy.toml", &mut files, &Options::default())
}

/// All findings as a person sees them.
fn rendered(outcome: &Outcome) -> String {
    outcome.diagnostics.iter().map(|found| found.render(&outcome.sources, Style::Plain)).collect()
}

/// The policy of a text without errors.
fn policy(text: &str) -> CheckedPolicy {
    let outcome = outcome(text);
    let shown = rendered(&outcome);
    outcome.policy.unwrap_or_else(|| panic!("no policy:\n{shown}"))
}
