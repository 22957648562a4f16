//! Part `guest`: what the gate adds to system calls, in a guest whose clock counts instructions, and the
//! daemon's memory. The measurement itself is `tests/vm/cost.rs`.

use crate::arch::Arch;
use crate::build;
use crate::vm::{self, Ending, GuestSpec, Lab, Root};
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::fmt::Write as _;

/// The guest's kernel: the newest long-term series of the distribution.
const SERIES: &str = "6.12";
const ACTS: [(&str, &str); 9] = [
    ("open", "open+close"),
    ("stat", "stat"),
    ("exec", "exec"),
    ("fork", "fork"),
    ("connect", "connect"),
    ("mknod+unlink", "mknod+unlink"),
    ("rename", "rename, both ways"),
    ("mmap", "mmap(PROT_EXEC)+munmap"),
    ("kill", "kill"),
];
/// Emulated instructions take their time; nothing is said meanwhile.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(1800);

/// An array of objects: `what`, and `acts` (instructions of each) or `memory` (KiB).
pub(super) fn measure() -> Result<Value> {
    let lab = Lab::prepare(Arch::Amd64, None)?;
    let mut spec = lab.guest(lab.kernel(SERIES)?, &["/opt/execlayer/vm", "cost", "all"]);
    spec.name = format!("bench-{}", std::process::id());
    spec.root = Root::Plain;
    spec.smp = 1;
    spec.icount = true;
    // Where a program lies decides how many page tables it needs.
    spec.append = "norandmaps".to_owned();
    spec.limit = PATIENCE;
    spec.silence = PATIENCE;
    spec.files.push((build::object("empty", None), "/opt/execlayer/empty.o".to_owned()));
    rows(&spec).map(Value::Array)
}

/// Runs a guest, and returns the lines of JSON that its command prints.
pub(super) fn rows(spec: &GuestSpec) -> Result<Vec<Value>> {
    let (mut rows, mut rest) = (Vec::new(), Vec::new());
    let result = vm::run(spec, &mut |line| match serde_json::from_str::<Value>(line) {
        Ok(row) => {
            eprintln!("    {row}");
            rows.push(row);
        }
        Err(_) => rest.push(line.to_owned()),
    })?;
    match result.ending {
        Ending::Exit(0) => Ok(rows),
        ending => {
            bail!(
                "{ending}\n{}\nthe console's end:\n{}",
                rest.join("\n"),
                result.console.join("\n")
            )
        }
    }
}

/// The rows as a table: instructions, and how many more than without a gate.
pub(super) fn table(rows: &Value) -> Result<String> {
    let rows = rows.as_array().context("no rows")?;
    let base = rows.first().context("no rows")?;
    let number = |row: &Value, act: &str| row["acts"][act].as_u64();
    let mut text = String::from("instructions of one act (added to those without a gate)\n");
    for (act, name) in ACTS {
        let _ = writeln!(text, "\n{name}");
        for row in rows.iter().filter(|row| row["acts"].is_object()) {
            let (Some(total), Some(base)) = (number(row, act), number(base, act)) else {
                bail!("a row without `{act}`: {row}");
            };
            let what = row["what"].as_str().unwrap_or_default();
            let added = i128::from(total) - i128::from(base);
            let _ = writeln!(text, "    {what:42}{total:>12} ({added:+})");
        }
    }
    text.push_str("\nmemory of execlayerd, KiB\n");
    for row in rows.iter().filter(|row| row["memory"].is_object()) {
        let memory = |key: &str| row["memory"][key].as_u64().unwrap_or_default();
        let _ = writeln!(
            text,
            "{:42}VmRSS {}, RssAnon {}, {} records",
            row["what"].as_str().unwrap_or_default(),
            memory("VmRSS_KiB"),
            memory("RssAnon_KiB"),
            row["records"],
        );
    }
    Ok(text)
}
