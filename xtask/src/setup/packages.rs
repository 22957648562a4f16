//! Programs and libraries of the host's distribution, installed with apt where that is possible.
//!
//! A need is satisfied by the file, not by the package: on other distributions the same file may
//! come from anywhere.

use crate::{paths, shell};
use anyhow::{Result, bail};
use std::path::Path;
use std::process::Command;

/// Something that must be there before xtask can go on.
pub(crate) struct Need {
    /// A program's name, or the absolute path of a file.
    pub(crate) file: &'static str,
    /// The Debian packages that bring it.
    pub(crate) packages: &'static [&'static str],
    pub(crate) why: &'static str,
}

pub(crate) const BUILD: &[Need] = &[
    Need { file: "cc", packages: &["gcc"], why: "links user space" },
    Need {
        file: "/usr/lib/x86_64-linux-gnu/libc.a",
        packages: &["libc6-dev"],
        why: "the daemon, the tool and the guest tests are static",
    },
    Need {
        file: "/usr/lib/llvm-22/bin/llvm-objcopy",
        packages: &["llvm-22"],
        why: "strips the kernel objects of all but their BTF",
    },
];

pub(crate) const LINKER: &[Need] = &[
    Need {
        file: "/usr/lib/llvm-22/lib/libLLVM.so",
        packages: &["llvm-22-dev"],
        why: "bpf-linker is built with the LLVM that rustc uses",
    },
    Need { file: "/usr/include/zlib.h", packages: &["zlib1g-dev"], why: "LLVM links it" },
    Need { file: "/usr/include/zstd.h", packages: &["libzstd-dev"], why: "LLVM links it" },
    Need { file: "c++", packages: &["g++"], why: "LLVM is written in C++" },
];

pub(crate) const FUZZER: &[Need] =
    &[Need { file: "c++", packages: &["g++"], why: "libFuzzer is written in C++" }];

pub(crate) const RUST_WITHOUT_RUSTUP: &[Need] = &[
    Need {
        file: "/usr/bin/cargo",
        packages: &["cargo-web", "rustc-web"],
        why: "builds everything where there is no rustup",
    },
    Need {
        file: "/usr/lib/rustlib/bpfel-unknown-none/lib",
        packages: &["libstd-rust-web-dev-bpf"],
        why: "core for the bpf target",
    },
];

pub(crate) const BUILD_ARM64: &[Need] = &[Need {
    file: "aarch64-linux-gnu-gcc",
    packages: &["gcc-aarch64-linux-gnu"],
    why: "compiles the C and assembly of `ring`",
}];

pub(crate) const GUEST: &[Need] = &[
    Need { file: "mkfs.ext4", packages: &["e2fsprogs"], why: "makes the guests' disk" },
    Need { file: "xz", packages: &["xz-utils"], why: "unpacks kernel modules" },
    Need { file: "setpriv", packages: &["util-linux"], why: "ends guests together with xtask" },
];

pub(crate) const GUEST_AMD64: &[Need] = &[Need {
    file: "qemu-system-x86_64",
    packages: &["qemu-system-x86"],
    why: "boots stock kernels without KVM",
}];

pub(crate) const GUEST_ARM64: &[Need] = &[Need {
    file: "qemu-system-aarch64",
    packages: &["qemu-system-arm"],
    why: "boots stock kernels of arm64",
}];

/// Installs what is missing of `needs`, or names the packages.
pub(crate) fn ensure(needs: &[Need]) -> Result<()> {
    let missing: Vec<&Need> = needs.iter().filter(|need| !present(need)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let mut packages = Vec::new();
    for need in &missing {
        eprintln!("missing: `{}` of {} ({})", need.file, need.packages.join(", "), need.why);
        packages.extend(need.packages);
    }
    if paths::program("apt-get").is_none() {
        bail!(
            "no apt-get here: install what Debian calls `{}` with this system's package manager",
            packages.join(" ")
        );
    }
    let install = format!("apt-get install --no-install-recommends {}", packages.join(" "));
    if shell::output(Command::new("id").arg("-u"))?.trim() != "0" {
        bail!("packages are installed by root: run `{install}`");
    }
    shell::step(&format!("installing {}", packages.join(" ")), || install_all(&packages))?;
    match missing.iter().find(|need| !present(need)) {
        Some(need) => bail!("`{install}` did not bring `{}`", need.file),
        None => Ok(()),
    }
}

fn install_all(packages: &[&str]) -> Result<()> {
    let simulate = ["install", "--simulate", "--no-install-recommends"];
    let known = shell::output(Command::new("apt-get").args(simulate).args(packages)).is_ok();
    let install = || {
        shell::progress(
            Command::new("apt-get")
                .args(["install", "--yes", "--quiet", "--no-install-recommends"])
                .args(packages)
                .env("DEBIAN_FRONTEND", "noninteractive"),
        )
    };
    // A known package may still have left the mirror since the lists were read.
    if known && install().is_ok() {
        return Ok(());
    }
    shell::progress(Command::new("apt-get").args(["update", "--quiet"]))?;
    install()
}

fn present(need: &Need) -> bool {
    match need.file.starts_with('/') {
        true => Path::new(need.file).exists(),
        false => paths::program(need.file).is_some(),
    }
}
