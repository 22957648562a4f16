//! Part `audit`: writing the audit trail, and reading it. Writing is measured by `execlayer-agent/benches/trail.rs`, which
//! leaves a large log; reading it is the tool as it is shipped but for its C library.

use super::table::{Table, cell};
use crate::{paths, shell};
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;
use std::{env, fs};

/// Records of the log that is read, unless the variable says otherwise.
const RECORDS: &str = "1000000";
const VARIABLE: &str = "EXECLAYER_BENCH_RECORDS";

/// What is read, and what the tool is called with.
const READS: [(&str, &[&str]); 4] = [
    ("verify", &["verify"]),
    ("one path", &["show", "--path", "/workspace/project/src/module-5/file-5.rs"]),
    ("one session's denials", &["show", "--session", "7", "--verdict", "deny"]),
    ("denials by rule", &["top"]),
];

pub(super) fn measure() -> Result<Value> {
    let folder = paths::workspace().join("target/bench-audit");
    // What an earlier run left, if it was ended.
    let _absent = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder)?;
    let measured = measure_in(&folder);
    fs::remove_dir_all(&folder)?;
    measured
}

fn measure_in(folder: &Path) -> Result<Value> {
    let records = env::var(VARIABLE).unwrap_or_else(|_unset| RECORDS.to_owned());
    let mut cargo = Command::new("cargo");
    cargo.current_dir(paths::workspace());
    cargo.args(["bench", "--package", "execlayer-agent", "--bench", "trail", "--"]);
    let written = super::lines(cargo.arg(folder).arg(&records))?;
    let mut build = Command::new("cargo");
    build.current_dir(paths::workspace());
    shell::run(build.args(["build", "--release", "--package", "execlayer-cli"]))?;
    let log = folder.join("large/audit");
    let mut read = Vec::new();
    for (what, arguments) in READS {
        let mut tool = Command::new(paths::workspace().join("target/release/execlayer"));
        tool.arg("audit").args(arguments).arg(&log).stderr(Stdio::null());
        let begin = Instant::now();
        let lines = shell::output(&mut tool)?.lines().count();
        read.push(
            json!({ "what": what, "seconds": begin.elapsed().as_secs_f64(), "lines": lines }),
        );
    }
    Ok(
        json!({ "records": records.parse::<u64>()?, "bytes": size(&log)?, "written": written, "read": read }),
    )
}

/// Bytes of the files below a folder.
fn size(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.metadata()?;
        bytes += if kind.is_dir() { size(&entry.path())? } else { kind.len() };
    }
    Ok(bytes)
}

pub(super) fn table(measured: &Value) -> Result<String> {
    let heads = ["survives at", "records", "a second", "cpu ms for 10,000", "bytes each"];
    let mut writing = Table::new(1, &heads);
    for row in measured["written"].as_array().context("nothing was written")? {
        let cpu = row["cpu_ms_for_10000"].as_f64().context("no time")?;
        writing.row(vec![
            cell(&row["sync"]),
            cell(&row["records"]),
            cell(&row["records_a_second"]),
            format!("{cpu:.1}"),
            cell(&row["bytes_a_record"]),
        ]);
    }
    let mut reading = Table::new(1, &["read", "seconds", "lines"]);
    for row in measured["read"].as_array().context("nothing was read")? {
        let seconds = row["seconds"].as_f64().context("no time")?;
        reading.row(vec![cell(&row["what"]), format!("{seconds:.2}"), cell(&row["lines"])]);
    }
    Ok(format!(
        "writing the trail on one core of this machine, at every 64 KiB and after every 512 events\n{}\nreading {} records in {} bytes, once, \
         after they were written\n{}",
        writing.render(),
        measured["records"],
        measured["bytes"],
        reading.render()
    ))
}
