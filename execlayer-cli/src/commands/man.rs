//! `man`: manual pages, made from the same arguments that are parsed. Must not install them.

use std::path::PathBuf;

use clap::CommandFactory;

use crate::{
    commands::Cli,
    error::{CliError, Exit},
    files,
    output::Screen,
};

/// Writes the manual pages into a folder
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_long_help = "\
Example:
  execlayer man /usr/local/share/man/man1 && man execlayer-run"
)]
pub(crate) struct Args {
    /// The folder; it must exist
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

pub(crate) fn run(args: &Args, screen: &Screen) -> Result<Exit, CliError> {
    clap_mangen::generate_to(Cli::command(), &args.folder)
        .map_err(|error| files::cannot("write pages into", &args.folder, &error))?;
    screen.note(&format!("wrote the pages into `{}`", args.folder.display()));
    Ok(Exit::Done)
}
