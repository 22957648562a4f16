//! Policies of several files.

use std::collections::BTreeMap;

use super::{outcome_of, rendered};
use crate::{
    check::{Options, check},
    diagnostic::Severity,
};

fn main_with(extends: &str, rest: &str) -> String {
    format!("name = \"main\"\nversion = 1\nextends = {extends}\n[agent]\nname = \"a\"\n{rest}")
}

fn base(name: &str, rest: &str) -> String {
    format!("name = \"{name}\"\nversion = 1\n{rest}")
}

fn rule(id: &str, path: &str) -> String {
    format!("[[rule]]\nid = \"{id}\"\nallow = [\"exec\"]\npath = \"{path}\"\n")
}

#[test]
fn rules_of_what_is_extended_come_first_and_keep_their_places() {
    let outcome = outcome_of(&[
        ("main", &main_with("[\"b\", \"c\"]", &rule("own", "/own"))),
        ("b", &format!("{}{}", base("b", "extends = \"d\"\n"), rule("of-b", "/b"))),
        ("c", &format!("{}{}", base("c", "extends = \"d\"\n"), rule("of-c", "/c"))),
        ("d", &base("d", &rule("of-d", "/d"))),
    ]);
    assert_eq!(rendered(&outcome), "");
    let policy = outcome.policy.unwrap();
    assert_eq!(policy.files(), ["main", "b", "d", "c"], "the policy itself is file 0");
    let rules: Vec<_> = policy
        .rules()
        .iter()
        .map(|rule| {
            let file = policy.files()[rule.place.file as usize].as_str();
            (rule.id.as_str(), file, rule.place.line)
        })
        .collect();
    // `d` is extended twice and there once.
    assert_eq!(
        rules,
        [
            ("of-d", "d", 3),
            ("of-b", "b", 4),
            ("of-c", "c", 4),
            ("own", "main", 6),
            ("executable-memory-by-default", "main", 4),
            ("inherited-descriptors-by-default", "main", 4),
        ]
    );
    assert_eq!((policy.name(), policy.agent()), ("main", "a"));
}

#[test]
fn a_circle_is_an_error_that_shows_its_chain() {
    let outcome = outcome_of(&[
        ("main", &main_with("\"b\"", "")),
        ("b", &base("b", "extends = \"c\"\n")),
        ("c", &base("c", "extends = [\"b\"]\n")),
    ]);
    let expected = r#"c:3:12: error: policies extend each other in a circle: `b` -> `c` -> `b`
  3 | extends = ["b"]
    |            ^^^
  help: take one of them out of `extends`
"#;
    assert_eq!(rendered(&outcome), expected);
    let alone = outcome_of(&[("main", &main_with("\"main\"", ""))]);
    assert!(rendered(&alone).contains("in a circle: `main` -> `main`"));
}

#[test]
fn a_missing_file_is_named_where_it_is_asked_for() {
    let outcome = outcome_of(&[("main", &main_with("\"baseline/linux\"", ""))]);
    let expected = r#"main:3:11: error: there is no file `baseline/linux`
  3 | extends = "baseline/linux"
    |           ^^^^^^^^^^^^^^^^
  help: names are relative to the folder of policies, as in `baseline/linux-dev`
"#;
    assert_eq!(rendered(&outcome), expected);
    let none = check("nowhere", &mut BTreeMap::new(), &Options::default());
    assert!(none.policy.is_none());
    assert!(rendered(&none).starts_with("error: there is no file `nowhere`\n"));
}

#[test]
fn names_that_leave_the_folder_of_policies_are_refused() {
    for name in ["/etc/x", "../x", "a/../../x", "a//b", "./a", "", "a\\\\b"] {
        let outcome = outcome_of(&[("main", &main_with(&format!("\"{name}\""), ""))]);
        assert!(rendered(&outcome).contains("is no name of a policy"), "{name}");
    }
}

#[test]
fn errors_of_all_files_are_shown_together_in_their_order() {
    let outcome = outcome_of(&[
        ("main", &main_with("\"b\"", &rule("same", "relative"))),
        ("b", &base("b", &(rule("same", "/x") + &rule("other", "/[a")))),
    ]);
    let places: Vec<&str> = rendered(&outcome)
        .lines()
        .filter(|line| line.contains(": error: "))
        .map(|line| line.split(" error").next().unwrap_or_default())
        .map(|place| match place {
            "main:7:6:" => "same id",
            "main:9:9:" => "relative",
            "b:10:10:" => "class",
            _ => "unexpected",
        })
        .collect();
    assert_eq!(places, ["same id", "relative", "class"], "{}", rendered(&outcome));
}

#[test]
fn arguments_win_over_the_policy_and_the_policy_over_what_it_extends() {
    let files = BTreeMap::from([
        (
            "main".to_owned(),
            main_with("\"b\"", "[variables]\nB = \"/from-main\"\nC = \"/from-main\"\n"),
        ),
        (
            "b".to_owned(),
            base("b", "[variables]\nA = \"/from-b\"\nB = \"/from-b\"\nC = \"/from-b\"\n")
                + &rule("r", "${A}/x${B}/y${C}"),
        ),
    ]);
    let options = Options {
        variables: vec![("C".to_owned(), "/from-argument".to_owned())],
        ..Options::default()
    };
    let outcome = check("main", &mut files.clone(), &options);
    assert_eq!(rendered(&outcome), "");
    let policy = outcome.policy.unwrap();
    assert_eq!(policy.rules()[0].paths[0].text.as_ref(), "/from-b/x/from-main/y/from-argument");
}

#[test]
fn an_argument_that_no_file_knows_is_a_warning_with_the_nearest_name() {
    let mut files = BTreeMap::from([(
        "main".to_owned(),
        format!(
            "name = \"m\"\nversion = 1\n[agent]\nname = \"a\"\n[variables]\nWORKSPACE = \"/w\"\n{}",
            rule("r", "${OTHER}")
        ),
    )]);
    let options = Options {
        variables: vec![
            ("WORKSPCAE".to_owned(), "/x".to_owned()),
            ("OTHER".to_owned(), "/other".to_owned()),
        ],
        ..Options::default()
    };
    let outcome = check("main", &mut files, &options);
    assert!(outcome.policy.is_some());
    let [found] = outcome.diagnostics.as_slice() else { panic!("{}", rendered(&outcome)) };
    assert_eq!(found.severity, Severity::Warning);
    assert_eq!(found.message, "no file of this policy has a variable `WORKSPCAE`");
    assert_eq!(found.help.as_deref(), Some("did you mean `WORKSPACE`?"));
}

#[test]
fn more_files_than_the_limit_are_refused_once_by_its_name() {
    let chain = |count: usize| {
        let mut files = vec![("main".to_owned(), main_with("\"f1\"", ""))];
        files.extend((1..=count).map(|n| {
            let next =
                if n < count { format!("extends = \"f{}\"\n", n + 1) } else { String::new() };
            (format!("f{n}"), base("f", &next))
        }));
        check("main", &mut files.into_iter().collect::<BTreeMap<_, _>>(), &Options::default())
    };
    assert!(chain(32).policy.is_some());
    let shown = rendered(&chain(33));
    assert!(shown.contains("error: more than 32 files are extended (`MAX_EXTENDS`)"), "{shown}");
    assert_eq!(shown.matches("error").count(), 1, "{shown}");
}

#[test]
fn an_extended_file_needs_no_agent_and_its_agent_does_not_count() {
    let outcome = outcome_of(&[
        ("main", &main_with("\"b\"", "")),
        ("b", &base("b", "[agent]\nname = \"of-b\"\ncgroup = \"/x\"\nmode = \"monitor\"\n")),
    ]);
    let policy = outcome.policy.unwrap();
    assert_eq!((policy.agent(), policy.cgroups().len()), ("a", 0));
    assert_eq!(policy.mode(), crate::checked::Mode::Enforce);
    let without = outcome_of(&[("b", &base("b", ""))]);
    assert!(rendered(&without).contains("error: the policy has no `[agent]`"));
}

#[test]
fn rules_of_different_files_may_differ_about_the_same_subject() {
    let deny = "[[rule]]\nid = \"no\"\ndeny = [\"exec\"]\npath = \"/x\"\n";
    let outcome =
        outcome_of(&[("main", &main_with("\"b\"", deny)), ("b", &base("b", &rule("yes", "/x")))]);
    assert_eq!(rendered(&outcome), "");
}

#[test]
fn a_users_name_is_looked_up_by_the_caller() {
    let text = main_with("[]", "").replace("extends = []\n", "")
        + &rule("r", "/x")
        + "when = { user = \"builder\" }\n";
    let mut files = BTreeMap::from([("main".to_owned(), text)]);
    let resolve = |name: &str| (name == "builder").then_some(1001);
    let options = Options { resolve_user: &resolve, ..Options::default() };
    let policy = check("main", &mut files, &options).policy.unwrap();
    assert_eq!(policy.rules()[0].when.uid, Some(1001));
}
