//! The reference evaluator: what a policy means, written plainly and without any automaton. Must not
//! call `execlayer_common::decide`, with which it is compared.
//!
//! Deny beats ask beats allow for each wanted bit, and a bit that no rule lists is denied; the whole
//! is as strict as its strictest bit. Budgets are asked last, and only for bits that nothing else
//! lists. Among rules that decide alike the one without condition is named first, then the one with a
//! condition, then the one with a budget; then the lowest number.

use std::collections::BTreeSet;

use execlayer_common::{
    access::{Access, Operation},
    call::{Request, SEPARATOR, Value},
    image::Effect,
    reason::Reason,
    verdict::{RuleIndex, Verdict},
};

use crate::{
    checked::{Asks, Budget, CheckedPolicy, Condition, Rule, Test, Written},
    pattern::{Node, Pattern},
};

/// What is known about the caller and the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Effective uid.
    pub uid: u32,
    /// Minute of the UTC day, 0 to 1439.
    pub minute: u16,
}

/// Decides about `wanted` of `subject`. `budgets` uses a rule's budget once and says whether it had a
/// use left; it is asked in the order of the rules.
pub fn evaluate(
    policy: &CheckedPolicy,
    operation: Operation,
    subject: &[u8],
    wanted: Access,
    facts: Facts,
    budgets: &mut impl FnMut(RuleIndex, Budget) -> bool,
) -> Verdict {
    let act = Act { operation, subject, wanted, facts, call: None };
    decide(policy, &act, budgets)
}

/// Decides about a call of a tool; see [`evaluate`].
pub fn evaluate_call(
    policy: &CheckedPolicy,
    call: &Request<'_>,
    budgets: &mut impl FnMut(RuleIndex, Budget) -> bool,
) -> Verdict {
    let subject = [call.action(), &[SEPARATOR], call.resource()].concat();
    let act = Act {
        operation: Operation::Call,
        subject: &subject,
        wanted: Access::CALL,
        facts: Facts { uid: call.uid, minute: call.minute },
        call: Some(call),
    };
    decide(policy, &act, budgets)
}

/// What is decided about.
struct Act<'a> {
    operation: Operation,
    subject: &'a [u8],
    wanted: Access,
    facts: Facts,
    call: Option<&'a Request<'a>>,
}

fn decide(
    policy: &CheckedPolicy,
    act: &Act<'_>,
    budgets: &mut impl FnMut(RuleIndex, Budget) -> bool,
) -> Verdict {
    let wanted = act.wanted;
    let hits: Vec<Hit> = (0..)
        .zip(policy.rules())
        .filter_map(|(number, rule)| Hit::find(number, rule, act))
        .collect();
    let plain = || hits.iter().filter(|hit| hit.budget.is_none());
    let first = |effect| plain().filter(|hit| hit.effect == effect).min_by_key(|hit| hit.rank());
    if let Some(deny) = first(Effect::Deny) {
        return Verdict::Deny(Reason::Rule, Some(deny.rule));
    }
    let mut covered = plain().fold(Access::default(), |all, hit| all.union(hit.bits));
    let (mut allowed, mut spent) = (first(Effect::Allow), None);
    let coverable = hits.iter().fold(Access::default(), |all, hit| all.union(hit.bits));
    for hit in &hits {
        let Some(budget) = hit.budget else { continue };
        // A call that is denied anyway spends nothing.
        if !coverable.contains(wanted) {
            break;
        }
        if hit.bits.0 & !covered.0 == 0 {
            continue;
        }
        if budgets(hit.rule, budget) {
            covered = covered.union(hit.bits);
            allowed = allowed.or(Some(hit));
        } else {
            spent = spent.or(Some(hit));
        }
    }
    if !covered.contains(wanted) {
        return match spent {
            Some(hit) => Verdict::Deny(Reason::BudgetSpent, Some(hit.rule)),
            None => Verdict::Deny(Reason::Unlisted, None),
        };
    }
    match (first(Effect::Ask), allowed) {
        (Some(ask), _) => Verdict::Ask(ask.rule),
        (None, Some(allow)) => Verdict::Allow(allow.rule),
        (None, None) => Verdict::Deny(Reason::Unlisted, None),
    }
}

/// Whether the policy selects a task with this cgroup ([`Operation::SelectCgroup`]) or executable
/// ([`Operation::SelectExe`]); false for every other operation.
#[must_use]
pub fn selects(policy: &CheckedPolicy, operation: Operation, subject: &[u8]) -> bool {
    match operation {
        Operation::SelectCgroup => any(policy.cgroups(), subject),
        Operation::SelectExe => any(policy.executables(), subject),
        Operation::Exec
        | Operation::File
        | Operation::Inet
        | Operation::Unix
        | Operation::Feature
        | Operation::Call => false,
    }
}

/// Whether the pattern matches all of the subject.
#[must_use]
pub fn matches(pattern: &Pattern, subject: &[u8]) -> bool {
    follow(&pattern.0, &BTreeSet::from([0]), subject).contains(&subject.len())
}

/// A rule that is about the call and whose condition holds, but for its budget.
struct Hit {
    rule: RuleIndex,
    effect: Effect,
    bits: Access,
    conditional: bool,
    budget: Option<Budget>,
}

impl Hit {
    fn find(number: u16, rule: &Rule, act: &Act<'_>) -> Option<Self> {
        let bits = rule.access.intersection(Access::of(act.operation)).intersection(act.wanted);
        let bits = about(rule, act.operation, act.subject, bits);
        // What is not known counts against whoever calls.
        let unknown = rule.effect != Effect::Allow;
        let mut tests = rule.context.iter();
        let hit = !bits.is_empty()
            && holds(rule.when, act.facts)
            && tests.all(|test| known(test, act.call).unwrap_or(unknown));
        hit.then(|| Self {
            rule: RuleIndex(number),
            effect: rule.effect,
            bits,
            conditional: !rule.is_always(),
            budget: rule.when.at_most,
        })
    }

    const fn rank(&self) -> (bool, RuleIndex) {
        (self.conditional, self.rule)
    }
}

fn holds(when: Condition, facts: Facts) -> bool {
    let in_time = |(from, to): (u16, u16)| {
        let now = facts.minute;
        if from <= to { from <= now && now < to } else { from <= now || now < to }
    };
    when.uid.is_none_or(|uid| uid == facts.uid) && when.between.is_none_or(in_time)
}

/// Whether a test of context holds; `None` if the value is missing or of another kind.
fn known(test: &Test, call: Option<&Request<'_>>) -> Option<bool> {
    let mut values = call?.context().iter();
    let value = values.find(|(name, _)| *name == test.name).map(|(_, value)| *value);
    Some(match (&test.asks, value) {
        (Asks::Given(wanted), value) => value.is_some() == *wanted,
        (Asks::Flag(wanted), Some(Value::Flag(flag))) => flag == *wanted,
        (Asks::Number(least, most), Some(Value::Number(number))) => {
            (*least..=*most).contains(&number)
        }
        (Asks::Text(list), Some(Value::Text(text))) => any(list, text),
        (Asks::Every(list), Some(Value::List(texts))) => texts.iter().all(|text| any(list, text)),
        (Asks::Some(list), Some(Value::List(texts))) => texts.iter().any(|text| any(list, text)),
        _ => return None,
    })
}

/// Those of `bits` that the rule is about, of this subject.
fn about(rule: &Rule, operation: Operation, subject: &[u8], bits: Access) -> Access {
    let some = |bits: Access, is_about: bool| if is_about { bits } else { Access::default() };
    match operation {
        Operation::Exec | Operation::File => {
            some(bits, any(&rule.paths, subject) && !any(&rule.except, subject))
        }
        Operation::Inet => some(bits.intersection(Access::CONNECT), any(&rule.inet, subject))
            .union(some(bits.intersection(Access::BIND), any(&rule.local, subject))),
        Operation::Unix => some(bits, any(&rule.unix, subject)),
        Operation::Feature => some(bits, any(&rule.features, subject)),
        Operation::Call => some(bits, any(&rule.calls, subject)),
        Operation::SelectCgroup | Operation::SelectExe => Access::default(),
    }
}

fn any(list: &[Written], subject: &[u8]) -> bool {
    list.iter().any(|written| matches(&written.pattern, subject))
}

/// Every position at which `nodes` can end that begin at one of `from`.
fn follow(nodes: &[Node], from: &BTreeSet<usize>, subject: &[u8]) -> BTreeSet<usize> {
    let mut here = from.clone();
    for node in nodes {
        if here.is_empty() {
            break;
        }
        here = match node {
            Node::Byte(byte) => one(&here, subject, |found| found == *byte),
            Node::Class(set) => one(&here, subject, |found| set.contains(found)),
            Node::Repeat(set) => {
                let mut reached = BTreeSet::new();
                for &start in &here {
                    let mut at = start;
                    while reached.insert(at) && subject.get(at).is_some_and(|b| set.contains(*b)) {
                        at += 1;
                    }
                }
                reached
            }
            Node::Either(choices) => {
                choices.iter().flat_map(|choice| follow(choice, &here, subject)).collect()
            }
        };
    }
    here
}

/// Positions behind one byte that is accepted.
fn one(from: &BTreeSet<usize>, subject: &[u8], accepts: impl Fn(u8) -> bool) -> BTreeSet<usize> {
    from.iter()
        .filter(|&&at| subject.get(at).is_some_and(|&byte| accepts(byte)))
        .map(|&at| at + 1)
        .collect()
}
