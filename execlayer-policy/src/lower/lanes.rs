//! Which patterns of an operation are walked together. Owns lanes, their direction and what happens
//! where patterns would multiply; must not know how a lane is packed.
//!
//! Most subjects leave a lane of patterns that begin with a directory after a few bytes; a single
//! `/**/*.pem` among them would keep each of its states alive. So patterns that are open in front go
//! to a lane that reads from behind, and those that are open everywhere to it or to one of their own.

use execlayer_common::limits::MAX_LANES;

use super::{
    determinize::{self, Refused},
    dfa::{DEAD, Dfa},
    minimize::minimize,
    nfa::Nfa,
    sets::Holds,
    source::{Open, Source, open, weight},
};
use crate::{checked::Written, pattern::Pattern};

/// Patterns that are walked together.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) backward: bool,
    pub(super) dfa: Dfa,
    pub(super) sets: Vec<Vec<u32>>,
    /// States before minimising.
    pub(super) built: usize,
    /// Share of each rule in the states.
    pub(super) shares: Vec<(u16, u64)>,
}

/// Why there are no lanes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// These rules make more than so many states, however they are read and spread.
    Explodes(usize, Vec<u16>),
    /// These rules can match one subject, and are more than a set holds.
    SetEntries(Vec<u16>),
}

/// One pattern of one source.
#[derive(Clone, Copy, Debug)]
struct Piece<'p> {
    source: usize,
    pattern: &'p Pattern,
    weight: usize,
    /// INVARIANT(budget order): entries with a budget are in one set, whose order is the order in
    /// which budgets are used. So their patterns are in one lane.
    tied: bool,
}

impl Piece<'_> {
    /// Whether it can multiply states, and may be in any lane.
    const fn deals(&self) -> bool {
        self.weight > 0 && !self.tied
    }
}

/// Pieces that are open alike, spread over some lanes.
struct Group<'p> {
    pieces: Vec<Piece<'p>>,
    backward: bool,
    lanes: Vec<Lane>,
}

/// The lanes of one operation; none if nothing can match.
pub(super) fn plan(sources: &[Source<'_>]) -> Result<Vec<Lane>, Failure> {
    let mut groups = groups(sources);
    let mut spare = (MAX_LANES as usize).saturating_sub(groups.len());
    // From behind: joining the groups that are open in front may spare a lane for the first.
    for at in (0..groups.len()).rev() {
        spread(sources, &mut groups[at], &mut spare)?;
        if at + 2 == groups.len() && groups[at].backward && join(sources, &mut groups)? {
            spare += 1;
        }
    }
    let lanes = groups.into_iter().flat_map(|group| group.lanes);
    Ok(lanes.filter(|lane| lane.dfa.start != DEAD).collect())
}

fn groups<'p>(sources: &[Source<'p>]) -> Vec<Group<'p>> {
    let mut by_open: [Vec<Piece<'p>>; 3] = Default::default();
    let mut tied: Vec<Piece<'p>> = Vec::new();
    for (number, source) in sources.iter().enumerate() {
        let is_tied = source.entry.holds == Holds::Budget;
        let excepts: usize = source.excepts.iter().map(|written| weight(&written.pattern)).sum();
        for Written { pattern, .. } in source.patterns {
            let weight = weight(pattern) + excepts;
            let piece = Piece { source: number, pattern, weight, tied: is_tied };
            if is_tied { &mut tied } else { &mut by_open[open(pattern) as usize] }.push(piece);
        }
    }
    if let Some(first) = tied.first() {
        let kind = open(first.pattern);
        let alike = tied.iter().all(|piece| open(piece.pattern) == kind);
        by_open[if alike { kind } else { Open::Elsewhere } as usize].extend(tied);
    }
    let [elsewhere, front, everywhere] = by_open;
    let groups = [(elsewhere, false), (front, true), (everywhere, true)];
    let groups = groups.into_iter().filter(|(pieces, _)| !pieces.is_empty());
    groups.map(|(pieces, backward)| Group { pieces, backward, lanes: Vec::new() }).collect()
}

/// One lane of a single source that is read forward.
pub(super) fn single(source: Source<'_>) -> Result<Lane, Failure> {
    let patterns = source.patterns.iter();
    let pieces: Vec<Piece<'_>> = patterns
        .map(|Written { pattern, .. }| Piece {
            source: 0,
            pattern,
            weight: weight(pattern),
            tied: true,
        })
        .collect();
    attempt(&[source], &pieces, false, usize::MAX)
}

/// Builds a group's lanes: as few as do not explode.
fn spread(sources: &[Source<'_>], group: &mut Group<'_>, spare: &mut usize) -> Result<(), Failure> {
    let most = group.pieces.iter().filter(|piece| piece.deals()).count();
    let mut parts = 1;
    loop {
        let built: Result<Vec<Lane>, (Failure, Vec<Piece<'_>>)> = deal(&group.pieces, parts)
            .into_iter()
            .map(|part| match build(sources, &part, group.backward) {
                Ok(lane) => Ok(lane),
                Err(failure) => Err((failure, part)),
            })
            .collect();
        match built {
            Ok(lanes) => {
                group.lanes = lanes;
                return Ok(());
            }
            Err((Failure::Explodes(..), _)) if *spare > 0 && parts < most => {
                let more = parts.min(*spare).min(most - parts);
                *spare -= more;
                parts += more;
            }
            Err((Failure::Explodes(states, _), part)) => {
                return Err(Failure::Explodes(states, blame(sources, part, group.backward)));
            }
            Err((failure, _)) => return Err(failure),
        }
    }
}

/// Deals the pieces that can multiply states over `parts`, the heaviest first.
fn deal<'p>(pieces: &[Piece<'p>], parts: usize) -> Vec<Vec<Piece<'p>>> {
    let mut out = vec![Vec::new(); parts];
    let (mut heavy, light): (Vec<_>, Vec<_>) = pieces.iter().copied().partition(Piece::deals);
    heavy.sort_by_key(|piece| core::cmp::Reverse(piece.weight));
    out[0].extend(light);
    for (at, piece) in heavy.into_iter().enumerate() {
        out[at % parts].push(piece);
    }
    out.retain(|part| !part.is_empty());
    out
}

/// One lane, read from the other end than `backward` says if only that is possible.
fn build(sources: &[Source<'_>], pieces: &[Piece<'_>], backward: bool) -> Result<Lane, Failure> {
    match attempt(sources, pieces, backward, usize::MAX) {
        Err(Failure::Explodes(..)) => attempt(sources, pieces, !backward, usize::MAX),
        other => other,
    }
}

fn attempt(
    sources: &[Source<'_>],
    pieces: &[Piece<'_>],
    backward: bool,
    allowance: usize,
) -> Result<Lane, Failure> {
    let mut pieces = pieces.to_vec();
    pieces.sort_by_key(|piece| piece.source);
    let mut nfa = Nfa::new(backward);
    let mut entries = Vec::new();
    for unit in pieces.chunk_by(|a, b| a.source == b.source) {
        let source = &sources[unit[0].source];
        let excepts = source.excepts.iter().map(|written| &written.pattern);
        nfa.add_unit(unit.iter().map(|piece| piece.pattern), excepts);
        entries.push(source.entry);
    }
    let allowance = allowance.min(determinize::allowance(&nfa));
    let rule = |number: usize| entries[number].rule;
    match determinize::determinize(&nfa, &entries, allowance) {
        Ok(found) => {
            let shares = found.shares.iter().enumerate().map(|(at, &share)| (rule(at), share));
            let shares = shares.collect();
            let dfa = minimize(&found.dfa);
            Ok(Lane { backward, dfa, sets: found.sets, built: found.dfa.len(), shares })
        }
        Err(Refused::Explodes(states)) => Err(Failure::Explodes(states, Vec::new())),
        Err(Refused::SetEntries(rules)) => Err(Failure::SetEntries(rules)),
    }
}

/// Joins the last two groups to one lane if that takes about as many states: one walk less.
fn join(sources: &[Source<'_>], groups: &mut Vec<Group<'_>>) -> Result<bool, Failure> {
    let [.., first, second] = &mut groups[..] else { return Ok(false) };
    let ([one], [other]) = (&first.lanes[..], &second.lanes[..]) else { return Ok(false) };
    let allowance = (one.dfa.len() + other.dfa.len()) * 2 + 256;
    let pieces: Vec<Piece<'_>> = first.pieces.iter().chain(&second.pieces).copied().collect();
    let lane = match attempt(sources, &pieces, true, allowance) {
        Ok(lane) => lane,
        Err(Failure::Explodes(..)) => return Ok(false),
        Err(failure) => return Err(failure),
    };
    (first.pieces, first.lanes) = (pieces, vec![lane]);
    groups.pop();
    Ok(true)
}

/// The rules of the fewest of the heaviest pieces that explode without any others.
fn blame(sources: &[Source<'_>], mut pieces: Vec<Piece<'_>>, backward: bool) -> Vec<u16> {
    pieces.sort_by_key(|piece| core::cmp::Reverse(piece.weight));
    let (mut fine, mut explodes) = (0, pieces.len());
    while fine + 1 < explodes {
        let middle = fine.midpoint(explodes);
        match build(sources, &pieces[..middle], backward) {
            Err(Failure::Explodes(..)) => explodes = middle,
            Ok(_) | Err(Failure::SetEntries(_)) => fine = middle,
        }
    }
    pieces.truncate(explodes);
    let mut rules: Vec<u16> = pieces.iter().map(|piece| sources[piece.source].entry.rule).collect();
    rules.sort_unstable();
    rules.dedup();
    rules
}
