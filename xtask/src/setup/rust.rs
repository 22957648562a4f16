//! The Rust toolchain's parts, and which of two ways builds the kernel programs.

use super::packages;
use crate::{paths, shell};
use anyhow::{Result, bail};
use std::path::PathBuf;
use std::process::Command;

const MUSL: &str = "x86_64-unknown-linux-musl";

/// How `core` for the bpf target comes to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Toolchain {
    /// rustup's `rust-src`: cargo builds `core` itself.
    BuildStd,
    /// The distribution ships `core` for the target.
    PrebuiltCore,
}

impl Toolchain {
    /// What user space is built for: the only guest architecture. Static programs are 0.8 MB smaller each
    /// with musl, which only rustup brings.
    pub(crate) fn user_target() -> &'static str {
        if rustlib().is_ok_and(|rustlib| rustlib.join(MUSL).join("lib").is_dir()) {
            MUSL
        } else {
            "x86_64-unknown-linux-gnu"
        }
    }

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
    if !has(&format!("rust-std-{MUSL}")) {
        shell::step(&format!("adding {MUSL} (small static programs)"), || {
            shell::progress(Command::new("rustup").args(["target", "add", MUSL]))
        })?;
    }
    Ok(())
}
