//! `audit`: reading and checking the audit trail. Must not write to it.

mod explain;
mod prove;
mod show;
mod timeline;
mod top;
mod verify;

use std::path::PathBuf;

use execlayer_api::places;

use crate::{
    error::{CliError, Exit},
    output::Screen,
};

/// Shows the audit trail, and proves that nothing was taken out of it or changed
///
/// The daemon writes each verdict, question, answer and change of policy as a line of JSON below
/// /var/log/execlayer/audit/records, and signs the root of a Merkle tree over all of them with the device's key.
#[derive(Debug, clap::Subcommand)]
#[command(
    verbatim_doc_comment,
    after_long_help = "\
Examples:
  sudo execlayer audit show --verdict deny --since 1h
  sudo execlayer audit show --follow
  sudo execlayer audit top --since 7d
  sudo execlayer audit explain 4711
  execlayer audit verify ./copy-of-audit --key log.pub
  sudo execlayer audit prove 4711 --output 4711.tlog-proof"
)]
pub(crate) enum Command {
    Show(show::Args),
    Explain(explain::Args),
    Top(top::Args),
    Timeline(timeline::Args),
    Verify(verify::Args),
    Prove(prove::Args),
    CheckProof(prove::CheckArgs),
}

/// Where the trail is.
#[derive(Debug, clap::Args)]
struct Place {
    /// Folder of the audit trail
    #[arg(value_name = "DIR", default_value = places::AUDIT)]
    folder: PathBuf,
}

pub(crate) fn run(command: &Command, screen: &Screen) -> Result<Exit, CliError> {
    match command {
        Command::Show(args) => show::run(args, screen),
        Command::Explain(args) => explain::run(args, screen),
        Command::Top(args) => top::run(args, screen),
        Command::Timeline(args) => timeline::run(args, screen),
        Command::Verify(args) => verify::run(args, screen),
        Command::Prove(args) => prove::run(args, screen),
        Command::CheckProof(args) => prove::check(args, screen),
    }
}
