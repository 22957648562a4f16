//! `cargo xtask setup`: everything that a build or a test needs, installed once.
//!
//! Owns the order and the words; each thing has its file below `setup/`. Every step first looks
//! whether its result is there, so that a second run does nothing. Nothing here builds ExecLayer.

mod archive;
mod kernels;
mod linker;
mod packages;
mod rootfs;
mod rust;

pub(crate) use kernels::{Kernel, SERIES};
pub(crate) use linker::LLVM_PREFIX;
pub(crate) use rust::Toolchain;

use anyhow::Result;
use std::path::PathBuf;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Look for newer guest kernels although all series are cached
    #[arg(long)]
    refresh: bool,
}

pub(crate) fn verb(arguments: &Arguments) -> Result<()> {
    let toolchain = toolchain()?;
    println!("rust: {}", toolchain.describe());
    let guests = guests(arguments.refresh)?;
    for kernel in &guests.kernels {
        println!("kernel {}: {} ({})", kernel.series, kernel.release, kernel.package);
    }
    println!("root filesystem: {}", guests.rootfs.display());
    println!("ready");
    Ok(())
}

/// What `build` needs.
pub(crate) fn toolchain() -> Result<Toolchain> {
    packages::ensure(packages::BUILD)?;
    let toolchain = rust::ensure()?;
    linker::ensure()?;
    Ok(toolchain)
}

/// What a guest is booted from.
pub(crate) struct Guests {
    pub(crate) kernels: Vec<Kernel>,
    pub(crate) rootfs: PathBuf,
}

/// What `vm`, `demo` and `bench` need to boot guests.
pub(crate) fn guests(refresh: bool) -> Result<Guests> {
    packages::ensure(packages::GUEST)?;
    let mut archive = archive::Archive::closed()?;
    Ok(Guests {
        kernels: kernels::ensure(&mut archive, refresh)?,
        rootfs: rootfs::ensure(&mut archive)?,
    })
}
