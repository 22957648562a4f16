//! Features: that rules name those that exist and say what can be said of them, and the rules that hold
//! where no rule says anything. Must not know where a feature is judged.

use execlayer_common::{
    access::Access,
    feature::{self, Feature, IO_URING, Rules},
    image::Effect,
};

use crate::{
    checked::{Condition, Place, Rule, Written},
    diagnostic::{Diagnostic, MAX_FINDINGS},
    parse::{fields::list, policy, text::Text},
    pattern::{Node, Pattern},
    source::{Sources, Span},
    suggest::suggestion,
};

/// What [`Rule::features`] of a rule becomes; names that are wrong are reported and left out.
pub(super) fn named(rule: &policy::Rule, out: &mut Vec<Diagnostic>) -> Vec<Written> {
    let effect = rule.effect.map(|(effect, _)| effect);
    let mut features = Vec::with_capacity(rule.features.len());
    for name in &rule.features {
        let Some(found) = feature::named(&name.value) else {
            // Looking for the nearest name takes time.
            if out.len() < MAX_FINDINGS {
                out.push(unknown(name));
            }
            continue;
        };
        if found.rules == Rules::Never {
            match effect {
                Some(Effect::Allow) => out.push(never(name, found)),
                Some(Effect::Deny) => {
                    let message = format!("`{}` is denied under every policy", found.name);
                    out.push(Diagnostic::hint(name.span, message).help("leave it out"));
                }
                Some(Effect::Ask) | None => {}
            }
        }
        features.push(written(found));
    }
    features
}

/// That nothing is submitted past a rule that asks.
pub(super) fn rings(rules: &[(Rule, Span)], out: &mut Vec<Diagnostic>) {
    let names = |rule: &Rule| allows(rule, &IO_URING);
    let Some((ring, at)) = rules.iter().find(|(rule, _)| names(rule)) else { return };
    let Some((asks, asks_at)) = rules.iter().find(|(rule, _)| rule.effect == Effect::Ask) else {
        return;
    };
    let message =
        format!("rule `{}` allows `{}`, and rule `{}` asks", ring.id, IO_URING.name, asks.id);
    out.push(
        Diagnostic::error(*at, message)
            .label("what is submitted through a ring cannot be held until somebody answers")
            .related(*asks_at, "the rule that asks is here")
            .help("remove one of them, or make the rule that asks allow or deny"),
    );
}

/// A rule for each feature that is allowed unless a rule says otherwise; `at` is what they are of.
pub(super) fn defaults(rules: &[(Rule, Span)], sources: &Sources, at: Span) -> Vec<(Rule, Span)> {
    let unnamed = |feature: &&Feature| !rules.iter().any(|(rule, _)| allows(rule, feature));
    let place = sources.position(at.source, at.start);
    let rule = |feature| Rule {
        id: default_id(feature),
        place: Place { file: at.source.0, line: place.line, column: place.column },
        effect: Effect::Allow,
        access: Access::USE,
        paths: Vec::new(),
        except: Vec::new(),
        inet: Vec::new(),
        local: Vec::new(),
        unix: Vec::new(),
        features: vec![written(feature)],
        calls: Vec::new(),
        when: Condition::default(),
        context: Vec::new(),
        reason: None,
        transition: None,
        asking: None,
    };
    with_defaults().filter(unnamed).map(|feature| (rule(feature), at)).collect()
}

/// Features that are allowed unless a rule says otherwise.
pub(super) fn with_defaults() -> impl Iterator<Item = &'static Feature> {
    feature::ALL.iter().filter(|feature| feature.rules == Rules::Denied)
}

/// The id of the rule that is there where no other allows the feature.
pub(super) fn default_id(feature: &Feature) -> String {
    format!("{}-by-default", feature.name)
}

fn allows(rule: &Rule, feature: &Feature) -> bool {
    rule.effect == Effect::Allow
        && rule.features.iter().any(|written| *written.text == *feature.name)
}

fn written(feature: &Feature) -> Written {
    let nodes = feature.name.bytes().map(Node::Byte).collect();
    Written { text: feature.name.into(), pattern: Pattern(nodes) }
}

fn unknown(name: &Text) -> Diagnostic {
    let rules = feature::ALL.iter().filter(|feature| feature.rules != Rules::Never);
    let names: Vec<&str> = rules.map(|feature| feature.name).collect();
    let near = suggestion(&name.value, feature::ALL.iter().map(|feature| feature.name));
    let near = near.map(|near| format!("{near} ")).unwrap_or_default();
    Diagnostic::error(name.span, format!("there is no feature `{}`", name.value))
        .help(format!("{near}rules can allow {}", list(&names)))
}

fn never(name: &Text, feature: &Feature) -> Diagnostic {
    Diagnostic::error(name.span, format!("no policy can allow `{}`", feature.name))
        .label(feature.meaning)
        .help("leave it out: whoever has it can leave every policy")
}
