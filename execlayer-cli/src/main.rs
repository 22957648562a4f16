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
mod hook;
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
    let word = std::env::args_os().nth(1).unwrap_or_default();
    if word == "hook" {
        hook::block_on_panic();
    }
    let screen = Screen::new();
    // The exit codes of `run` belong to its COMMAND, so its own failures share one number. Those of
    // `hook` are its agent's: whatever fails, the number is the one that blocks.
    let own = match word.to_str() {
        Some("run") => Some(Exit::Run),
        Some("hook") => Some(Exit::Usage),
        _ => None,
    };
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let exit = if error.use_stderr() { own.unwrap_or(Exit::Usage) } else { Exit::Done };
            // Nobody is left to tell if this fails.
            let _ = error.print();
            return exit.into();
        }
    };
    match cli.run(&screen) {
        Ok(code) => code,
        Err(error) => {
            error.print(&screen);
            own.unwrap_or(error.exit).into()
        }
    }
}
