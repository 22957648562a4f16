//! The audit trail of a daemon that governs: what happened is in it, what is in it is proved, and what somebody does
//! to it is found.

use crate::framework::{Lane, full, note, seed};
use crate::gate::{Gate, all_but, policy};
use crate::trail;
use anyhow::{Context, Result, bail, ensure};
use aya::maps::{Array, Map, MapData};
use execlayer_api::places;
use execlayer_common::hooks;
use nix::mount::{MsFlags, mount};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::Duration;

crate::tests! {
    what_happened_is_recorded_and_proved => .lanes(&[Lane::Plain]).limit(290),
    a_daemon_that_is_killed_leaves_a_trail_that_goes_on => .lanes(&[Lane::Hold]).limit(3_000).fresh(),
    a_flood_of_one_agent_does_not_push_out_another => .lanes(&[Lane::Hold]).limit(600).fresh(),
    a_full_disk_is_seen_and_counted => .lanes(&[Lane::Hold]).limit(600).fresh(),
}

/// Knows the specifications, and nothing of this project.
const OTHER_VERIFIER: &str = include_str!("audit/tlog.py");
const TOOL: &str = "/opt/execlayer/bin/execlayer";
const TOP: &str = "/srv/audit";
/// More than the kinds of verdicts that are counted together.
const FILES: u32 = 600;
const PAUSE: Duration = Duration::from_millis(200);
const COPY: &str = "/run/audit-copy";
/// What a log that is not what its device wrote ends with.
const TAMPERED: i32 = 10;

fn what_happened_is_recorded_and_proved() -> Result<()> {
    let gate = Gate::start()?;
    let policy = yard("audit")?;
    let shell = format!("sh -c 'cat {TOP}/secret-1 TOKEN=hidden; true'; true");
    gate.run(&policy, &[], &["sh", "-c", &shell]).output()?;
    let read = |name: &str| gate.run(&policy, &[], &["cat", &format!("{TOP}/{name}")]).output();
    ensure!(read("free")?.status.success(), "the file that is allowed");
    ensure!(!read("secret-0")?.status.success(), "the file that is denied");
    let events = gate.events(|line| line["subject"] == format!("{TOP}/secret-0"))?;
    let nested = events.iter().find(|line| line["subject"] == format!("{TOP}/secret-1"));
    let nested = nested.context("no denial of the nested process")?;
    let above = nested["ancestors"].as_array().context("no ancestors")?;
    ensure!(above.len() == 2 && above.iter().all(|above| above["comm"] == "sh"), "{nested}");
    ensure!(above[0]["pid"] == nested["ppid"] && above[0]["pid"] != above[1]["pid"], "{nested}");
    ensure!(nested["argv"][2] == "TOKEN=[redacted]", "{nested}");
    let is_it = |line: &&Value| line["subject"] == format!("{TOP}/secret-0");
    let denied = events.iter().find(is_it).context("no denial")?;
    ensure!((0..).zip(&events).all(|(seq, line)| line["seq"] == seq), "{events:?}");
    let name = format!("{TOP}/secret-0");
    ensure!(denied["subject"].as_str() == Some(&name), "{denied}");
    ensure!(denied["argv"] == serde_json::json!(["cat", name]), "{denied}");
    ensure!(denied["cwd"].is_string() && denied["exe"].is_string(), "{denied}");
    ensure!(denied["digest"].as_str().is_some_and(|digest| digest.len() == 64), "{denied}");
    ensure!(
        denied["cgroup_path"].as_str().is_some_and(|path| path.starts_with("/execlayer")),
        "{denied}"
    );
    let explained = succeed(&["explain", &denied["seq"].to_string()])?;
    ensure!(explained.contains("signed by"), "{explained}");

    let shown = tool(&["show", "--verdict", "deny", "--path", &format!("{TOP}/*-0"), "--json"])?;
    ensure!(trail::parsed(&said(&shown))? == [denied.clone()], "{}", said(&shown));
    let other = tool(&["show", "--path", &format!("{TOP}/free"), "--verdict", "deny"])?;
    ensure!(other.status.success() && other.stdout.is_empty(), "{}", said(&other));

    let seq = denied["seq"].as_u64().context("no number")?;
    // A clock that is set does not put the next head off.
    set_clock("-3600")?;
    let signed = until_signed(seq);
    set_clock("+3600")?;
    signed?;
    let proof = "/run/audit.tlog-proof";
    succeed(&["prove", &seq.to_string(), "--output", proof])?;
    let key = "/var/log/execlayer/audit/log.pub";
    let proved = succeed(&["check-proof", proof, "--key", key])?;
    ensure!(trail::parsed(&proved)? == [denied.clone()], "{proved}");

    let verified = succeed(&["verify"])?;
    ensure!(verified.contains("nothing was changed"), "{verified}");
    copy()?;
    succeed(&["verify", COPY, "--key", key])?;
    let other = "/run/tlog.py";
    fs::write(other, OTHER_VERIFIER)?;
    let key_text = fs::read_to_string(key)?;
    let agrees = Command::new("python3").args([other, COPY, key_text.trim(), proof]).output()?;
    ensure!(agrees.status.success(), "{}{}", said(&agrees), wrong(&agrees));
    note(said(&agrees).trim());
    let path = format!("{COPY}/records/00000000000000000000.jsonl");
    let text = fs::read_to_string(&path)?;
    fs::write(&path, text.replace(&format!("{TOP}/secret-0"), &format!("{TOP}/public")))?;
    let found = tool(&["verify", COPY, "--key", key])?;
    ensure!(found.status.code() == Some(TAMPERED), "{}", said(&found));
    ensure!(said(&found).contains(&format!("record {seq} was changed")), "{}", said(&found));
    Ok(())
}

/// Daemons are killed at any moment, under load: each next one goes on with the log, and nothing in it is wrong.
fn a_daemon_that_is_killed_leaves_a_trail_that_goes_on() -> Result<()> {
    const KILLS: u64 = 3;
    const KILLS_FULL: u64 = 500;
    let kills = if full() { KILLS_FULL } else { KILLS };
    let policy = yard("killed")?;
    // Closed, signed and begun anew all the time.
    let options = ["--audit-checkpoint", "1", "--audit-segment", "1"];
    let mut gate = Gate::start_with(&options)?;
    // With pauses, or the log grows faster than anybody can check it.
    let every = if full() { 4 } else { 50 };
    let load = flood(&gate, &policy, &format!("[ $(( i % {every} )) = 0 ] && sleep 0.1"))?;
    gate.events(|line| line["rule"] == "kept")?;
    let mut random = seed();
    for kill in 0..kills {
        random =
            random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        sleep(Duration::from_millis(random >> 33 & 1_023));
        gate.kill()?;
        gate = Gate::again_in(&options, &[]).with_context(|| format!("kill {kill}"))?;
    }
    end(load)?;
    let records = accounted(Path::new(places::AUDIT))?;
    let verified = succeed(&["verify"])?;
    ensure!(verified.contains("nothing was changed"), "{verified}");
    let opened: Vec<_> = records.iter().filter(|record| record["kind"] == "trail").collect();
    ensure!(opened.len() as u64 == kills + 1, "{} daemons", opened.len());
    for record in &opened {
        ensure!(record["set_aside"].is_null(), "{record}");
        ensure!(record["origin"] == opened[0]["origin"], "{record}");
    }
    let denied = records.iter().filter(|record| record["rule"] == "kept").count();
    ensure!(denied as u64 > kills, "there was no load");
    drop(gate);
    Ok(())
}

/// The daemon stands still, and one agent's denials fill the ring buffer: there is room for another's.
fn a_flood_of_one_agent_does_not_push_out_another() -> Result<()> {
    let (loud, quiet) = (yard("loud")?, yard("quiet")?);
    let gate = Gate::start()?;
    // Each scope has to be opened before the daemon stands still.
    let waits = format!("cat {TOP}/secret-1; sleep 15; cat {TOP}/secret-3");
    let quiet =
        gate.run(&quiet, &["--quiet"], &["sh", "-c", &waits]).stderr(Stdio::null()).spawn()?;
    gate.events(|line| line["agent"] == "quiet" && line["subject"] == format!("{TOP}/secret-1"))?;
    let load = flood(&gate, &loud, "[ $i = 1 ] && sleep 3")?;
    gate.events(|line| line["agent"] == "loud" && line["subject"] == format!("{TOP}/secret-1"))?;
    let daemon = Pid::from_raw(i32::try_from(gate.pid())?);
    kill(daemon, Signal::SIGSTOP)?;
    let is_full = || counts().is_ok_and(|all| all.iter().any(|[_events, lost, _put]| *lost > 100));
    let full = (0..600).any(|_| {
        sleep(Duration::from_millis(100));
        is_full()
    });
    sleep(Duration::from_secs(16));
    kill(daemon, Signal::SIGCONT)?;
    ensure!(full, "the ring buffer does not fill");
    end(load)?;
    quiet.wait_with_output()?;
    let records = accounted(Path::new(places::AUDIT))?;
    let of = |agent: &str| {
        records.iter().filter(|line| line["agent"] == agent && line["kind"] == "lost").count()
    };
    ensure!(of("loud") > 0, "nothing of the flood was lost");
    ensure!(of("quiet") == 0, "{} losses of the other agent", of("quiet"));
    let heard = records
        .iter()
        .any(|line| line["agent"] == "quiet" && line["subject"] == format!("{TOP}/secret-3"));
    ensure!(heard, "the other agent's denial is not there");
    Ok(())
}

/// What cannot be written is counted, and once there is room again the log goes on and says so.
fn a_full_disk_is_seen_and_counted() -> Result<()> {
    const SMALL: &str = "/run/audit-small";
    fs::create_dir_all(SMALL)?;
    let size = |size: &str, flags| {
        mount(Some("tmpfs"), SMALL, Some("tmpfs"), flags, Some(&*format!("size={size}")))
    };
    size("512k", MsFlags::empty())?;
    let folder = format!("{SMALL}/audit");
    let policy = yard("full")?;
    let records_all = self::policy("all", "record = \"all\"", &all_but(&format!("{TOP}/secret*")))?;
    let gate = Gate::start_with(&["--audit", &folder, "--audit-failure", "deny"])?;
    let free = |policy: &str| -> Result<bool> {
        let read = gate.run(policy, &["--quiet"], &["cat", &format!("{TOP}/free")]).output()?;
        Ok(read.status.success())
    };
    ensure!(free(&records_all)? && free(&policy)?, "before the disk is full");
    let load = flood(&gate, &policy, ":")?;
    let status = || {
        let output = Command::new(TOOL).args(["status", "--json"]).output()?;
        Ok::<Value, anyhow::Error>(serde_json::from_slice(&output.stdout)?)
    };
    let mut seen = status()?;
    for _ in 0..600 {
        // A small record may still find room, and then the reason is gone for a moment.
        if seen["degraded"].to_string().contains("No space left on device") {
            break;
        }
        sleep(PAUSE);
        seen = status()?;
    }
    ensure!(seen["state"] == "degraded", "{seen}");
    let reasons = seen["degraded"].to_string();
    ensure!(reasons.contains("No space left on device"), "{reasons}");
    let kept = gate.run(&policy, &["--quiet"], &["cat", &format!("{TOP}/secret-1")]).output()?;
    ensure!(!kept.status.success(), "a full disk opens the gate");
    // Whether a small record finds room changes from one moment to the next.
    let is_denied = (0..100).any(|_| free(&records_all).is_ok_and(|is_free| !is_free));
    ensure!(is_denied, "what must be recorded goes on while nothing can be");
    ensure!(free(&policy)?, "what need not be recorded is denied");
    size("64m", MsFlags::MS_REMOUNT)?;
    end(load)?;
    let records = accounted(Path::new(&folder))?;
    ensure!(free(&records_all)?, "it stays denied when there is room again");
    let lost = |line: &&Value| line["kind"] == "lost" && line["cause"] == "write";
    ensure!(records.iter().filter(lost).count() > 0, "no record says what is missing");
    let verified = succeed(&["verify", &folder])?;
    ensure!(verified.contains("nothing was changed"), "{verified}");
    Ok(())
}

/// Denials of ever other files, with something in between.
fn flood(gate: &Gate, policy: &str, between: &str) -> Result<Child> {
    let shell = format!(
        "i=0; while :; do i=$(( (i + 1) % {FILES} )); true < {TOP}/secret-$i; {between}; done 2> /dev/null"
    );
    let mut run = gate.run(policy, &["--quiet"], &["sh", "-c", &shell]);
    Ok(run.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?)
}

/// The tool passes it on to the program.
fn end(mut load: Child) -> Result<()> {
    kill(Pid::from_raw(i32::try_from(load.id())?), Signal::SIGTERM)?;
    load.wait()?;
    Ok(())
}

/// The records of a log, once they and what they say is missing are all that the kernel counted.
fn accounted(folder: &Path) -> Result<Vec<Value>> {
    let mut last = String::new();
    for _ in 0..20 {
        sleep(Duration::from_secs(1));
        let records = trail::parsed(&trail::text_in(folder)?)?;
        let number = |line: &Value, field: &str| line[field].as_u64().unwrap_or_default();
        let (mut written, mut missing) = (0, 0);
        for line in records.iter().filter(|line| line["profile"].is_u64()) {
            match line["kind"].as_str() {
                Some("verdict" | "question") => written += 1,
                Some("repeat") => written += number(line, "count"),
                Some("lost") => missing += number(line, "lost"),
                _ => {}
            }
        }
        let events: u64 = counts()?.iter().map(|[events, ..]| events).sum();
        last = format!("{written} written and {missing} missing of {events} events");
        if written + missing == events {
            note(&last);
            return Ok(records);
        }
    }
    bail!("{last}")
}

/// Events, lost ones and bytes of each profile, as the kernel counts them.
pub(crate) fn counts() -> Result<Vec<[u64; 3]>> {
    let pin = format!("/sys/fs/bpf/execlayer/maps/{}", hooks::MAP_COUNTS);
    let map: Array<MapData, [u64; 3]> = Array::try_from(Map::Array(MapData::from_pin(pin)?))?;
    Ok(map.iter().collect::<Result<_, _>>()?)
}

/// Files, and a policy under which all but one kind of them can be read.
fn yard(name: &str) -> Result<String> {
    fs::create_dir_all(TOP)?;
    fs::write(format!("{TOP}/free"), "free")?;
    for number in 0..FILES {
        fs::write(format!("{TOP}/secret-{number}"), "secret")?;
    }
    policy(name, "", &all_but(&format!("{TOP}/secret*")))
}

fn copy() -> Result<()> {
    let copied = Command::new("cp").args(["-r", "/var/log/execlayer/audit", COPY]).status()?;
    ensure!(copied.success());
    Ok(())
}

/// Sets the clock by so many seconds.
fn set_clock(seconds: &str) -> Result<()> {
    let time = format!("now {seconds} seconds");
    let set = Command::new("date").args(["--set", &time]).stdout(Stdio::null()).status()?;
    ensure!(set.success(), "the clock cannot be set");
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
