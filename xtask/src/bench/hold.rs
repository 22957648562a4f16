//! Part `hold`: how long a call is held when its decider answers at once, and how many questions the daemon
//! settles, in a guest of two cores and in one whose clock counts instructions. The measurement itself is
//! `tests/vm/hold/cost.rs`.

use super::guest;
use super::table::{Table, cell};
use crate::arch::Arch;
use crate::vm::{Lab, Root};
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::fs;

/// The guest's kernel: the newest long-term series of the distribution.
const SERIES: &str = "6.12";
/// Counted instructions take their time; nothing is said meanwhile.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(1800);

/// The machine, and `guests`: each has its facts, and `rows` of `what` and `trip` or `load`.
pub(super) fn measure() -> Result<Value> {
    let lab = Lab::prepare(Arch::Amd64, None)?;
    let before = averages()?;
    let mut guests = Vec::new();
    for counted in [false, true] {
        let mut spec = lab.guest(lab.kernel(SERIES)?, &["/opt/execlayer/vm", "hold-cost", "all"]);
        spec.name = format!("bench-hold-{}", std::process::id());
        spec.root = Root::Plain;
        (spec.limit, spec.silence) = (PATIENCE, PATIENCE);
        if counted {
            (spec.smp, spec.icount) = (1, true);
            // Where a program lies decides how many page tables it needs.
            spec.append = "norandmaps".to_owned();
        }
        let mut rows = guest::rows(&spec)?.into_iter();
        let facts = rows.next().context("the guest printed nothing")?;
        let rows: Vec<Value> = rows.collect();
        guests.push(json!({ "guest": facts, "counts_instructions": counted, "rows": rows }));
    }
    let cpus = std::thread::available_parallelism()?;
    Ok(json!({
        "machine": { "cpus": cpus, "load_before": before, "load_after": averages()? },
        "guests": guests,
    }))
}

pub(super) fn table(measured: &Value) -> Result<String> {
    let machine = &measured["machine"];
    let mut text = format!(
        "calls that are held, answered at once by a budget; emulated on {} cores, load average {} \
         before and {} after\n",
        cell(&machine["cpus"]),
        cell(&machine["load_before"]),
        cell(&machine["load_after"]),
    );
    for guest in measured["guests"].as_array().context("no guests")? {
        let (facts, rows) = (&guest["guest"], guest["rows"].as_array().context("no rows")?);
        let is_counted = guest["counts_instructions"] == true;
        let unit = if is_counted { "thousand instructions" } else { "microseconds" };
        let _ = write!(
            text,
            "\nguest: kernel {}, cores {}, clock {}; in {unit}\n{}\n{}",
            cell(&facts["kernel"]),
            cell(&facts["cpus"]),
            cell(&facts["clock"]),
            trips(rows)?,
            loads(rows, is_counted)?,
        );
    }
    Ok(text)
}

/// Times of one call, and how they compare to the bare trip, which is the first.
fn trips(rows: &[Value]) -> Result<String> {
    let mut table =
        Table::new(1, &["one call", "times", "median", "p99", "lowest", "median to bare"]);
    let bare = rows.first().and_then(|row| row["trip"]["median_ns"].as_f64());
    let bare = bare.context("no bare trip")?;
    for row in rows.iter().filter(|row| row["trip"].is_object()) {
        let number = |key: &str| row["trip"][key].as_f64().context("a number is missing");
        let median = number("median_ns")?;
        let numbers = [median, number("p99_ns")?, number("lowest_ns")?];
        let mut cells = vec![cell(&row["what"]), cell(&row["trip"]["count"])];
        cells.extend(numbers.map(|time| format!("{:.1}", time / 1e3)));
        cells.push(format!("{:.2}", median / bare));
        table.row(cells);
    }
    Ok(table.render())
}

/// Questions that the daemon settled. An emulated second says nothing where instructions are counted.
fn loads(rows: &[Value], is_counted: bool) -> Result<String> {
    let mut table =
        Table::new(1, &["asking at once", "questions", "a second", "each", "daemon's CPU, each"]);
    for row in rows.iter().filter(|row| row["load"].is_object()) {
        let number = |key: &str| row["load"][key].as_f64().context("a number is missing");
        let (questions, elapsed) = (number("questions")?, number("elapsed_ns")?);
        table.row(vec![
            cell(&row["what"]),
            cell(&row["load"]["questions"]),
            if is_counted { "-".to_owned() } else { format!("{:.0}", questions / elapsed * 1e9) },
            format!("{:.1}", elapsed / 1e3 / questions),
            format!("{:.1}", number("daemon_cpu_ns")? / 1e3 / questions),
        ]);
    }
    Ok(table.render())
}

/// This machine's load averages.
fn averages() -> Result<String> {
    let all = fs::read_to_string("/proc/loadavg")?;
    Ok(all.split(' ').take(3).collect::<Vec<_>>().join(" "))
}
