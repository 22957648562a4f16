//! Machines that boot with systemd and the package: the policies that were in force are in force before an agent's
//! first instruction, and where the gate cannot stand, no agent of its starts.

use crate::framework::{Lane, full, note, reboot, reboots};
use crate::gate::{all_but, policy};
use crate::service::{PACKAGE, is_active, journal, succeed};
use crate::trail;
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

crate::tests! {
    agents_are_governed_from_their_first_instruction => .lanes(&[Lane::Service]).limit(290)
}

const YARD: &str = "/srv/reboot";
/// One that `execlayer run` starts, and one that a signed policy selects by its program.
const AGENTS: [&str; 2] = ["run", "selected"];
const UNITS: [&str; 2] = ["execlayer@run.service", "selected.service"];
const DAEMON: &str = "/usr/sbin/execlayerd";
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
/// The secret first of all, then its twin and what boot this is.
const AGENT: &str = "#!/bin/sh\n\
    cd \"${0%/*}\"\n\
    cat secret > leak\n\
    cat free /proc/sys/kernel/random/boot_id > begun\n\
    exec sleep 1000\n";
/// `Requires`: without the gate it does not start.
const SELECTED: &str = "[Unit]\nRequires=execlayerd.service\nAfter=execlayerd.service\n\n\
    [Service]\nExecStart=/srv/reboot/selected/shell /srv/reboot/selected/agent\n\n\
    [Install]\nWantedBy=multi-user.target\n";

fn agents_are_governed_from_their_first_instruction() -> Result<()> {
    match reboots() {
        0 => installed(),
        1 => governed(),
        2 => without_a_daemon(),
        3 => switched_off(),
        more => bail!("booted anew {more} times"),
    }
}

fn installed() -> Result<()> {
    succeed("dpkg", &["--install", PACKAGE])?;
    for agent in AGENTS {
        let folder = format!("{YARD}/{agent}");
        fs::create_dir_all(&folder)?;
        for (name, text) in [("free", "free\n"), ("secret", "secret\n"), ("agent", AGENT)] {
            fs::write(format!("{folder}/{name}"), text)?;
        }
        fs::set_permissions(format!("{folder}/agent"), fs::Permissions::from_mode(0o755))?;
    }
    let run = policy("run", "", &all_but(&format!("{YARD}/run/secret")))?;
    fs::create_dir_all("/etc/execlayer/policies/run")?;
    fs::copy(run, "/etc/execlayer/policies/run/policy.toml")?;
    fs::write(
        "/etc/execlayer/agents/run.conf",
        format!("AGENT_COMMAND={YARD}/run/agent\nAGENT_USER=root\n"),
    )?;
    let shell = format!("{YARD}/selected/shell");
    fs::copy("/usr/bin/dash", &shell)?;
    let selects = format!("exe = [\"{shell}\"]");
    let selected = policy("selected", &selects, &all_but(&format!("{YARD}/selected/secret")))?;
    let (key, bundle) = (format!("{YARD}/release"), format!("{YARD}/selected.bundle"));
    succeed("execlayer", &["keys", "new", &key])?;
    fs::copy(format!("{key}.pub"), "/etc/execlayer/keys.d/release.pub")?;
    succeed("execlayer", &["compile", &selected, "--key", &format!("{key}.key"), "-o", &bundle])?;
    succeed("execlayer", &["install", &bundle])?;
    fs::write("/etc/systemd/system/selected.service", SELECTED)?;
    succeed("systemctl", &["daemon-reload"])?;
    succeed("systemctl", &["enable", UNITS[0], UNITS[1]])?;
    boots_anew("")
}

fn governed() -> Result<()> {
    is_another_boot()?;
    let took = all_begun()?;
    for (agent, unit) in AGENTS.iter().zip(UNITS) {
        is_kept(agent)?;
        let (gate, begin) =
            (moment("execlayerd.service", "ActiveEnter")?, moment(unit, "ExecMainStart")?);
        ensure!(gate < begin, "`{unit}` begins at {begin} us, and the gate stands at {gate} us");
    }
    ensure!(succeed("execlayer", &["status"])?.contains("enforcing"));
    let lines = trail::records()?;
    let ups = lines.iter().filter(|line| line["kind"] == "gate" && line["what"] == "up").count();
    ensure!(ups == 2, "the gate stood up {ups} times");
    let last = lines.iter().rposition(|line| line["what"] == "up").unwrap_or_default();
    for agent in AGENTS {
        let is_denied = |line: &&Value| {
            line["agent"] == agent
                && line["rule"] == "kept"
                && line["subject"].as_str() == Some(&format!("{YARD}/{agent}/secret"))
        };
        let denials = lines.iter().skip(last).filter(is_denied).count();
        ensure!(denials == 1, "{denials} denials of `{agent}` after the boot: {lines:?}");
    }
    note(&format!("governed at boot, after {took:.1} s of waiting"));
    if !full() {
        return Ok(());
    }
    fs::rename(DAEMON, format!("{DAEMON}.away"))?;
    boots_anew("")
}

fn without_a_daemon() -> Result<()> {
    is_another_boot()?;
    ensure!(!is_active("execlayerd.service")?, "it runs without its program");
    nobody_begins()?;
    fs::rename(format!("{DAEMON}.away"), DAEMON)?;
    boots_anew("execlayer=off")
}

fn switched_off() -> Result<()> {
    is_another_boot()?;
    until("the daemon says no", || {
        let said =
            succeed("systemctl", &["show", "--property=ExecMainStatus", "execlayerd.service"]);
        Ok(said?.trim() == "ExecMainStatus=16")
    })?;
    let lines = trail::records()?;
    ensure!(lines.iter().any(|line| line["what"] == "switched-off"), "{lines:?}");
    nobody_begins()
}

/// One unit is started, and starts nothing; the other is not started.
fn nobody_begins() -> Result<()> {
    let said = || succeed("journalctl", &["--no-pager", "--boot", "--unit", UNITS[0]]);
    until("the agent's unit fails", || Ok(said()?.contains("no service runs")))?;
    for agent in AGENTS {
        ensure!(!Path::new(&format!("{YARD}/{agent}/begun")).exists(), "`{agent}` has begun");
    }
    ensure!(!is_active(UNITS[1])?, "it goes on without what it requires");
    Ok(())
}

/// What an agent left of an earlier boot is taken away first.
fn boots_anew(words: &str) -> Result<()> {
    for agent in AGENTS {
        for left in ["leak", "begun"] {
            let _may_not_be_there = fs::remove_file(format!("{YARD}/{agent}/{left}"));
        }
    }
    for unit in UNITS {
        succeed("systemctl", &["stop", unit])?;
    }
    fs::copy(BOOT_ID, format!("{YARD}/boot"))?;
    match reboot(words)? {}
}

fn is_another_boot() -> Result<()> {
    let (before, now) = (fs::read_to_string(format!("{YARD}/boot"))?, fs::read_to_string(BOOT_ID)?);
    ensure!(before != now, "it is the same boot: {now}");
    Ok(())
}

fn all_begun() -> Result<f64> {
    let begin = Instant::now();
    AGENTS.into_iter().try_for_each(until_begun)?;
    Ok(begin.elapsed().as_secs_f64())
}

/// Until the agent has got its twin, in this boot.
fn until_begun(agent: &str) -> Result<()> {
    let whole = format!("free\n{}", fs::read_to_string(BOOT_ID)?);
    let path = format!("{YARD}/{agent}/begun");
    until(&format!("`{agent}` begins"), || {
        Ok(fs::read_to_string(&path).is_ok_and(|text| text == whole))
    })
}

/// The agent has tried, and got nothing.
fn is_kept(agent: &str) -> Result<()> {
    let leak = fs::read_to_string(format!("{YARD}/{agent}/leak")).context("it has not tried")?;
    ensure!(leak.is_empty(), "`{agent}` was not governed from the first: {leak}");
    let secret = fs::read_to_string(format!("{YARD}/{agent}/secret"))?;
    ensure!(secret == "secret\n", "nobody can read it");
    Ok(())
}

fn until(what: &str, is_so: impl Fn() -> Result<bool>) -> Result<()> {
    for _ in 0..600 {
        if is_so()? {
            return Ok(());
        }
        sleep(Duration::from_millis(200));
    }
    bail!("never: {what}\n{}", journal())
}

/// Microseconds from the boot to a change of a unit.
fn moment(unit: &str, change: &str) -> Result<u64> {
    let property = format!("--property={change}TimestampMonotonic");
    let said = succeed("systemctl", &["show", "--value", &property, unit])?;
    let moment = said.trim().parse().with_context(|| format!("`{unit}`: {said}"))?;
    ensure!(moment > 0, "`{unit}` has not come to that: {change}");
    Ok(moment)
}
