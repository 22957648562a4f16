//! `cargo xtask setup`: everything that a build or a test needs, installed once.
//!
//! Owns the order and the words; each thing has its file below `setup/`. Every step first looks
//! whether its result is there, so that a second run does nothing. Nothing here builds ExecLayer.

mod archive;
mod consumers;
mod kernels;
mod linker;
mod packages;
mod rootfs;
mod rust;
mod schemathesis;

pub(crate) use consumers::Consumers;
pub(crate) use kernels::Kernel;
pub(crate) use linker::LLVM_PREFIX;
pub(crate) use rust::Toolchain;

use crate::arch::Arch;
use anyhow::Result;
use std::path::PathBuf;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Look for newer guest kernels although all series are cached
    #[arg(long)]
    refresh: bool,
    /// Also what building for this architecture and its guests need
    #[arg(long, value_enum, default_value_t)]
    arch: Arch,
}

pub(crate) fn verb(arguments: &Arguments) -> Result<()> {
    let toolchain = toolchain()?;
    println!("rust: {}", toolchain.describe());
    user_target(arguments.arch)?;
    let guests = guests(arguments.arch, arguments.refresh)?;
    for kernel in &guests.kernels {
        println!("kernel {}: {} ({})", kernel.series, kernel.release, kernel.package);
    }
    println!("root filesystem: {}", guests.rootfs.display());
    match consumers() {
        Ok(consumers) => println!("consumers of exports: {}", consumers.packages.join(", ")),
        Err(error) => println!("no consumers of exports, so their tests do not run: {error:#}"),
    }
    match schemathesis() {
        Ok(folder) => println!("Schemathesis: {}", folder.display()),
        Err(error) => println!("no Schemathesis, so its test does not run: {error:#}"),
    }
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

/// What user space is built for, with what linking it needs.
pub(crate) fn user_target(arch: Arch) -> Result<&'static str> {
    match arch {
        Arch::Amd64 => Ok(rust::host_target()),
        Arch::Arm64 => {
            packages::ensure(packages::BUILD_ARM64)?;
            rust::ensure_target(arch.musl())?;
            Ok(arch.musl())
        }
    }
}

/// What `fuzz` needs beyond a build.
pub(crate) fn fuzzer() -> Result<()> {
    packages::ensure(packages::FUZZER)
}

/// What a guest is booted from.
pub(crate) struct Guests {
    pub(crate) kernels: Vec<Kernel>,
    pub(crate) rootfs: PathBuf,
}

/// What `vm`, `demo` and `bench` need to boot guests.
pub(crate) fn guests(arch: Arch, refresh: bool) -> Result<Guests> {
    packages::ensure(packages::GUEST)?;
    packages::ensure(match arch {
        Arch::Amd64 => packages::GUEST_AMD64,
        Arch::Arm64 => packages::GUEST_ARM64,
    })?;
    let mut archive = archive::Archive::closed(arch)?;
    Ok(Guests {
        kernels: kernels::ensure(&mut archive, arch, refresh)?,
        rootfs: rootfs::ensure(&mut archive, arch)?,
    })
}

/// What the test of the API's document is run with. A host that cannot have it runs all other tests.
pub(crate) fn schemathesis() -> Result<PathBuf> {
    schemathesis::ensure()
}

/// What the tests of exports send to. A host that cannot have it runs all other tests.
pub(crate) fn consumers() -> Result<Consumers> {
    consumers::ensure(&mut archive::Archive::closed(Arch::Amd64)?)
}
