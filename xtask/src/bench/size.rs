//! Part `size`: bytes of the programs as they are shipped: static, release, stripped.

use super::table::{Table, cell};
use crate::arch::Arch;
use crate::{build, setup};
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// What both programs together may have.
const GOAL: u64 = 5_000_000;

pub(super) fn measure() -> Result<Value> {
    let built = build::all(setup::toolchain()?, Arch::Amd64, None)?;
    let bytes = |program: &Path| -> Result<u64> {
        let program =
            fs::metadata(program).with_context(|| format!("no program `{}`", program.display()))?;
        Ok(program.len())
    };
    let (daemon, tool) = (bytes(&built.daemon)?, bytes(&built.tool)?);
    let together = daemon + tool;
    Ok(json!({
        "unit": "bytes",
        "execlayerd": daemon,
        "execlayer": tool,
        "together": together,
        "goal": GOAL,
        "met": together <= GOAL,
    }))
}

pub(super) fn table(measured: &Value) -> Result<String> {
    let mut table = Table::new(1, &["program", "bytes"]);
    for name in ["execlayerd", "execlayer", "together", "goal"] {
        table.row(vec![name.to_owned(), cell(&measured[name])]);
    }
    let met = measured["met"].as_bool().context("no result")?;
    let met = if met { "the goal is met" } else { "the goal is missed" };
    Ok(format!("the programs, stripped\n{}{met}\n", table.render()))
}
