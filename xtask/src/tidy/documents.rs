//! Rules about the documents that a reader looks for.

use super::Findings;
use crate::paths;
use std::fs;

const REQUIRED: &[&str] = &["README.md", "ARCHITECTURE.md", "CHANGELOG.md"];

pub(super) fn check(files: &[String], findings: &mut Findings) {
    for required in REQUIRED {
        if !files.iter().any(|file| file == required) {
            findings.add(required, 1, "is missing");
        }
    }
    let changelog = fs::read_to_string(paths::workspace().join("CHANGELOG.md")).unwrap_or_default();
    let unreleased =
        |line: &str| line.trim_start_matches("## ").trim_matches(['[', ']']) == "Unreleased";
    if !changelog.lines().filter(|line| line.starts_with("## ")).any(unreleased) {
        findings.add("CHANGELOG.md", 1, "has no section `## [Unreleased]`");
    }
}
