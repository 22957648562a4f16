//! Rules about single lines and single files.

use super::Findings;

const LINES: usize = 500;
/// Where unsafe code may stand: the kernel programs, the one door to the kernel, plain-data impls,
/// and tests.
const UNSAFE: &[&str] =
    &["execlayer-ebpf/", "execlayer-agent/src/kernel", "execlayer-common/src/", "tests/"];
/// How far above an unsafe block its argument may begin.
const SAFETY_REACH: usize = 8;
/// Not in any file. Split, so that this file does not break its own rule.
const NOWHERE: &[(&str, &str)] = &[
    (concat!("TO", "DO"), "unfinished work is an issue, not a comment"),
    (concat!("FIX", "ME"), "unfinished work is an issue, not a comment"),
    (concat!("/work", "/main"), "a path of one workplace"),
    (concat!("/work", "/shared"), "a path of one workplace"),
    (concat!("/fa", "rm/"), "a path of one workplace"),
    (concat!(".debian", ".org"), "a mirror's name; the machine knows its own"),
];
const NOT_IN_RUST: &[(&str, &str)] = &[
    (concat!("to", "do!("), "unfinished code"),
    (concat!("unimple", "mented!("), "unfinished code"),
    (concat!("#[ig", "nore"), "a test that is not run is no test"),
];

pub(super) fn check(file: &str, text: &str, findings: &mut Findings) {
    let rust = file.ends_with(".rs");
    let rules = NOWHERE.iter().chain(if rust { NOT_IN_RUST } else { &[] });
    for (needle, message) in rules {
        for (at, line) in text.lines().enumerate() {
            if line.contains(needle) {
                findings.add(file, at + 1, format!("`{needle}`: {message}"));
            }
        }
    }
    if rust {
        shape(file, text, findings);
        safety(file, text, findings);
    }
}

fn shape(file: &str, text: &str, findings: &mut Findings) {
    if !text.starts_with("//! ") {
        findings.add(file, 1, "does not open with `//!` and what the file owns");
    }
    let lines = text.lines().take_while(|line| !line.starts_with("#[cfg(test)]")).count();
    if lines > LINES {
        findings.add(file, lines, format!("{lines} lines before the tests, {LINES} are allowed"));
    }
}

fn safety(file: &str, text: &str, findings: &mut Findings) {
    let lines: Vec<&str> = text.lines().collect();
    for (at, line) in lines.iter().enumerate() {
        let code = code(line);
        if !code.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == "unsafe") {
            continue;
        }
        if !UNSAFE.iter().any(|allowed| file.starts_with(allowed)) {
            findings.add(file, at + 1, "unsafe code has no place here");
        }
        let above = lines.get(at.saturating_sub(SAFETY_REACH)..=at).unwrap_or_default();
        let acts = code.contains("unsafe {") || code.contains("unsafe impl");
        if acts && !above.iter().any(|line| line.contains("SAFETY:")) {
            findings.add(file, at + 1, "unsafe without a SAFETY comment that argues it");
        }
    }
}

/// A line without its comment, its string literals, and attributes that name a symbol for the linker.
fn code(line: &str) -> String {
    let outside: String = line.replace("\\\"", "").split('"').step_by(2).collect();
    outside.split("//").next().unwrap_or_default().replace("#[unsafe(", "")
}

#[cfg(test)]
mod tests {
    use super::{Findings, LINES, check};

    fn findings(file: &str, text: &str) -> Vec<String> {
        let mut findings = Findings::default();
        check(file, text, &mut findings);
        findings.0
    }

    #[test]
    fn a_clean_file_has_no_findings() {
        assert!(findings("xtask/src/x.rs", "//! Owns x.\nfn x() {}\n").is_empty());
    }

    #[test]
    fn each_rule_finds_its_breach() {
        let long = format!("//! X.\n{}", "\n".repeat(LINES));
        for (file, text, wanted) in [
            ("a.rs", "fn x() {}", "a.rs:1: does not open"),
            ("a.rs", &*long, "lines before the tests"),
            (
                "a.rs",
                "//! X.\n// SAFETY: none.\nunsafe { x() }",
                "a.rs:3: unsafe code has no place",
            ),
            ("tests/a.rs", "//! X.\nunsafe { x() }", "tests/a.rs:2: unsafe without"),
            ("a.md", concat!("x TO", "DO"), "a.md:1: "),
            ("a.rs", concat!("//! X.\n#[ig", "nore]"), "a.rs:2: "),
            ("a.toml", concat!("\"/work", "/main\""), "a.toml:1: "),
        ] {
            let found = findings(file, text);
            assert!(found.iter().any(|found| found.contains(wanted)), "{wanted}: {found:?}");
        }
    }

    #[test]
    fn the_word_unsafe_in_a_comment_or_a_string_is_not_code() {
        assert!(findings("a.rs", "//! X.\n// unsafe { }\nlet x = \"unsafe {\";\n").is_empty());
    }
}
