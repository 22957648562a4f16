//! The Rust toolchain's parts, and which of two ways builds the kernel programs.

use super::packages;
use crate::arch::Arch;
use crate::{paths, shell};
use anyhow::{Result, bail};
use std::path::PathBuf;
use std::process::Command;

/// How `core` for the bpf target comes to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Toolchain {
    /// rustup's `rust-src`: cargo builds `core` itself.
    BuildStd,
    /// The distribution ships `core` for the target.
    PrebuiltCore,
}

impl Toolchain {
    pub(crate) fn describe(self) -> &'static str {
        match self {
            Self::BuildStd => "core for the bpf target is built from rustup's rust-src",
            Self::PrebuiltCore => "core for the bpf target is the distribution's prebuilt one",
        }
    }

    fn find() -> Option<Self> {
        let rustlib = rustlib().ok()?;
        if rustlib.join("src/rust/library/core/Cargo.toml").is_file() {
            Some(Self::BuildStd)
        } else if rustlib.join("bpfel-unknown-none/lib").is_dir() {
            Some(Self::PrebuiltCore)
        } else {
            None
        }
    }
}

/// What user space of x86-64 is built for. Static programs are 0.8 MB smaller each with musl, which only rustup
/// brings.
pub(super) fn host_target() -> &'static str {
    let musl = Arch::Amd64.musl();
    if has_target(musl) { musl } else { "x86_64-unknown-linux-gnu" }
}

/// Adds a target that this machine is not one of.
pub(super) fn ensure_target(target: &str) -> Result<()> {
    if has_target(target) {
        return Ok(());
    }
    if paths::program("rustup").is_none() {
        bail!("this rustc has no library for {target}, which only rustup brings");
    }
    add_target(target)
}

fn has_target(target: &str) -> bool {
    rustlib().is_ok_and(|rustlib| rustlib.join(target).join("lib").is_dir())
}

fn add_target(target: &str) -> Result<()> {
    shell::step(&format!("adding {target} (small static programs)"), || {
        shell::progress(Command::new("rustup").args(["target", "add", target]))
    })
}

/// Where the compiler keeps its targets' libraries.
fn rustlib() -> Result<PathBuf> {
    let sysroot = shell::output(Command::new("rustc").args(["--print", "sysroot"]))?;
    Ok(PathBuf::from(sysroot.trim()).join("lib/rustlib"))
}

pub(crate) fn ensure() -> Result<Toolchain> {
    if paths::program("rustup").is_some() {
        ensure_components()?;
    } else if Toolchain::find().is_none() {
        packages::ensure(packages::RUST_WITHOUT_RUSTUP)?;
    }
    match Toolchain::find() {
        Some(toolchain) => Ok(toolchain),
        None => bail!(
            "this rustc has neither its library's source nor core for the bpf target: run \
             `rustup component add rust-src`, or install Debian's `rustc-web cargo-web \
             libstd-rust-web-dev-bpf`"
        ),
    }
}

fn ensure_components() -> Result<()> {
    let installed =
        shell::output(Command::new("rustup").args(["component", "list", "--installed"]))?;
    let has = |name: &str| installed.lines().any(|line| line.starts_with(name));
    let missing: Vec<&str> =
        ["rust-src", "clippy", "rustfmt"].into_iter().filter(|component| !has(component)).collect();
    if !missing.is_empty() {
        shell::step(
            &format!("adding {} (core for the bpf target, lints, format)", missing.join(" ")),
            || shell::progress(Command::new("rustup").args(["component", "add"]).args(&missing)),
        )?;
    }
    let musl = Arch::Amd64.musl();
    if has(&format!("rust-std-{musl}")) { Ok(()) } else { add_target(musl) }
}
