//! The policy of the self-test: its text filled in for one yard, and compiled like any other. Must not
//! know the acts.

use execlayer_policy::{
    Lowered,
    check::{self, Options},
    diagnostic::Style,
    source::{LoadError, Loaded, Loader},
};

use super::{Plan, plan};
use crate::{
    compile,
    error::{CliError, Exit},
};

const TEXT: &str = include_str!("policy.toml");
const NAME: &str = "selftest/policy.toml";

/// The text, which extends nothing.
struct Text(Vec<u8>);

impl Loader for Text {
    fn load(&mut self, name: &str) -> Result<Loaded, LoadError> {
        match name {
            NAME => Ok(Loaded { name: name.to_owned(), bytes: self.0.clone() }),
            _ => Err(LoadError::Missing(name.to_owned())),
        }
    }
}

/// Compiles it; with `monitor` it forbids nothing, and says what it would.
pub(crate) fn lowered(plan: &Plan, monitor: bool) -> Result<Lowered, CliError> {
    let mode = if monitor { "mode = \"monitor\"" } else { "mode = \"enforce\"" };
    let mut text = Text(TEXT.replace("mode = \"enforce\"", mode).into_bytes());
    let variables = [
        ("YARD", plan.yard.display().to_string()),
        ("NAME", plan::abstract_name(&plan.yard, "").trim_end_matches('-').to_owned()),
        ("SHUT_PORT", plan.ports.shut.to_string()),
        ("SHUT_FREE_PORT", plan.ports.free_shut.to_string()),
        ("STATE", plan.state_dir.display().to_string()),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value)).to_vec();
    let options = Options { variables, ..Options::default() };
    let outcome = check::check(NAME, &mut text, &options);
    match &outcome.policy {
        Some(policy) => compile::lower_or_fail(policy),
        None => {
            let errors = outcome.errors().map(|found| found.render(&outcome.sources, Style::Plain));
            let errors: Vec<String> = errors.collect();
            Err(CliError::new(Exit::Policy, "the self-test's own policy has errors")
                .quote(errors.join("\n")))
        }
    }
}
