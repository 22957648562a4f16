//! Random policies over a tiny alphabet, so that patterns overlap and subjects match.

use execlayer_common::{
    access::Access,
    call::{Name, Number, SEPARATOR},
    image::Effect,
};
use proptest::{collection::vec, option, prelude::*};

use crate::{
    checked::{Asks, Budget, CheckedPolicy, Condition, Rule, Test, Written},
    lower::testing,
    pattern::{ByteSet, Node},
};

/// Bytes of patterns and subjects.
const ALPHABET: [u8; 4] = *b"/ab.";

fn byte() -> impl Strategy<Value = u8> + Clone {
    proptest::sample::select(&ALPHABET[..])
}

fn set() -> impl Strategy<Value = ByteSet> + Clone {
    let chosen =
        vec(byte(), 0..3).prop_map(|bytes| bytes.into_iter().fold(ByteSet::EMPTY, ByteSet::with));
    prop_oneof![
        3 => Just(ByteSet::ALL.without(b'/')),
        1 => chosen.clone(),
        1 => chosen.prop_map(ByteSet::complement),
    ]
}

/// `/**/` behind its first slash.
fn gate() -> Node {
    Node::Either(vec![Vec::new(), vec![Node::Repeat(ByteSet::ALL), Node::Byte(b'/')]])
}

fn leaf() -> impl Strategy<Value = Node> + Clone {
    prop_oneof![
        8 => byte().prop_map(Node::Byte),
        2 => set().prop_map(Node::Class),
        2 => set().prop_map(Node::Repeat),
        1 => Just(Node::Repeat(ByteSet::ALL)),
    ]
}

fn node() -> impl Strategy<Value = Node> + Clone {
    let choices = |inner| vec(vec(inner, 0..4), 0..4).prop_map(Node::Either);
    prop_oneof![
        12 => leaf(),
        1 => choices(leaf().boxed()),
        1 => choices(choices(leaf().boxed()).boxed()),
    ]
}

fn pattern() -> impl Strategy<Value = Written> + Clone {
    let slash = || Just(vec![Node::Byte(b'/')]);
    let open = || Just(vec![Node::Byte(b'/'), gate()]);
    let part = || vec(node(), 0..5);
    let nodes = prop_oneof![
        1 => part(),
        3 => (slash(), part()).prop_map(join),
        2 => (open(), part()).prop_map(join),
        2 => (slash(), part(), open(), part()).prop_map(|(a, b, c, d)| [a, b, c, d].concat()),
        2 => (open(), part(), open(), part()).prop_map(|(a, b, c, d)| [a, b, c, d].concat()),
        1 => part().prop_map(|part| part.into_iter().take(1).collect()),
        3 => (slash(), part(), Just(vec![Node::Byte(b'/'), Node::Class(ByteSet::ALL), Node::Repeat(ByteSet::ALL)]))
            .prop_map(|(a, b, c)| [a, b, c].concat()),
    ];
    nodes.prop_map(|nodes| testing::written("random", nodes))
}

fn join((a, b): (Vec<Node>, Vec<Node>)) -> Vec<Node> {
    [a, b].concat()
}

fn condition() -> impl Strategy<Value = Condition> {
    let uid = option::weighted(0.5, 999..1002_u32);
    let between = option::weighted(0.3, (598..603_u16, 598..603_u16));
    let fields =
        (uid, between).prop_map(|(uid, between)| Condition { uid, between, at_most: None });
    prop_oneof![3 => Just(Condition::default()), 2 => fields]
}

/// A tool's name of few letters, and what it is called about.
fn call() -> impl Strategy<Value = Written> + Clone {
    let name = prop_oneof![
        3 => Just(vec![Node::Byte(b'a')]),
        1 => Just(vec![Node::Repeat(ByteSet::ALL.without(SEPARATOR))]),
        1 => Just(vec![Node::Byte(b'a'), Node::Repeat(ByteSet::ALL.without(SEPARATOR).without(b'/'))]),
    ];
    let about = prop_oneof![1 => Just(vec![Node::Repeat(ByteSet::ALL)]), 2 => vec(node(), 0..4)];
    (name, about).prop_map(|(name, about)| {
        testing::written("random", [name, vec![Node::Byte(SEPARATOR)], about].concat())
    })
}

pub(super) const NAMES: [&str; 3] = ["a", "b", "c.d"];

/// Tests of at most one value of each name.
fn context() -> impl Strategy<Value = Vec<Test>> + Clone {
    let number = || (-3..4_i64).prop_map(Number::whole);
    let texts = || vec(vec(leaf(), 0..3).prop_map(|nodes| testing::written("random", nodes)), 1..3);
    let asks = prop_oneof![
        any::<bool>().prop_map(Asks::Given),
        any::<bool>().prop_map(Asks::Flag),
        (number(), number()).prop_map(|(one, other)| Asks::Number(one.min(other), one.max(other))),
        texts().prop_map(Asks::Text),
        texts().prop_map(Asks::Every),
        texts().prop_map(Asks::Some),
    ];
    let all = vec(option::weighted(0.3, asks), NAMES.len()).prop_map(|asks| {
        let named = NAMES.iter().zip(asks).filter_map(|(name, asks)| Some((name, asks?)));
        named.map(|(name, asks)| Test { name: Name::new(name).unwrap(), asks }).collect()
    });
    prop_oneof![1 => Just(Vec::new()), 2 => all]
}

fn rule() -> impl Strategy<Value = Rule> {
    let effect =
        proptest::sample::select(vec![Effect::Deny, Effect::Ask, Effect::Allow, Effect::Allow]);
    let budget = option::weighted(0.2, Just(Budget { uses: 3, window: 60 }));
    let patterns = (vec(pattern(), 1..4), vec(pattern(), 0..3), vec(pattern(), 0..2));
    let calls = (vec(call(), 0..3), context());
    (effect, 1..1_u32 << 22, condition(), budget, patterns, calls).prop_map(
        |(effect, access, mut when, budget, (paths, except, others), (calls, context))| {
            when.at_most = budget.filter(|_| effect == Effect::Allow);
            // Partly the same, as for addresses that are connected and bound to.
            let local = others.iter().chain(paths.first()).skip(1).cloned().collect();
            let (inet, unix, features) = (others.clone(), others.clone(), others);
            // What has a context is about calls alone.
            let access = if context.is_empty() { Access(access) } else { Access::CALL };
            Rule {
                effect,
                access,
                paths,
                except,
                inet,
                local,
                unix,
                features,
                calls,
                context,
                when,
                ..testing::rule(1, &[])
            }
        },
    )
}

pub(crate) fn policies() -> impl Strategy<Value = CheckedPolicy> {
    (vec(rule(), 1..6), vec(pattern(), 0..3), vec(pattern(), 0..3)).prop_map(
        |(rules, cgroups, executables)| CheckedPolicy {
            cgroups,
            executables,
            ..testing::policy(rules)
        },
    )
}

/// Decides by given bytes, for ever by the last ones.
pub(crate) struct Choices<'a> {
    bytes: &'a [u8],
}

impl<'a> Choices<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let (&first, rest) = self.bytes.split_first().unwrap_or((&0, &[]));
        self.bytes = rest;
        usize::from(first) % bound.max(1)
    }

    pub(crate) fn number(&mut self) -> u32 {
        let byte = |choices: &mut Self| choices.below(256) as u32;
        byte(self) | byte(self) << 8 | byte(self) << 16
    }

    fn of(&mut self, set: &ByteSet) -> u8 {
        let own: Vec<u8> = ALPHABET.into_iter().filter(|&byte| set.contains(byte)).collect();
        match own.is_empty() {
            true => set.first().unwrap_or(b'z'),
            false => own[self.below(own.len())],
        }
    }
}

/// A subject that `nodes` match, or would if no set in them were empty.
pub(crate) fn sample(nodes: &[Node], choices: &mut Choices<'_>, out: &mut Vec<u8>) {
    for node in nodes {
        match node {
            Node::Byte(byte) => out.push(*byte),
            Node::Class(set) => out.push(choices.of(set)),
            Node::Repeat(set) => {
                for _ in 0..choices.below(4) {
                    out.push(choices.of(set));
                }
            }
            Node::Either(sequences) => {
                if let Some(sequence) = sequences.get(choices.below(sequences.len())) {
                    sample(sequence, choices, out);
                }
            }
        }
    }
}

/// Changes a byte or two.
pub(crate) fn mutate(subject: &mut Vec<u8>, choices: &mut Choices<'_>) {
    for _ in 0..choices.below(3) {
        let at = choices.below(subject.len() + 1);
        let byte = choices.of(&ByteSet::ALL);
        match choices.below(3) {
            0 => subject.insert(at, byte),
            1 if at < subject.len() => drop(subject.remove(at)),
            _ => subject.push(byte),
        }
    }
}
