//! Subjects near a pattern's border: one that the pattern matches, then a few bytes or components
//! changed. Must not know whether what comes out still matches.

use execlayer_policy::pattern::{ByteSet, Node, Pattern};

use crate::random::Random;

const NAMES: [&[u8]; 8] = [b"a", b"b", b"ab", b"work", b".git", b"x.rs", b"key.pem", b"lib"];
const ENDINGS: [&[u8]; 9] =
    [b"/", b"x", b"/a", b"/x.rs", b".pem", b"\n", b"\0", b"\xff", b"/ab/key.pem"];
/// Above this a subject is not made longer.
const LONG: usize = 600;

/// Bytes that the pattern matches.
#[must_use]
pub fn sample(pattern: &Pattern, random: &mut Random) -> Vec<u8> {
    let mut out = Vec::new();
    nodes(&pattern.0, random, &mut out);
    out
}

fn nodes(nodes: &[Node], random: &mut Random, out: &mut Vec<u8>) {
    for node in nodes {
        match node {
            Node::Byte(byte) => out.push(*byte),
            Node::Class(set) => out.extend(member(set, random)),
            Node::Repeat(set) => repeat(set, random, out),
            Node::Either(choices) => {
                if let Some(choice) = random.pick(choices) {
                    self::nodes(choice, random, out);
                }
            }
        }
    }
}

/// A byte of the set, mostly one that names have.
fn member(set: &ByteSet, random: &mut Random) -> Option<u8> {
    for turn in 0..12 {
        let byte = if turn < 6 { b'a' + random.below(26) as u8 } else { random.byte() };
        if set.contains(byte) {
            return Some(byte);
        }
    }
    let all: Vec<u8> = set.iter().collect();
    random.pick(&all).copied()
}

fn repeat(set: &ByteSet, random: &mut Random, out: &mut Vec<u8>) {
    match random.below(8) {
        0 | 1 => {}
        2 if set.contains(b'/') => {
            for _ in 0..=random.below(3) {
                out.extend(random.pick(&NAMES).copied().unwrap_or_default());
                out.push(b'/');
            }
            out.extend(random.pick(&NAMES).copied().unwrap_or_default());
        }
        3 => out.extend((0..random.below(200)).filter_map(|_| member(set, random))),
        _ => {
            let name = random.pick(&NAMES).copied().unwrap_or_default();
            out.extend(name.iter().filter(|byte| set.contains(**byte)));
        }
    }
}

/// Changes the subject a little, up to three times.
pub fn mutate(subject: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.below(3) {
        once(subject, random);
    }
}

fn once(subject: &mut Vec<u8>, random: &mut Random) {
    let at = random.below(subject.len());
    match random.below(9) {
        0 => {
            let byte = near(subject.get(at).copied().unwrap_or(b'a'), random);
            subject.insert(at, byte);
        }
        1 if !subject.is_empty() => {
            subject.remove(at);
        }
        2 | 3 => {
            if let Some(byte) = subject.get_mut(at) {
                *byte = near(*byte, random);
            }
        }
        4 => drop_component(subject, random),
        5 => add_component(subject, random),
        6 if subject.len() < LONG => {
            subject.extend(random.pick(&ENDINGS).copied().unwrap_or_default());
        }
        7 => subject.truncate(at),
        _ => {
            subject.pop();
        }
    }
}

/// A byte beside this one, or any.
fn near(byte: u8, random: &mut Random) -> u8 {
    match random.below(5) {
        0 => byte.wrapping_add(1),
        1 => byte.wrapping_sub(1),
        2 => byte ^ (1 << random.below(8)),
        3 => random.pick(b"ab./x").copied().unwrap_or(b'a'),
        _ => random.byte(),
    }
}

fn slashes(subject: &[u8]) -> Vec<usize> {
    (0..).zip(subject).filter(|&(_, byte)| *byte == b'/').map(|(at, _)| at).collect()
}

fn drop_component(subject: &mut Vec<u8>, random: &mut Random) {
    let slashes = slashes(subject);
    let Some(&from) = random.pick(&slashes) else { return };
    let to = slashes.iter().copied().find(|&slash| slash > from).unwrap_or(subject.len());
    subject.drain(from..to);
}

fn add_component(subject: &mut Vec<u8>, random: &mut Random) {
    let slashes = slashes(subject);
    let Some(&at) = random.pick(&slashes) else { return };
    if subject.len() < LONG {
        let name = random.pick(&NAMES).copied().unwrap_or_default();
        subject.splice(at..at, std::iter::once(b'/').chain(name.iter().copied()));
    }
}
