//! File systems that must be mounted. Must not mount one.

use super::{Finding, Machine};

/// Where file systems of a type are mounted.
fn mounted(machine: &Machine, kind: &str) -> Vec<String> {
    let text = machine.text("/proc/self/mountinfo").unwrap_or_default();
    let point = |line: &str| {
        let (before, after) = line.split_once(" - ")?;
        let is_kind = after.split(' ').next() == Some(kind);
        is_kind.then(|| before.split(' ').nth(4).unwrap_or_default().to_owned())
    };
    text.lines().filter_map(point).collect()
}

fn is_known(machine: &Machine, kind: &str) -> bool {
    let text = machine.text("/proc/filesystems").unwrap_or_default();
    text.lines().any(|line| line.split_whitespace().next_back() == Some(kind))
}

pub(super) fn securityfs(machine: &Machine) -> Finding {
    let (name, point) = ("securityfs", "/sys/kernel/security");
    if mounted(machine, "securityfs").iter().any(|found| found == point) {
        return Finding::ok(name, point);
    }
    let remedy = format!("mount -t securityfs securityfs {point}");
    Finding::fix(name, format!("not mounted on {point}"), remedy)
}

pub(super) fn cgroup2(machine: &Machine) -> Finding {
    let name = "cgroup2";
    if let Some(point) = mounted(machine, "cgroup2").into_iter().next() {
        return Finding::ok(name, point);
    }
    if is_known(machine, "cgroup2") {
        let remedy = "mkdir -p /sys/fs/cgroup/unified && \
                      mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified";
        return Finding::fix(name, "not mounted", remedy);
    }
    Finding::fix(name, "not part of this kernel", "boot a kernel built with CONFIG_CGROUPS")
}

pub(super) fn bpffs(machine: &Machine) -> Finding {
    let (name, point) = ("bpffs", "/sys/fs/bpf");
    if mounted(machine, "bpf").iter().any(|found| found == point) {
        return Finding::ok(name, point);
    }
    if is_known(machine, "bpf") {
        return Finding::ok(name, format!("not mounted on {point}; the daemon mounts it"));
    }
    Finding::fix(name, "not part of this kernel", "boot a kernel built with CONFIG_BPF_SYSCALL")
}
