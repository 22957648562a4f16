//! `explain-policy`: the rules in plain words. Must not word them itself: that is the policy crate's.

use crate::{
    compile::{self, PolicyArgs},
    error::{CliError, Exit},
    output::Screen,
};

/// Says in plain words what a policy allows, and what is left denied
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_long_help = "\
Example:
  execlayer explain-policy policies/coding-agent --var WORKSPACE=/srv/app"
)]
pub(crate) struct Args {
    #[command(flatten)]
    policy: PolicyArgs,
}

pub(crate) fn run(args: &Args, screen: &Screen) -> Result<Exit, CliError> {
    let PolicyArgs { policy, filling } = &args.policy;
    let (policy, _) = compile::checked_or_fail(policy, filling, screen)?;
    screen.print(&execlayer_policy::explain::explain(&policy))?;
    Ok(Exit::Done)
}
