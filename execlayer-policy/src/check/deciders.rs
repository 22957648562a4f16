//! Deciders, and the chains that rules make of them. Must not know how a decider decides.

use std::collections::{HashMap, HashSet};

use execlayer_common::{
    access::Access,
    image::Effect,
    provenance::{Asking, Decider, DeciderKind},
};

use crate::{
    check::names::spelling,
    diagnostic::{Diagnostic, MAX_FINDINGS},
    parse::{
        Policy,
        policy::{self, Rule},
        text::Text,
    },
    suggest::suggestion,
};

/// The decider that is there without being declared.
const HUMAN: &str = "human";
/// Deciders of one chain.
const MAX_CHAIN: usize = 8;

/// The deciders of all files, and which of them rules name.
pub(super) struct Deciders<'p> {
    declared: HashMap<&'p str, &'p policy::Decider>,
    numbers: HashMap<&'p str, u32>,
    /// In the order in which rules name them first.
    named: Vec<Decider>,
}

impl<'p> Deciders<'p> {
    /// Checks that names are unique over all files, and that rules use them.
    pub(super) fn new(files: &'p [Policy], out: &mut Vec<Diagnostic>) -> Self {
        let rules = files.iter().flat_map(|file| &file.rules);
        let used: HashSet<&str> =
            rules.flat_map(|rule| &rule.asking.deciders).map(|name| name.value.as_str()).collect();
        let mut first: HashMap<&str, &Text> = HashMap::new();
        let mut declared = HashMap::new();
        for decider in files.iter().flat_map(|file| &file.deciders) {
            let Some(name) = &decider.name else { continue };
            spelling(name, "name", out);
            if name.value == HUMAN {
                out.push(
                    Diagnostic::error(name.span, "the name `human` is taken")
                        .label("it is the person who answers, and needs no declaration")
                        .help("choose another name"),
                );
                continue;
            }
            if let Some(other) = first.get(name.value.as_str()) {
                let message = format!("two deciders have the name `{}`", name.value);
                out.push(
                    Diagnostic::error(name.span, message)
                        .related(other.span, "the other one is here")
                        .help("names are unique over the policy and all that it extends"),
                );
                continue;
            }
            if !used.contains(name.value.as_str()) {
                let message = format!("no rule asks the decider `{}`", name.value);
                out.push(
                    Diagnostic::hint(name.span, message)
                        .help("name it in the `deciders` of a rule, or remove it"),
                );
            }
            first.insert(&name.value, name);
            declared.insert(name.value.as_str(), decider);
        }
        Self { declared, numbers: HashMap::new(), named: Vec::new() }
    }

    /// What a rule says about its questions; `None` if it asks none.
    pub(super) fn asking(&mut self, rule: &'p Rule, out: &mut Vec<Diagnostic>) -> Option<Asking> {
        let (Effect::Ask, _) = rule.effect? else { return None };
        let policy::Asking { timeout, remember, deciders } = &rule.asking;
        let chain = shortened(deciders, out);
        order(chain, out);
        let mut numbers = Vec::with_capacity(chain.len());
        for name in chain {
            numbers.extend(self.number(name, rule.access, out));
        }
        Some(Asking { timeout: *timeout, remember: *remember, deciders: numbers })
    }

    /// Those that rules name; what [`Asking`] counts in.
    pub(super) fn named(self) -> Vec<Decider> {
        self.named
    }

    fn number(&mut self, name: &'p Text, access: Access, out: &mut Vec<Diagnostic>) -> Option<u32> {
        let kind = if name.value == HUMAN {
            DeciderKind::Human {}
        } else if let Some(decider) = self.declared.get(name.value.as_str()) {
            // Without a kind it is reported already.
            decider.kind.clone()?
        } else {
            self.unknown(name, out);
            return None;
        };
        fits(name, &kind, access, out);
        let next = self.named.len() as u32;
        let number = *self.numbers.entry(&name.value).or_insert(next);
        if number == next {
            self.named.push(Decider { name: name.value.clone(), kind });
        }
        Some(number)
    }

    fn unknown(&self, name: &Text, out: &mut Vec<Diagnostic>) {
        // Looking for the nearest name takes time.
        if out.len() >= MAX_FINDINGS {
            return;
        }
        let known = self.declared.keys().copied().chain([HUMAN]);
        let mut known: Vec<&str> = known.collect();
        known.sort_unstable();
        let help = suggestion(&name.value, known).unwrap_or_else(|| {
            format!("declare it with `[[decider]]` and `name = \"{}\"`", name.value)
        });
        let message = format!("there is no decider `{}`", name.value);
        out.push(Diagnostic::error(name.span, message).help(help));
    }
}

fn shortened<'p>(chain: &'p [Text], out: &mut Vec<Diagnostic>) -> &'p [Text] {
    let Some(first_too_many) = chain.get(MAX_CHAIN) else { return chain };
    let message = format!("the chain has {} deciders; {MAX_CHAIN} are allowed", chain.len());
    out.push(
        Diagnostic::error(first_too_many.span, message)
            .label("the first that is too many")
            .help("join some: `sha256` and `host` take lists"),
    );
    chain.get(..MAX_CHAIN).unwrap_or_default()
}

/// That every decider of a chain stands in it once and is reached.
fn order(chain: &[Text], out: &mut Vec<Diagnostic>) {
    let mut human: Option<&Text> = None;
    for (at, name) in chain.iter().enumerate() {
        let before = chain.get(..at).unwrap_or_default();
        if let Some(first) = before.iter().find(|first| first.value == name.value) {
            let message = format!("the decider `{}` is asked twice", name.value);
            out.push(
                Diagnostic::error(name.span, message)
                    .related(first.span, "first here")
                    .help("leave one out: what it does not know, it does not know twice"),
            );
        } else if let Some(human) = human {
            let message = format!("the decider `{}` is never reached", name.value);
            out.push(
                Diagnostic::error(name.span, message)
                    .related(human.span, "a person's silence is a no, so nobody comes behind")
                    .help("put `human` last"),
            );
        }
        if name.value == HUMAN {
            human = human.or(Some(name));
        }
    }
}

/// That a decider can know something about what the rule asks.
fn fits(name: &Text, kind: &DeciderKind, access: Access, out: &mut Vec<Diagnostic>) {
    let (key, operation, only) = match kind {
        DeciderKind::Sha256 { .. } => ("sha256", "exec", Access::EXEC),
        DeciderKind::Host { .. } => ("host", "connect", Access::CONNECT),
        DeciderKind::Human {}
        | DeciderKind::Budget { .. }
        | DeciderKind::Command { .. }
        | DeciderKind::Webhook { .. } => return,
    };
    // Without any access the operations are reported already.
    if access == only || access.is_empty() {
        return;
    }
    let message = format!(
        "the decider `{}` (`{key}`) knows about `{operation}` only, and this rule asks about more",
        name.value
    );
    let help = format!("make a rule of its own with `ask = [\"{operation}\"]`");
    out.push(Diagnostic::error(name.span, message).help(help));
}
