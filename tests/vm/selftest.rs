//! `execlayer selftest`: on a kernel that enforces it finds nothing that goes through; where a policy only
//! watches it finds almost everything.

use crate::framework::{Lane, full, note};
use crate::gate::Gate;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::fs;
use std::process::{Command, Stdio};

crate::tests! {
    selftest_finds_what_goes_through_and_nothing_else => .limit(600).lanes(&[Lane::Bypass]).fresh()
}

const TOOL: &str = "/opt/execlayer/bin/execlayer";
/// Where the yards are made.
const FOLDER: &str = "/srv/selftest";

fn selftest_finds_what_goes_through_and_nothing_else() -> Result<()> {
    fs::create_dir_all(FOLDER)?;
    if full() {
        // It starts a daemon of its own, which pins nothing.
        let alone = selftest(&["--filter", "the gate"], 0)?;
        ensure!(count(&alone, "stopped")? >= 5, "{alone}");
        wait_for_its_end()?;
    }
    let gate = Gate::start()?;
    let enforced = selftest(&[], 0)?;
    let acts = count(&enforced, "acts")?;
    ensure!(acts >= 60 && count(&enforced, "stopped")? == acts, "{enforced}");
    let pairs = count(&enforced, "twins_passed")?;
    ensure!(pairs >= 40, "{enforced}");
    note(&format!("{acts} acts, {pairs} of them with a twin that passed"));
    let watched = selftest(&["--monitor"], 8)?;
    let through = count(&watched, "went_through")?;
    // The gate's own sockets and pins are denied under every policy.
    let kept = verdicts(&watched, |finding| finding["group"] == "the gate")?;
    ensure!(kept.iter().filter(|verdict| *verdict == "stopped").count() >= 3, "{watched}");
    ensure!(through >= 50 && through < acts && count(&watched, "not_tried")? == 0, "{watched}");
    drop(gate);
    ensure!(fs::read_dir(FOLDER)?.next().is_none(), "a yard was left behind");
    Ok(())
}

fn selftest(options: &[&str], code: i32) -> Result<Value> {
    let mut tool = Command::new(TOOL);
    tool.args(["selftest", "--json", "--folder", FOLDER]).args(options).stdin(Stdio::null());
    let output = tool.output()?;
    let ended = output.status.code();
    let json: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    ensure!(
        ended == Some(code) && json.is_object(),
        "{options:?} ended with {ended:?}, not {code}: {}",
        said(&json, &output.stderr)
    );
    Ok(json)
}

/// What was not stopped, and what was said.
fn said(json: &Value, errors: &[u8]) -> String {
    let findings = json["findings"].as_array().into_iter().flatten();
    let odd = findings.filter(|finding| finding["verdict"] != "stopped");
    let odd: Vec<String> = odd.map(Value::to_string).collect();
    format!("{}\n{}", odd.join("\n"), String::from_utf8_lossy(errors))
}

fn verdicts(json: &Value, wanted: impl Fn(&Value) -> bool) -> Result<Vec<Value>> {
    let findings = json["findings"].as_array().context("no findings")?;
    Ok(findings
        .iter()
        .filter(|finding| wanted(finding))
        .map(|found| found["verdict"].clone())
        .collect())
}

fn count(json: &Value, name: &str) -> Result<u64> {
    json[name].as_u64().with_context(|| format!("no count of `{name}`"))
}

/// The daemon that nobody needs any more ends by itself, some time after its socket is gone.
fn wait_for_its_end() -> Result<()> {
    for _ in 0..600 {
        let mut names = fs::read_dir("/proc")?.flatten().map(|entry| entry.path().join("comm"));
        // A process may end while it is looked at.
        if !names.any(|name| fs::read_to_string(name).is_ok_and(|name| name == "execlayerd\n")) {
            return Ok(());
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    anyhow::bail!("the daemon stays")
}
