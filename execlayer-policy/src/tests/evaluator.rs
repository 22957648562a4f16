//! What the reference evaluator decides.

use execlayer_common::{
    access::{Access, Operation},
    reason::Reason,
    verdict::{RuleIndex, Verdict},
};

use super::{policy, with_rules};
use crate::{
    checked::CheckedPolicy,
    evaluate::{Facts, evaluate, selects},
};

/// Rules as `effect operations path when`, numbered from 0.
fn rules(rules: &[(&str, &str, &str, &str)]) -> CheckedPolicy {
    let text: String = rules
        .iter()
        .enumerate()
        .map(|(number, (effect, access, path, when))| {
            let access: Vec<String> = access.split(' ').map(|name| format!("\"{name}\"")).collect();
            let when =
                if when.is_empty() { String::new() } else { format!("when = {{ {when} }}\n") };
            let access = access.join(", ");
            format!(
                "[[rule]]\nid = \"r{number}\"\n{effect} = [{access}]\npath = \"{path}\"\n{when}"
            )
        })
        .collect();
    policy(&with_rules(&text))
}

const NOON: Facts = Facts { uid: 7, minute: 720 };

fn judge(policy: &CheckedPolicy, path: &str, wanted: Access) -> Verdict {
    evaluate(policy, Operation::File, path.as_bytes(), wanted, NOON, &mut |_, _| {
        panic!("no budget is to be asked")
    })
}

const UNLISTED: Verdict = Verdict::Deny(Reason::Unlisted, None);

const fn allow(rule: u16) -> Verdict {
    Verdict::Allow(RuleIndex(rule))
}

const fn ask(rule: u16) -> Verdict {
    Verdict::Ask(RuleIndex(rule))
}

const fn deny(rule: u16) -> Verdict {
    Verdict::Deny(Reason::Rule, Some(RuleIndex(rule)))
}

#[test]
fn deny_beats_ask_beats_allow_whatever_comes_first() {
    let policy = rules(&[
        ("allow", "read", "/**", ""),
        ("ask", "read", "/b/**", ""),
        ("deny", "read", "/b/c/**", ""),
    ]);
    assert_eq!(judge(&policy, "/a", Access::READ), allow(0));
    assert_eq!(judge(&policy, "/b/x", Access::READ), ask(1));
    assert_eq!(judge(&policy, "/b/c/x", Access::READ), deny(2));
    assert_eq!(judge(&policy, "/", Access::READ), UNLISTED);
}

#[test]
fn each_wanted_bit_needs_a_rule_and_the_strictest_wins() {
    let policy = rules(&[
        ("allow", "read", "/a/**", ""),
        ("allow", "create", "/a/**", ""),
        ("ask", "append", "/a/**", ""),
    ]);
    let (read, write) = (Access::READ, Access::WRITE);
    assert_eq!(judge(&policy, "/a/x", read.union(Access::CREATE)), allow(0));
    assert_eq!(judge(&policy, "/a/x", read.union(Access::APPEND)), ask(2));
    assert_eq!(judge(&policy, "/a/x", read.union(write)), UNLISTED);
    assert_eq!(judge(&policy, "/a/x", read.union(write).union(Access::APPEND)), UNLISTED);
    assert_eq!(judge(&policy, "/a/x", Access::default()), UNLISTED);
}

#[test]
fn writing_includes_appending_in_both_directions() {
    let policy = rules(&[
        ("allow", "write", "/a", ""),
        ("deny", "write", "/b", ""),
        ("allow", "append", "/b", ""),
    ]);
    assert_eq!(judge(&policy, "/a", Access::APPEND), allow(0));
    assert_eq!(judge(&policy, "/b", Access::APPEND), deny(1));
    let policy = rules(&[("allow", "append", "/a", "")]);
    assert_eq!(judge(&policy, "/a", Access::WRITE), UNLISTED);
    assert_eq!(judge(&policy, "/a", Access::CREATE), UNLISTED);
}

#[test]
fn the_rule_that_is_named_is_the_unconditional_one_with_the_lowest_number() {
    let policy = rules(&[
        ("deny", "read", "/a/{x,y}", "user = 7"),
        ("deny", "read", "/a/*", ""),
        ("deny", "read", "/a/**", ""),
    ]);
    assert_eq!(judge(&policy, "/a/x", Access::READ), deny(1));
    let policy = rules(&[
        ("deny", "read", "/a/x", "user = 7"),
        ("deny", "read", "/a/?", "between = \"11:00-13:00\""),
    ]);
    assert_eq!(judge(&policy, "/a/x", Access::READ), deny(0));
}

#[test]
fn an_exception_takes_a_subject_out_of_its_own_rule_only() {
    let text = r#"
[[rule]]
id = "wide"
deny = ["read"]
path = "/a/**"
except = ["/a/b/**", "/a/c"]
[[rule]]
id = "narrow"
allow = ["read"]
path = ["/a/b/**", "/a/x"]
"#;
    let policy = policy(&with_rules(text));
    assert_eq!(judge(&policy, "/a/b/x", Access::READ), allow(1));
    assert_eq!(judge(&policy, "/a/c", Access::READ), UNLISTED);
    assert_eq!(judge(&policy, "/a/x", Access::READ), deny(0));
}

#[test]
fn a_condition_holds_for_its_user_and_its_time_only() {
    let policy = rules(&[
        ("allow", "read", "/user", "user = 7"),
        ("allow", "read", "/day", "between = \"08:00-20:00\""),
        ("allow", "read", "/night", "between = \"22:00-06:00\""),
        ("allow", "read", "/late", "between = \"22:00-24:00\""),
        ("allow", "read", "/both", "user = \"root\", between = \"08:00-20:00\""),
    ]);
    let at = |path: &str, uid, minute| {
        let facts = Facts { uid, minute };
        evaluate(&policy, Operation::File, path.as_bytes(), Access::READ, facts, &mut |_, _| true)
            != UNLISTED
    };
    assert!(at("/user", 7, 0) && !at("/user", 8, 0));
    for (path, minute, holds) in [
        ("/day", 479, false),
        ("/day", 480, true),
        ("/day", 1199, true),
        ("/day", 1200, false),
        ("/night", 1319, false),
        ("/night", 1320, true),
        ("/night", 0, true),
        ("/night", 359, true),
        ("/night", 360, false),
        ("/late", 1439, true),
        ("/late", 0, false),
    ] {
        assert_eq!(at(path, 7, minute), holds, "{path} at {minute}");
    }
    assert!(at("/both", 0, 480) && !at("/both", 7, 480) && !at("/both", 0, 0));
}

#[test]
fn a_budget_is_used_only_where_nothing_else_covers_the_bit() {
    let policy = rules(&[
        ("allow", "read", "/a/**", "at_most = \"1/s\""),
        ("allow", "read", "/a/free/**", ""),
        ("allow", "read create", "/a/**", "at_most = \"2/s\""),
        ("deny", "read", "/a/no/**", ""),
    ]);
    let with = |path: &str, wanted, left: &[u16]| {
        let mut asked = Vec::new();
        let verdict =
            evaluate(&policy, Operation::File, path.as_bytes(), wanted, NOON, &mut |rule, _| {
                asked.push(rule.0);
                left.contains(&rule.0)
            });
        (verdict, asked)
    };
    let spent = |rule| Verdict::Deny(Reason::BudgetSpent, Some(RuleIndex(rule)));
    assert_eq!(with("/a/free/x", Access::READ, &[]), (allow(1), vec![]));
    assert_eq!(with("/a/no/x", Access::READ, &[0]), (deny(3), vec![]));
    assert_eq!(with("/a/x", Access::READ, &[0, 2]), (allow(0), vec![0]));
    assert_eq!(with("/a/x", Access::READ, &[2]), (allow(2), vec![0, 2]));
    assert_eq!(with("/a/x", Access::READ, &[]), (spent(0), vec![0, 2]));
    let both = Access::READ.union(Access::CREATE);
    assert_eq!(with("/a/x", both, &[0, 2]), (allow(0), vec![0, 2]));
    assert_eq!(with("/a/x", both, &[0]), (spent(2), vec![0, 2]));
    assert_eq!(with("/a/free/x", both, &[2]), (allow(1), vec![2]));
    assert_eq!(with("/a/x", Access::WRITE, &[0, 2]), (UNLISTED, vec![]));
}

#[test]
fn an_ask_covers_its_bit_so_that_no_budget_is_used() {
    let policy =
        rules(&[("allow", "read", "/a", "at_most = \"1/s\""), ("ask", "read", "/{a,b}", "")]);
    assert_eq!(judge(&policy, "/a", Access::READ), ask(1));
}

#[test]
fn operations_do_not_see_each_others_subjects() {
    let text =
        "[[rule]]\nid = \"r\"\nallow = [\"exec\", \"connect\"]\npath = \"/x\"\nto = \"unix:/y\"\n";
    let policy = policy(&with_rules(text));
    let judge = |operation, subject: &[u8], wanted| {
        evaluate(&policy, operation, subject, wanted, NOON, &mut |_, _| true)
    };
    assert_eq!(judge(Operation::Exec, b"/x", Access::EXEC), allow(0));
    assert_eq!(judge(Operation::Unix, b"/y", Access::CONNECT), allow(0));
    assert_eq!(judge(Operation::Exec, b"/y", Access::EXEC), UNLISTED);
    assert_eq!(judge(Operation::Unix, b"/x", Access::CONNECT), UNLISTED);
    assert_eq!(judge(Operation::File, b"/x", Access::EXEC), UNLISTED);
    assert_eq!(judge(Operation::Inet, b"/y", Access::CONNECT), UNLISTED);
}

#[test]
fn selectors_select_by_their_own_patterns() {
    let policy = policy(
        "name = \"p\"\nversion = 1\n[agent]\nname = \"a\"\ncgroup = \"/x/*\"\nexe = \"/usr/bin/claude\"\n",
    );
    assert!(selects(&policy, Operation::SelectCgroup, b"/x/1"));
    assert!(!selects(&policy, Operation::SelectCgroup, b"/x/1/2"));
    assert!(selects(&policy, Operation::SelectExe, b"/usr/bin/claude"));
    assert!(!selects(&policy, Operation::SelectExe, b"/x/1"));
    assert!(!selects(&policy, Operation::Exec, b"/usr/bin/claude"));
}
