//! The audit trail of a daemon that governs: what happened is in it, what is in it is proved, and what somebody does
//! to it is found.

use crate::framework::{Lane, full, note, seed};
use crate::gate::{Gate, all_but, policy};
use crate::trail;
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread::sleep;
use std::time::Duration;

crate::tests! {
    what_happened_is_recorded_and_proved => .limit(290),
    a_daemon_that_is_killed_leaves_a_trail_that_goes_on => .lanes(&[Lane::Hold]).limit(3_000).fresh()
}

const TOOL: &str = "/opt/execlayer/bin/execlayer";
const TOP: &str = "/srv/audit";
const COPY: &str = "/run/audit-copy";
/// What a log that is not what its device wrote ends with.
const TAMPERED: i32 = 10;

fn what_happened_is_recorded_and_proved() -> Result<()> {
    let gate = Gate::start()?;
    let policy = yard("audit")?;
    let read = |name: &str| gate.run(&policy, &[], &["cat", &format!("{TOP}/{name}")]).output();
    ensure!(read("free")?.status.success(), "the file that is allowed");
    ensure!(!read("secret")?.status.success(), "the file that is denied");
    let events = gate.events(|line| line["rule"] == "kept" && line["verdict"] == "deny")?;
    let denied = events.iter().find(|line| line["rule"] == "kept").context("no denial")?;
    ensure!((0..).zip(&events).all(|(seq, line)| line["seq"] == seq), "{events:?}");
    ensure!(denied["subject"].as_str() == Some(&format!("{TOP}/secret")), "{denied}");

    let shown = tool(&["show", "--verdict", "deny", "--path", &format!("{TOP}/*"), "--json"])?;
    ensure!(trail::parsed(&said(&shown))? == [denied.clone()], "{}", said(&shown));
    let other = tool(&["show", "--path", &format!("{TOP}/free"), "--verdict", "deny"])?;
    ensure!(other.status.success() && other.stdout.is_empty(), "{}", said(&other));

    let seq = denied["seq"].as_u64().context("no number")?;
    until_signed(seq)?;
    let proof = "/run/audit.tlog-proof";
    succeed(&["prove", &seq.to_string(), "--output", proof])?;
    let key = "/var/log/execlayer/audit/log.pub";
    let proved = succeed(&["check-proof", proof, "--key", key])?;
    ensure!(trail::parsed(&proved)? == [denied.clone()], "{proved}");

    let verified = succeed(&["verify"])?;
    ensure!(verified.contains("nothing was changed"), "{verified}");
    copy()?;
    succeed(&["verify", COPY, "--key", key])?;
    let path = format!("{COPY}/records/00000000000000000000.jsonl");
    let text = fs::read_to_string(&path)?;
    fs::write(&path, text.replace(&format!("{TOP}/secret"), &format!("{TOP}/public")))?;
    let found = tool(&["verify", COPY, "--key", key])?;
    ensure!(found.status.code() == Some(TAMPERED), "{}", said(&found));
    ensure!(said(&found).contains(&format!("record {seq} was changed")), "{}", said(&found));
    Ok(())
}

/// Daemons are killed at any moment, under load: each next one goes on with the log, and nothing in it is wrong.
fn a_daemon_that_is_killed_leaves_a_trail_that_goes_on() -> Result<()> {
    const KILLS: u64 = 20;
    const KILLS_FULL: u64 = 500;
    let kills = if full() { KILLS_FULL } else { KILLS };
    let policy = yard("killed")?;
    // Closed, signed and begun anew all the time.
    let options = ["--audit-checkpoint", "1", "--audit-segment", "1"];
    let mut gate = Gate::start_with(&options)?;
    let mut load = gate
        .run(&policy, &["--quiet"], &["sh", "-c", &format!("while :; do cat {TOP}/secret; done")])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    gate.events(|line| line["rule"] == "kept")?;
    let mut random = seed();
    for kill in 0..kills {
        random =
            random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        sleep(Duration::from_millis(random >> 33 & 1_023));
        gate.kill()?;
        gate = Gate::again_in(&options, &[])?;
        let verified = succeed(&["verify"]).with_context(|| format!("kill {kill}"))?;
        ensure!(verified.contains("nothing was changed"), "kill {kill}: {verified}");
    }
    load.kill()?;
    load.wait()?;
    let records = trail::records()?;
    let opened: Vec<_> = records.iter().filter(|record| record["kind"] == "trail").collect();
    ensure!(opened.len() as u64 == kills + 1, "{} daemons", opened.len());
    for record in &opened {
        ensure!(record["set_aside"].is_null(), "{record}");
        ensure!(record["origin"] == opened[0]["origin"], "{record}");
    }
    let denied = records.iter().filter(|record| record["rule"] == "kept").count();
    note(&format!("{denied} denials in {} records over {} daemons", records.len(), opened.len()));
    ensure!(denied as u64 > kills, "there was no load");
    Ok(())
}

/// Two files, and a policy under which one of them can be read.
fn yard(name: &str) -> Result<String> {
    fs::create_dir_all(TOP)?;
    fs::write(format!("{TOP}/free"), "free")?;
    fs::write(format!("{TOP}/secret"), "secret")?;
    policy(name, "", &all_but(&format!("{TOP}/secret")))
}

fn copy() -> Result<()> {
    let copied = Command::new("cp").args(["-r", "/var/log/execlayer/audit", COPY]).status()?;
    ensure!(copied.success());
    Ok(())
}

fn until_signed(seq: u64) -> Result<()> {
    let head = Path::new("/var/log/execlayer/audit/checkpoint");
    for _ in 0..300 {
        let size = fs::read_to_string(head)?.lines().nth(1).and_then(|line| line.parse().ok());
        if size > Some(seq) {
            return Ok(());
        }
        sleep(Duration::from_millis(100));
    }
    anyhow::bail!("no checkpoint covers record {seq}")
}

fn succeed(arguments: &[&str]) -> Result<String> {
    let output = tool(arguments)?;
    ensure!(output.status.success(), "{arguments:?}: {}{}", said(&output), wrong(&output));
    Ok(said(&output))
}

fn tool(arguments: &[&str]) -> Result<Output> {
    Ok(Command::new(TOOL).arg("audit").args(arguments).output()?)
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn wrong(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
