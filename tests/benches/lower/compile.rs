//! One compilation from text to image, in a process of its own: only so is the peak memory its own.
//! Owns that process and its line of JSON.

use std::{env, fs, process::Command, time::Instant};

use anyhow::{Context, Result, anyhow, ensure};
use execlayer_common::limits::CLASS_WORDS;
use execlayer_policy::lower;
use serde_json::{Value, json};

use crate::policies::Source;

/// In front of the name of the policy that this process compiles.
pub(crate) const ONE: &str = "--one";
/// Processes for each policy.
const RUNS: usize = 3;

/// Compiles the policy, and says what it took and what came out.
pub(crate) fn here(name: &str) -> Result<Value> {
    let mut source = Source::of(name)?;
    let begin = Instant::now();
    let policy = source.check()?;
    let checked = Instant::now();
    let lowered = lower(&policy).map_err(|error| anyhow!("`{name}`: {error}"))?;
    let done = Instant::now();
    let report = &lowered.report;
    let room = CLASS_WORDS.get(usize::from(report.class)).context("no such size class")?;
    Ok(json!({
        "policy": name,
        "rules": policy.rules().len(),
        "check_seconds": (checked - begin).as_secs_f64(),
        "lower_seconds": (done - checked).as_secs_f64(),
        "compile_seconds": (done - begin).as_secs_f64(),
        "image_bytes": report.bytes(),
        "table_bytes": room * 4,
        "states": report.states(),
        "peak_memory_bytes": peak()?,
    }))
}

/// The run in the middle of several, by its time.
pub(crate) fn apart(name: &str) -> Result<Value> {
    let mut runs = Vec::new();
    for _ in 0..RUNS {
        let output = Command::new(env::current_exe()?).args([ONE, name]).output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "compiling `{name}`: {}\n{said}", output.status);
        let run: Value = serde_json::from_slice(&output.stdout)?;
        runs.push((run["compile_seconds"].as_f64().context("a run without its time")?, run));
    }
    runs.sort_by(|(one, _), (other, _)| one.total_cmp(other));
    let all: Vec<f64> = runs.iter().map(|(seconds, _)| *seconds).collect();
    let mut run = runs.swap_remove(RUNS / 2).1;
    run["compile_seconds_of_all_runs"] = json!(all);
    Ok(run)
}

/// KERNEL: VmHWM of proc_pid_status(5).
fn peak() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next()).context("no VmHWM")?;
    Ok(kib.parse::<u64>()? * 1024)
}
