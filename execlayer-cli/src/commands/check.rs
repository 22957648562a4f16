//! `check`: everything that is wrong with a policy, at once. Must not compile more than it needs to
//! say so.

use execlayer_policy::diagnostic::{Diagnostic, DiagnosticRecord, Severity};
use serde::Serialize;

use crate::{
    compile::{self, PolicyArgs},
    error::{CliError, Exit},
    output::Screen,
};

/// Checks a policy and prints every error, warning and hint
///
/// All errors of a policy and of what it extends are printed at once, each with its file, line and
/// what to do about it. Whether the policy keeps the kernel's limits is checked too.
///
/// Exits with 3 if the policy has errors.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_long_help = "\
Examples:
  execlayer check policies/coding-agent
  execlayer check my-policy.toml --var WORKSPACE=/srv/app
  execlayer check policies/coding-agent --json | jq '.diagnostics[].message'"
)]
pub(crate) struct Args {
    #[command(flatten)]
    policy: PolicyArgs,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Record {
    valid: bool,
    policy: Option<String>,
    version: Option<u64>,
    agent: Option<String>,
    rules: Option<usize>,
    diagnostics: Vec<DiagnosticRecord>,
    /// Why the checked policy cannot be compiled, if it cannot.
    limit: Option<String>,
}

pub(crate) fn run(args: &Args, screen: &Screen) -> Result<Exit, CliError> {
    let name = &args.policy.policy;
    let (outcome, _) = compile::checked(name, &args.policy.filling)?;
    let lowered = outcome.policy.as_ref().map(execlayer_policy::lower);
    let limit = lowered.as_ref().and_then(|lowered| lowered.as_ref().err());
    let valid = outcome.policy.is_some() && limit.is_none();
    if args.json {
        let policy = outcome.policy.as_ref();
        screen.print_json(&Record {
            valid,
            policy: policy.map(|policy| policy.name().to_owned()),
            version: policy.map(|policy| policy.version()),
            agent: policy.map(|policy| policy.agent().to_owned()),
            rules: policy.map(|policy| policy.rules().len()),
            diagnostics: outcome.diagnostics.iter().map(|d| d.record(&outcome.sources)).collect(),
            limit: limit.map(ToString::to_string),
        })?;
        return Ok(if valid { Exit::Done } else { Exit::Policy });
    }
    let text = compile::render(outcome.diagnostics.iter(), &outcome.sources, screen.on_output);
    if !text.is_empty() {
        screen.print(&format!("{text}\n"))?;
    }
    if let Some(limit) = limit {
        return Err(CliError::new(Exit::Policy, limit.to_string()).help(limit.help()));
    }
    let Some(policy) = outcome.policy.as_ref() else {
        return Err(compile::invalid(name, outcome.errors().count()));
    };
    let (green, reset) = (screen.on_output.green(), screen.on_output.reset());
    screen.print(&format!(
        "{green}ok{reset}: policy `{}` version {} for agent `{}`, {} rules{}",
        policy.name(),
        policy.version(),
        policy.agent(),
        policy.rules().len(),
        counts(&outcome.diagnostics),
    ))?;
    Ok(Exit::Done)
}

fn counts(diagnostics: &[Diagnostic]) -> String {
    let count = |severity| diagnostics.iter().filter(|found| found.severity == severity).count();
    let part = |count: usize, one: &str| match count {
        0 => String::new(),
        1 => format!(", 1 {one}"),
        many => format!(", {many} {one}s"),
    };
    part(count(Severity::Warning), "warning") + &part(count(Severity::Hint), "hint")
}
