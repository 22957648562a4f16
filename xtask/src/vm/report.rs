//! What the guests' tests said: one line a test while they run, one count at the end.

use super::guest::{GuestResult, MARK};
use crate::shell::AlreadyReported;
use anyhow::Result;

/// The tests of one guest. Every expected test without a pass is a failure, whatever the reason.
pub(super) struct Boot {
    place: String,
    expected: Vec<String>,
    passed: Vec<String>,
    failed: Vec<(String, String)>,
    /// Output of the test whose verdict comes next.
    output: Vec<String>,
    running: Option<String>,
}

impl Boot {
    pub(super) fn new(series: &str, lane: &str, expected: Vec<String>) -> Self {
        Self {
            place: format!("{series:<5} {lane:<8}"),
            expected,
            passed: Vec::new(),
            failed: Vec::new(),
            output: Vec::new(),
            running: None,
        }
    }

    /// Takes one line of the guest's test runner.
    pub(super) fn line(&mut self, line: &str) {
        let Some(said) = line.strip_prefix(MARK) else {
            return self.say(&format!("     {line}"));
        };
        let mut words = said.splitn(3, ' ');
        let (verb, name, rest) =
            (words.next().unwrap_or_default(), words.next().unwrap_or_default(), words.next());
        let rest = rest.unwrap_or_default();
        match verb {
            "start" => self.running = Some(name.to_owned()),
            "out" => {
                let text = said.strip_prefix("out").unwrap_or(said);
                self.output.push(text.strip_prefix(' ').unwrap_or(text).to_owned());
            }
            "pass" => {
                self.say(&format!("pass {name} ({rest} s)"));
                self.output.clear();
                self.running = None;
                self.passed.push(name.to_owned());
            }
            "fail" => {
                let output = std::mem::take(&mut self.output);
                self.fail(name, &format!("{}\n{rest}", output.join("\n")));
                self.running = None;
            }
            "note" => self.say(&format!("     {name} {rest}")),
            _ => self.say(&format!("     {line}")),
        }
    }

    /// Takes how the guest ended.
    pub(super) fn end(&mut self, result: Result<GuestResult>) {
        let mut why = match &result {
            Ok(result) => {
                self.say(&format!("guest ended after {:.1} s", result.took.as_secs_f64()));
                result.ending.to_string()
            }
            Err(error) => format!("the guest could not be booted: {error:#}"),
        };
        let missing: Vec<String> = self
            .expected
            .iter()
            .filter(|name| {
                !self.passed.contains(name)
                    && !self.failed.iter().any(|(failed, _)| failed == *name)
            })
            .cloned()
            .collect();
        if missing.is_empty() {
            return;
        }
        if let Ok(result) = &result {
            why.push_str(&format!("; the console's end:\n{}", result.console.join("\n")));
        }
        let culprit = self.running.take().or_else(|| missing.first().cloned());
        for name in missing {
            match culprit.as_ref() == Some(&name) {
                true => {
                    let output = std::mem::take(&mut self.output).join("\n");
                    self.fail(&name, &format!("{output}\n{why}"));
                }
                false => self.fail(&name, "not reached"),
            }
        }
    }

    fn fail(&mut self, name: &str, why: &str) {
        self.say(&format!("FAIL {name}"));
        why.trim_matches('\n').lines().for_each(|line| self.say(&format!("     | {line}")));
        self.failed.push((name.to_owned(), why.to_owned()));
    }

    fn say(&self, what: &str) {
        println!("{} {what}", self.place);
    }
}

/// Prints the failures again, then the count as the last line.
pub(super) fn close(boots: &[Boot]) -> Result<()> {
    let passed: usize = boots.iter().map(|boot| boot.passed.len()).sum();
    let failed: usize = boots.iter().map(|boot| boot.failed.len()).sum();
    println!();
    for boot in boots {
        boot.failed.iter().for_each(|(name, _)| println!("failed: {} {name}", boot.place));
    }
    println!("{passed} passed, {failed} failed");
    match failed {
        0 => Ok(()),
        _ => Err(AlreadyReported.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::Boot;
    use crate::vm::guest::{Ending, GuestResult};
    use std::time::Duration;

    fn booted(lines: &[&str], ending: Ending) -> Boot {
        let mut boot = Boot::new("6.1", "plain", vec!["a::x".into(), "a::y".into()]);
        lines.iter().for_each(|line| boot.line(line));
        boot.end(Ok(GuestResult { ending, took: Duration::ZERO, console: vec!["Oops".into()] }));
        boot
    }

    #[test]
    fn a_guest_that_dies_fails_the_running_test_and_all_that_were_to_come() {
        let boot = booted(&["@vm start a::x"], Ending::Died);
        assert_eq!(boot.failed.len(), 2);
        assert!(boot.failed[0].1.contains("Oops"));
        assert!(boot.failed[1].1.contains("not reached"));
    }

    #[test]
    fn a_runner_that_ends_early_is_not_a_pass() {
        let boot = booted(&["@vm pass a::x 0.1"], Ending::Exit(0));
        assert_eq!((boot.passed.len(), boot.failed.len()), (1, 1));
    }

    #[test]
    fn output_of_a_failed_test_is_kept_and_that_of_a_passed_one_dropped() {
        let lines =
            ["@vm out noise", "@vm pass a::x 0.1", "@vm out clue", "@vm fail a::y no reason"];
        let boot = booted(&lines, Ending::Exit(1));
        assert!(boot.failed[0].1.contains("clue") && !boot.failed[0].1.contains("noise"));
    }
}
