//! `selftest-act`: the helper of `selftest` that tries the acts: all of them, or one. Must say nothing on
//! standard output but what came of them.

use std::path::PathBuf;

use crate::{
    error::{CliError, Exit},
    output::Screen,
    scope,
    selftest::{Side, trial},
};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[arg(long)]
    plan: PathBuf,
    #[arg(long, requires = "side")]
    act: Option<String>,
    #[arg(long, requires = "act")]
    side: Option<Side>,
}

pub(crate) fn run(args: &Args, screen: &Screen) -> Result<Exit, CliError> {
    // Held back by `selftest`, whose child this is.
    scope::release().map_err(|error| CliError::failure(format!("signals stay held: {error}")))?;
    let plan = trial::read_plan(&args.plan);
    let plan = plan.map_err(|error| CliError::failure(format!("no plan: {error}")))?;
    if let (Some(act), Some(side)) = (&args.act, args.side) {
        screen.print_json_line(&trial::one(&plan, act, side))?;
    } else {
        trial::all(&args.plan, &plan, &mut |trial| screen.print_json_line(trial))?;
    }
    Ok(Exit::Done)
}
