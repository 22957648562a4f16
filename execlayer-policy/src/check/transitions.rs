//! Rules that lead to another policy: that they lead away from this one, and how many there are. Must not compare what
//! patterns match.

use execlayer_common::limits::MAX_TRANSITIONS;

use crate::{checked::Rule, diagnostic::Diagnostic, source::Span};

/// Reports what is wrong with them; `agent` is whom the policy is for.
pub(super) fn check(rules: &[(Rule, Span)], agent: Option<&str>, out: &mut Vec<Diagnostic>) {
    let leading = || rules.iter().filter(|(rule, _)| rule.transition.is_some());
    for (rule, span) in leading().filter(|(rule, _)| rule.transition.as_deref() == agent) {
        let message = format!("rule `{}` leads to the policy that it is in", rule.id);
        out.push(
            Diagnostic::error(*span, message)
                .help("write `allow = [\"exec\"]`: what is executed stays under this policy"),
        );
    }
    if let Some((_rule, span)) = leading().nth(MAX_TRANSITIONS) {
        let count = leading().count();
        let message = format!(
            "the policy has {count} rules with `transition`; {MAX_TRANSITIONS} are allowed (`MAX_TRANSITIONS`)"
        );
        out.push(
            Diagnostic::error(*span, message)
                .label("the first that is too many")
                .help("join those that lead to the same agent: `path` takes a list"),
        );
    }
}
