//! The ground that all other guest tests stand on: the kernel's features and the real programs.

use crate::framework::Lane;
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::Path;
use std::process::Command;

crate::tests! {
    bpf_lsm_is_active,
    btf_is_present,
    real_programs_run => .limit(180),
    the_agent_may_use_sudo,
    the_stress_lane_preempts_everywhere => .lanes(&[Lane::Stress]),
}

fn bpf_lsm_is_active() -> Result<()> {
    let active = fs::read_to_string("/sys/kernel/security/lsm")?;
    ensure!(active.trim().split(',').any(|name| name == "bpf"), "active: {active}");
    Ok(())
}

fn btf_is_present() -> Result<()> {
    let size = fs::metadata("/sys/kernel/btf/vmlinux").context("no BTF of the kernel")?.len();
    ensure!(size > 1_000_000, "BTF of {size} bytes");
    Ok(())
}

fn real_programs_run() -> Result<()> {
    let work = "/tmp/platform";
    fs::create_dir_all(work)?;
    prints("python3", &["-c", "import json, socket, subprocess; print(json.dumps(6 * 7))"], "42")?;
    prints(
        "bash",
        &[
            "-c",
            "set -e; cd /tmp/platform; git init -q; echo x > f; git add f; git commit -qm x; git log --oneline | wc -l",
        ],
        "1",
    )?;
    prints("sh", &["-c", "echo $((1 + 1))"], "2")?;
    prints("curl", &["--silent", "file:///etc/hostname"], "guest")?;
    ensure!(Path::new(work).join(".git/HEAD").exists(), "git left no repository");
    Ok(())
}

fn the_agent_may_use_sudo() -> Result<()> {
    prints("setpriv", &["--reuid=1000", "--regid=1000", "--clear-groups", "sudo", "id", "-u"], "0")
}

fn the_stress_lane_preempts_everywhere() -> Result<()> {
    let debug = "/tmp/debug";
    fs::create_dir_all(debug)?;
    let none = None::<&str>;
    nix::mount::mount(none, debug, Some("debugfs"), nix::mount::MsFlags::empty(), none)?;
    let mode = fs::read_to_string(format!("{debug}/sched/preempt"));
    nix::mount::umount(debug)?;
    ensure!(mode?.contains("(full)"), "the kernel did not take `preempt=full`");
    Ok(())
}

fn prints(program: &str, arguments: &[&str], wanted: &str) -> Result<()> {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .with_context(|| format!("cannot start `{program}`"))?;
    let printed = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success() && printed.trim() == wanted, "`{program}`: {output:?}");
    Ok(())
}
