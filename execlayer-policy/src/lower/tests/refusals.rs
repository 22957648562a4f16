//! What cannot be lowered is refused by the name of its limit, with the rules to blame.

use execlayer_common::{access::Access, image::Effect, limits};

use crate::{
    checked::{Budget, Condition, Rule},
    lower::{LowerError, lower, testing},
    pattern::{ByteSet, Node},
};

fn ids(error: &LowerError) -> Vec<&str> {
    error.culprits().iter().map(|culprit| culprit.id.as_str()).collect()
}

fn refused(rules: Vec<Rule>) -> LowerError {
    lower(&testing::policy(rules)).unwrap_err()
}

#[test]
fn patterns_that_multiply_each_other_are_spread_over_lanes() {
    let letters = b'a'..=b'l';
    let rules = letters.map(|byte| {
        let letter = char::from(byte);
        testing::rule(u32::from(byte), &[&format!("/**/{letter}*/**/{letter}{letter}/**")])
    });
    let lowered = lower(&testing::policy(rules.collect())).unwrap();
    assert!(lowered.report.lanes.len() > 1, "{:?}", lowered.report);
}

#[test]
fn thirty_patterns_that_no_lanes_can_hold_are_refused_with_their_rules() {
    let mut rules = vec![testing::rule(1, &["/usr/**"]), testing::rule(2, &["/etc/passwd"])];
    rules.extend((3..33).map(|line| {
        let (a, b) = (char::from(b'a' + (line % 26) as u8), char::from(b'a' + (line / 2) as u8));
        testing::rule(line, &[&format!("/**/{a}*{b}/**/{b}*{a}/**")])
    }));
    let error = refused(rules);
    assert!(matches!(error, LowerError::Lanes { operation: "open", .. }), "{error}");
    assert!(error.to_string().contains("(`MAX_LANES`): `r"), "{error}");
    let ids = ids(&error);
    assert!(ids.len() > 1 && !ids.contains(&"r1") && !ids.contains(&"r2"), "{ids:?}");
    assert!(error.culprits().iter().all(|culprit| culprit.file == "test.toml"));
}

#[test]
fn a_pattern_that_explodes_by_itself_is_named_alone() {
    let hard = format!("/srv/*a{}a*", "?".repeat(24));
    let rules = vec![testing::rule(1, &["/usr/**"]), testing::rule(2, &[&hard])];
    let error = refused(rules);
    assert_eq!(ids(&error), ["r2"], "{error}");
    assert_eq!(error.culprits()[0].line, 2);
}

#[test]
fn a_pattern_that_explodes_forward_only_is_read_backward() {
    let rule = testing::rule(1, &[&format!("/srv/*a{}", "?".repeat(24))]);
    let lowered = lower(&testing::policy(vec![rule])).unwrap();
    assert!(lowered.report.lanes[0].backward && lowered.report.lanes[0].states < 100);
}

#[test]
fn an_image_that_is_too_large_is_refused_with_its_largest_rules() {
    let every_second = |phase: u8| {
        let bytes = (0..=u8::MAX).filter(|byte| byte % 2 == phase);
        Node::Class(bytes.fold(ByteSet::EMPTY, ByteSet::with))
    };
    let rules = (1..=40).map(|line| {
        let nodes = (0..line * 12).map(|at| every_second((at % 2) as u8));
        let first = [Node::Byte(b'/'), Node::Byte(line as u8)];
        let paths = vec![testing::written("wide", first.into_iter().chain(nodes).collect())];
        Rule { paths, ..testing::rule(line, &[]) }
    });
    let error = refused(rules.collect());
    let expected = (33..=40).rev().map(|line| format!("r{line}")).collect::<Vec<_>>();
    assert!(matches!(error, LowerError::ImageBytes { .. }), "{error}");
    assert_eq!(ids(&error), expected, "{error}");
}

fn under(line: u32, when: Condition) -> Rule {
    Rule { when, ..testing::rule(line, &["/a/**"]) }
}

fn budget() -> Condition {
    Condition { at_most: Some(Budget { uses: 1, window: 1 }), ..Condition::default() }
}

#[test]
fn more_rules_for_one_subject_than_a_set_holds_are_refused() {
    let rules = |count| (1..=count).map(|line| under(line, budget())).collect::<Vec<_>>();
    assert!(lower(&testing::policy(rules(limits::MAX_SET_ENTRIES))).is_ok());
    let error = refused(rules(limits::MAX_SET_ENTRIES + 1));
    assert_eq!(ids(&error).len(), limits::MAX_SET_ENTRIES as usize + 1, "{error}");
    assert!(matches!(error, LowerError::SetEntries { .. }));
}

#[test]
fn rules_for_one_subject_of_which_one_decides_are_no_matter() {
    let mut rules: Vec<Rule> = (1..=200).map(|line| under(line, budget())).collect();
    rules.push(testing::rule(201, &["/**"]));
    let lowered = lower(&testing::policy(rules)).unwrap();
    assert_eq!(lowered.report.sets, 1);
}

#[test]
fn one_budget_or_condition_too_many_is_refused_with_its_rule() {
    let budgets = (0..=limits::MAX_BUDGETS).map(|line| {
        let rule = testing::rule(line, &[&format!("/{line}")]);
        Rule { when: budget(), ..rule }
    });
    assert_eq!(ids(&refused(budgets.collect())), ["r256"]);
    let conditions = (0..=limits::MAX_CONDITIONS).map(|line| {
        let when = Condition { uid: Some(line), ..Condition::default() };
        Rule { when, ..testing::rule(line, &[&format!("/{line}")]) }
    });
    assert_eq!(ids(&refused(conditions.collect())), ["r1024"]);
}

#[test]
fn more_rules_than_numbers_are_refused() {
    let rules = vec![testing::rule(1, &[]); limits::MAX_RULES as usize + 1];
    assert!(matches!(refused(rules), LowerError::Rules { found: 16_385 }));
}

#[test]
fn an_explosion_in_a_selector_blames_the_selector() {
    let executables = vec![testing::glob(&format!("/srv/*a{}a*", "?".repeat(24)))];
    let policy = crate::CheckedPolicy { executables, ..testing::empty_policy() };
    assert_eq!(ids(&lower(&policy).unwrap_err()), ["agent.exe"]);
}

#[test]
fn rules_without_access_to_an_operation_take_no_room_in_it() {
    let deny = Rule { effect: Effect::Deny, access: Access::CONNECT, ..testing::rule(1, &["/a"]) };
    let lowered = lower(&testing::policy(vec![deny])).unwrap();
    assert!(lowered.report.lanes.is_empty());
}
