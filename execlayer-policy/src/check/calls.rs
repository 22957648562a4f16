//! Calls of tools: names and what they are called about as patterns of one subject, tests of context with their
//! names. Must not know how either is written or compiled.

use execlayer_common::{
    call::{Name, SEPARATOR},
    image::Effect,
    limits::MAX_RULE_CALLS,
};

use crate::{
    check::rules::understood,
    checked::{Asks, Test, Written},
    diagnostic::Diagnostic,
    parse::{
        glob::{self, Glob, Kind, Variables},
        policy::{self, Rule},
        text::Text,
    },
    pattern::{ByteSet, Node, Pattern},
    source::Sources,
};

/// Any text, where a rule names no `resource`.
const ANY: &str = "**";

/// What a rule's `action`, `resource` and `context` become; what is wrong is reported and left out.
pub(super) fn check(
    rule: &Rule,
    sources: &Sources,
    variables: &Variables,
    out: &mut Vec<Diagnostic>,
) -> (Vec<Written>, Vec<Test>) {
    let glob = |text: &Text, out: &mut Vec<Diagnostic>| {
        understood(text, sources, out, |value| glob::parse(value, variables, Kind::Text))
    };
    let mut actions: Vec<Glob> = Vec::with_capacity(rule.actions.len());
    for text in &rule.actions {
        let Some(mut action) = glob(text, out) else { continue };
        if !without_separator(&mut action.pattern.0) {
            out.push(Diagnostic::error(text.span, "no tool's name has a byte 0"));
        }
        actions.push(action);
    }
    let mut resources: Vec<Glob> =
        rule.resources.iter().filter_map(|text| glob(text, out)).collect();
    if rule.resources.is_empty() {
        let any = Pattern(vec![Node::Repeat(ByteSet::ALL)]);
        resources.push(Glob { text: ANY.to_owned(), pattern: any });
    }
    let count = actions.len().saturating_mul(resources.len());
    if let Some(first) = rule.actions.first().filter(|_| count > MAX_RULE_CALLS) {
        let message = format!(
            "every `action` with every `resource` makes {count} patterns; {MAX_RULE_CALLS} are allowed (`MAX_RULE_CALLS`)"
        );
        out.push(
            Diagnostic::error(first.span, message).help("use `**` and braces, or several rules"),
        );
        return (Vec::new(), Vec::new());
    }
    let calls = resources.into_iter().flat_map(|resource| {
        actions.iter().map(move |action| {
            let (name, about) = (&action.pattern.0, &resource.pattern.0);
            let nodes = name.iter().chain([&Node::Byte(SEPARATOR)]).chain(about);
            // One text for one pair: rules with the same are taken for the same.
            let is_clear = !action.text.contains([' ', '"']);
            let text = match is_clear {
                true => format!("{} {}", action.text, resource.text),
                false => format!("{:?} {}", action.text, resource.text),
            };
            Written { text: text.into(), pattern: Pattern(nodes.cloned().collect()) }
        })
    });
    let calls = calls.collect();
    let mut tests = Vec::with_capacity(rule.context.len());
    for policy::Test { name, asks } in &rule.context {
        let Some(name) = spelled(name, out) else { continue };
        let mut written = |texts: &[Text]| {
            let globs = texts.iter().filter_map(|text| glob(text, out));
            globs.map(|glob| Written { text: glob.text.into(), pattern: glob.pattern }).collect()
        };
        let asks = match asks {
            policy::Asks::Given(given) => Asks::Given(*given),
            policy::Asks::Flag(flag) => Asks::Flag(*flag),
            policy::Asks::Number(least, most) => Asks::Number(*least, *most),
            policy::Asks::Text(texts) => Asks::Text(written(texts)),
            policy::Asks::Every(texts) => Asks::Every(written(texts)),
            policy::Asks::Some(texts) => Asks::Some(written(texts)),
        };
        tests.push(Test { name, asks });
    }
    tests.sort_by_key(|test| test.name);
    asks_a_person(rule, out);
    (calls, tests)
}

fn spelled(name: &Text, out: &mut Vec<Diagnostic>) -> Option<Name> {
    let spelled = Name::new(&name.value);
    if let Err(error) = spelled {
        let message = format!("`{}` cannot name a context value", name.value);
        out.push(Diagnostic::error(name.span, message).help(error.to_string()));
    }
    spelled.ok()
}

/// Takes the separator out of every set of bytes; whether it is nowhere by itself.
fn without_separator(nodes: &mut [Node]) -> bool {
    let mut is_clean = true;
    for node in nodes {
        match node {
            Node::Byte(byte) => is_clean &= *byte != SEPARATOR,
            Node::Class(set) | Node::Repeat(set) => {
                *set = set.without(SEPARATOR);
                is_clean &= !set.is_empty();
            }
            Node::Either(choices) => {
                for choice in choices {
                    is_clean &= without_separator(choice);
                }
            }
        }
    }
    is_clean
}

/// Deciders judge what the kernel holds. What a tool says of itself is a person's to judge.
fn asks_a_person(rule: &Rule, out: &mut Vec<Diagnostic>) {
    let asks = rule.effect.is_some_and(|(effect, _)| effect == Effect::Ask);
    if rule.actions.is_empty() || !asks {
        return;
    }
    for decider in rule.asking.deciders.iter().filter(|decider| decider.value != "human") {
        out.push(
            Diagnostic::error(decider.span, "only a person answers for a call of a tool")
                .help("leave `deciders` out; what tools may do without asking, `allow`"),
        );
    }
}
