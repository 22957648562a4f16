//! Signed bundles on their way to the kernel: dropped in, installed, refused, over a killed daemon, and back by
//! an order. What governs is always one version, whole.

use crate::framework::Lane;
use crate::gate::{Gate, all_but, policy_of_version};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::thread::sleep;
use std::time::Duration;

crate::tests! { older_policies_stay_out_until_they_are_ordered => .lanes(&[Lane::Hold]).limit(290) }

const TOOL: &str = "/opt/execlayer/bin/execlayer";
const TOP: &str = "/srv/signed";
const KEYS: &str = "/etc/execlayer/keys.d";
const DROPPED: &str = "/etc/execlayer/bundles.d";

fn older_policies_stay_out_until_they_are_ordered() -> Result<()> {
    for folder in [TOP, KEYS, DROPPED, "/sys/fs/cgroup/signed"] {
        fs::create_dir_all(folder)?;
    }
    for version in [1, 2] {
        fs::write(at(&format!("kept-by-{version}")), "x")?;
    }
    done(&["keys", "new", &at("release")])?;
    fs::copy(at("release.pub"), format!("{KEYS}/release.pub"))?;
    let (first, second) = (bundle(1)?, bundle(2)?);
    let order = at("back.order");
    let names = ["order", "--policy", "signed", "--agent", "signed", "--from", "2", "--to", "1"];
    done(&[&names[..], &["--key", &at("release.key"), "-o", &order]].concat())?;
    ensure!(kept()? == [false, false], "before the gate something is kept");

    let mut gate = Gate::start()?;
    let dropped = Path::new(DROPPED).join("signed.bundle");
    fs::rename(&second, &dropped)?;
    ensure!(soon([false, true])?, "what is dropped in is not in force: {:?}", kept()?);
    let older = tool(&["install", &first])?;
    let said = String::from_utf8_lossy(&older.stderr).into_owned();
    ensure!(!older.status.success() && said.contains("older than version 2"), "{said}");
    ensure!(kept()? == [false, true], "what is refused changed something");

    gate.kill()?;
    ensure!(kept()? == [false, true], "the daemon's end opened something");
    let gate = Gate::start()?;
    ensure!(kept()? == [false, true], "after a restart something else is in force");
    ensure!(!tool(&["install", &first])?.status.success(), "after a restart an older one is taken");
    fs::remove_file(dropped)?;
    done(&["install", &order, &first])?;
    ensure!(kept()? == [true, false], "the older version is not in force: {:?}", kept()?);
    drop(gate);
    let _gate = Gate::start()?;
    ensure!(kept()? == [true, false], "after a restart the older version is not in force");
    fs::remove_file(format!("{KEYS}/release.pub"))?;
    Ok(())
}

/// Signs a version that keeps one file from whoever is in the cgroup; its path.
fn bundle(version: u64) -> Result<String> {
    let rules = all_but(&at(&format!("kept-by-{version}")));
    let path = policy_of_version(version, "signed", "cgroup = [\"/signed\"]", &rules)?;
    let bundle = at(&format!("{version}.bundle"));
    done(&["compile", &path, "--key", &at("release.key"), "-o", &bundle])?;
    Ok(bundle)
}

/// Which of the two files is kept from a process that begins in the cgroup.
fn kept() -> Result<[bool; 2]> {
    let read = |version: u64| -> Result<bool> {
        let script = "echo 0 > /sys/fs/cgroup/signed/cgroup.procs; exec cat \"$0\"";
        let file = at(&format!("kept-by-{version}"));
        let output = Command::new("sh").args(["-c", script, &file]).output()?;
        Ok(output.stdout == b"x")
    };
    Ok([!read(1)?, !read(2)?])
}

/// Whether that comes about within some seconds.
fn soon(wanted: [bool; 2]) -> Result<bool> {
    for _ in 0..100 {
        if kept()? == wanted {
            return Ok(true);
        }
        sleep(Duration::from_millis(100));
    }
    Ok(false)
}

fn at(name: &str) -> String {
    format!("{TOP}/{name}")
}

fn tool(arguments: &[&str]) -> Result<Output> {
    Command::new(TOOL).args(arguments).output().context("cannot start the tool")
}

fn done(arguments: &[&str]) -> Result<()> {
    let output = tool(arguments)?;
    ensure!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
