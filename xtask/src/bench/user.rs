//! Part `user`: `decide` in user space. The measurement itself is `tests/benches/decide`; here the
//! lines that it prints meet the files that criterion leaves behind.

use super::table::{Table, cell};
use crate::paths;
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// Criterion's groups, and what they are called here.
const GROUPS: [(&str, &str); 2] = [("judge", "judge"), ("at once", "at_once")];
/// Conditions of every act: agent, operation, path, access.
const USUAL: usize = 4;

/// `acts`: what was judged, and criterion's mean of each group that has it.
pub(super) fn measure() -> Result<Value> {
    let folder = paths::target().join("bench-user");
    // What an earlier run left is no result of this one.
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    let mut cargo = super::cargo_bench("decide");
    let mut acts = super::lines(cargo.env("CRITERION_HOME", &folder))?;
    let mut found = Vec::new();
    collect(&folder, &mut found)?;
    for act in &mut acts {
        for (group, key) in GROUPS {
            let of_act = found.iter().find(|(id, _)| {
                id["group_id"] == group
                    && id["function_id"] == act["act"]
                    && id["value_str"] == cell(&act["rules"]).as_str()
            });
            if let Some((_, mean)) = of_act {
                act[key] = mean.clone();
            }
        }
        act["judge"].as_object().with_context(|| format!("criterion has no times of {act}"))?;
    }
    Ok(json!({ "unit": "ns", "acts": acts }))
}

/// Every benchmark below a folder: its name's parts, and its mean.
fn collect(folder: &Path, found: &mut Vec<(Value, Value)>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("no `{}`", folder.display()))? {
        let path = entry?.path();
        if path.join("benchmark.json").is_file() && path.ends_with("new") {
            let read = |name: &str| -> Result<Value> {
                Ok(serde_json::from_slice(&fs::read(path.join(name))?)?)
            };
            let mean = &read("estimates.json")?["mean"];
            let interval = &mean["confidence_interval"];
            let mean = json!({
                "mean": mean["point_estimate"],
                "from": interval["lower_bound"],
                "to": interval["upper_bound"],
                "confidence": interval["confidence_level"],
            });
            found.push((read("benchmark.json")?, mean));
        } else if path.is_dir() {
            collect(&path, found)?;
        }
    }
    Ok(())
}

pub(super) fn table(measured: &Value) -> Result<String> {
    let acts = measured["acts"].as_array().context("no acts")?;
    let heads = ["act", "verdict", "rules", "bytes read", "judged", "", "allowed at once", ""];
    let mut table = Table::new(2, &heads);
    for act in acts {
        let mut row = vec![cell(&act["act"]), cell(&act["verdict"]), cell(&act["rules"])];
        row.push(cell(&act["bytes_read_by_lanes"]));
        for (_, key) in GROUPS {
            let number = |name: &str| act[key][name].as_f64();
            let (mean, interval) = match (number("mean"), number("from"), number("to")) {
                (Some(mean), Some(from), Some(to)) => {
                    (format!("{mean:.1}"), format!("{from:.1} to {to:.1}"))
                }
                _ => ("-".to_owned(), String::new()),
            };
            row.extend([mean, interval]);
        }
        table.row(row);
    }
    let level = acts.first().and_then(|act| act["judge"]["confidence"].as_f64());
    let level = level.context("no confidence")? * 100.0;
    Ok(format!(
        "judging in user space, ns: criterion's mean and its {level} % confidence interval; bytes \
         read by each lane\n{}{}",
        table.render(),
        conditions(acts),
    ))
}

/// Which conditions are looked at in an act that has more than the usual ones.
fn conditions(acts: &[Value]) -> String {
    let mut text = String::new();
    let first = acts.first().map(|act| &act["rules"]);
    for act in acts.iter().filter(|act| Some(&act["rules"]) == first) {
        let names: Vec<String> =
            act["conditions"].as_array().into_iter().flatten().map(cell).collect();
        if names.len() > USUAL {
            let (count, act) = (names.len(), cell(&act["act"]));
            text.push_str(&format!("{act}: {count} conditions: {}\n", names.join(", ")));
        }
    }
    text.push_str(
        "the agent counts because each has an image of its own, chosen before the time begins; the \
         time of day is given; a budget is a counter without a clock\n",
    );
    text
}
