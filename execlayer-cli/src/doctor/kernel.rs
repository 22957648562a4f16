//! The kernel itself: version, architecture, configuration, type information, JIT. Must not know its
//! security modules.

use std::io::ErrorKind;

use super::{Finding, Machine};

/// What the gate was written for and is tested on.
const OLDEST: (u32, u32) = (6, 1);
/// KERNEL: arm64 has the trampolines that BPF LSM programs are attached with from 6.4 on
/// (arch/arm64/net/bpf_jit_comp.c).
const OLDEST_ARM64: (u32, u32) = (6, 4);

pub(super) fn version(machine: &Machine) -> Finding {
    let (name, release) = ("kernel", machine.release());
    let oldest = if machine.arch == "aarch64" { OLDEST_ARM64 } else { OLDEST };
    let wanted = format!("{}.{} or newer", oldest.0, oldest.1);
    match parse(&release) {
        None => Finding::unknown(name, format!("release `{release}` is not understood")),
        Some(found) if found >= oldest => Finding::ok(name, format!("{release} ({wanted})")),
        Some(_) => Finding::fix(name, format!("{release} is too old"), format!("boot {wanted}")),
    }
}

/// Major and minor number of a release such as `6.12.41-cloud-amd64`.
fn parse(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

pub(super) fn architecture(machine: &Machine) -> Finding {
    match machine.arch {
        known @ ("x86_64" | "aarch64") => Finding::ok("architecture", known),
        other => Finding::fix(
            "architecture",
            format!("{other} is not supported"),
            "use a machine with x86_64 or aarch64",
        ),
    }
}

/// Options without which a hook or a program type is missing.
const OPTIONS: [&str; 7] = [
    "CONFIG_BPF_SYSCALL",
    "CONFIG_BPF_JIT",
    "CONFIG_BPF_LSM",
    "CONFIG_DEBUG_INFO_BTF",
    "CONFIG_SECURITY_NETWORK",
    "CONFIG_SECURITY_PATH",
    "CONFIG_CGROUPS",
];

pub(super) fn config(machine: &Machine) -> Finding {
    let (name, release) = ("config", machine.release());
    let places = [format!("/boot/config-{release}"), format!("/lib/modules/{release}/config")];
    let Some(text) = places.iter().find_map(|place| machine.text(place).ok()) else {
        return Finding::unknown(name, "the kernel's configuration is not readable in /boot");
    };
    let missing: Vec<&str> = OPTIONS
        .into_iter()
        .filter(|option| {
            let set = |line: &str| line.strip_prefix(option) == Some("=y");
            !text.lines().any(set)
        })
        .collect();
    if missing.is_empty() {
        return Finding::ok(name, "has every option that is needed");
    }
    let remedy = "boot a kernel that has them; your distribution may offer another one";
    Finding::fix(name, format!("without {}", missing.join(", ")), remedy)
}

const BTF: &str = "/sys/kernel/btf/vmlinux";

pub(super) fn btf(machine: &Machine) -> Finding {
    match std::fs::metadata(machine.at(BTF)) {
        Ok(metadata) if metadata.is_file() => Finding::ok("btf", BTF),
        _ => Finding::fix(
            "btf",
            format!("there is no {BTF}"),
            "mount sysfs on /sys; if it is, boot a kernel built with CONFIG_DEBUG_INFO_BTF",
        ),
    }
}

pub(super) fn jit(machine: &Machine) -> Finding {
    let (name, path) = ("jit", "/proc/sys/net/core/bpf_jit_enable");
    match machine.text(path) {
        Ok(text) if text == "0" => {
            Finding::fix(name, "BPF programs are interpreted", "sysctl net.core.bpf_jit_enable=1")
        }
        Ok(_) => Finding::ok(name, "BPF programs are compiled"),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            Finding::unknown(name, "only root may look")
        }
        Err(_) => Finding::unknown(name, format!("there is no {path} here")),
    }
}
