//! Policies that are exchanged under load, and a daemon that is killed meanwhile. Each verdict is that of one of
//! the two versions, each record is explained by the version that it names, and nothing is ever open in between.

use crate::framework::{Lane, full, note, seed};
use crate::gate::{Gate, all_but, ask, policy, policy_of_version};
use anyhow::{Context, Result, ensure};
use execlayer_api::{Outcome, Request, places};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

crate::tests! { every_verdict_is_that_of_one_version => .lanes(&[Lane::Stress]).limit(9_000) }

const TOP: &str = "/srv/swap";
const SWAPS: usize = 200;
const SWAPS_FULL: usize = 2_000;
const KILLS: usize = 10;
const KILLS_FULL: usize = 1_000;
const PROCESSES: usize = 2;

/// Opens what the versions disagree about, and what they agree about, until there is a file `stop`.
const LOAD: &str = r#"
import os, sys, time
def can(name):
    try:
        os.close(os.open("/srv/swap/" + name, os.O_RDONLY))
        return True
    except PermissionError:
        return False
seen = [0, 0, 0]
while not os.path.exists("/srv/swap/stop"):
    for _ in range(20):
        one, two = can("kept-by-1"), can("kept-by-2")
        if can("kept-by-both") or not can("free"):
            sys.exit("a verdict that no version gives")
        seen[0] += not one
        seen[1] += not two
        seen[2] += 1
        # Every denial is a line on the disk.
        time.sleep(0.005)
print(*seen)
"#;

fn every_verdict_is_that_of_one_version() -> Result<()> {
    fs::create_dir_all(TOP)?;
    fs::create_dir_all("/sys/fs/cgroup/swap")?;
    for name in ["kept-by-1", "kept-by-2", "kept-by-both", "free"] {
        fs::write(at(name), "x")?;
    }
    let mut gate = Gate::start()?;
    let any =
        policy("any", "", "[[rule]]\nid = \"a\"\nallow = [\"exec\", \"read\"]\npath = \"/**\"\n")?;
    // Makes this machine's key: what that signs may go back and forth.
    ensure!(gate.run(&any, &["--quiet"], &["true"]).status()?.success(), "nothing can be run");
    let bundles = [bundle(1)?, bundle(2)?];
    install(&bundles[0])?;
    let load: Vec<Child> = (0..PROCESSES).map(|_| load()).collect::<Result<_>>()?;

    let (swaps, kills) = if full() { (SWAPS_FULL, KILLS_FULL) } else { (SWAPS, KILLS) };
    let begin = Instant::now();
    for bundle in bundles.iter().cycle().skip(1).take(swaps) {
        install(bundle)?;
    }
    let swapped = begin.elapsed().as_secs_f64();
    // Each start of a daemon begins the log anew.
    let mut records = explained(&gate)?;
    let mut random = seed() | 1;
    for (bundle, kill) in bundles.iter().cycle().zip(1..=kills) {
        // Somewhere in a swap, or soon after it, or while the daemon starts.
        let bundle = bundle.clone();
        let swap = std::thread::spawn(move || install(&bundle));
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        sleep(Duration::from_micros(random % 40_000));
        gate.kill()?;
        let _may_have_been_done = swap.join();
        drop(gate);
        gate = Gate::start().with_context(|| format!("after kill {kill}"))?;
    }
    let killed = begin.elapsed().as_secs_f64() - swapped;
    for bundle in &bundles {
        install(bundle)?;
    }
    fs::write(at("stop"), "")?;
    let mut seen = [0_u64; 3];
    for child in load {
        let output = child.wait_with_output()?;
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.success(), "the load: {errors}");
        let text = String::from_utf8(output.stdout)?;
        for (sum, number) in seen.iter_mut().zip(text.split_whitespace()) {
            *sum += number.parse::<u64>()?;
        }
    }
    records += explained(&gate)?;
    note(&format!(
        "{swaps} swaps in {swapped:.0} s, {kills} kills in {killed:.0} s: of {} rounds {} met version 1 and {} version 2; \
         {records} records are explained",
        seen[2], seen[0], seen[1]
    ));
    ensure!(seen[0] > 0 && seen[1] > 0, "one of the versions was never met: {seen:?}");
    ensure!(records > 0, "nothing was recorded");
    fs::remove_file(at("stop"))?;
    Ok(())
}

/// How many records there are of the load's denials; each must be of a rule of the version that it names. Those
/// of a version that only an earlier daemon knew name none.
fn explained(gate: &Gate) -> Result<usize> {
    let is_ours = |line: &&Value| {
        line["agent"] == "swap"
            && line["subject"].as_str().is_some_and(|text| text.starts_with(TOP))
    };
    let lines = gate.events(|_| true)?;
    let mut count = 0;
    for line in lines.iter().filter(is_ours) {
        let version = line["version"].as_u64().context("no version")?;
        let subject = line["subject"].as_str().unwrap_or_default();
        let rule = line["rule"].as_str().unwrap_or_default();
        let by_version = at(&format!("kept-by-{version}"));
        let is_explained = match rule {
            "kept" => subject == by_version,
            "never" => subject == at("kept-by-both"),
            _ => false,
        };
        ensure!(is_explained, "version {version} does not say this: {line}");
        count += 1;
    }
    Ok(count)
}

/// A version that keeps one file of its own, and one that both keep; the path of its bundle.
fn bundle(version: u64) -> Result<String> {
    let rules = format!(
        "{}\n[[rule]]\nid = \"never\"\ndeny = [\"read\"]\npath = \"{TOP}/kept-by-both\"\n",
        all_but(&at(&format!("kept-by-{version}")))
    );
    let path = policy_of_version(version, "swap", "cgroup = [\"/swap\"]", &rules)?;
    let (key, bundle) =
        (Path::new(places::STATE_DIR).join(places::LOCAL_KEY), at(&format!("{version}.bundle")));
    let compiled = Command::new("/opt/execlayer/bin/execlayer")
        .args(["compile", &path, "-o", &bundle, "--key"])
        .arg(key)
        .stdout(Stdio::null())
        .status()?;
    ensure!(compiled.success(), "version {version} is not compiled");
    Ok(bundle)
}

fn install(bundle: &str) -> Result<()> {
    let outcome = ask(&Request::Install { path: bundle.to_owned() })?;
    ensure!(matches!(outcome, Outcome::Installed(_)), "not installed: {outcome:?}");
    Ok(())
}

fn load() -> Result<Child> {
    let script = "echo 0 > /sys/fs/cgroup/swap/cgroup.procs; exec python3 -S -c \"$0\"";
    Ok(Command::new("sh")
        .args(["-c", script, LOAD])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?)
}

fn at(name: &str) -> String {
    format!("{TOP}/{name}")
}
