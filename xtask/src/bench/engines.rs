//! Part `engines`: a policy of ten conditions in this engine and in others', in one run. The measurement itself is the
//! program `tests/engines`, which is outside of the workspace.

use super::table::Table;
use crate::{paths, shell};
use anyhow::{Context, Result};
use serde_json::Value;
use std::process::{Command, Stdio};

/// `calls`: engine, rules, call, and in `timed` nanoseconds and allocations. `spread`: another call each time. `threads`:
/// evaluations a second.
pub(super) fn measure() -> Result<Value> {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(paths::workspace().join("tests/engines"));
    cargo
        .args(["run", "--release", "--locked", "--target-dir"])
        .arg(paths::target().join("engines"));
    let printed = shell::output(cargo.stderr(Stdio::inherit()))?;
    serde_json::from_str(printed.trim()).with_context(|| format!("no JSON: {printed}"))
}

pub(super) fn table(measured: &Value) -> Result<String> {
    let number = |value: &Value| value.as_f64().map_or("-".to_owned(), |ns| format!("{ns:.1}"));
    let list = |key: &str| measured[key].as_array().with_context(|| format!("no `{key}`"));
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let mut calls = Table::new(2, &["call", "engine", "rules", "p50", "p99", "allocations"]);
    for one in list("calls")? {
        let timed = &one["timed"];
        calls.row(vec![
            text(&one["call"]),
            text(&one["engine"]),
            one["rules"].to_string(),
            number(&timed["p50"]),
            number(&timed["p99"]),
            timed["allocations"].to_string(),
        ]);
    }
    let mut spread = Table::new(0, &["rules", "ns", "bytes"]);
    for one in list("spread")? {
        spread.row(vec![one["rules"].to_string(), number(&one["ns"]), number(&one["bytes"])]);
    }
    let mut threads = Table::new(0, &["threads", "swaps", "evaluations a second"]);
    for one in list("threads")? {
        threads.row(vec![
            one["threads"].to_string(),
            one["swaps"].to_string(),
            one["per_second"].as_f64().map_or("-".to_owned(), |rate| format!("{rate:.0}")),
        ]);
    }
    Ok(format!(
        "nanoseconds for one evaluation, of means of batches of 10 microseconds\n{}\n\
         this engine, another call each time, mean\n{}\n\
         this engine, the call of which all ten hold\n{}",
        calls.render(),
        spread.render(),
        threads.render()
    ))
}
