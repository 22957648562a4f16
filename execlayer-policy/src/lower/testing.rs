//! Policies for the tests of lowering, made without text.

use std::{fs, path::PathBuf};

use execlayer_common::{access::Access, image::Effect};
use proptest::{collection::vec, prelude::*};

use super::dfa::{Dfa, Exception, Row};
use crate::{
    check::{Options, check},
    checked::{CheckedPolicy, Condition, Mode, Place, Record, Rule, Written},
    pattern::{ByteSet, Node, Pattern},
    source::{LoadError, Loaded, Loader},
};

pub(crate) fn empty_policy() -> CheckedPolicy {
    CheckedPolicy {
        name: "test".to_owned(),
        version: 1,
        agent: "tester".to_owned(),
        mode: Mode::Enforce,
        record: Record::Denied,
        cgroups: Vec::new(),
        executables: Vec::new(),
        accepts_from: Vec::new(),
        files: vec!["test.toml".to_owned()],
        deciders: Vec::new(),
        rules: Vec::new(),
    }
}

pub(crate) fn policy(rules: Vec<Rule>) -> CheckedPolicy {
    CheckedPolicy { rules, ..empty_policy() }
}

/// A rule that allows reading, with id `r` and this line.
pub(crate) fn rule(line: u32, paths: &[&str]) -> Rule {
    Rule {
        id: format!("r{line}"),
        place: Place { file: 0, line, column: 1 },
        effect: Effect::Allow,
        access: Access::READ,
        paths: paths.iter().map(|text| glob(text)).collect(),
        except: Vec::new(),
        inet: Vec::new(),
        local: Vec::new(),
        unix: Vec::new(),
        features: Vec::new(),
        calls: Vec::new(),
        when: Condition::default(),
        context: Vec::new(),
        reason: None,
        transition: None,
        asking: None,
    }
}

pub(crate) fn written(text: &str, nodes: Vec<Node>) -> Written {
    Written { text: text.into(), pattern: Pattern(nodes) }
}

/// `?`, `*`, `**`, `/**/` and `[^x]`; every other byte stands for itself.
pub(crate) fn glob(text: &str) -> Written {
    let not_slash = ByteSet::ALL.without(b'/');
    let mut nodes = Vec::new();
    let mut rest = text.as_bytes();
    loop {
        let (node, behind) = match rest {
            [] => break,
            [b'*', b'*', b'/', behind @ ..] => {
                let below = vec![Node::Repeat(ByteSet::ALL), Node::Byte(b'/')];
                (Node::Either(vec![Vec::new(), below]), behind)
            }
            [b'*', b'*'] => {
                nodes.push(Node::Class(ByteSet::ALL));
                (Node::Repeat(ByteSet::ALL), &rest[2..])
            }
            [b'*', b'*', behind @ ..] => (Node::Repeat(ByteSet::ALL), behind),
            [b'*', behind @ ..] => (Node::Repeat(not_slash), behind),
            [b'?', behind @ ..] => (Node::Class(not_slash), behind),
            [b'[', b'^', byte, b']', behind @ ..] => {
                (Node::Class(not_slash.without(*byte)), behind)
            }
            [byte, behind @ ..] => (Node::Byte(*byte), behind),
        };
        nodes.push(node);
        rest = behind;
    }
    written(text, nodes)
}

/// Automata of that many states over few bytes, with four decision sets at most.
pub(crate) fn dfas(states: u32) -> impl Strategy<Value = Dfa> {
    let few = vec((proptest::sample::select(&b"/ab\x00\xff"[..]), 0..=states), 0..4);
    let many = (any::<u8>(), vec(0..=states, 1..4))
        .prop_map(|(first, targets)| (first..=u8::MAX).zip(targets.into_iter().cycle()).collect());
    let exceptions = prop_oneof![6 => few, 1 => many];
    vec((0..5_u32, 0..=states, exceptions), states as usize).prop_map(move |rows| {
        let mut dfa = Dfa::new();
        let mut row = Row::default();
        for (accept, default, mut exceptions) in rows {
            exceptions.sort_unstable();
            exceptions.dedup_by_key(|&mut (byte, _)| byte);
            let exceptions = exceptions.into_iter();
            row.set(default, exceptions.map(|(byte, target)| Exception { byte, target }));
            dfa.push(accept, row.common(), row.exceptions().iter().copied());
        }
        dfa.start = 1;
        dfa
    })
}

struct Folder;

impl Loader for Folder {
    fn load(&mut self, name: &str) -> Result<Loaded, LoadError> {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../policies");
        let bytes = fs::read(folder.join(name).join("policy.toml"))
            .map_err(|error| LoadError::Unreadable(name.to_owned(), error.to_string()))?;
        Ok(Loaded { name: format!("policies/{name}/policy.toml"), bytes })
    }
}

/// A policy that is shipped.
pub(crate) fn shipped(name: &str) -> CheckedPolicy {
    let outcome = check(name, &mut Folder, &Options::default());
    outcome.policy.unwrap_or_else(|| panic!("no policy: {:?}", outcome.diagnostics))
}
