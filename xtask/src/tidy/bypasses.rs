//! Rules about the list of prior bypasses: what it names as a test or an attempt exists. Must not know
//! whether the test passes.

use super::Findings;
use crate::paths;
use std::fs;

const LIST: &str = "docs/prior-bypasses.md";
/// Of a row's cells.
const TEST: usize = 3;
const ATTEMPTS: usize = 4;

pub(super) fn check(files: &[String], findings: &mut Findings) {
    let read = |file: &str| fs::read_to_string(paths::workspace().join(file)).ok();
    let list = read(LIST).unwrap_or_default();
    let known = |file: &str| files.iter().any(|known| known == file).then(|| read(file)).flatten();
    rows(&list, known, findings);
}

/// `source` is the text of a file that the repository has.
fn rows(list: &str, source: impl Fn(&str) -> Option<String>, findings: &mut Findings) {
    for (at, line) in list.lines().enumerate() {
        let Some(row) = line.strip_prefix("| ").and_then(|line| line.strip_suffix(" |")) else {
            continue;
        };
        let cells: Vec<&str> = row.split(" | ").collect();
        let [test, attempts] = [TEST, ATTEMPTS].map(|cell| quoted(cells.get(cell)));
        let Some(test) = test.first() else { continue };
        let (file, function) = place(test);
        let text = source(&file).unwrap_or_default();
        if text.is_empty() || !text.contains(&function) {
            findings.add(LIST, at + 1, format!("there is no test `{test}`"));
            continue;
        }
        for attempt in attempts {
            if !is_in(&text, attempt) {
                findings.add(LIST, at + 1, format!("`{test}` has no attempt `{attempt}`"));
            }
        }
    }
}

/// What stands between backquotes.
fn quoted<'a>(cell: Option<&&'a str>) -> Vec<&'a str> {
    cell.map_or_else(Vec::new, |cell| cell.split('`').skip(1).step_by(2).collect())
}

/// The file of a test, and how its function begins there; of a file, that it is no empty one.
fn place(test: &str) -> (String, String) {
    match test.rsplit_once("::") {
        Some((module, name)) => {
            (format!("tests/vm/{}.rs", module.replace("::", "/")), format!("fn {name}("))
        }
        None => (test.to_owned(), String::new()),
    }
}

/// Whether the sources name the attempt. Names of pairs are put together: their first part is enough
/// where the second is that of a group.
fn is_in(text: &str, attempt: &str) -> bool {
    let literal = |name: &str| text.contains(&format!("\"{name}\""));
    let group =
        |end: &str| attempt.strip_suffix(end).is_some_and(|name| literal(name) && literal(end));
    literal(attempt)
        || [", forbidden", " to another port", " of an outsider"].into_iter().any(group)
}

#[cfg(test)]
mod tests {
    use super::{Findings, rows};

    fn findings(row: &str) -> Vec<String> {
        let mut findings = Findings::default();
        let source = |file: &str| {
            (file == "tests/vm/a/b.rs")
                .then(|| "fn bypass_x() {} \"one\" \"two\" \", forbidden\"".to_owned())
        };
        rows(row, source, &mut findings);
        findings.0
    }

    #[test]
    fn what_exists_is_no_finding() {
        for row in [
            "| w | – | y | `a::b::bypass_x` | `one`, `two, forbidden` |",
            "| w | – | y | not covered yet | – |",
            "| --- | --- | --- | --- | --- |",
            "| w | – | y | `tests/vm/a/b.rs` | – |",
        ] {
            assert!(findings(row).is_empty(), "{row}");
        }
    }

    #[test]
    fn what_does_not_exist_is_one() {
        for (row, wanted) in [
            ("| w | – | y | `a::b::bypass_z` | `one` |", "no test `a::b::bypass_z`"),
            ("| w | – | y | `a::c::bypass_x` | `one` |", "no test `a::c::bypass_x`"),
            ("| w | – | y | `a::b::bypass_x` | `three` |", "no attempt `three`"),
            ("| w | – | y | `a/none.rs` | – |", "no test `a/none.rs`"),
        ] {
            assert!(findings(row).iter().any(|found| found.contains(wanted)), "{row}");
        }
    }
}
