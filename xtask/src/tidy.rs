//! `cargo xtask tidy`: the house rules that no compiler checks.
//!
//! Every finding is one line, `file:line: message`. The rules live below `tidy/`, one file for
//! each thing they look at; none of them changes a file unless asked to bless.

mod bypasses;
mod dependencies;
mod documents;
mod source;

use crate::paths;
use crate::shell::{self, AlreadyReported};
use anyhow::{Context, Result};
use std::fmt::Display;
use std::fs;
use std::process::Command;

#[derive(Default, clap::Args)]
pub(crate) struct Arguments {
    /// Write the daemon's dependency list anew instead of comparing it
    #[arg(long)]
    bless: bool,
}

/// What was found, in the order of finding.
#[derive(Debug, Default)]
struct Findings(Vec<String>);

impl Findings {
    fn add(&mut self, file: &str, line: usize, message: impl Display) {
        self.0.push(format!("{file}:{line}: {message}"));
    }
}

pub(crate) fn verb(arguments: &Arguments) -> Result<()> {
    let mut findings = Findings::default();
    let files = files()?;
    for file in &files {
        // What is no text has no house rules; a file that git still lists may be gone.
        let Ok(text) = fs::read_to_string(paths::workspace().join(file)) else { continue };
        source::check(file, &text, &mut findings);
    }
    documents::check(&files, &mut findings);
    bypasses::check(&files, &mut findings);
    dependencies::check(arguments.bless, &mut findings)?;
    findings.0.iter().for_each(|finding| println!("{finding}"));
    match findings.0.len() {
        0 => Ok(()),
        count => {
            println!("{count} findings");
            Err(AlreadyReported.into())
        }
    }
}

/// Tracked files, and those that would be with the next `git add`.
fn files() -> Result<Vec<String>> {
    let listed = shell::output(Command::new("git").current_dir(paths::workspace()).args([
        "ls-files",
        "--cached",
        "--others",
        "--exclude-standard",
    ]))
    .context("tidy needs a git checkout")?;
    Ok(listed.lines().map(str::to_owned).collect())
}
