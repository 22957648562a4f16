//! `install`: something signed, to the daemon. Must not judge it: that is the daemon's.

use std::path::PathBuf;

use execlayer_api::{Outcome, Request};

use crate::{
    daemon::{self, Places},
    error::{CliError, Exit},
    files,
    output::{Screen, printable},
};

/// Puts signed files in force: bundles, the next root, orders to go back
///
/// The daemon verifies each, and refuses it or puts it in force whole; the files after one that is refused
/// are not looked at. A service keeps what is in force over restarts. Needs root.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_long_help = "\
Examples:
  sudo execlayer install coding-agent.bundle
  sudo execlayer install root-2.json coding-agent.bundle --json"
)]
pub(crate) struct Args {
    /// Signed files, in the order in which they are put in force
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Print one JSON object for each
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    places: Places,
}

pub(crate) fn run(args: &Args, screen: &Screen) -> Result<Exit, CliError> {
    for file in &args.files {
        let path = file.canonicalize().map_err(|error| files::cannot("read", file, &error))?;
        let request = Request::Install { path: path.display().to_string() };
        let outcome = daemon::ask(&args.places, &request)?;
        if args.json {
            screen.print_json_line(&outcome)?;
        } else {
            screen.print(&told(&outcome)?)?;
        }
    }
    Ok(Exit::Done)
}

fn told(outcome: &Outcome) -> Result<String, CliError> {
    Ok(match outcome {
        Outcome::Installed(new) => format!(
            "policy `{}` version {} is in force for agent `{}` (generation {})",
            printable(&new.policy),
            new.version,
            printable(&new.agent),
            new.generation
        ),
        Outcome::RootInForce(root) => {
            format!("root version {} says from now on who may sign what", root.version)
        }
        Outcome::Ordered(order) => format!(
            "policy `{}` of agent `{}` may go back from version {} to {}: install that one now",
            printable(&order.policy),
            printable(&order.agent),
            order.from,
            order.to
        ),
        other => return Err(daemon::unexpected(other)),
    })
}
