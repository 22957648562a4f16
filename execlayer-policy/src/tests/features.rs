//! What rules about features decide, and what holds without any.

use execlayer_common::{
    access::{Access, Operation},
    feature::{self, Rules},
    verdict::{RuleIndex, Verdict},
};

use super::{policy, with_rules};
use crate::{
    checked::CheckedPolicy,
    evaluate::{Facts, evaluate},
};

fn rule(effect: &str, features: &str) -> CheckedPolicy {
    policy(&with_rules(&format!(
        "[[rule]]\nid = \"r\"\n{effect} = [\"use\"]\nfeature = {features}\n"
    )))
}

fn judge(policy: &CheckedPolicy, feature: &str) -> Verdict {
    let facts = Facts { uid: 7, minute: 720 };
    evaluate(policy, Operation::Feature, feature.as_bytes(), Access::USE, facts, &mut |_, _| true)
}

fn allowed(policy: &CheckedPolicy) -> Vec<&'static str> {
    let names = feature::ALL.iter().map(|feature| feature.name);
    names.filter(|name| matches!(judge(policy, name), Verdict::Allow(_))).collect()
}

#[test]
fn without_rules_there_is_what_is_allowed_by_default() {
    let policy = policy(&with_rules(""));
    assert_eq!(allowed(&policy), ["executable-memory", "inherited-descriptors"]);
    let ids: Vec<&str> = policy.rules().iter().map(|rule| rule.id.as_str()).collect();
    assert_eq!(ids, ["executable-memory-by-default", "inherited-descriptors-by-default"]);
    for rule in policy.rules() {
        assert_eq!((rule.place.file, rule.place.line, rule.place.column), (0, 4, 1), "`[agent]`");
    }
    let defaults = feature::ALL.iter().filter(|feature| feature.rules == Rules::Denied);
    assert_eq!(defaults.count(), ids.len());
}

#[test]
fn rules_allow_by_name_and_take_the_default_away() {
    let policy = rule("allow", "[\"io-uring\", \"netlink\"]");
    assert_eq!(
        allowed(&policy),
        ["executable-memory", "inherited-descriptors", "io-uring", "netlink"]
    );
    assert!(!allowed(&policy).contains(&"netlink-route"), "names are whole");
    let denied = rule("deny", "\"executable-memory\"");
    assert_eq!(allowed(&denied), ["inherited-descriptors"]);
    let decided_by = |verdict: Verdict| verdict.rule();
    assert_eq!(decided_by(judge(&denied, "executable-memory")), Some(RuleIndex(0)));
}

#[test]
fn a_rule_that_allows_it_itself_is_the_only_one() {
    let policy = policy(&with_rules(
        "[[rule]]\nid = \"r\"\nallow = [\"use\"]\nfeature = \"executable-memory\"\nwhen = { user = 8 }\n",
    ));
    let ids: Vec<&str> = policy.rules().iter().map(|rule| rule.id.as_str()).collect();
    assert_eq!(ids, ["r", "inherited-descriptors-by-default"]);
    assert_eq!(allowed(&policy), ["inherited-descriptors"], "the condition is not gone around");
}
