//! What to change on a machine that cannot enforce. Texts only, shared by the daemon's refusal and
//! the tool's doctor: must not look at the machine.

/// How to make BPF LSM active: `os_release` is the text of `/etc/os-release`, `active` that of
/// `/sys/kernel/security/lsm` (empty if it is not known). More than one line.
#[must_use]
pub fn enable_bpf_lsm(os_release: &str, active: &str) -> String {
    let active = active.trim();
    let list = if active.is_empty() {
        "the list in /sys/kernel/security/lsm,bpf".to_owned()
    } else {
        format!("{active},bpf")
    };
    let argument = format!("lsm={list}");
    let steps = match boot(os_release) {
        Boot::Grub { update } => format!(
            "in /etc/default/grub add `{argument}` to GRUB_CMDLINE_LINUX, run `{update}`, reboot"
        ),
        Boot::Grubby => {
            format!("run `grubby --update-kernel=ALL --args={argument}`, reboot")
        }
        Boot::Firmware => {
            format!("append `{argument}` to the one line of /boot/firmware/cmdline.txt, reboot")
        }
        Boot::Oem => {
            format!("in /oem/grub.cfg add `set linux_append=\"$linux_append {argument}\"`, reboot")
        }
        Boot::Other => {
            format!("add `{argument}` to the kernel command line in the boot loader, reboot")
        }
    };
    format!(
        "{steps}\nif `bpf` is still not in /sys/kernel/security/lsm then, this kernel is built \
         without CONFIG_BPF_LSM and another one is needed"
    )
}

enum Boot {
    Grub { update: &'static str },
    Grubby,
    Firmware,
    Oem,
    Other,
}

fn boot(os_release: &str) -> Boot {
    let own = field(os_release, "ID");
    let like = field(os_release, "ID_LIKE");
    for id in own.split_whitespace().chain(like.split_whitespace()) {
        match id {
            "raspbian" => return Boot::Firmware,
            "flatcar" => return Boot::Oem,
            "debian" | "ubuntu" => return Boot::Grub { update: "update-grub" },
            "fedora" | "rhel" | "centos" | "rocky" | "almalinux" => return Boot::Grubby,
            "suse" | "opensuse" | "sles" => {
                return Boot::Grub { update: "grub2-mkconfig -o /boot/grub2/grub.cfg" };
            }
            "arch" => return Boot::Grub { update: "grub-mkconfig -o /boot/grub/grub.cfg" },
            _ => {}
        }
    }
    Boot::Other
}

fn field<'a>(os_release: &'a str, name: &str) -> &'a str {
    os_release
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
        .map_or("", |value| value.trim().trim_matches(['"', '\'']))
}

#[cfg(test)]
mod tests {
    use super::enable_bpf_lsm;

    #[test]
    fn each_distribution_gets_its_own_steps_with_the_whole_list() {
        for (os_release, step) in [
            ("NAME=x\nID=ubuntu\nID_LIKE=debian\n", "update-grub"),
            ("ID=debian\n", "update-grub"),
            ("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n", "grubby"),
            ("ID=raspbian\nID_LIKE=debian\n", "cmdline.txt"),
            ("ID=flatcar\n", "/oem/grub.cfg"),
            ("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n", "update-grub"),
            ("ID=arch\n", "grub-mkconfig"),
            ("", "boot loader"),
        ] {
            let text = enable_bpf_lsm(os_release, "lockdown,capability,yama\n");
            assert!(text.contains(step), "{os_release}: {text}");
            assert!(text.contains("lsm=lockdown,capability,yama,bpf"), "{text}");
        }
    }

    #[test]
    fn a_list_that_is_not_known_is_not_made_up() {
        let text = enable_bpf_lsm("ID=debian\n", "");
        assert!(text.contains("the list in /sys/kernel/security/lsm,bpf"), "{text}");
    }
}
