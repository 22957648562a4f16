//! `cargo xtask ci`: what must hold before a change lands, cheapest first.

use crate::{build, paths, setup, shell, test, tidy};
use anyhow::Result;
use std::process::Command;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Stop before the tests
    #[arg(long)]
    checks_only: bool,
}

pub(crate) fn verb(arguments: &Arguments) -> Result<()> {
    let toolchain = setup::toolchain()?;
    shell::step("format", || shell::run(cargo().args(["fmt", "--all", "--check"])))?;
    shell::step("house rules", || tidy::verb(&tidy::Arguments::default()))?;
    // The daemon embeds the kernel object, so linting it needs the object too.
    build::kernel_objects(toolchain, None)?;
    let lint = |targets: &[&str]| {
        let mut clippy = cargo();
        clippy.args(["clippy", "--quiet"]).args(targets).args(["--", "-D", "warnings"]);
        shell::run(clippy.env("EXECLAYER_BPF_OBJECT", build::object("gate", None)))
    };
    shell::step("lints of user space", || {
        lint(&["--all-targets"])?;
        // No test of the host, so that it is not among all targets.
        lint(&["-p", "execlayer-tests", "--test", "vm"])
    })?;
    shell::step("lints of the kernel programs", || {
        let mut clippy = build::kernel_cargo("clippy", toolchain)?;
        shell::run(clippy.args(["--quiet", "--", "-D", "warnings"]))
    })?;
    if arguments.checks_only {
        return Ok(());
    }
    test::verb(&test::Arguments::default())
}

fn cargo() -> Command {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(paths::workspace());
    cargo
}
