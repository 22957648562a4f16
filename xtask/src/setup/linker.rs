//! bpf-linker: turns the kernel programs' LLVM bitcode into an object with BTF.
//!
//! Its LLVM must be the one of rustc: an older one cannot read the bitcode.

use super::packages;
use crate::{paths, shell};
use anyhow::{Result, bail};
use std::process::Command;

/// Rust 1.95 and 1.96 use LLVM 22, which this release supports.
const RELEASE: &str = "0.13";
const LLVM: u32 = 22;
pub(crate) const LLVM_PREFIX: &str = "/usr/lib/llvm-22";

pub(crate) fn ensure() -> Result<()> {
    same_llvm()?;
    if installed() {
        return Ok(());
    }
    packages::ensure(packages::LINKER)?;
    shell::step("building bpf-linker (links the kernel programs; about two minutes)", || {
        shell::progress(
            Command::new("cargo")
                .args(["install", "bpf-linker", "--locked", "--force", "--no-default-features"])
                .args(["--version", &format!("~{RELEASE}"), "--features", "llvm-22"])
                .env("LLVM_PREFIX", LLVM_PREFIX)
                .env("LLVM_SYS_221_PREFIX", LLVM_PREFIX),
        )
    })?;
    if !installed() {
        bail!("`cargo install bpf-linker` brought no working bpf-linker {RELEASE}");
    }
    Ok(())
}

fn same_llvm() -> Result<()> {
    let version = shell::output(Command::new("rustc").arg("-vV"))?;
    let llvm = version.lines().find_map(|line| line.strip_prefix("LLVM version: ")).unwrap_or("?");
    let major: Option<u32> = llvm.split('.').next().and_then(|major| major.parse().ok());
    if major.is_none_or(|major| major > LLVM) {
        bail!(
            "this rustc has LLVM {llvm}, bpf-linker {RELEASE} reads up to {LLVM}: use Rust 1.95 or 1.96"
        );
    }
    Ok(())
}

fn installed() -> bool {
    let Some(linker) = paths::program("bpf-linker") else { return false };
    shell::output(Command::new(linker).arg("--version"))
        .is_ok_and(|version| version.trim().starts_with(&format!("bpf-linker {RELEASE}.")))
}
