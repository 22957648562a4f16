//! Rules about who may depend on whom, and on how much.
//!
//! INVARIANT(daemon-parses-no-text): the daemon links neither the policy compiler nor signing.

use super::Findings;
use crate::arch::Arch;
use crate::{paths, shell};
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

/// Every crate that the root daemon links. A new one is a decision: it gets a reason in its commit.
const GOLDEN: &str = "docs/decisions/daemon-dependencies.txt";

pub(super) fn check(bless: bool, findings: &mut Findings) -> Result<()> {
    let daemon = linked("execlayer-agent")?;
    let tool = linked("execlayer-cli")?;
    let manifest = "execlayer-agent/Cargo.toml";
    if daemon.contains_key("execlayer-policy") {
        findings.add(manifest, 1, "the daemon must not link `execlayer-policy`");
    }
    let bundle = daemon.get("execlayer-bundle").map(String::as_str).unwrap_or_default();
    if bundle.split(',').any(|feature| feature == "sign") {
        findings.add(manifest, 1, "the daemon must not link signing");
    }
    for name in tool.keys().filter(|name| *name == "aya" || name.starts_with("aya-")) {
        findings.add("execlayer-cli/Cargo.toml", 1, format!("the tool must not link `{name}`"));
    }
    let names: String = daemon.keys().flat_map(|name| [name.as_str(), "\n"]).collect();
    let golden = paths::workspace().join(GOLDEN);
    if bless {
        return fs::write(&golden, names).with_context(|| format!("cannot write `{GOLDEN}`"));
    }
    let known = fs::read_to_string(&golden).unwrap_or_default();
    for name in names.lines().filter(|name| !known.lines().any(|known| known == *name)) {
        findings.add(
            GOLDEN,
            1,
            format!("the daemon now links `{name}`: `cargo xtask tidy --bless` accepts it"),
        );
    }
    for (at, name) in known.lines().enumerate() {
        if !daemon.contains_key(name) {
            findings.add(
                GOLDEN,
                at + 1,
                format!("the daemon no longer links `{name}`: `--bless` drops it"),
            );
        }
    }
    Ok(())
}

/// What the programs are shipped for.
const TARGET: Arch = Arch::Amd64;

/// The crates that end up in a package's programs, each with its features.
fn linked(package: &str) -> Result<BTreeMap<String, String>> {
    let tree = shell::output(
        Command::new("cargo")
            .current_dir(paths::workspace())
            .args(["tree", "--quiet", "--package", package, "--edges", "no-proc-macro,normal"])
            .args(["--prefix", "none", "--format", "{p}|{f}", "--target", TARGET.musl()]),
    )?;
    Ok(tree
        .lines()
        .filter_map(|line| {
            let (name, features) = line.trim_end_matches(" (*)").split_once('|')?;
            Some((name.split(' ').next()?.to_owned(), features.to_owned()))
        })
        .collect())
}
