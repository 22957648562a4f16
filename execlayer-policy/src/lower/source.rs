//! What each operation is decided by: rules and selectors projected to its access bits. Owns the
//! classification of patterns by where they are open; must not know about lanes.

use execlayer_common::{
    access::{Access, Operation},
    image::Effect,
};

use super::{
    conditions::Conditions,
    sets::{Entry, Holds},
};
use crate::{
    checked::{CheckedPolicy, Rule, Written},
    pattern::{ByteSet, Node, Pattern},
};

/// One rule's part in one operation. A rule has two where `connect` and `bind` mean other subjects.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source<'p> {
    pub(super) entry: Entry,
    pub(super) patterns: &'p [Written],
    pub(super) excepts: &'p [Written],
}

/// Everything that decides about `operation`, in the order of the rules.
pub(super) fn sources<'p>(
    policy: &'p CheckedPolicy,
    conditions: &Conditions,
    operation: Operation,
) -> Vec<Source<'p>> {
    let selector = |patterns: &'p [Written]| {
        let access = Access::GOVERN.0;
        let entry =
            Entry { effect: Effect::Allow, holds: Holds::Always, rule: 0, condition: 0, access };
        vec![Source { entry, patterns, excepts: &[] }]
    };
    let mut sources = match operation {
        Operation::SelectCgroup => selector(&policy.cgroups),
        Operation::SelectExe => selector(&policy.executables),
        Operation::Exec
        | Operation::File
        | Operation::Inet
        | Operation::Unix
        | Operation::Feature
        | Operation::Call => {
            let rules = policy.rules.iter().enumerate().flat_map(|(number, rule)| {
                let (condition, holds) = conditions.of(number, rule);
                parts(rule, operation).into_iter().map(move |part| {
                    let access = rule.access.intersection(part.access).0;
                    let (effect, rule) = (rule.effect, number as u16);
                    let entry = Entry { effect, holds, rule, condition, access };
                    Source { entry, patterns: part.patterns, excepts: part.excepts }
                })
            });
            rules.collect()
        }
    };
    sources.retain(|source| source.entry.access != 0 && !source.patterns.is_empty());
    sources
}

/// What one list of a rule's patterns is asked for.
struct Part<'p> {
    access: Access,
    patterns: &'p [Written],
    excepts: &'p [Written],
}

fn parts(rule: &Rule, operation: Operation) -> Vec<Part<'_>> {
    let access = Access::of(operation);
    let part = |access, patterns| Part { access, patterns, excepts: &[] };
    match operation {
        Operation::Inet if alike(&rule.inet, &rule.local) => vec![part(access, &rule.inet)],
        Operation::Inet => {
            vec![part(Access::CONNECT, &rule.inet), part(Access::BIND, &rule.local)]
        }
        Operation::Unix => vec![part(access, &rule.unix)],
        Operation::Feature => vec![part(access, &rule.features)],
        Operation::Call => vec![part(access, &rule.calls)],
        _ => vec![Part { access, patterns: &rule.paths, excepts: &rule.except }],
    }
}

fn alike(one: &[Written], other: &[Written]) -> bool {
    one.len() == other.len()
        && one.iter().zip(other).all(|(one, other)| one.pattern == other.pattern)
}

/// Where a pattern is open, and so from which end it is best read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Open {
    /// Not in front: most subjects leave it after a few bytes.
    Elsewhere,
    /// In front only, as `/**/*.pem`: most subjects leave it after a few bytes from behind.
    Front,
    /// In front and elsewhere, as `/**/.git/**`.
    Everywhere,
}

pub(super) fn open(pattern: &Pattern) -> Open {
    let leading = pattern.0.iter().take(2).position(holds_double_star);
    let Some(at) = leading.filter(|&at| at == 0 || pattern.0[0] == Node::Byte(b'/')) else {
        return Open::Elsewhere;
    };
    let rest = &pattern.0[at + 1..];
    if rest.is_empty() || is_anything(rest) {
        Open::Elsewhere
    } else if rest.iter().any(holds_double_star) || !leads_only(&pattern.0[at]) {
        Open::Everywhere
    } else {
        Open::Front
    }
}

fn holds_double_star(node: &Node) -> bool {
    match node {
        Node::Repeat(set) => *set == ByteSet::ALL,
        Node::Either(choices) => choices.iter().flatten().any(holds_double_star),
        Node::Byte(_) | Node::Class(_) => false,
    }
}

fn is_anything(nodes: &[Node]) -> bool {
    nodes
        .iter()
        .all(|node| matches!(node, Node::Repeat(set) | Node::Class(set) if *set == ByteSet::ALL))
}

/// Whether `**` stands at the beginning of each choice that has it, once.
fn leads_only(node: &Node) -> bool {
    match node {
        Node::Either(choices) => choices.iter().all(|choice| match choice.split_first() {
            Some((first, rest)) => leads_only(first) && !rest.iter().any(holds_double_star),
            None => true,
        }),
        Node::Repeat(_) | Node::Byte(_) | Node::Class(_) => true,
    }
}

/// How many of a pattern's repetitions can multiply its states with those of others.
pub(super) fn weight(pattern: &Pattern) -> usize {
    let nodes = match pattern.0.split_last() {
        Some((Node::Repeat(set), rest)) if *set == ByteSet::ALL => rest,
        _ => &pattern.0[..],
    };
    nodes.iter().map(repetitions).sum()
}

fn repetitions(node: &Node) -> usize {
    match node {
        Node::Repeat(_) => 1,
        Node::Either(choices) => choices.iter().flatten().map(repetitions).sum(),
        Node::Byte(_) | Node::Class(_) => 0,
    }
}
