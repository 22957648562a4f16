//! Part `events`: how many events a second get from the kernel to a record in the log, and from which rate on some do not.
//! The measurement itself is `tests/vm/cost/events.rs`, in a guest: in emulation everything is slower than on a machine, but
//! equally so.

use super::guest::rows;
use super::table::{Table, cell};
use crate::arch::Arch;
use crate::vm::{Lab, Root};
use anyhow::{Context, Result};
use serde_json::Value;
use std::time::Duration;

const SERIES: &str = "6.12";
const PATIENCE: Duration = Duration::from_secs(1800);

pub(super) fn measure() -> Result<Value> {
    let lab = Lab::prepare(Arch::Amd64, None)?;
    let mut spec = lab.guest(lab.kernel(SERIES)?, &["/opt/execlayer/vm", "cost", "events"]);
    spec.name = format!("bench-events-{}", std::process::id());
    spec.root = Root::Plain;
    spec.limit = PATIENCE;
    spec.silence = PATIENCE;
    rows(&spec).map(Value::Array)
}

pub(super) fn table(measured: &Value) -> Result<String> {
    let rows = measured.as_array().context("no rows")?;
    let mut table = Table::new(
        1,
        &[
            "records survive",
            "agents",
            "tried a second",
            "events a second",
            "records a second",
            "missing",
            "daemon's ms for 10,000",
        ],
    );
    for row in rows {
        let pace = match row["pace"].as_u64() {
            Some(0) | None => "all they can".to_owned(),
            Some(pace) => pace.to_string(),
        };
        table.row(vec![
            cell(&row["sync"]),
            cell(&row["agents"]),
            pace,
            cell(&row["events"]),
            cell(&row["records"]),
            cell(&row["lost"]),
            cell(&row["milliseconds"]),
        ]);
    }
    Ok(table.render())
}
