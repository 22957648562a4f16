//! Claims about `check`, `compile`, `explain-policy` and `test`.

use crate::harness::{POLICY, Place};

const WORKSPACE: &str = "WORKSPACE=/srv/app";

#[test]
fn a_sound_policy_is_ok_and_exits_with_0() {
    let place = Place::new();
    let called = place.succeed(&["check", "small", "--var", WORKSPACE]);
    // Three of its own, and those of what is allowed by default.
    assert!(called.out.contains("ok: policy `small` version 3 for agent `tester`, 5 rules"));
    assert_eq!(called.err, "");
    // By the name of the file, and by its name in a folder of policies.
    place.succeed(&["check", "small/policy.toml", "--var", WORKSPACE]);
    let folder = place.at("").display().to_string();
    place.succeed(&["check", "small", "--policies-dir", &folder, "--var", WORKSPACE]);
}

#[test]
fn all_errors_are_printed_at_once_and_it_exits_with_3() {
    let place = Place::new();
    let text = POLICY.replace("deny = [\"read\"]", "deny = [\"raed\"]").replace("version", "vers");
    place.write("broken.toml", &text);
    let called = place.call(&["check", "broken.toml", "--var", WORKSPACE]);
    assert_eq!(called.code, Some(3));
    assert!(called.out.contains("raed") && called.out.contains("vers"), "{called:?}");
    assert!(called.out.contains("broken.toml:3:"), "{called:?}");
    assert!(called.err.contains("`broken.toml` has"), "{called:?}");
}

#[test]
fn a_check_for_programs_is_one_json_object_valid_or_not() {
    let place = Place::new();
    let called = place.succeed(&["check", "small", "--json", "--var", WORKSPACE]);
    let json = called.json();
    assert_eq!((&json["valid"], &json["rules"]), (&true.into(), &5.into()));
    let called = place.call(&["check", "small", "--json"]);
    assert_eq!(called.code, Some(3));
    let json = called.json();
    assert_eq!(json["valid"], false);
    let first = &json["diagnostics"][0];
    assert_eq!(first["severity"], "error");
    assert!(first["place"]["line"].is_u64() && first["message"].is_string(), "{json:#}");
}

#[test]
fn who_is_asked_is_explained() {
    let place = Place::new();
    let ask = "ask = [\"read\"]\nremember = \"10m\"\ndeciders = [\"few\", \"human\"]";
    let few = "[[decider]]\nname = \"few\"\nat_most = \"3/h\"\n";
    place.write("ask.toml", &(POLICY.replace("deny = [\"read\"]", ask) + few));
    let called = place.succeed(&["check", "ask.toml", "--var", WORKSPACE]);
    assert!(!called.out.contains("hint") && !called.out.contains("warning"), "{called:?}");
    let told = place.succeed(&["explain-policy", "ask.toml", "--var", WORKSPACE]).out;
    assert!(told.contains("asks few, then human; a yes holds 10m"), "{told}");
    assert!(told.contains("few: 3 calls in 1h"), "{told}");
}

#[test]
fn a_policy_that_is_not_there_is_named_with_the_places_that_were_searched() {
    let called = Place::new().call(&["check", "nowhere"]);
    assert_eq!(called.code, Some(3));
    assert!(called.err.contains("`nowhere`") && called.err.contains("/etc/execlayer/policies"));
}

#[test]
fn compile_prints_sizes_and_limits_and_writes_nothing_by_itself() {
    let place = Place::new();
    let before = std::fs::read_dir(place.at("")).unwrap().count();
    let called = place.succeed(&["compile", "small", "--var", WORKSPACE]);
    assert!(called.out.contains("rules 5 of 16384") && called.out.contains("of at most 4"));
    assert_eq!(std::fs::read_dir(place.at("")).unwrap().count(), before);
    let listing = place.succeed(&["compile", "small", "--listing", "--var", WORKSPACE]).out;
    assert!(listing.contains("`no-keys`") && listing.contains("lane:"), "{listing}");
}

#[test]
fn nothing_is_written_without_a_key() {
    let place = Place::new();
    let called = place.call(&["compile", "small", "--var", WORKSPACE, "-o", "x.bundle"]);
    assert_eq!(called.code, Some(2));
    assert!(called.err.contains("--key"), "{called:?}");
    assert!(!place.at("x.bundle").exists());
}

#[test]
fn explain_policy_names_the_rules_and_their_reasons() {
    let place = Place::new();
    let out = place.succeed(&["explain-policy", "small", "--var", WORKSPACE]).out;
    for part in ["no-keys", "Keys stay private.", "/srv/app", "workspace"] {
        assert!(out.contains(part), "{part}: {out}");
    }
}

const CASES: &str = r#"
[[case]]
name = "programs may run"
do = "exec /usr/bin/git"
expect = "allow"
rule = "programs"

[[case]]
name = "keys stay private"
do = "read /root/.ssh/id_ed25519"
expect = "deny"
rule = "no-keys"
"#;

#[test]
fn cases_beside_the_policy_are_run() {
    let place = Place::new();
    place.write("small/cases.toml", CASES);
    let called = place.succeed(&["test", "small", "--var", WORKSPACE]);
    assert_eq!(called.out, "ok: 2 passed, 0 failed\n");
    let called = place.succeed(&["test", "small", "--json", "--var", WORKSPACE]);
    assert_eq!(called.json()["passed"], 2);
}

#[test]
fn a_case_that_does_not_go_as_expected_exits_with_4() {
    let place = Place::new();
    let cases = CASES.replacen("expect = \"allow\"", "expect = \"deny\"", 1);
    let file = place.write("other.toml", &cases).display().to_string();
    let called = place.call(&["test", "small", &file, "--var", WORKSPACE]);
    assert_eq!(called.code, Some(4));
    assert!(called.out.contains("programs may run"), "{called:?}");
    assert!(called.out.contains("FAILED: 1 passed, 1 failed"), "{called:?}");
    let called = place.call(&["test", "small", &file, "--json", "--var", WORKSPACE]);
    assert_eq!(called.code, Some(4));
    assert_eq!(called.json()["failures"].as_array().unwrap().len(), 1);
}

#[test]
fn a_budget_is_spent_alike_in_text_and_image() {
    let place = Place::new();
    let budget = |path: &str| format!("path = \"{path}/**\"\nwhen = {{ at_most = \"5/min\" }}\n");
    let rule = |id: &str, path: &str| {
        format!("\n[[rule]]\nid = \"{id}\"\nallow = [\"read\"]\n{}", budget(path))
    };
    let policy = POLICY.to_owned() + &rule("first", "/a") + &rule("second", "/b");
    place.write("budget.toml", &policy);
    let case = |name: &str, path: &str, spent: &str, expect: &str| {
        format!(
            "[[case]]\nname = \"{name}\"\ndo = \"read {path}/x\"\nspent = [\"{spent}\"]\n\
             expect = \"{expect}\"\n"
        )
    };
    let cases = case("1", "/a", "first", "deny")
        + &case("2", "/a", "second", "allow")
        + &case("3", "/b", "second", "deny")
        + &case("4", "/b", "first", "allow");
    place.write("cases.toml", &cases);
    let called = place.succeed(&["test", "budget.toml", "--var", WORKSPACE]);
    assert_eq!(called.out, "ok: 4 passed, 0 failed\n");
}

#[test]
fn missing_and_broken_cases_are_errors_and_not_failed_expectations() {
    let place = Place::new();
    let called = place.call(&["test", "small", "--var", WORKSPACE]);
    assert_eq!(called.code, Some(1));
    assert!(called.err.contains("cases.toml"), "{called:?}");
    place.write("small/cases.toml", &CASES.replace("expect", "expects"));
    let called = place.call(&["test", "small", "--var", WORKSPACE]);
    assert_eq!(called.code, Some(3));
    assert!(called.out.is_empty() && called.err.contains("expects"), "{called:?}");
}
