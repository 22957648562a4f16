//! Twenty faults, put one at a time into a copy of the decision, the automaton and the lowering: the
//! corpus and a few drawn policies must notice each of them. Production code has no switch for it.
//!
//! The copies live in a workspace of their own below `target/mutants`. One build has them all: the
//! decision's copies as modules of a small checker, the lowering's as modules of a copy of
//! execlayer-policy.

mod faults;
mod workspace;

use std::{
    process::{Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use faults::FAULTS;
use workspace::Workspace;

/// Longer than this, a fault made the decision or the lowering run for ever.
const LIMIT: Duration = Duration::from_secs(120);

#[derive(Debug, PartialEq, Eq)]
enum Examined {
    Fine,
    Caught(String),
}

#[test]
fn every_seeded_fault_is_caught_and_the_original_is_not() {
    assert_eq!(FAULTS.len(), 20);
    let workspace = Workspace::make(FAULTS).unwrap();
    let checker = workspace.build().unwrap();
    let examine = |number: usize| {
        let mut child = Command::new(&checker)
            .arg(number.to_string())
            .arg(workspace::corpus())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let start = Instant::now();
        while child.try_wait().unwrap().is_none() {
            if start.elapsed() > LIMIT {
                child.kill().unwrap();
                child.wait().unwrap();
                return Examined::Caught("does not end".to_owned());
            }
            sleep(Duration::from_millis(2));
        }
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        match output.status.code() {
            Some(0) => Examined::Fine,
            Some(1) => Examined::Caught(said),
            other => Examined::Caught(format!("panics ({other:?})")),
        }
    };
    assert_eq!(examine(0), Examined::Fine, "the original must pass");
    let mut missed = Vec::new();
    for (number, fault) in (1..).zip(FAULTS) {
        match examine(number) {
            Examined::Fine => missed.push(fault.what),
            Examined::Caught(how) => println!("{:2} caught: {}\n     {how}", number, fault.what),
        }
    }
    assert!(missed.is_empty(), "not caught: {missed:#?}");
}
