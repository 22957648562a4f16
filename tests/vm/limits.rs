//! Limits of an agent's unit hold for the agent: it is in a control group below the unit's own.

use crate::framework::Lane;
use crate::gate::{all_but, policy};
use crate::service::{PACKAGE, journal, succeed};
use anyhow::{Context, Result, bail, ensure};
use aya::maps::{HashMap, Map, MapData};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

crate::tests! {
    a_units_limits_hold_for_its_agent => .lanes(&[Lane::Service]).limit(290)
}

const YARD: &str = "/srv/limits";
/// The first one's unit has a limit, the other's has none.
const AGENTS: [&str; 2] = ["few", "many"];
const TASKS: usize = 20;
const WANTED: usize = 50;
/// Tries the secret, and then to have many children; writes how many it has got, and who it is.
const AGENT: &str = "#!/usr/bin/python3 -S\n\
    import os, sys, time\n\
    yard = os.path.dirname(sys.argv[0])\n\
    try:\n    \
        leak = open(yard + '/secret').read()\n\
    except PermissionError:\n    \
        leak = 'kept'\n\
    made = 0\n\
    try:\n    \
        for _ in range(50):\n        \
            if os.fork() == 0:\n            \
                time.sleep(1000)\n            \
                os._exit(0)\n        \
            made += 1\n\
    except BlockingIOError:\n    \
        pass\n\
    with open(yard + '/said.new', 'w') as said:\n    \
        print(leak, made, os.getpid(), file=said)\n\
    os.rename(yard + '/said.new', yard + '/said')\n\
    time.sleep(1000)\n";

fn a_units_limits_hold_for_its_agent() -> Result<()> {
    succeed("dpkg", &["--install", PACKAGE])?;
    for agent in AGENTS {
        let (folder, policies) = (at(agent, ""), format!("/etc/execlayer/policies/{agent}"));
        fs::create_dir_all(&folder)?;
        fs::create_dir_all(&policies)?;
        for (name, text) in [("secret", "leaked"), ("agent", AGENT)] {
            fs::write(at(agent, name), text)?;
        }
        fs::set_permissions(at(agent, "agent"), fs::Permissions::from_mode(0o755))?;
        let policy = policy(agent, "", &all_but(&at(agent, "secret")))?;
        fs::copy(policy, format!("{policies}/policy.toml"))?;
        fs::write(
            format!("/etc/execlayer/agents/{agent}.conf"),
            format!("AGENT_COMMAND={}\nAGENT_USER=root\n", at(agent, "agent")),
        )?;
    }
    let [few, many] = AGENTS.map(|agent| format!("execlayer@{agent}.service"));
    let folder = format!("/etc/systemd/system/{few}.d");
    fs::create_dir_all(&folder)?;
    fs::write(format!("{folder}/limits.conf"), format!("[Service]\nTasksMax={TASKS}\n"))?;
    succeed("systemctl", &["daemon-reload"])?;
    succeed("systemctl", &["start", &few, &many])?;

    let [(few_made, few_agent), (many_made, many_agent)] = [said(AGENTS[0])?, said(AGENTS[1])?];
    // `execlayer run` and the agent are tasks of the unit, too.
    ensure!(few_made > 0 && few_made <= TASKS - 2, "{few_made} children at a limit of {TASKS}");
    ensure!(many_made == WANTED, "{many_made} children without a limit");
    let place = cgroup(few_agent)?;
    let unit = place.parent().context("the agent is in no unit")?;
    ensure!(unit.ends_with(&few), "the agent is in {}", place.display());
    ensure!(fs::read_to_string(unit.join("pids.max"))?.trim() == TASKS.to_string());

    // Who ends `execlayer run` ends what is in its unit.
    let main = succeed("systemctl", &["show", "--value", "--property=MainPID", &few])?;
    fs::remove_file(at(AGENTS[0], "said"))?;
    succeed("kill", &["-KILL", main.trim()])?;
    until("the agent ends with `execlayer run`", || Ok(!place.exists()))?;
    // Its unit is tried again.
    let (again, _pid) = said(AGENTS[0])?;
    ensure!(again > 0 && again <= TASKS - 2, "{again} children at a limit of {TASKS}");

    // A daemon that was away finds the scope of who is there, and forgets that of who is not.
    succeed("systemctl", &["stop", "execlayerd.service"])?;
    let both = scopes()?;
    succeed("systemctl", &["stop", &few])?;
    succeed("systemctl", &["start", "execlayerd.service"])?;
    let there = fs::metadata(cgroup(many_agent)?)?.ino();
    ensure!(scopes()? == BTreeSet::from([there]), "{both:?}, then {:?}, not {there}", scopes()?);
    ensure!(both.len() == 2 && both.contains(&there), "{both:?} before");
    succeed("systemctl", &["stop", &many])?;
    until("the scope is forgotten", || Ok(scopes()?.is_empty()))?;
    succeed("dpkg", &["--purge", "execlayer"])?;
    Ok(fs::remove_dir_all(folder)?)
}

/// How many children the agent has got, and who it is.
fn said(agent: &str) -> Result<(usize, u32)> {
    let path = at(agent, "said");
    until(&format!("`{agent}` begins"), || Ok(Path::new(&path).exists()))?;
    let text = fs::read_to_string(path)?;
    match text.split_whitespace().collect::<Vec<_>>()[..] {
        ["kept", made, pid] => Ok((made.parse()?, pid.parse()?)),
        _ => bail!("`{agent}` says: {text}"),
    }
}

fn cgroup(process: u32) -> Result<PathBuf> {
    let lines = fs::read_to_string(format!("/proc/{process}/cgroup"))?;
    let line = lines.trim().strip_prefix("0::/").with_context(|| lines.clone())?;
    Ok(Path::new("/sys/fs/cgroup").join(line))
}

/// The cgroups whose tasks are governed because they are in them.
fn scopes() -> Result<BTreeSet<u64>> {
    let pin = format!("/sys/fs/bpf/execlayer/maps/{}", execlayer_common::hooks::MAP_SCOPES);
    let map = HashMap::<_, u64, u32>::try_from(Map::HashMap(MapData::from_pin(pin)?))?;
    Ok(map.keys().collect::<Result<_, _>>()?)
}

fn until(what: &str, is_so: impl Fn() -> Result<bool>) -> Result<()> {
    for _ in 0..600 {
        if is_so()? {
            return Ok(());
        }
        sleep(Duration::from_millis(100));
    }
    bail!("never: {what}\n{}", journal())
}

fn at(agent: &str, name: &str) -> String {
    format!("{YARD}/{agent}/{name}")
}
