//! The policies that are shipped: their cases hold, and they have no findings.

use std::{fs, path::PathBuf};

use super::rendered;
use crate::{
    cases::{parse_cases, run},
    check::{Options, Outcome, check},
    diagnostic::Style,
    source::{LoadError, Loaded, Loader},
};

struct Folder;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../policies")
}

fn read(name: &str) -> Loaded {
    let bytes = fs::read(folder().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    Loaded { name: format!("policies/{name}"), bytes }
}

impl Loader for Folder {
    fn load(&mut self, name: &str) -> Result<Loaded, LoadError> {
        Ok(read(&format!("{name}/policy.toml")))
    }
}

fn shipped(name: &str) -> Outcome {
    check(name, &mut Folder, &Options::default())
}

fn cases_hold(name: &str, policy: &str) {
    let outcome = shipped(policy);
    let shown = rendered(&outcome);
    let policy = outcome.policy.unwrap_or_else(|| panic!("no policy:\n{shown}"));
    let file = parse_cases(read(&format!("{name}/cases.toml")));
    let report = run(&policy, &file);
    let wrong: String = file
        .diagnostics
        .iter()
        .chain(&report.failures)
        .map(|found| found.render(&file.sources, Style::Plain))
        .collect();
    assert!(wrong.is_empty(), "{wrong}");
    assert!(report.passed >= 30, "{name} has only {} cases", report.passed);
}

#[test]
fn cases_of_coding_agent_hold() {
    cases_hold("coding-agent", "coding-agent");
}

#[test]
fn cases_of_the_baseline_hold_for_it_alone() {
    cases_hold("baseline/linux-dev", "baseline/linux-dev");
}

#[test]
fn cases_of_the_baseline_hold_under_coding_agent_too() {
    cases_hold("baseline/linux-dev", "coding-agent");
}

#[test]
fn coding_agent_has_no_findings() {
    assert_eq!(rendered(&shipped("coding-agent")), "");
}
