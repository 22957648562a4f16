//! From the policy that the operator names to what can be signed, with every finding printed on the
//! way. Must not know what becomes of it.

use std::path::PathBuf;

use clap::Args;
use execlayer_policy::{
    CheckedPolicy, Lowered, check,
    check::{Options, Outcome},
    diagnostic::Diagnostic,
    lower,
    source::Sources,
};

use crate::{
    error::{CliError, Exit},
    files::PolicyFiles,
    output::{Paint, Screen},
};

/// How the operator names a policy.
#[derive(Args, Debug)]
pub(crate) struct PolicyArgs {
    /// A file, a folder with a `policy.toml`, or the name of a policy
    #[arg(value_name = "POLICY")]
    pub(crate) policy: String,
    #[command(flatten)]
    pub(crate) filling: Filling,
}

/// What is filled into a policy.
#[derive(Args, Debug)]
pub(crate) struct Filling {
    /// Value of a variable that the policy uses, such as WORKSPACE=/srv/app
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = variable)]
    pub(crate) variables: Vec<(String, String)>,
    /// Folder of the policies that `extends` names
    #[arg(long, value_name = "DIR")]
    pub(crate) policies_dir: Option<PathBuf>,
}

fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write it as NAME=VALUE".to_owned()),
    }
}

/// Reads and checks a policy.
pub(crate) fn checked(policy: &str, filling: &Filling) -> Result<(Outcome, PathBuf), CliError> {
    let mut files = PolicyFiles::find(policy, filling.policies_dir.as_deref())?;
    let user = |name: &str| {
        nix::unistd::User::from_name(name).ok().flatten().map(|user| user.uid.as_raw())
    };
    let options = Options { variables: filling.variables.clone(), resolve_user: &user };
    let outcome = check(policy, &mut files, &options);
    Ok((outcome, files.main().to_owned()))
}

/// Reads and checks a policy, and prints its errors to standard error. Everything else that was found
/// is for `check` to say, once, and not for each use of the policy.
pub(crate) fn checked_or_fail(
    policy: &str,
    filling: &Filling,
    screen: &Screen,
) -> Result<(CheckedPolicy, PathBuf), CliError> {
    let (outcome, main) = checked(policy, filling)?;
    let text = render(outcome.errors(), &outcome.sources, screen.on_error);
    if !text.is_empty() {
        screen.note(&text);
    }
    let errors = outcome.errors().count();
    match outcome.policy {
        Some(policy) => Ok((policy, main)),
        None => Err(invalid(policy, errors)),
    }
}

/// All the way to the image.
pub(crate) fn lowered_or_fail(
    policy: &str,
    filling: &Filling,
    screen: &Screen,
) -> Result<(CheckedPolicy, Lowered), CliError> {
    let (policy, _) = checked_or_fail(policy, filling, screen)?;
    let lowered = lower_or_fail(&policy)?;
    Ok((policy, lowered))
}

pub(crate) fn lower_or_fail(policy: &CheckedPolicy) -> Result<Lowered, CliError> {
    lower(policy).map_err(|error| CliError::new(Exit::Policy, error.to_string()).help(error.help()))
}

pub(crate) fn invalid(policy: &str, errors: usize) -> CliError {
    let errors = if errors == 1 { "1 error".to_owned() } else { format!("{errors} errors") };
    CliError::new(Exit::Policy, format!("policy `{policy}` has {errors}"))
}

/// Findings, with an empty line between them.
pub(crate) fn render<'d>(
    findings: impl Iterator<Item = &'d Diagnostic>,
    sources: &Sources,
    paint: Paint,
) -> String {
    let texts: Vec<String> = findings.map(|found| found.render(sources, paint.style())).collect();
    texts.join("\n")
}
