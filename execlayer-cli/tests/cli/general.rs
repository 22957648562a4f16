//! Claims about the tool as a whole.

use crate::harness::{Place, is_root};

#[test]
fn help_goes_to_standard_output_and_mistakes_to_standard_error() {
    let place = Place::new();
    let help = place.succeed(&["--help"]);
    assert!(help.out.contains("execlayer run") && help.out.contains("Exit codes:"));
    assert_eq!(help.err, "");
    let mistake = place.call(&["chekc"]);
    assert_eq!(mistake.code, Some(2));
    assert!(mistake.out.is_empty() && mistake.err.contains("check"), "{mistake:?}");
    let mistake = place.call(&["check", "small", "--var", "WORKSPACE"]);
    assert_eq!(mistake.code, Some(2));
    assert!(mistake.err.contains("NAME=VALUE"), "{mistake:?}");
}

#[test]
fn version_names_tool_and_release() {
    let out = Place::new().succeed(&["--version"]).out;
    assert_eq!(out, format!("execlayer {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn completions_are_made_for_every_shell_that_is_named() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish"] {
        let out = place.succeed(&["completions", shell]).out;
        assert!(out.contains("explain-policy"), "{shell}");
        assert!(!out.contains("unknown"), "{shell}");
    }
    assert_eq!(place.call(&["completions", "cmd"]).code, Some(2));
}

#[test]
fn every_command_that_is_shown_has_a_manual_page() {
    let place = Place::new();
    std::fs::create_dir(place.at("man")).unwrap();
    place.succeed(&["man", "man"]);
    for page in ["execlayer.1", "execlayer-run.1", "execlayer-keys-new.1"] {
        let text = std::fs::read_to_string(place.at("man").join(page)).unwrap();
        assert!(text.contains(".TH"), "{page}");
    }
    assert!(!place.at("man/execlayer-scope-exec.1").exists());
    assert_eq!(place.call(&["man", "nowhere"]).code, Some(1));
}

#[test]
fn doctor_says_how_each_thing_stands_and_its_exit_code_says_whether_all_is_well() {
    let place = Place::new();
    let text = place.call(&["doctor"]);
    let called = place.call(&["doctor", "--json"]);
    let json = called.json();
    let findings = json["findings"].as_array().unwrap();
    let fixes: Vec<_> = findings.iter().filter(|finding| finding["state"] == "fix").collect();
    let expected = if fixes.is_empty() { 0 } else { 6 };
    assert_eq!((text.code, called.code), (Some(expected), Some(expected)));
    assert_eq!(json["ready"], fixes.is_empty());
    assert!(fixes.iter().all(|finding| finding["remedy"].is_string()), "{json:#}");
    for finding in findings {
        assert!(text.out.contains(finding["name"].as_str().unwrap()), "{}", text.out);
    }
    let rights = findings.iter().find(|finding| finding["name"] == "rights").unwrap();
    if !is_root() {
        assert_eq!(rights["state"], "fix");
    }
}

#[test]
fn no_colours_are_written_to_what_is_no_terminal() {
    let place = Place::new();
    for arguments in [&["doctor"][..], &["check", "nowhere"], &["status", "--run-dir", "none"]] {
        let called = place.call(arguments);
        assert!(!called.out.contains('\x1b') && !called.err.contains('\x1b'), "{called:?}");
    }
}

#[test]
fn a_reader_that_goes_away_is_not_talked_about() {
    let place = Place::new();
    let mut command = place.tool(&["completions", "bash"]);
    // Gone before the tool starts: a reader that leaves later may leave too late.
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = command.stdout(writer).stderr(std::process::Stdio::piped()).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.status.code(), Some(1));
}
