//! Files that are no policies: syntax, sizes, keys of the top.

use super::{findings, outcome, outcome_of, rendered, with_rules};

fn shown(text: &str) -> String {
    let outcome = outcome(text);
    assert!(outcome.policy.is_none(), "an error leaves no policy");
    rendered(&outcome)
}

#[test]
fn every_block_with_broken_syntax_is_reported_once_and_the_others_are_still_checked() {
    let text = r#"name = "p
version = 1

[agent]
name = "a"

[[rule]]
id = "open-list"
allow = ["read",
path = "/x"

[[rule]]
id = "twice"
id = "twice-again"
allow = ["read"]
path = "/x"

[[rule]]
id = "unquoted"
allow = [read]
path = "/x"

[[rule]]
id = "slip"
allow = ["raed"]
path = "/x"
"#;
    let expected = r#"policy.toml:1:10: error: broken TOML: invalid basic string
  1 | name = "p
    |          ^ expected `"`
  help: close the string with `"` on the line where it opens
policy.toml:10:1: error: broken TOML: unclosed array
  10 | path = "/x"
     | ^^^^ expected `]` before this
  help: close the list with `]`
policy.toml:14:1: error: broken TOML: duplicate key
  14 | id = "twice-again"
     | ^^
  help: a key stands once in a table, and `[agent]` once in a file
policy.toml:20:10: error: broken TOML: string values must be quoted
  20 | allow = [read]
     |          ^^^^ expected literal string
  help: put the value in quotes
policy.toml:25:10: error: unknown operation `raed`
  25 | allow = ["raed"]
     |          ^^^^^^
  help: did you mean `read`?
"#;
    assert_eq!(shown(text), expected);
}

#[test]
fn a_table_that_stands_twice_is_reported() {
    let text = with_rules("[agent]\nname = \"b\"\n");
    let expected = "policy.toml:7:2: error: broken TOML: duplicate key
  7 | [agent]
    |  ^^^^^
  help: a key stands once in a table, and `[agent]` once in a file
";
    assert_eq!(shown(&text), expected);
}

#[test]
fn unknown_missing_and_mistyped_keys_are_reported_together() {
    let text = r#"nmae = "p"
version = "1"
extends = 7

[agent]
mode = "enforced"
record = "everything"
cgroup = ["/a", 5]
"#;
    let expected = r#"policy.toml:1:1: error: a policy has no `name`
  1 | nmae = "p"
    | ^
  help: add a line `name = "..."` at the top of the file
policy.toml:1:1: error: unknown key `nmae` in a policy
  1 | nmae = "p"
    | ^^^^
  help: did you mean `name`?
policy.toml:2:11: error: `version` must be a whole number, and is a string
  2 | version = "1"
    |           ^^^
policy.toml:3:11: error: `extends` must be a string or a list of strings, and is a whole number
  3 | extends = 7
    |           ^
policy.toml:5:1: error: `[agent]` has no `name`
  5 | [agent]
    | ^^^^^^^
  help: add `name = "..."`: events and commands use it
policy.toml:6:8: error: `mode` cannot be `enforced`
  6 | mode = "enforced"
    |        ^^^^^^^^^^
  help: did you mean `enforce`?
policy.toml:7:10: error: `record` cannot be `everything`
  7 | record = "everything"
    |          ^^^^^^^^^^^^
  help: it is one of `denied`, `all`
policy.toml:8:17: error: `cgroup` must be a string or a list of strings, and is a whole number
  8 | cgroup = ["/a", 5]
    |                 ^
"#;
    assert_eq!(shown(text), expected);
}

#[test]
fn an_empty_file_says_what_is_missing() {
    let shown = shown("");
    for missing in ["a policy has no `name`", "a policy has no `version`", "has no `[agent]`"] {
        assert!(shown.contains(missing), "{shown}");
    }
}

#[test]
fn a_policy_of_50_mb_is_refused_by_the_limits_name() {
    let text = "#".repeat(50 << 20);
    let expected = "error: `policy.toml` is no policy: the file has 52428800 bytes; a policy file \
                    may have 8388608 (`MAX_POLICY_BYTES`)
  help: policies are UTF-8 text of moderate size
";
    assert_eq!(shown(&text), expected);
}

#[test]
fn a_hundred_thousand_rules_are_one_error_at_the_first_that_is_too_many() {
    let rules: String = (0..100_000)
        .map(|n| format!("[[rule]]\nid = \"r{n}\"\nallow = [\"read\"]\npath = \"/{n}\"\n"))
        .collect();
    let expected = "policy.toml:65543:1: error: the policy has 100000 rules; 16384 are allowed \
                    (`MAX_RULES`)
  65543 | [[rule]]
        | ^^^^^^^^ the first that is too many
  help: join rules that do the same: `path` takes a list, and globs have `{a,b}`
";
    assert_eq!(findings(&rules), expected);
}

#[test]
fn rules_of_all_files_together_keep_the_limit() {
    let rules = |prefix: &str, count: u32| -> String {
        (0..count)
            .map(|n| {
                format!("[[rule]]\nid = \"{prefix}{n}\"\nallow = [\"exec\"]\npath = \"/{n}\"\n")
            })
            .collect()
    };
    let base = format!("name = \"b\"\nversion = 1\n{}", rules("b", 16_000));
    let main = |count| format!("extends = \"base\"\n{}", with_rules(&rules("m", count)));
    assert!(outcome_of(&[("main", &main(382)), ("base", &base)]).policy.is_some());
    let shown = rendered(&outcome_of(&[("main", &main(383)), ("base", &base)]));
    assert!(
        shown.contains("have 16383 rules; 16382 are allowed (`MAX_RULES`, less those of features)"),
        "{shown}"
    );
}

#[test]
fn conditions_and_budgets_keep_their_limits() {
    let rules = |count: u32, when: fn(u32) -> String| -> String {
        (0..count)
            .map(|n| {
                let when = when(n);
                format!("[[rule]]\nid = \"r{n}\"\nallow = [\"exec\"]\npath = \"/{n}\"\nwhen = {{{when}}}\n")
            })
            .collect()
    };
    let user = |n| format!("user = {n}");
    assert_eq!(findings(&rules(1_024, user)), "");
    let shown = findings(&rules(1_025, user));
    assert!(
        shown.contains(
            "more than 1024 different conditions (`when` and `context`) (`MAX_CONDITIONS`)"
        ),
        "{shown}"
    );
    assert_eq!(findings(&rules(2_000, |_| "user = 7".to_owned())), "", "the same condition is one");
    let budget = |_| "at_most = \"1/s\"".to_owned();
    assert_eq!(findings(&rules(256, budget)), "");
    let shown = findings(&rules(257, budget));
    assert!(shown.contains("more than 256 budgets (`at_most`) (`MAX_BUDGETS`)"), "{shown}");
    assert!(shown.starts_with("policy.toml:1288:6: "), "{shown}");
}

#[test]
fn findings_end_at_a_thousand_and_say_so() {
    let rules: String =
        (0..3_000).map(|_| "[[rule]]\nid = \"same\"\ndeny = [\"exec\"]\npath = \"/x\"\n").collect();
    let outcome = outcome(&with_rules(&rules));
    assert_eq!(outcome.diagnostics.len(), 1_001);
    assert!(rendered(&outcome).ends_with("error: there are 4998 more findings\n"));
}

#[test]
fn deep_nesting_and_endless_brackets_are_errors_and_not_crashes() {
    for text in
        ["[".repeat(200_000), "a={".repeat(100_000), "a.".repeat(100_000), "\n[".repeat(5_000)]
    {
        assert!(shown(&text).contains("broken TOML"));
    }
}
