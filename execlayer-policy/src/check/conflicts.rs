//! Rules that contradict or repeat each other word by word. Must not compare what patterns match.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use execlayer_common::image::Effect;

use crate::{
    checked::{Rule, Written},
    diagnostic::Diagnostic,
    source::Span,
};

/// Reports rules without `when` about the very same subjects and operations. Of different files they
/// may differ: so a policy overrides what it extends.
pub(super) fn check(rules: &[(Rule, Span)], out: &mut Vec<Diagnostic>) {
    let mut seen: HashMap<_, (&Rule, Span)> = HashMap::new();
    for (rule, span) in rules.iter().filter(|(rule, _)| rule.is_always()) {
        let lists = [
            &rule.paths,
            &rule.except,
            &rule.inet,
            &rule.local,
            &rule.unix,
            &rule.features,
            &rule.calls,
        ]
        .map(|list| sorted(list));
        if lists.iter().all(Vec::is_empty) {
            continue;
        }
        match seen.entry((rule.place.file, rule.access, lists)) {
            Entry::Vacant(entry) => {
                entry.insert((rule, *span));
            }
            Entry::Occupied(entry) => out.push(report(*entry.get(), (rule, *span))),
        }
    }
}

fn report((first, first_span): (&Rule, Span), (rule, span): (&Rule, Span)) -> Diagnostic {
    if first.effect == rule.effect {
        let message = format!("rule `{}` says what rule `{}` says already", rule.id, first.id);
        return Diagnostic::warning(span, message)
            .related(first_span, "the other one is here")
            .help("remove one of them");
    }
    let message = format!(
        "rule `{}` ({}) contradicts rule `{}` ({})",
        rule.id,
        verb(rule.effect),
        first.id,
        verb(first.effect)
    );
    Diagnostic::error(span, message)
        .label("the same operations and patterns")
        .related(first_span, "the other one is here")
        .help("remove one of them, or give one a `when`")
}

fn sorted(list: &[Written]) -> Vec<Arc<str>> {
    let mut texts: Vec<_> = list.iter().map(|written| Arc::clone(&written.text)).collect();
    texts.sort_unstable();
    texts
}

/// The effect's key in policy text.
pub(crate) const fn verb(effect: Effect) -> &'static str {
    match effect {
        Effect::Deny => "deny",
        Effect::Ask => "ask",
        Effect::Allow => "allow",
    }
}
