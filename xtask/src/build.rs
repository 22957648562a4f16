//! `cargo xtask build`: the kernel programs, then user space around them.
//!
//! Owns how each artefact is compiled and where it is found afterwards. The kernel objects lie in
//! `target/bpf`, the static programs in their target's release folder. The kernel objects are the same for every
//! architecture.

use crate::arch::Arch;
use crate::setup::{self, LLVM_PREFIX, Toolchain};
use crate::{paths, shell};
use anyhow::{Context, Result};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// A feature of the kernel programs that the daemon has, too.
const KERNEL_LOG: &str = "kernel-log";

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only the kernel programs
    #[arg(long)]
    kernel_only: bool,
    /// For machines of this architecture
    #[arg(long, value_enum, default_value_t)]
    arch: Arch,
}

/// What a build leaves behind.
pub(crate) struct Built {
    pub(crate) arch: Arch,
    pub(crate) daemon: PathBuf,
    pub(crate) tool: PathBuf,
    /// Kernel programs that are not ours to the gate, for a guest test.
    pub(crate) foreign: PathBuf,
}

pub(crate) fn verb(arguments: &Arguments) -> Result<()> {
    let toolchain = setup::toolchain()?;
    if arguments.kernel_only {
        kernel_objects(toolchain, None)?;
        return Ok(());
    }
    let built = all(toolchain, arguments.arch, None)?;
    println!("{}\n{}", built.daemon.display(), built.tool.display());
    Ok(())
}

/// The kernel objects and user space, around a kernel object with one of its features if asked.
pub(crate) fn all(toolchain: Toolchain, arch: Arch, feature: Option<&str>) -> Result<Built> {
    kernel_objects(toolchain, feature)?;
    let target = setup::user_target(arch)?;
    shell::step(&format!("building execlayerd and execlayer ({target}, static, release)"), || {
        // One after the other: built together, the daemon would be linked with what only the tool
        // may do, because cargo unifies their dependencies' features.
        for package in ["execlayer-agent", "execlayer-cli"] {
            let mut cargo = static_cargo("build", target);
            cargo.args(["--release", "-p", package]);
            if package == "execlayer-agent" && feature == Some(KERNEL_LOG) {
                // Somebody must read what such programs say.
                cargo.args(["--features", KERNEL_LOG]);
            }
            shell::progress(cargo.env("EXECLAYER_BPF_OBJECT", object("gate", feature)))?;
        }
        Ok(())
    })?;
    let release = paths::target().join(target).join("release");
    Ok(Built {
        arch,
        daemon: release.join("execlayerd"),
        tool: release.join("execlayer"),
        foreign: object("foreign", feature),
    })
}

/// Where the kernel object of that name lies, for a build with or without a feature.
pub(crate) fn object(name: &str, feature: Option<&str>) -> PathBuf {
    let folder = feature.map_or_else(|| "bpf".to_owned(), |feature| format!("bpf-{feature}"));
    paths::target().join(folder).join(format!("{name}.o"))
}

/// Builds `gate`, `judge`, `empty` and `foreign`, with one of the crate's features if asked.
pub(crate) fn kernel_objects(toolchain: Toolchain, feature: Option<&str>) -> Result<()> {
    let what = format!(
        "building the kernel programs{} ({})",
        feature.map(|feature| format!(" with {feature}")).unwrap_or_default(),
        toolchain.describe(),
    );
    shell::step(&what, || {
        let mut cargo = kernel_cargo("build", toolchain)?;
        if let Some(feature) = feature {
            cargo.args(["--features", feature]);
        }
        shell::progress(&mut cargo)?;
        for name in ["gate", "judge", "empty", "foreign"] {
            let from = kernel_target_folder().join("bpfel-unknown-none/release").join(name);
            let to = object(name, feature);
            if let Some(folder) = to.parent() {
                fs::create_dir_all(folder)?;
            }
            let stripped = from.with_extension("o");
            // BTF stays; the rest of the debug information is ten times the programs. Relocations of
            // .BTF.ext say what its records say themselves, and loaders do not read them.
            let mut objcopy = Command::new(format!("{LLVM_PREFIX}/bin/llvm-objcopy"));
            objcopy.args(["--strip-debug", "--remove-section=.rel.BTF.ext"]);
            shell::run(objcopy.arg(&from).arg(&stripped))?;
            // Written only when it differs: user space is rebuilt when this file changes.
            let content =
                fs::read(&stripped).with_context(|| format!("no `{}`", stripped.display()))?;
            if fs::read(&to).ok().as_ref() != Some(&content) {
                fs::write(&to, content)
                    .with_context(|| format!("cannot write `{}`", to.display()))?;
            }
        }
        Ok(())
    })
}

/// A cargo command for the kernel crate on its own target.
pub(crate) fn kernel_cargo(subcommand: &str, toolchain: Toolchain) -> Result<Command> {
    let linker = paths::program("bpf-linker").context("bpf-linker has gone")?;
    let linker = format!("linker={}", linker.display());
    // Instructions of version 3 have atomics; a panic on overflow has no place in a kernel program.
    let flags = [
        "-C",
        "target-cpu=v3",
        "-C",
        "overflow-checks=off",
        "-C",
        "debuginfo=2",
        "-C",
        "link-arg=--btf",
        "-C",
        &linker,
    ];
    let mut cargo = Command::new("cargo");
    cargo
        .current_dir(paths::workspace())
        .args([subcommand, "--release", "-p", "execlayer-ebpf", "--target", "bpfel-unknown-none"])
        .arg("--target-dir")
        .arg(kernel_target_folder())
        // aya-ebpf uses one gated feature, and so does building core.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"))
        .env_remove("RUSTFLAGS");
    if toolchain == Toolchain::BuildStd {
        cargo.arg("-Zbuild-std=core");
    }
    Ok(cargo)
}

fn kernel_target_folder() -> PathBuf {
    paths::target().join("ebpf")
}

/// A cargo command for static programs, which knows where the kernel object is.
pub(crate) fn static_cargo(subcommand: &str, target: &str) -> Command {
    let mut flags = vec!["-C", "target-feature=+crt-static"];
    if target == Arch::Arm64.musl() {
        // rustup brings it, and the target's start files; the cross compiler's own linker has none for musl.
        flags.extend(["-C", "linker=rust-lld"]);
    }
    let mut cargo = Command::new("cargo");
    cargo
        .current_dir(paths::workspace())
        .args([subcommand, "--target", target])
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"))
        .env_remove("RUSTFLAGS")
        .env("EXECLAYER_BPF_OBJECT", object("gate", None));
    cargo
}
