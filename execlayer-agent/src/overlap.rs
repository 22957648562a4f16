//! Do two images select one and the same task? Their selector automata are read out of the packed
//! images and walked together. Everything is bounded: what cannot be compared within the bounds is
//! refused by the caller, not guessed.

use std::collections::{HashMap, HashSet, VecDeque};

use execlayer_common::{
    access::Operation,
    automaton::{self, DEAD, HALT, Table},
    image::{START_BACKWARD, start_index},
    limits,
};

/// States of one selector's automaton.
const MAX_STATES: usize = 1 << 16;
/// Pairs of states that are visited before a comparison is given up.
const MAX_PAIRS: usize = 1 << 17;

/// What selects tasks in an image.
#[derive(Clone, Debug, Default)]
pub struct Selectors {
    cgroup: Vec<Lane>,
    exe: Vec<Lane>,
}

/// The comparison would take too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the selectors are too large to be compared")]
pub struct TooLarge;

/// A subject that both select.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overlap {
    /// By cgroup or by executable.
    pub operation: Operation,
    /// The subject.
    pub subject: Vec<u8>,
}

#[derive(Clone, Debug)]
struct Lane {
    backward: bool,
    /// The first is the start.
    states: Vec<State>,
}

#[derive(Clone, Debug)]
struct State {
    accepts: bool,
    /// Next states of bytes that differ from the default.
    edges: Vec<(u8, u32)>,
    default: Option<u32>,
}

impl State {
    fn next(&self, byte: u8) -> Option<u32> {
        let edge = self.edges.binary_search_by_key(&byte, |&(byte, _next)| byte);
        match edge.ok().and_then(|at| self.edges.get(at)) {
            Some(&(_byte, DEAD_END)) => None,
            Some(&(_byte, next)) => Some(next),
            None => self.default,
        }
    }
}

const DEAD_END: u32 = u32::MAX;

struct Words<'a>(&'a [u32]);

impl Table for Words<'_> {
    fn word(&self, index: u32) -> u32 {
        self.0.get(index as usize).copied().unwrap_or(automaton::FREE)
    }
}

impl Selectors {
    /// Reads the selectors out of an image.
    ///
    /// # Errors
    ///
    /// [`TooLarge`].
    pub fn of(image: &[u32]) -> Result<Self, TooLarge> {
        let table = Words(image);
        Ok(Self {
            cgroup: lanes(&table, Operation::SelectCgroup)?,
            exe: lanes(&table, Operation::SelectExe)?,
        })
    }

    /// A subject that both select, if there is one.
    ///
    /// # Errors
    ///
    /// [`TooLarge`].
    pub fn overlap(&self, other: &Self) -> Result<Option<Overlap>, TooLarge> {
        let kinds = [
            (Operation::SelectCgroup, &self.cgroup, &other.cgroup),
            (Operation::SelectExe, &self.exe, &other.exe),
        ];
        for (operation, mine, theirs) in kinds {
            for a in mine {
                for b in theirs {
                    if let Some(subject) = a.common(b)? {
                        return Ok(Some(Overlap { operation, subject }));
                    }
                }
            }
        }
        Ok(None)
    }
}

fn lanes(table: &Words<'_>, operation: Operation) -> Result<Vec<Lane>, TooLarge> {
    let mut lanes = Vec::new();
    for lane in 0..limits::MAX_LANES {
        let start = table.word(start_index(operation, lane));
        if start == 0 || start == automaton::FREE {
            break;
        }
        lanes.push(Lane::read(table, start)?);
    }
    Ok(lanes)
}

impl Lane {
    fn read(table: &Words<'_>, start: u32) -> Result<Self, TooLarge> {
        let mut numbers = HashMap::new();
        let mut names = Vec::new();
        let mut number = |names: &mut Vec<u32>, state: u32| -> Result<u32, TooLarge> {
            let next = u32::try_from(names.len()).map_err(|_too_many| TooLarge)?;
            let number = *numbers.entry(state).or_insert(next);
            if number == next {
                if names.len() >= MAX_STATES {
                    return Err(TooLarge);
                }
                names.push(state);
            }
            Ok(number)
        };
        number(&mut names, start & !START_BACKWARD)?;
        let mut states = Vec::new();
        while let Some(&name) = names.get(states.len()) {
            let accepts = automaton::accepted(table, name) != 0;
            // Nothing leaves a state with HALT: it stands for itself and all that follows.
            let mut nexts = [name; 256];
            if name & HALT == 0 {
                for (byte, next) in (0..=u8::MAX).zip(nexts.iter_mut()) {
                    *next = automaton::step(table, name, byte);
                }
            }
            let common = most_frequent(&nexts);
            let default = if common == DEAD { None } else { Some(number(&mut names, common)?) };
            let mut edges = Vec::new();
            for (byte, &next) in (0..=u8::MAX).zip(&nexts) {
                if next == DEAD && default.is_some() {
                    edges.push((byte, DEAD_END));
                } else if next != common {
                    edges.push((byte, number(&mut names, next)?));
                }
            }
            states.push(State { accepts, edges, default });
        }
        Ok(Self { backward: start & START_BACKWARD != 0, states })
    }

    fn state(&self, number: u32) -> Option<&State> {
        self.states.get(number as usize)
    }

    /// A subject that both lanes accept.
    fn common(&self, other: &Self) -> Result<Option<Vec<u8>>, TooLarge> {
        match (self.backward, other.backward) {
            (false, false) => along(self, other),
            (true, true) => {
                Ok(along(self, other)?.map(|subject| subject.into_iter().rev().collect()))
            }
            (false, true) => against(self, other),
            (true, false) => against(other, self),
        }
    }
}

fn most_frequent(nexts: &[u32; 256]) -> u32 {
    let mut sorted = *nexts;
    sorted.sort_unstable();
    let longest = sorted.chunk_by(|a, b| a == b).max_by_key(|run| run.len());
    longest.and_then(|run| run.first().copied()).unwrap_or(DEAD)
}

/// Bytes that stand for all 256: those that one of the states tells apart, and one that neither does.
fn telling(a: &State, b: &State) -> Vec<u8> {
    let mut bytes: Vec<u8> = a.edges.iter().chain(&b.edges).map(|&(byte, _next)| byte).collect();
    bytes.sort_unstable();
    bytes.dedup();
    // A letter if one is left: the subject that is found is shown to people.
    let other = (b'a'..=b'z').chain(0..=u8::MAX).find(|byte| bytes.binary_search(byte).is_err());
    bytes.extend(other);
    bytes
}

/// Both read in the same direction: walk them side by side.
fn along(a: &Lane, b: &Lane) -> Result<Option<Vec<u8>>, TooLarge> {
    let accepts = |state: Option<&State>| state.is_some_and(|state| state.accepts);
    let steps = |(x, y): Pair, step: &mut dyn FnMut(u8, Pair)| {
        let (Some(x), Some(y)) = (a.state(x), b.state(y)) else { return };
        for byte in telling(x, y) {
            if let (Some(x), Some(y)) = (x.next(byte), y.next(byte)) {
                step(byte, (x, y));
            }
        }
    };
    search(vec![(0, 0)], |(x, y)| accepts(a.state(x)) && accepts(b.state(y)), steps)
}

/// `b` reads from the last byte to the first: walk `a` forward and `b` from its ends to its start.
fn against(a: &Lane, b: &Lane) -> Result<Option<Vec<u8>>, TooLarge> {
    let mut before: HashMap<u32, HashSet<u32>> = HashMap::new();
    for (number, state) in (0_u32..).zip(&b.states) {
        let edges = state.edges.iter().map(|&(_byte, next)| next);
        for next in edges.chain(state.default) {
            before.entry(next).or_default().insert(number);
        }
    }
    let ends = (0_u32..).zip(&b.states).filter(|(_number, state)| state.accepts);
    let starts = ends.map(|(number, _state)| (0, number)).collect();
    let steps = |(x, y): Pair, step: &mut dyn FnMut(u8, Pair)| {
        let Some(x) = a.state(x) else { return };
        for &earlier in before.get(&y).into_iter().flatten() {
            let Some(state) = b.state(earlier) else { continue };
            for byte in telling(x, state) {
                if state.next(byte) == Some(y)
                    && let Some(x) = x.next(byte)
                {
                    step(byte, (x, earlier));
                }
            }
        }
    };
    search(starts, |(x, y)| y == 0 && a.state(x).is_some_and(|state| state.accepts), steps)
}

type Pair = (u32, u32);

/// Breadth first, so that the subject that is found is a shortest one.
fn search(
    starts: Vec<Pair>,
    is_goal: impl Fn(Pair) -> bool,
    steps: impl Fn(Pair, &mut dyn FnMut(u8, Pair)),
) -> Result<Option<Vec<u8>>, TooLarge> {
    let mut seen: HashSet<Pair> = starts.iter().copied().collect();
    let mut came_from: HashMap<Pair, (Pair, u8)> = HashMap::new();
    let mut waiting: VecDeque<Pair> = starts.into();
    while let Some(pair) = waiting.pop_front() {
        if is_goal(pair) {
            let mut subject = Vec::new();
            let mut at = pair;
            while let Some(&(before, byte)) = came_from.get(&at) {
                subject.push(byte);
                at = before;
            }
            subject.reverse();
            return Ok(Some(subject));
        }
        if seen.len() > MAX_PAIRS {
            return Err(TooLarge);
        }
        steps(pair, &mut |byte, next| {
            if seen.insert(next) {
                came_from.insert(next, (pair, byte));
                waiting.push_back(next);
            }
        });
    }
    Ok(None)
}

#[cfg(test)]
mod tests;
