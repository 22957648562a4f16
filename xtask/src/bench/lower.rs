//! Part `lower`: compiling policies of many rules. The measurement itself is `tests/benches/lower`.

use super::table::Table;
use anyhow::{Context, Result};
use serde_json::Value;

/// An array of policies; each number's name says its unit.
pub(super) fn measure() -> Result<Value> {
    Ok(Value::Array(super::lines(super::cargo_bench("lower").arg("--json"))?))
}

pub(super) fn table(measured: &Value) -> Result<String> {
    let heads = ["rules", "seconds", "of them lowering", "all runs", "image", "table", "memory"];
    let mut table = Table::new(0, &heads);
    for policy in measured.as_array().context("no policies")? {
        let seconds = |value: &Value| value.as_f64().map(|seconds| format!("{seconds:.3}"));
        let kib = |key: &str| policy[key].as_u64().map(|bytes| format!("{} KiB", bytes / 1024));
        let runs = policy["compile_seconds_of_all_runs"].as_array().context("no runs")?;
        let runs: Vec<String> = runs.iter().filter_map(seconds).collect();
        let row = || {
            Some(vec![
                policy["rules"].to_string(),
                seconds(&policy["compile_seconds"])?,
                seconds(&policy["lower_seconds"])?,
                runs.join(" "),
                format!("{} bytes", policy["image_bytes"]),
                kib("table_bytes")?,
                kib("peak_memory_bytes")?,
            ])
        };
        table.row(row().with_context(|| format!("a number is missing: {policy}"))?);
    }
    Ok(format!(
        "compiling from text to image, each in a process of its own, with its peak memory; the \
         kernel holds the image in a table\n{}",
        table.render()
    ))
}
