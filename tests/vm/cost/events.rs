//! From the kernel to a record in the log: how many events a second arrive, what is missing, and what it costs the daemon;
//! with one agent and with eight, and each way of making records survive. Prints JSON; asserts nothing about the numbers.

use super::{PROGRAM, ROLE};
use crate::audit::counts;
use crate::gate::{Gate, all_but, policy};
use anyhow::{Context, Result, ensure};
use nix::unistd::{SysconfVar, sysconf};
use serde_json::json;
use std::fs::{self, File};
use std::thread::sleep;
use std::time::{Duration, Instant};

const TOP: &str = "/srv/events";
/// More than the kinds of verdicts that are counted together: each has a record of its own.
const FILES: usize = 600;
const AGENTS: [usize; 2] = [1, 8];
/// Events a second that all agents together try; 0: as many as they can.
const PACES: [u64; 6] = [500, 1_000, 2_000, 4_000, 8_000, 0];
const WHILE: Duration = Duration::from_secs(5);
/// After which everything has been written and counted.
const SETTLE: Duration = Duration::from_secs(4);
/// Opens between two looks at the clock.
const BURST: u64 = 10;

/// A line for each.
pub(super) fn all() -> Result<()> {
    fs::create_dir_all(TOP)?;
    for number in 0..FILES {
        fs::write(format!("{TOP}/{number}"), "")?;
    }
    let most = AGENTS.iter().copied().max().unwrap_or_default();
    let policies = (0..most)
        .map(|number| policy(&format!("agent-{number}"), "", &all_but(&format!("{TOP}/*"))))
        .collect::<Result<Vec<_>>>()?;
    for sync in ["record", "interval", "checkpoint"] {
        let gate = Gate::start_with(&["--audit-sync", sync])?;
        for agents in AGENTS {
            for pace in PACES {
                measure(&gate, sync, policies.get(..agents).context("no policies")?, pace)?;
            }
        }
    }
    Ok(())
}

fn measure(gate: &Gate, sync: &str, policies: &[String], pace: u64) -> Result<()> {
    let (before, ticks) = (counted()?, ticks(gate)?);
    let each = (pace / policies.len() as u64).to_string();
    let mut runs = Vec::new();
    for policy in policies {
        let command = [PROGRAM, ROLE, "flood", &each];
        runs.push(gate.run(policy, &["--quiet"], &command).spawn()?);
    }
    for mut run in runs {
        ensure!(run.wait()?.success(), "an agent failed");
    }
    sleep(SETTLE);
    let after = counted()?;
    let (events, lost) = (after.0 - before.0, after.1 - before.1);
    let per_second = |count: u64| count / WHILE.as_secs();
    let used = (self::ticks(gate)? - ticks) * 1_000 / ticks_of_a_second()?;
    println!(
        "{}",
        json!({
            "sync": sync, "agents": policies.len(), "pace": pace, "events": per_second(events),
            "lost": lost, "records": per_second(events - lost),
            "milliseconds": used * 10_000 / (events - lost).max(1),
        })
    );
    Ok(())
}

/// All profiles' events, and those for which there was no room.
fn counted() -> Result<(u64, u64)> {
    let counts = counts()?;
    Ok((
        counts.iter().map(|[events, ..]| events).sum(),
        counts.iter().map(|[_, lost, _]| lost).sum(),
    ))
}

/// Of processor time that the daemon has used.
fn ticks(gate: &Gate) -> Result<u64> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", gate.pid()))?;
    // proc_pid_stat(5): fields 14 and 15, behind the name in brackets.
    let rest = stat.rsplit_once(')').context("no name")?.1;
    let fields = rest.split_whitespace().skip(11).take(2);
    fields.map(|field| Ok(field.parse::<u64>()?)).sum()
}

fn ticks_of_a_second() -> Result<u64> {
    Ok(u64::try_from(sysconf(SysconfVar::CLK_TCK)?.context("no clock ticks")?)?)
}

/// Opens what is denied, for a while, so many times a second or as often as it can.
pub(super) fn flood(pace: u64) -> Result<()> {
    let begin = Instant::now();
    let mut opened: u64 = 0;
    while begin.elapsed() < WHILE {
        for _ in 0..BURST {
            let name = opened as usize % FILES;
            ensure!(File::open(format!("{TOP}/{name}")).is_err(), "it was not denied");
            opened += 1;
        }
        if let Some(due) = (opened * 1_000_000).checked_div(pace) {
            sleep(Duration::from_micros(due).saturating_sub(begin.elapsed()));
        }
    }
    Ok(())
}
