//! How findings look.

use super::{findings, outcome, with_rules};
use crate::diagnostic::{Severity, Style};

#[test]
fn a_long_line_is_cut_around_what_is_meant() {
    let paths: Vec<String> = (0..60).map(|n| format!("\"/directory-{n}\"")).collect();
    let shown = findings(&format!(
        "[[rule]]\nid = \"r\"\nallow = [\"read\"]\npath = [{}, \"x\", \"/last\"]\n",
        paths.join(", ")
    ));
    let lines: Vec<&str> = shown.lines().collect();
    assert!(lines.iter().all(|line| line.chars().count() < 120), "{shown}");
    let (text, caret) = (lines[1], lines[2]);
    let at = caret.chars().position(|c| c == '^').unwrap();
    assert_eq!(text.chars().nth(at), Some('x'), "{shown}");
}

#[test]
fn columns_are_characters_and_tabs_keep_the_caret_in_place() {
    let shown =
        findings("[[rule]]\nid = \"ä\tö\"\nallow = [\"exec\"]\npath = [\"/äö\", \t\"x\"]\n");
    let path = shown.split("policy.toml:10:").nth(1).unwrap();
    assert!(path.starts_with("18: error: the path is not absolute"), "{shown}");
    let lines: Vec<&str> = path.lines().collect();
    let at = lines[2].chars().position(|c| c == '^').unwrap();
    assert_eq!(lines[1].chars().nth(at), Some('x'), "{shown}");
}

#[test]
fn control_characters_of_a_policy_never_reach_the_terminal() {
    let shown = findings(
        "[[rule]]\nid = \"r\"\nallow = [\"\\u001b]0;x\\u0007\\u202e\"]\npath = \"/x\"\n# \u{202e}\n",
    );
    assert!(shown.contains("unknown operation"), "{shown}");
    assert!(!shown.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{shown:?}");
}

#[test]
fn places_inside_strings_with_escapes_are_right() {
    for (path, column) in [
        (r#""/\u00e4\\\\[""#, 20),
        (r#"'/ä[b'"#, 11),
        (r#""""/a[b""""#, 13),
        ("\"\"\"\n/a[b\"\"\"", 3),
        ("\"\"\"\\\n   /a[b\"\"\"", 6),
        (r#"'''/a[b'''"#, 13),
        (r#""\x2fa[b""#, 14),
    ] {
        let shown = findings(&format!("[[rule]]\nid = \"r\"\nallow = [\"exec\"]\npath = {path}\n"));
        let line = if path.contains('\n') { 11 } else { 10 };
        let start = format!("policy.toml:{line}:{column}: error: the class `[` never closes");
        assert!(shown.starts_with(&start), "{path}: {shown}");
    }
}

#[test]
fn windows_line_ends_do_not_move_places() {
    let text = with_rules("[[rule]]\nid = \"r\"\nallow = [\"exec\"]\npath = \"x\"\n")
        .replace('\n', "\r\n");
    let outcome = outcome(&text);
    let shown = outcome.diagnostics[0].render(&outcome.sources, Style::Plain);
    assert!(shown.starts_with("policy.toml:10:9: error: "), "{shown}");
    assert!(!shown.contains('\r'));
}

#[test]
fn text_that_is_not_utf_8_is_refused_with_its_place() {
    struct Bytes;
    impl crate::source::Loader for Bytes {
        fn load(&mut self, name: &str) -> Result<crate::source::Loaded, crate::source::LoadError> {
            Ok(crate::source::Loaded {
                name: name.to_owned(),
                bytes: b"a = 1\nb\xc3\xa4 = \xff".to_vec(),
            })
        }
    }
    let outcome = crate::check("p", &mut Bytes, &crate::check::Options::default());
    assert_eq!(outcome.diagnostics[0].message, "`p` is no policy: line 2, column 6 is not UTF-8");
}

#[test]
fn a_record_has_the_fields_that_programs_need() {
    let outcome =
        outcome(&with_rules("[[rule]]\nid = \"r\"\nallow = [\"exec\"]\npath = \"x/y\"\n"));
    let record = outcome.diagnostics[0].record(&outcome.sources);
    assert_eq!(record.severity, Severity::Error);
    assert_eq!(record.message, "the path is not absolute");
    let place = record.place.unwrap();
    assert_eq!((place.file.as_str(), place.line, place.column), ("policy.toml", 10, 9));
    assert_eq!((place.end_line, place.end_column), (10, 10));
    assert!(record.help.is_some());
}

#[test]
fn colours_are_there_only_where_they_are_asked_for() {
    let outcome = outcome("");
    let found = &outcome.diagnostics[0];
    assert!(found.render(&outcome.sources, Style::Colour).contains("\u{1b}[1;31merror\u{1b}[0m: "));
    assert!(!found.render(&outcome.sources, Style::Plain).contains('\u{1b}'));
}
