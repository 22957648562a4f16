//! Claims about what the doctor finds, on machines that are folders.

use std::fs;

use super::*;

/// A machine that can enforce.
fn healthy() -> (tempfile::TempDir, Machine) {
    let folder = tempfile::tempdir().unwrap();
    let machine = Machine {
        root: folder.path().to_owned(),
        arch: "x86_64",
        daemon: Some("/usr/bin/execlayerd".into()),
    };
    for (path, text) in [
        ("/proc/sys/kernel/osrelease", "6.12.41-cloud-amd64\n"),
        ("/proc/sys/net/core/bpf_jit_enable", "1\n"),
        ("/proc/filesystems", "nodev\tsysfs\nnodev\tcgroup2\nnodev\tbpf\n\text4\n"),
        (
            "/proc/self/mountinfo",
            "25 1 0:1 / /sys/kernel/security rw,relatime shared:9 - securityfs securityfs rw\n\
             26 1 0:2 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw,nsdelegate\n\
             27 1 0:3 / /sys/fs/bpf rw shared:7 - bpf bpf rw,mode=700\n",
        ),
        ("/proc/self/status", "Name:\tx\nUid:\t0\t0\t0\t0\nCapEff:\t000001ffffffffff\n"),
        ("/sys/kernel/btf/vmlinux", "btf"),
        ("/sys/kernel/security/lsm", "lockdown,capability,yama,apparmor,bpf\n"),
        ("/sys/kernel/security/lockdown", "none [integrity] confidentiality\n"),
        ("/etc/os-release", "ID=debian\n"),
        (
            "/boot/config-6.12.41-cloud-amd64",
            "CONFIG_BPF_SYSCALL=y\nCONFIG_BPF_JIT=y\nCONFIG_BPF_LSM=y\nCONFIG_DEBUG_INFO_BTF=y\n\
             CONFIG_SECURITY_NETWORK=y\nCONFIG_SECURITY_PATH=y\nCONFIG_CGROUPS=y\n",
        ),
    ] {
        write(&machine, path, text);
    }
    (folder, machine)
}

fn write(machine: &Machine, path: &str, text: &str) {
    let path = machine.at(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn remove(machine: &Machine, path: &str) {
    fs::remove_file(machine.at(path)).unwrap();
}

/// The one thing that is not as it must be.
fn only(machine: &Machine) -> Finding {
    let mut found: Vec<Finding> =
        examine(machine).into_iter().filter(|finding| finding.state != State::Ok).collect();
    assert_eq!(found.len(), 1, "{found:#?}");
    found.remove(0)
}

#[test]
fn a_machine_that_can_enforce_has_nothing_to_fix() {
    let (_folder, machine) = healthy();
    let findings = examine(&machine);
    assert!(findings.iter().all(|finding| finding.state == State::Ok), "{findings:#?}");
}

#[test]
fn bpf_missing_from_the_list_is_to_be_fixed_the_distributions_way() {
    let (_folder, machine) = healthy();
    write(&machine, "/sys/kernel/security/lsm", "lockdown,capability,bpfilter\n");
    for (os_release, model, step) in [
        ("ID=debian\n", "", "update-grub"),
        ("ID=ubuntu\nID_LIKE=debian\n", "", "update-grub"),
        ("ID=fedora\n", "", "grubby"),
        ("ID=\"rhel\"\n", "", "grubby"),
        ("ID=\"opensuse-leap\"\nID_LIKE=\"suse opensuse\"\n", "", "grub2-mkconfig"),
        ("ID=arch\n", "", "grub-mkconfig"),
        ("ID=flatcar\nID_LIKE=coreos\n", "", "/oem/grub.cfg"),
        ("ID=debian\n", "Raspberry Pi 5 Model B Rev 1.0\0", "cmdline.txt"),
    ] {
        write(&machine, "/etc/os-release", os_release);
        write(&machine, "/proc/device-tree/model", model);
        let finding = only(&machine);
        assert_eq!((finding.name, finding.state), ("bpf lsm", State::Fix));
        let remedy = finding.remedy.unwrap();
        assert!(remedy.contains(step), "{os_release}: {remedy}");
        assert!(remedy.contains("lsm=lockdown,capability,bpfilter,bpf"), "{remedy}");
    }
}

#[test]
fn an_old_kernel_is_to_be_fixed_and_arm64_needs_a_newer_one() {
    let (_folder, mut machine) = healthy();
    remove(&machine, "/boot/config-6.12.41-cloud-amd64");
    let state = |machine: &Machine| kernel::version(machine).state;
    for (release, arch, expected) in [
        ("5.15.0-91-generic", "x86_64", State::Fix),
        ("6.1.0-13-amd64", "x86_64", State::Ok),
        ("6.0.19", "x86_64", State::Fix),
        ("10.0.1", "x86_64", State::Ok),
        ("6.1.0", "aarch64", State::Fix),
        ("6.4.0", "aarch64", State::Ok),
        ("", "x86_64", State::Unknown),
    ] {
        machine.arch = arch;
        write(&machine, "/proc/sys/kernel/osrelease", release);
        assert_eq!(state(&machine), expected, "{release} {arch}");
    }
    machine.arch = "riscv64";
    assert_eq!(kernel::architecture(&machine).state, State::Fix);
}

#[test]
fn an_option_that_the_kernel_lacks_is_named() {
    let (_folder, machine) = healthy();
    let path = "/boot/config-6.12.41-cloud-amd64";
    let text = machine.text(path).unwrap();
    write(&machine, path, &text.replace("CONFIG_BPF_LSM=y", "# CONFIG_BPF_LSM is not set"));
    let finding = only(&machine);
    assert_eq!((finding.name, finding.state), ("config", State::Fix));
    assert!(finding.detail.contains("CONFIG_BPF_LSM") && !finding.detail.contains("BTF"));
    remove(&machine, path);
    assert_eq!(only(&machine).state, State::Unknown);
}

#[test]
fn confidentiality_lockdown_is_to_be_fixed_and_integrity_is_not() {
    let (_folder, machine) = healthy();
    let path = "/sys/kernel/security/lockdown";
    write(&machine, path, "none integrity [confidentiality]\n");
    assert_eq!(only(&machine).name, "lockdown");
    remove(&machine, path);
    assert_eq!(lsm::lockdown(&machine).detail, "not part of this kernel");
}

#[test]
fn what_is_not_mounted_is_to_be_fixed() {
    let (_folder, machine) = healthy();
    let all = machine.text("/proc/self/mountinfo").unwrap();
    let without = |kind: &str| {
        let lines: Vec<&str> = all.lines().filter(|line| !line.contains(kind)).collect();
        write(&machine, "/proc/self/mountinfo", &lines.join("\n"));
        examine(&machine).into_iter().find(|finding| finding.state == State::Fix)
    };
    assert_eq!(without("securityfs").unwrap().name, "securityfs");
    assert_eq!(without("cgroup2").unwrap().name, "cgroup2");
    assert_eq!(without("bpf bpf"), None, "the daemon can mount it");
    write(&machine, "/proc/filesystems", "nodev\tsysfs\n");
    assert_eq!(without("bpf bpf").unwrap().name, "bpffs");
}

#[test]
fn everything_else_that_is_missing_is_to_be_fixed() {
    let (_folder, mut machine) = healthy();
    remove(&machine, "/sys/kernel/btf/vmlinux");
    assert_eq!(only(&machine).name, "btf");
    write(&machine, "/sys/kernel/btf/vmlinux", "btf");
    write(&machine, "/proc/sys/net/core/bpf_jit_enable", "0\n");
    assert_eq!(only(&machine).name, "jit");
    write(&machine, "/proc/sys/net/core/bpf_jit_enable", "1\n");
    machine.daemon = None;
    assert_eq!(only(&machine).name, "daemon");
}

#[test]
fn rights_that_are_missing_are_named() {
    let (_folder, machine) = healthy();
    let status = "Uid:\t1000\t1000\t1000\t1000\nCapEff:\t0000000000000000\n";
    write(&machine, "/proc/self/status", status);
    assert_eq!(only(&machine).detail, "not root");
    write(&machine, "/proc/self/status", "Uid:\t0\t0\t0\t0\nCapEff:\t00000000a80425fb\n");
    let finding = only(&machine);
    assert!(finding.detail.contains("CAP_BPF") && finding.detail.contains("CAP_SYS_ADMIN"));
    assert!(finding.remedy.unwrap().contains("container"));
}
