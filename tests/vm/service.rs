//! The Debian package on a machine with systemd: installed, upgraded while an agent works, removed, purged.

mod api;
mod export;

use crate::framework::{Lane, note};
use crate::gate::{all_but, policy};
use crate::restart::{links, set_object};
use crate::trail;
use anyhow::{Context, Result, ensure};
use nix::unistd::chown;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};
use std::thread::sleep;
use std::time::{Duration, Instant};

crate::tests! {
    a_package_governs_agents_until_it_is_removed => .lanes(&[Lane::Service]).limit(590)
}

pub(crate) const PACKAGE: &str = "/opt/execlayer/execlayer.deb";
const YARD: &str = "/srv/service";
/// Tries the secret first of all, and then again and again, also in a process that does not end when it is asked to.
const AGENT: &str = "#!/bin/sh\n\
    cd /srv/service\n\
    cat secret >> leak\n\
    cat free >> begun\n\
    exec 2> /dev/null\n\
    tries() { while true; do cat secret >> leak; sleep 0.3; done; }\n\
    (trap '' TERM; tries) &\n\
    tries\n";
const FOLDERS: [&str; 6] = [
    "/etc/execlayer",
    "/var/lib/execlayer",
    "/var/lib/execlayer-export",
    "/var/log/execlayer",
    "/run/execlayer",
    "/run/execlayer-api",
];
const PINS: &str = "/sys/fs/bpf/execlayer";

fn a_package_governs_agents_until_it_is_removed() -> Result<()> {
    yard()?;
    // systemd has programs of its own.
    let before = links()?;
    let gate = || -> Result<BTreeSet<u32>> { Ok(links()?.difference(&before).copied().collect()) };
    ensure!(!is_active("execlayerd.service")?, "it runs before it is installed");

    let begin = Instant::now();
    succeed("dpkg", &["--install", PACKAGE])?;
    note(&format!("installed and enforcing after {:.1} s", begin.elapsed().as_secs_f64()));
    ensure!(is_active("execlayerd.service")?, "{}", journal());
    let status = succeed("execlayer", &["status"])?;
    ensure!(status.contains("enforcing"), "{status}");
    let first = gate()?;
    ensure!(first.len() > 40, "only {} programs are attached", first.len());

    let policy = policy("probe", "", &all_but(&format!("{YARD}/secret")))?;
    fs::create_dir_all("/etc/execlayer/policies/probe")?;
    fs::copy(policy, "/etc/execlayer/policies/probe/policy.toml")?;
    fs::write(
        "/etc/execlayer/agents/probe.conf",
        format!("AGENT_COMMAND={YARD}/agent\nAGENT_USER=agent\n"),
    )?;
    succeed("systemctl", &["start", "execlayer@probe.service"])?;
    until_there("begun")?;
    let pid = main_pid()?;
    ensure!(is_kept()?, "the agent was not governed from the first");
    ensure!(fs::read_to_string(format!("{YARD}/secret"))? == "secret", "nobody can read it");

    // A version with other programs, while the agent works.
    set_object(1)?;
    succeed("dpkg", &["--install", PACKAGE])?;
    ensure!(is_active("execlayerd.service")?, "{}", journal());
    let second = gate()?;
    ensure!(
        second.is_disjoint(&first) && second.len() == first.len(),
        "{first:?}, then {second:?}"
    );
    ensure!(main_pid()? == pid, "the agent was started anew");
    fs::remove_file(format!("{YARD}/begun"))?;
    succeed("systemctl", &["restart", "execlayer@probe.service"])?;
    until_there("begun")?;
    ensure!(is_kept()?, "something was read while the package was upgraded");
    export::leaves_the_machine()?;
    api::judges()?;

    // Who stops the daemon stops nothing that it enforces.
    succeed("systemctl", &["stop", "execlayerd.service"])?;
    ensure!(gate()? == second, "the daemon's end detached something");
    sleep(Duration::from_secs(1));
    ensure!(is_kept()?, "something was read without the daemon");

    succeed("dpkg", &["--remove", "execlayer"])?;
    ensure!(gate()?.is_empty(), "something is attached after the package's end");
    ensure!(!Path::new(PINS).exists(), "pins are left");
    ensure!(!is_active("execlayer@probe.service")?, "the agent goes on ungoverned");
    let left = call("pgrep", &["--full", "/srv/service/agent"])?;
    ensure!(!left.status.success(), "what the agent started goes on: {}", text(&left));
    ensure!(is_kept()?, "something was read while the package was removed");
    let log = trail::text()?;
    ensure!(log.contains(r#""kind":"gate""#) && log.contains(r#""what":"down""#), "{log}");
    succeed("dpkg", &["--purge", "execlayer"])?;
    for left in FOLDERS.iter().chain(&["/usr/bin/execlayer", "/usr/sbin/execlayerd"]) {
        ensure!(!Path::new(left).exists(), "`{left}` is left");
    }
    Ok(())
}

fn yard() -> Result<()> {
    fs::create_dir_all(YARD)?;
    chown(YARD, Some(1000.into()), Some(1000.into()))?;
    for (name, text) in [("free", "free"), ("secret", "secret"), ("agent", AGENT)] {
        fs::write(format!("{YARD}/{name}"), text)?;
    }
    fs::set_permissions(format!("{YARD}/agent"), fs::Permissions::from_mode(0o755))?;
    Ok(())
}

/// Whether the agent has tried, and got nothing.
fn is_kept() -> Result<bool> {
    Ok(fs::read_to_string(format!("{YARD}/leak")).context("it has not tried")?.is_empty())
}

fn until_there(name: &str) -> Result<()> {
    let path = Path::new(YARD).join(name);
    for _ in 0..600 {
        if fs::metadata(&path).is_ok_and(|about| about.len() > 0) {
            return Ok(());
        }
        sleep(Duration::from_millis(100));
    }
    anyhow::bail!("the agent does not begin:\n{}", journal())
}

fn main_pid() -> Result<String> {
    succeed("systemctl", &["show", "--property=MainPID", "execlayer@probe.service"])
}

pub(crate) fn is_active(unit: &str) -> Result<bool> {
    Ok(call("systemctl", &["is-active", "--quiet", unit])?.status.success())
}

/// What the services said.
pub(crate) fn journal() -> String {
    let lines = call("journalctl", &["--no-pager", "--lines=60"]);
    lines.map_or_else(|error| error.to_string(), |output| text(&output))
}

pub(crate) fn succeed(program: &str, arguments: &[&str]) -> Result<String> {
    let output = call(program, arguments)?;
    let said = text(&output);
    ensure!(output.status.success(), "{program} {arguments:?}: {said}\n{}", journal());
    Ok(said)
}

fn call(program: &str, arguments: &[&str]) -> Result<Output> {
    Command::new(program)
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .output()
        .with_context(|| format!("cannot start `{program}`"))
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}
