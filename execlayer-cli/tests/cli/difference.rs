//! Claims about what `inspect` says that a bundle changes.

use std::fs;

use serde_json::Value;

use crate::harness::{POLICY, Place};

/// A place with a bundle `old`, and `new` of the changed text.
fn place(change: impl FnOnce(String) -> String) -> Place {
    let place = Place::new();
    place.succeed(&["keys", "new", "key"]);
    compile(&place, "old.bundle");
    let text = change(POLICY.replace("version = 3", "version = 4"));
    place.write("small/policy.toml", &text);
    compile(&place, "new.bundle");
    place
}

fn compile(place: &Place, output: &str) {
    place.succeed(&[
        "compile",
        "small",
        "--var",
        "WORKSPACE=/srv/app",
        "--key",
        "key.key",
        "-o",
        output,
    ]);
}

#[test]
fn what_changes_is_told_with_an_example_and_both_rules() {
    let place = place(|text| {
        text.replace("/usr/bin/**", "/usr/bin/{a,b}*")
            + "\n[[rule]]\nid = \"mail\"\nask = [\"connect\"]\nto = \"tcp:192.0.2.1:25\"\n"
    });
    let out = place.succeed(&["inspect", "new.bundle", "--against", "old.bundle"]).out;
    let told = out.split_once("Against `small` version 3:").expect(&out).1;
    assert!(told.contains("Becomes denied\n  execute /usr/bin/"), "{out}");
    assert!(told.contains("was allowed by rule `programs` (small/policy.toml:8)"), "{out}");
    assert!(told.contains("now denied by no rule"), "{out}");
    assert!(
        told.contains(
            "Becomes asked about\n  connect to tcp:192.0.2.1:25\n    was denied by no rule"
        ),
        "{out}"
    );
    assert!(!told.contains("Becomes allowed"), "{out}");
}

#[test]
fn the_same_decisions_in_another_text_change_nothing() {
    let place = place(|text| text.replace("\"/usr/bin/**\"", "[\"/usr/bin/**\", \"/usr/bin/a\"]"));
    let out = place.succeed(&["inspect", "new.bundle", "--against", "old.bundle"]).out;
    assert!(out.contains("every call is decided as before"), "{out}");
}

#[test]
fn the_version_that_is_in_force_is_found_by_its_agent() {
    let place =
        place(|text| text + "\n[[rule]]\nid = \"more\"\nallow = [\"read\"]\npath = \"/opt/x\"\n");
    let kept = place.at("state/profiles");
    fs::create_dir_all(&kept).unwrap();
    let inspect = |more: &[&str]| {
        place.succeed(&[&["inspect", "new.bundle", "--state-dir", "state"], more].concat()).out
    };
    assert!(!inspect(&[]).contains("Against"));
    fs::write(kept.join("1.bundle"), "no bundle").unwrap();
    fs::copy(place.at("old.bundle"), kept.join("2.bundle")).unwrap();
    let out = inspect(&[]);
    assert!(out.contains("Against `small` version 3, which is in force:"), "{out}");
    assert!(out.contains("Becomes allowed\n  read /opt/x\n"), "{out}");
    let seen: Value = serde_json::from_str(&inspect(&["--json"])).unwrap();
    assert_eq!(seen["kind"], "policy");
    assert_eq!(seen["verified"], false);
    let difference = &seen["difference"];
    assert_eq!(difference["against"]["is_in_force"], true);
    let [change] = &difference["changes"].as_array().unwrap()[..] else { panic!("{seen}") };
    assert_eq!(change["example"], "/opt/x");
    assert_eq!(change["after"]["rule"], "more");
    assert_eq!(change["before"]["verdict"], "deny");
    // Another agent's is not compared with.
    fs::remove_file(kept.join("2.bundle")).unwrap();
    assert!(!inspect(&[]).contains("Against"));
}

#[test]
fn a_policy_that_only_records_from_now_on_is_told_so() {
    let place =
        place(|text| text.replace("name = \"tester\"", "name = \"tester\"\nmode = \"monitor\""));
    let out = place.succeed(&["inspect", "new.bundle", "--against", "old.bundle"]).out;
    assert!(out.contains("nothing is denied any more, only recorded"), "{out}");
    let out = place.succeed(&["inspect", "old.bundle", "--against", "new.bundle"]).out;
    assert!(out.contains("what was only recorded before is denied"), "{out}");
}
