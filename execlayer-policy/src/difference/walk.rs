//! Walks two images together over every subject of an operation, the shortest first. Must not judge.

use std::collections::HashSet;

use execlayer_common::{
    access::Operation,
    automaton::Table as _,
    image::{START_BACKWARD, start_index},
    limits::MAX_LANES,
};

use super::{Change, DifferenceError, Side, compare, grammar::Grammar, lane::Lane};
use crate::image_world::View;

/// States of both images together that are walked through for one operation.
const MAX_STATES: usize = 4_000_000;
/// Words that lanes may keep that are walked against their direction.
const MAX_WORDS: usize = 32 << 20;

/// What a subject has led to so far: the grammar, and each lane's state.
type At = (Grammar, Box<[u32]>);

struct Step {
    from: usize,
    byte: u8,
}

/// What both decide differently about `operation`.
pub(super) fn walk(
    sides: [Side<'_>; 2],
    operation: Operation,
) -> Result<Vec<Change>, DifferenceError> {
    let images = sides.map(|side| View(side.image));
    let mut lanes: Vec<Lane<'_>> = images.iter().flat_map(|&view| of(view, operation)).collect();
    let old = of(images[0], operation).count();
    let start: Box<[u32]> = lanes.iter().map(Lane::start).collect();
    let mut reached: Vec<At> = vec![(Grammar::of(operation), start)];
    let mut known: HashSet<At> = reached.iter().cloned().collect();
    let mut steps = vec![Step { from: 0, byte: 0 }];
    let mut compared = compare::Compared::new(sides, operation);
    let mut at = 0;
    while let Some((grammar, states)) = reached.get(at).cloned() {
        if grammar.is_whole() {
            let sets: Box<[u32]> =
                lanes.iter().zip(&states).map(|(lane, state)| lane.accepted(*state)).collect();
            let subject = || subject(&steps, at);
            compared.compare(&sets, old, grammar.is_unspecified(), subject)?;
        }
        for byte in bytes(grammar, &lanes, &states) {
            let Some(grammar) = grammar.step(byte) else { continue };
            let states: Box<[u32]> = lanes
                .iter_mut()
                .zip(&states)
                .map(|(lane, state)| lane.step(*state, byte))
                .collect();
            if reached.len() > MAX_STATES || lanes.iter().map(Lane::size).sum::<usize>() > MAX_WORDS
            {
                return Err(DifferenceError::TooLarge { operation: operation.name() });
            }
            let next = (grammar, states);
            if known.insert(next.clone()) {
                reached.push(next);
                steps.push(Step { from: at, byte });
            }
        }
        at += 1;
    }
    Ok(compared.changes)
}

fn of(view: View<'_>, operation: Operation) -> impl Iterator<Item = Lane<'_>> {
    let starts = (0..MAX_LANES).map(move |lane| view.word(start_index(operation, lane)));
    starts
        .filter(|&start| start != 0)
        .map(move |start| Lane::new(view, start & !START_BACKWARD, start & START_BACKWARD != 0))
}

/// The bytes to go on with: one for each way in which it can go on.
fn bytes(grammar: Grammar, lanes: &[Lane<'_>], states: &[u32]) -> Vec<u8> {
    let all = || lanes.iter().zip(states);
    if grammar.is_whole() && all().all(|(lane, state)| lane.is_over(*state)) {
        return Vec::new();
    }
    let mut labels = [false; 256];
    for byte in grammar.labels() {
        labels[usize::from(byte)] = true;
    }
    for (lane, state) in all() {
        lane.mark_labels(*state, &mut labels);
    }
    let other = grammar.other(&labels);
    let marked = (0..=u8::MAX).filter(|&byte| labels[usize::from(byte)]);
    other.into_iter().chain(marked).collect()
}

fn subject(steps: &[Step], mut at: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while at != 0 {
        let Some(step) = steps.get(at) else { break };
        bytes.push(step.byte);
        at = step.from;
    }
    bytes.reverse();
    bytes
}
