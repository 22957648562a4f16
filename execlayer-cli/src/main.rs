//! The operator's tool. Turns arguments into one command and its result into an exit code; must not
//! know what any command does.
#![forbid(unsafe_code)]

mod commands;
mod compile;
mod daemon;
mod difference;
mod doctor;
mod domain;
mod error;
mod files;
mod held;
mod keys;
mod locked;
mod output;
mod passphrase;
mod proposals;
mod scope;
mod selftest;
mod summary;
mod terminal;
mod trail;
mod words;

use std::process::ExitCode;

use clap::Parser;

use crate::{commands::Cli, error::Exit, output::Screen};

/// Compiling a policy is little else than allocating: with musl's own allocator it takes six times as long.
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

fn main() -> ExitCode {
    let screen = Screen::new();
    // The exit codes of `run` belong to its COMMAND, so its own failures share one number.
    let runs = std::env::args_os().nth(1).is_some_and(|word| word == "run");
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let exit = match (error.use_stderr(), runs) {
                (false, _) => Exit::Done,
                (true, true) => Exit::Run,
                (true, false) => Exit::Usage,
            };
            // Nobody is left to tell if this fails.
            let _ = error.print();
            return exit.into();
        }
    };
    match cli.run(&screen) {
        Ok(code) => code,
        Err(error) => {
            error.print(&screen);
            if runs { Exit::Run.into() } else { error.exit.into() }
        }
    }
}
