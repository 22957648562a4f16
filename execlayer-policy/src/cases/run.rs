//! Cases against the reference evaluator. Must not print.

use execlayer_common::verdict::{RuleIndex, Verdict};

use super::{Case, CaseFile, Expect};
use crate::{
    checked::CheckedPolicy,
    diagnostic::Diagnostic,
    evaluate::{evaluate, evaluate_call, selects},
    suggest::suggestion,
};

/// How the cases went.
#[derive(Debug)]
pub struct Report {
    /// Cases that went as expected.
    pub passed: usize,
    /// One finding for each that did not, or that names an unknown rule; spans are the case file's.
    pub failures: Vec<Diagnostic>,
}

/// Runs every case.
#[must_use]
pub fn run(policy: &CheckedPolicy, file: &CaseFile) -> Report {
    let failures: Vec<Diagnostic> =
        file.cases.iter().filter_map(|case| failure(policy, case)).collect();
    Report { passed: file.cases.len() - failures.len(), failures }
}

fn failure(policy: &CheckedPolicy, case: &Case) -> Option<Diagnostic> {
    for rule in case.rule.iter().chain(&case.spent) {
        if !policy.rules().iter().any(|known| known.id == *rule) {
            let help = suggestion(rule, policy.rules().iter().map(|known| known.id.as_str()));
            let message = format!("case `{}`: the policy has no rule `{rule}`", case.name);
            return Some(Diagnostic::error(case.span, message).help_if(help));
        }
    }
    let act = &case.act;
    if act.is_selection() {
        let selected = selects(policy, act.operation, &act.subject);
        let expected = case.expect == Expect::Selected;
        let found = if selected { "selected" } else { "ignored" };
        return (selected != expected)
            .then(|| Diagnostic::error(case.span, format!("case `{}`: is {found}", case.name)));
    }
    let id = |rule: RuleIndex| policy.rules().get(usize::from(rule.0)).map(|rule| &rule.id);
    let mut is_left = |rule, _| id(rule).is_some_and(|id| !case.spent.contains(id));
    let facts = case.facts;
    let called = act.as_call(|call| {
        evaluate_call(policy, &call.by(facts.uid).at(facts.minute, 0), &mut is_left)
    });
    let verdict = called.unwrap_or_else(|| {
        evaluate(policy, act.operation, &act.subject, act.wanted, facts, &mut is_left)
    });
    let right = matches!(
        (verdict, case.expect),
        (Verdict::Allow(_), Expect::Allow)
            | (Verdict::Ask(_), Expect::Ask)
            | (Verdict::Deny(..), Expect::Deny)
    );
    let rule = verdict.rule().and_then(id);
    let named = case.rule.is_none() || case.rule.as_ref() == rule;
    if right && named {
        return None;
    }
    let found = match verdict {
        Verdict::Allow(_) => "allow".to_owned(),
        Verdict::Ask(_) => "ask".to_owned(),
        Verdict::Deny(reason, _) => format!("deny ({})", reason.meaning()),
    };
    let by = rule.map_or_else(|| " without a rule".to_owned(), |rule| format!(" by rule `{rule}`"));
    let message = format!("case `{}`: the verdict is {found}{by}", case.name);
    let expected = case.rule.as_ref().filter(|_| right);
    let label = expected.map_or_else(
        || "expected this".to_owned(),
        |rule| format!("expected this by rule `{rule}`"),
    );
    Some(Diagnostic::error(case.span, message).label(label))
}
