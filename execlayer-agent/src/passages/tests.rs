//! Claims about ways between policies.

use execlayer_common::provenance::{self, RuleOrigin};

use super::*;

fn provenance(agent: &str, leads: &[&str], accepts: &[&str]) -> Provenance {
    let rule = |target: &&str| RuleOrigin {
        id: format!("to-{target}"),
        file: 0,
        line: 1,
        reason: None,
        transition: (!target.is_empty()).then(|| (*target).to_owned()),
        asking: None,
    };
    Provenance {
        format: provenance::FORMAT,
        policy: agent.to_owned(),
        version: 1,
        agent: agent.to_owned(),
        files: Vec::new(),
        cgroups: Vec::new(),
        executables: Vec::new(),
        accepts_from: accepts.iter().map(|agent| (*agent).to_owned()).collect(),
        deciders: Vec::new(),
        context: Vec::new(),
        rules: leads.iter().map(rule).collect(),
    }
}

fn policy(profile: u32, generation: u32, provenance: &Provenance) -> Policy<'_> {
    Policy { profile, generation, provenance }
}

#[test]
fn a_way_needs_both_its_ends() {
    let (from, to) = (provenance("a", &["", "b"], &[]), provenance("b", &[], &["a"]));
    let policies = [policy(1, 7, &from), policy(2, 8, &to)];
    let found = Passages::between(&policies);
    assert_eq!(found, Passages { leading: 1, ways: BTreeMap::from([(7 << 16 | 1, 2)]) });
    assert_eq!(broken(&policies), Vec::<String>::new());

    let closed = provenance("b", &[], &["c"]);
    let policies = [policy(1, 7, &from), policy(2, 8, &closed)];
    assert_eq!(Passages::between(&policies), Passages { leading: 1, ways: BTreeMap::new() });
    assert_eq!(
        broken(&policies),
        ["rule `to-b` of `a` leads to `b`, whose policy does not accept programs from `a`"]
    );
    assert_eq!(
        broken(&policies[..1]),
        ["rule `to-b` of `a` leads to `b`, which has no policy in force"]
    );
}

#[test]
fn while_the_one_that_leads_changes_both_its_generations_lead() {
    let (from, to) = (provenance("a", &["b"], &[]), provenance("b", &[], &["a"]));
    let now = Passages::between(&[policy(1, 7, &from), policy(2, 8, &to)]);
    let next = Passages::between(&[policy(1, 9, &from), policy(2, 8, &to)]);
    let both = now.while_changing(&next, 1, Some(7));
    assert_eq!(both.ways, BTreeMap::from([(7 << 16, 2), (9 << 16, 2)]));
    // The new one does not lead any more, and the old one is still judged by.
    let still = provenance("a", &[""], &[]);
    let next = Passages::between(&[policy(1, 9, &still), policy(2, 8, &to)]);
    let both = now.while_changing(&next, 1, Some(7));
    assert_eq!(both, Passages { leading: 1, ways: BTreeMap::from([(7 << 16, 2)]) });
}

#[test]
fn while_the_one_that_is_entered_changes_both_must_accept() {
    let from = provenance("a", &["b"], &[]);
    let (open, closed) = (provenance("b", &[], &["a"]), provenance("b", &[], &[]));
    for (before, after) in [(&open, &closed), (&closed, &open)] {
        let now = Passages::between(&[policy(1, 7, &from), policy(2, 8, before)]);
        let next = Passages::between(&[policy(1, 7, &from), policy(2, 9, after)]);
        assert_eq!(now.while_changing(&next, 2, Some(8)).ways, BTreeMap::new());
    }
    let now = Passages::between(&[policy(1, 7, &from), policy(2, 8, &open)]);
    let next = Passages::between(&[policy(1, 7, &from), policy(2, 9, &open)]);
    assert_eq!(now.while_changing(&next, 2, Some(8)).ways, BTreeMap::from([(7 << 16, 2)]));
}

#[test]
fn policies_whose_rules_nobody_knows_lead_on() {
    let known = Passages { leading: 0b101, ways: BTreeMap::from([(7 << 16, 2), (8 << 16 | 3, 2)]) };
    let mut found = Passages { leading: 0b10, ways: BTreeMap::from([(9 << 16, 1)]) };
    found.keep(&known, 3, 8, None);
    let ways = BTreeMap::from([(9 << 16, 1), (8 << 16 | 3, 2)]);
    assert_eq!(found, Passages { leading: 0b110, ways });
    // Not to where nobody knows whether they are accepted.
    let mut found = Passages::default();
    found.keep(&known, 3, 8, Some(2));
    assert_eq!(found, Passages { leading: 0b100, ways: BTreeMap::new() });
}

#[test]
fn what_is_led_to_comes_into_force_first() {
    let (a, b, c) = (
        provenance("a", &["b"], &[]),
        provenance("b", &["c"], &["a"]),
        provenance("c", &[], &["b"]),
    );
    assert_eq!(order(&[Some(&a), None, Some(&b), Some(&c)]), [3, 2, 0, 1]);
    // In a circle there is no such order, and still each has its turn.
    let back = provenance("c", &["a"], &["b"]);
    assert_eq!(order(&[Some(&a), Some(&b), Some(&back)]), [2, 1, 0]);
}
