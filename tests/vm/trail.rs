//! The audit trail in a guest: its records as text, and what is removed so that another begins. Must not check it.

use anyhow::{Result, ensure};
use execlayer_api::places;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;

const TOOL: &str = "/opt/execlayer/bin/execlayer";

/// The file in which a log's first records are.
pub(crate) const FIRST: &str = "/var/log/execlayer/audit/records/00000000000000000000.jsonl";

/// All whole records, a line each.
pub(crate) fn text() -> Result<String> {
    text_in(Path::new(places::AUDIT))
}

/// The same, of another folder.
pub(crate) fn text_in(folder: &Path) -> Result<String> {
    let mut show = Command::new(TOOL);
    let shown = show.args(["audit", "show", "--json"]).arg(folder).output()?;
    let wrong = String::from_utf8_lossy(&shown.stderr);
    ensure!(shown.status.success(), "`{}` cannot be read: {wrong}", folder.display());
    Ok(String::from_utf8(shown.stdout)?)
}

/// The records.
pub(crate) fn records() -> Result<Vec<Value>> {
    parsed(&text()?)
}

pub(crate) fn parsed(text: &str) -> Result<Vec<Value>> {
    Ok(text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?)
}

/// The next daemon begins a log, as if there never had been one.
pub(crate) fn forget() {
    let _absent = fs::remove_dir_all(places::AUDIT);
    for name in [places::AUDIT_KEY, places::AUDIT_HEAD] {
        let _absent = fs::remove_file(Path::new(places::STATE_DIR).join(name));
    }
}
