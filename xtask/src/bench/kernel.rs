//! Part `kernel`: `decide` in this machine's kernel. The measurement itself is `tests/benches/kernel`.

use super::table::{Table, cell};
use crate::{build, setup};
use anyhow::{Context, Result};
use serde_json::{Value, json};

/// The machine, and `acts` with their times; or why nothing runs here.
pub(super) fn measure() -> Result<Value> {
    build::kernel_objects(setup::toolchain()?, None)?;
    let mut cargo = super::cargo_bench("kernel");
    let lines = super::lines(cargo.env("EXECLAYER_JUDGE_OBJECT", build::object("judge", None)))?;
    let mut lines = lines.into_iter();
    let mut measured = lines.next().context("the bench printed nothing")?;
    let acts: Vec<Value> = lines.collect();
    match acts.first().and_then(|first| first["not_run_here"].as_str()) {
        Some(why) => measured["not_run_here"] = json!(why),
        None => measured["acts"] = Value::Array(acts),
    }
    Ok(measured)
}

pub(super) fn table(measured: &Value) -> Result<String> {
    let jit = match cell(&measured["bpf_jit_enable"]).as_str() {
        "0" => "off",
        _ => "on",
    };
    let machine = format!("judging in the kernel {}, JIT {jit}", cell(&measured["kernel"]));
    if let Value::String(why) = &measured["not_run_here"] {
        return Ok(format!("{machine}: not run here: {why}\n"));
    }
    let heads = [
        "act",
        "verdict",
        "rules",
        "bytes read",
        "frame",
        "lowest",
        "judged",
        "lowest",
        "allowed at once",
        "lowest",
    ];
    let mut table = Table::new(2, &heads);
    for act in measured["acts"].as_array().context("no acts")? {
        let mut row = vec![cell(&act["act"]), cell(&act["verdict"]), cell(&act["rules"])];
        row.push(cell(&act["bytes_read_by_lanes"]));
        let frame = |of: &str| act["nothing"][of].as_i64().context("no time of the frame");
        let frames = [("median", frame("median")?), ("lowest", frame("lowest")?)];
        row.extend(frames.map(|(_, frame)| frame.to_string()));
        for key in ["judge", "at_once"] {
            row.extend(frames.map(|(of, frame)| match act[key][of].as_i64() {
                Some(time) => (time - frame).to_string(),
                None => "-".to_owned(),
            }));
        }
        table.row(row);
    }
    Ok(format!(
        "{machine}, ns: median and lowest of {} rounds of {} runs; the frame is what taking the act \
         in costs, the others are without it\n{}",
        measured["rounds"],
        measured["repeat"],
        table.render(),
    ))
}
