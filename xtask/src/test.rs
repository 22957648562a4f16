//! `cargo xtask test`: everything from set-up to the last guest, in one command.

use crate::arch::Arch;
use crate::{build, fuzz, paths, setup, shell, vm};
use anyhow::Result;
use std::process::Command;

#[derive(Default, clap::Args)]
pub(crate) struct Arguments {
    /// The counts for a release instead of those for every change; takes hours
    #[arg(long)]
    full: bool,
}

pub(crate) fn verb(arguments: &Arguments) -> Result<()> {
    let mut lab = vm::Lab::prepare(Arch::Amd64, None)?;
    let arm64 = arguments.full.then(|| vm::Lab::prepare(Arch::Arm64, None)).transpose()?;
    shell::step("testing on this host", || host(arguments.full))?;
    if let Some(mut arm64) = arm64 {
        fuzz::verb(&fuzz::Arguments::default())?;
        return vm::full(&mut lab, &mut arm64);
    }
    println!(
        "no guests of arm64: they are booted with --full, and by `cargo xtask vm --arch arm64`"
    );
    vm::matrix(&mut lab, &vm::Choice::default())
}

fn host(full: bool) -> Result<()> {
    let mut cargo = Command::new("cargo");
    cargo
        .current_dir(paths::workspace())
        .args(["test", "--quiet"])
        .env("EXECLAYER_BPF_OBJECT", build::object("gate", None))
        .env("EXECLAYER_JUDGE_OBJECT", build::object("judge", None));
    let strict = std::env::var_os("CI").is_some();
    match setup::consumers() {
        Ok(consumers) => {
            println!("consumers of exports: {}", consumers.packages.join(", "));
            cargo.env("EXECLAYER_CONSUMERS", consumers.folder);
        }
        Err(error) if !strict => {
            println!("no tests with consumers of exports, which cannot be had here: {error:#}");
        }
        Err(error) => return Err(error),
    }
    match setup::schemathesis() {
        Ok(folder) => {
            cargo.env("EXECLAYER_SCHEMATHESIS", folder);
        }
        Err(error) if !strict => println!("no test of the API's document here: {error:#}"),
        Err(error) => return Err(error),
    }
    if strict {
        // There the kernel must judge; elsewhere a test that cannot ask it says so.
        cargo.env("EXECLAYER_REQUIRE_KERNEL", "1");
    }
    if full {
        cargo.env("EXECLAYER_FULL", "1");
    }
    shell::run(&mut cargo)?;
    models()
}

/// What threads do together, in every order of their steps.
fn models() -> Result<()> {
    let mut cargo = Command::new("cargo");
    cargo
        .current_dir(paths::workspace())
        .args(["test", "--quiet", "-p", "execlayer-engine", "--test", "models", "--target-dir"])
        .arg(paths::target().join("loom"))
        .env("RUSTFLAGS", "--cfg loom");
    shell::run(&mut cargo)
}
