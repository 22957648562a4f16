//! `order`: signs that a policy may go back to an older version. Must not put it in force.

use std::path::PathBuf;

use execlayer_api::time;
use execlayer_bundle::{
    order::{FORMAT, Rollback},
    sign::sign_rollback,
};

use crate::{
    error::{CliError, Exit},
    files, keys,
    output::Screen,
};

/// Signs an order to go back to an older version of a policy
///
/// A daemon takes no policy that is older than the newest that was in force there. This order lets it take
/// one, once: it names the version that is given up. Whoever may sign the policy may sign the order;
/// others add their signatures with `execlayer sign --add`.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_long_help = "\
Example:
  execlayer order --policy coding-agent --agent coding-agent --from 9 --to 8 \\
    --key release.key --output back-to-8.order
  sudo execlayer install back-to-8.order coding-agent-8.bundle"
)]
pub(crate) struct Args {
    /// The policy's name
    #[arg(long)]
    policy: String,
    /// The agent's name
    #[arg(long)]
    agent: String,
    /// The newest version that was in force: `execlayer status` shows it
    #[arg(long, value_name = "VERSION")]
    from: u64,
    /// The version that may be put in force
    #[arg(long, value_name = "VERSION")]
    to: u64,
    /// When it is signed, as 2027-01-31, 2027-01-31T12:00:00Z or seconds since 1970
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    issued: Option<u64>,
    /// File of the private key
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// File of the signed order
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
}

pub(crate) fn run(args: &Args, screen: &Screen) -> Result<Exit, CliError> {
    let key = keys::read_private(&args.key)?;
    let (policy, agent) = (args.policy.clone(), args.agent.clone());
    let (from, to, issued) = (args.from, args.to, args.issued);
    let order = Rollback { format: FORMAT, policy, agent, from, to, issued };
    let signed =
        sign_rollback(&order, &key).map_err(|error| CliError::failure(error.to_string()))?;
    files::write_whole(&args.output, signed.bytes(), 0o644)?;
    screen.note(&format!("wrote `{}`, signed with key {}", args.output.display(), key.id()));
    Ok(Exit::Done)
}
