//! The kernel's security modules: whether BPF is among the active ones, and lockdown. Must not know
//! how a boot loader works: `execlayer_api::remedy` does.

use std::io::ErrorKind;

use execlayer_api::remedy::enable_bpf_lsm;

use super::{Finding, Machine};

pub(super) fn active(machine: &Machine) -> Finding {
    let name = "bpf lsm";
    match machine.text("/sys/kernel/security/lsm") {
        Ok(list) if list.split(',').any(|module| module == "bpf") => Finding::ok(name, list),
        Ok(list) => {
            // Without it every program loads and attaches, and none is ever called.
            Finding::fix(name, format!("`bpf` is not in `{list}`"), remedy(machine, &list))
        }
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            Finding::unknown(name, "only root may look")
        }
        Err(_) => Finding::unknown(name, "not known without securityfs"),
    }
}

fn remedy(machine: &Machine, list: &str) -> String {
    let model = machine.text("/proc/device-tree/model").unwrap_or_default();
    if model.contains("Raspberry Pi") {
        // Its system calls itself `debian`, and boots without Debian's boot loader.
        return enable_bpf_lsm("ID=raspbian", list);
    }
    enable_bpf_lsm(&machine.text("/etc/os-release").unwrap_or_default(), list)
}

pub(super) fn lockdown(machine: &Machine) -> Finding {
    let name = "lockdown";
    match machine.text("/sys/kernel/security/lockdown") {
        Ok(text) if text.contains("[confidentiality]") => Finding::fix(
            name,
            "confidentiality: programs may not read kernel memory",
            "boot with `lockdown=integrity`, or without the option",
        ),
        Ok(text) => {
            let bracketed = text.split(['[', ']']).nth(1);
            Finding::ok(name, bracketed.unwrap_or(&text))
        }
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            Finding::unknown(name, "only root may look")
        }
        Err(_) if machine.at("/sys/kernel/security/lsm").exists() => {
            Finding::ok(name, "not part of this kernel")
        }
        Err(_) => Finding::unknown(name, "not known without securityfs"),
    }
}
