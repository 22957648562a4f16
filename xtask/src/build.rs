//! `cargo xtask build`: the kernel programs, then user space around them.
//!
//! Owns how each artefact is compiled and where it is found afterwards. The kernel objects lie in
//! `target/bpf`, the static programs in the guest target's release folder.

use crate::setup::{self, Toolchain};
use crate::{paths, shell};
use anyhow::{Context, Result};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only the kernel programs
    #[arg(long)]
    kernel_only: bool,
}

/// What a build leaves behind.
pub(crate) struct Built {
    pub(crate) daemon: PathBuf,
    pub(crate) tool: PathBuf,
}

pub(crate) fn verb(arguments: &Arguments) -> Result<()> {
    let toolchain = setup::toolchain()?;
    if arguments.kernel_only {
        kernel_objects(toolchain, None)?;
        return Ok(());
    }
    let built = all(toolchain)?;
    println!("{}\n{}", built.daemon.display(), built.tool.display());
    Ok(())
}

/// The kernel objects and user space.
pub(crate) fn all(toolchain: Toolchain) -> Result<Built> {
    kernel_objects(toolchain, None)?;
    shell::step("building execlayerd and execlayer (static, release)", || {
        shell::progress(user_cargo("build").args([
            "--release",
            "-p",
            "execlayer-agent",
            "-p",
            "execlayer-cli",
        ]))
    })?;
    let release = user_target_folder().join("release");
    Ok(Built { daemon: release.join("execlayerd"), tool: release.join("execlayer") })
}

/// Where the kernel object of that name lies, for a build with or without a feature.
pub(crate) fn object(name: &str, feature: Option<&str>) -> PathBuf {
    let folder = feature.map_or_else(|| "bpf".to_owned(), |feature| format!("bpf-{feature}"));
    paths::target().join(folder).join(format!("{name}.o"))
}

/// Builds `gate` and `judge`, with one of the crate's features if asked.
pub(crate) fn kernel_objects(toolchain: Toolchain, feature: Option<&str>) -> Result<()> {
    let what = format!(
        "building the kernel programs{} ({})",
        feature.map(|feature| format!(" with {feature}")).unwrap_or_default(),
        toolchain.describe(),
    );
    shell::step(&what, || {
        let linker = paths::program("bpf-linker").context("bpf-linker has gone")?;
        let target = paths::target().join("ebpf");
        let flags = [
            "-C".to_owned(),
            "debuginfo=2".to_owned(),
            "-C".to_owned(),
            "link-arg=--btf".to_owned(),
            "-C".to_owned(),
            format!("linker={}", linker.display()),
        ];
        let mut cargo = Command::new("cargo");
        cargo
            .current_dir(paths::workspace())
            .args(["build", "--release", "-p", "execlayer-ebpf", "--target", "bpfel-unknown-none"])
            .arg("--target-dir")
            .arg(&target)
            // aya-ebpf uses one gated feature, and so does building core.
            .env("RUSTC_BOOTSTRAP", "1")
            .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"))
            .env_remove("RUSTFLAGS");
        if toolchain == Toolchain::BuildStd {
            cargo.arg("-Zbuild-std=core");
        }
        if let Some(feature) = feature {
            cargo.args(["--features", feature]);
        }
        shell::progress(&mut cargo)?;
        for name in ["gate", "judge"] {
            let from = target.join("bpfel-unknown-none/release").join(name);
            let to = object(name, feature);
            if let Some(folder) = to.parent() {
                fs::create_dir_all(folder)?;
            }
            // Written only when it differs: user space is rebuilt when this file changes.
            let content = fs::read(&from).with_context(|| format!("no `{}`", from.display()))?;
            if fs::read(&to).ok().as_ref() != Some(&content) {
                fs::write(&to, content)
                    .with_context(|| format!("cannot write `{}`", to.display()))?;
            }
        }
        Ok(())
    })
}

/// The folder of static user-space builds.
pub(crate) fn user_target_folder() -> PathBuf {
    paths::target().join(paths::USER_TARGET)
}

/// A cargo command for static user space, which knows where the kernel object is.
pub(crate) fn user_cargo(subcommand: &str) -> Command {
    let mut cargo = Command::new("cargo");
    cargo
        .current_dir(paths::workspace())
        .args([subcommand, "--target", paths::USER_TARGET])
        .env("CARGO_ENCODED_RUSTFLAGS", "-C\x1ftarget-feature=+crt-static")
        .env_remove("RUSTFLAGS")
        .env("EXECLAYER_BPF_OBJECT", object("gate", None));
    cargo
}
