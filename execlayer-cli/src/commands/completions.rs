//! `completions`: a script for the operator's shell. Must not install it.

use clap::{CommandFactory, ValueEnum};
use clap_complete::Shell;

use crate::{
    commands::Cli,
    error::{CliError, Exit},
    output::Screen,
};

/// Prints a completion script for a shell
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_long_help = "\
Examples:
  execlayer completions bash > /etc/bash_completion.d/execlayer
  execlayer completions zsh > ~/.zfunc/_execlayer
  execlayer completions fish > ~/.config/fish/completions/execlayer.fish"
)]
pub(crate) struct Args {
    /// The shell
    #[arg(value_parser = shell)]
    shell: Shell,
}

fn shell(name: &str) -> Result<Shell, String> {
    Shell::from_str(name, true).map_err(|_unknown| {
        let known: Vec<String> = Shell::value_variants().iter().map(Shell::to_string).collect();
        format!("known shells are {}", known.join(", "))
    })
}

pub(crate) fn run(args: &Args, screen: &Screen) -> Result<Exit, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "execlayer", &mut script);
    screen.print_bytes(&script)?;
    Ok(Exit::Done)
}
