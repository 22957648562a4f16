//! The daemon's memory: idle, and after many events.

use super::{PROGRAM, ROLE};
use crate::gate::Gate;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::thread::sleep;
use std::time::Duration;

/// No rule lists it.
const DENIED: &str = "/srv/denied";
const EVENTS: usize = 100_000;
/// Denied events at a time, so that the daemon keeps up and no record is lost.
const BURST: usize = 500;

/// Two lines: idle, and after [`EVENTS`].
pub(super) fn resident(gate: &Gate, policy: &str) -> Result<[Value; 2]> {
    fs::create_dir_all("/srv")?;
    fs::write(DENIED, "")?;
    let idle = memory(gate, "idle")?;
    let status = gate.run(policy, &["--quiet"], &[PROGRAM, ROLE, "denials"]).status()?;
    ensure!(status.success(), "{status}");
    sleep(Duration::from_secs(2));
    Ok([idle, memory(gate, "after 100,000 denied opens")?])
}

fn memory(gate: &Gate, what: &str) -> Result<Value> {
    let status = fs::read_to_string(format!("/proc/{}/status", gate.pid()))?;
    let kib = |key: &str| -> Result<u64> {
        let line = status.lines().find(|line| line.starts_with(key)).context("no such line")?;
        Ok(line.split_whitespace().nth(1).context("no number")?.parse()?)
    };
    Ok(json!({
        "what": what,
        "memory": { "VmRSS_KiB": kib("VmRSS:")?, "RssAnon_KiB": kib("RssAnon:")? },
        "records": gate.records()?,
    }))
}

/// Opens what the policy does not list, often.
pub(super) fn denials() -> Result<()> {
    for turn in 0..EVENTS {
        ensure!(File::open(DENIED).is_err(), "it was not denied");
        if turn % BURST == 0 {
            sleep(Duration::from_millis(20));
        }
    }
    Ok(())
}
