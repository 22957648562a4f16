//! What this process may do. Must not try to get more.

use super::{Finding, Machine};

/// KERNEL: numbers from include/uapi/linux/capability.h.
const NEEDED: [(&str, u32); 3] = [("CAP_SYS_ADMIN", 21), ("CAP_PERFMON", 38), ("CAP_BPF", 39)];

pub(super) fn capabilities(machine: &Machine) -> Finding {
    let name = "rights";
    let status = machine.text("/proc/self/status").unwrap_or_default();
    let field = |name: &str| {
        let value = |line: &str| Some(line.strip_prefix(name)?.trim().to_owned());
        status.lines().find_map(value).unwrap_or_default()
    };
    let effective = u64::from_str_radix(&field("CapEff:"), 16).unwrap_or(0);
    let is_root = field("Uid:").split_whitespace().nth(1) == Some("0");
    let missing: Vec<&str> = NEEDED
        .into_iter()
        .filter(|(_, bit)| effective >> bit & 1 == 0)
        .map(|(name, _)| name)
        .collect();
    match (missing.is_empty(), is_root) {
        (true, true) => Finding::ok(name, "root, with every capability that is needed"),
        (_, false) => Finding::fix(name, "not root", "try it with `sudo`"),
        (false, true) => Finding::fix(
            name,
            format!("root without {}", missing.join(", ")),
            "this looks like a container: run execlayer on the host, or give the container these",
        ),
    }
}
