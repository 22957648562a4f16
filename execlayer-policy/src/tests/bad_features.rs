//! Features that a rule cannot name, each with the message and the remedy.

use super::{findings, outcome_of, rendered};

/// What is shown for a rule with these features, in line 10 from column 11.
fn rule(effect: &str, features: &str) -> String {
    findings(&format!("[[rule]]\nid = \"r\"\n{effect} = [\"use\"]\nfeature = {features}\n"))
}

const RING: &str = "[[rule]]\nid = \"ring\"\nallow = [\"use\"]\nfeature = \"io-uring\"\n";
const ASKS: &str = "[[rule]]\nid = \"asks\"\nask = [\"read\"]\npath = \"/x\"\n";

#[test]
fn unknown_features_are_reported_with_the_nearest_and_all_that_can_be_allowed() {
    let expected = r#"policy.toml:10:11: error: there is no feature `io_uring`
  10 | feature = "io_uring"
     |           ^^^^^^^^^^
  help: did you mean `io-uring`? rules can allow `executable-memory`, `inherited-descriptors`, `io-uring`, `netlink-route`, `netlink`, `raw-socket`, `packet-socket`, `vsock`, `other-socket`, `perf-event`, `keyring`, `cap-net-admin`, `cap-sys-time`, `cap-syslog`
"#;
    assert_eq!(rule("allow", "\"io_uring\""), expected);
    let shown = rule("deny", "[\"vsock\", \"*\"]");
    assert!(shown.contains("policy.toml:10:21: error: there is no feature `*`"), "{shown}");
    assert!(shown.contains("help: rules can allow `executable-memory`, "), "{shown}");
    assert!(rule("allow", "\"netlink-*\"").contains("there is no feature `netlink-*`"));
}

#[test]
fn features_by_which_a_process_leaves_every_policy_cannot_be_allowed() {
    let expected = r#"policy.toml:10:21: error: no policy can allow `cap-bpf`
  10 | feature = ["vsock", "cap-bpf"]
     |                     ^^^^^^^^^ CAP_BPF: kernel programs
  help: leave it out: whoever has it can leave every policy
"#;
    assert_eq!(rule("allow", "[\"vsock\", \"cap-bpf\"]"), expected);
    let expected = r#"policy.toml:10:11: hint: `chroot` is denied under every policy
  10 | feature = "chroot"
     |           ^^^^^^^^
  help: leave it out
"#;
    assert_eq!(rule("deny", "\"chroot\""), expected);
}

#[test]
fn a_ring_and_an_ask_do_not_go_together() {
    let expected = r#"policy.toml:8:6: error: rule `ring` allows `io-uring`, and rule `asks` asks
  8 | id = "ring"
    |      ^^^^^^ what is submitted through a ring cannot be held until somebody answers
  policy.toml:13:6: the rule that asks is here
  13 | id = "asks"
     |      ^^^^^^
  help: remove one of them, or make the rule that asks allow or deny
"#;
    assert_eq!(findings(&format!("{RING}\n{ASKS}")), expected);
    assert_eq!(findings(RING), "");
    assert_eq!(findings(&format!("{}\n{ASKS}", RING.replace("allow", "deny"))), "");
}

#[test]
fn a_ring_does_not_go_with_an_ask_of_what_is_extended_either() {
    let main =
        format!("name = \"p\"\nversion = 1\nextends = \"base\"\n[agent]\nname = \"a\"\n\n{RING}");
    let base = format!("name = \"b\"\nversion = 1\n{ASKS}");
    let shown = rendered(&outcome_of(&[("main", &main), ("base", &base)]));
    assert!(shown.contains("main:8:6: error: rule `ring` allows `io-uring`"), "{shown}");
    assert!(shown.contains("base:4:6: the rule that asks is here"), "{shown}");
}

#[test]
fn ids_of_built_in_rules_are_taken() {
    let rule = RING.replace("\"ring\"", "\"executable-memory-by-default\"");
    let expected = r#"policy.toml:8:6: error: the id `executable-memory-by-default` is taken
  8 | id = "executable-memory-by-default"
    |      ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ every policy has a rule of this id unless it allows the feature itself
  help: choose another id
"#;
    assert_eq!(findings(&rule), expected);
}
