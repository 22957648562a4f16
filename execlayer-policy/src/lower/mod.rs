//! Lower: the checked policy to the image that kernel and user space walk. Owns the order of its
//! steps and the header; each step is a module of its own. Deterministic: equal policies give equal
//! bytes.
//!
//! Patterns become positions (`nfa`), positions states (`determinize`, `prune`), states fewer states
//! (`minimize`), for each lane (`lanes`) of each operation; what they accept with are decision sets
//! (`sets`), and all of it is packed into one array of words (`pack`).

mod conditions;
mod context;
mod cover;
mod determinize;
mod dfa;
mod error;
mod image;
mod interner;
mod lanes;
mod listing;
mod minimize;
mod nfa;
mod pack;
mod prune;
mod report;
mod sets;
mod source;
#[cfg(test)]
mod testing;
#[cfg(test)]
pub(crate) mod tests;
mod transitions;

use std::collections::HashMap;

use execlayer_common::{
    access::Operation,
    image as layout, limits,
    provenance::{self, Provenance, RuleOrigin},
};

use self::{
    conditions::Conditions,
    context::Tests,
    error::culprits,
    lanes::{Failure, Lane},
    pack::Placed,
};
pub use self::{
    error::{Culprit, LowerError},
    image::Image,
    listing::listing,
    report::{LaneReport, Report},
};
use crate::checked::{CheckedPolicy, Mode, Record, Written};

/// A lowered policy.
#[derive(Clone, Debug)]
pub struct Lowered {
    /// What the kernel walks.
    pub image: Image,
    /// What leads from a rule's number back to its text.
    pub provenance: Provenance,
    /// What it came to.
    pub report: Report,
}

/// Lowers a checked policy.
///
/// # Errors
///
/// A [`LowerError`] that names the limit and the rules to blame.
pub fn lower(policy: &CheckedPolicy) -> Result<Lowered, LowerError> {
    if policy.rules.len() > limits::MAX_RULES as usize {
        return Err(LowerError::Rules { found: policy.rules.len() });
    }
    transitions::check(policy)?;
    let conditions = Conditions::new(policy)?;
    let mut lanes: Vec<(Operation, Lane)> = Vec::new();
    for operation in Operation::ALL {
        let sources = source::sources(policy, &conditions, operation);
        let planned = lanes::plan(&sources).map_err(|failure| blame(policy, operation, failure))?;
        lanes.extend(planned.into_iter().map(|lane| (operation, lane)));
    }
    let tests = Tests::new(policy).map_err(|(rule, failure)| of_context(policy, rule, failure))?;
    let (image, sets) = assemble(policy, &conditions, &lanes, &tests).ok_or_else(|| {
        let culprits = largest(policy, lanes.iter().map(|(_, lane)| lane).chain(&tests.lanes));
        LowerError::ImageBytes { culprits }
    })?;
    let words = image.words().len() as u32;
    let report = Report {
        words,
        cells: cells(lanes.iter().map(|(_, lane)| lane).chain(&tests.lanes)),
        class: layout::class_of(words).unwrap_or(u8::MAX),
        sets,
        conditions: conditions.count,
        budgets: conditions.budgets,
        lanes: lanes.iter().map(|(operation, lane)| report(*operation, lane)).collect(),
    };
    Ok(Lowered { image, provenance: provenance(policy), report })
}

/// The image and its number of decision sets; `None` if it is too large.
fn assemble(
    policy: &CheckedPolicy,
    conditions: &Conditions<'_>,
    lanes: &[(Operation, Lane)],
    tests: &Tests,
) -> Option<(Image, u32)> {
    let all = || lanes.iter().map(|(_, lane)| lane).chain(&tests.lanes);
    let automata: Vec<&dfa::Dfa> = all().map(|lane| &lane.dfa).collect();
    let placed = Placed::new(&automata)?;
    let mut words = pack::blank(placed.end);
    let mut known: HashMap<&[u32], u32> = HashMap::new();
    for (number, lane) in all().enumerate() {
        let mut indices = Vec::with_capacity(lane.sets.len());
        for set in &lane.sets {
            let next = words.len() as u32;
            let index = *known.entry(set).or_insert(next);
            if index == next {
                words.extend_from_slice(set);
            }
            indices.push(index);
        }
        placed.write(number, &lane.dfa, &indices, &mut words);
    }
    let conditions_at = words.len() as u32;
    words.extend_from_slice(&conditions.words);
    let start = |test: usize, dfa: &dfa::Dfa| placed.index(lanes.len() + test, dfa.start);
    tests.write(conditions, conditions_at as usize, start, &mut words);
    let header = Header { policy, conditions, conditions_at, words: words.len() as u32 };
    header.write(&mut words);
    write_starts(lanes, &placed, &mut words);
    let fits = words.len() <= limits::MAX_IMAGE_BYTES as usize / 4;
    fits.then(|| (Image::new(words), known.len() as u32))
}

struct Header<'a> {
    policy: &'a CheckedPolicy,
    conditions: &'a Conditions<'a>,
    conditions_at: u32,
    words: u32,
}

impl Header<'_> {
    fn write(&self, words: &mut [u32]) {
        let monitors = self.policy.mode == Mode::Monitor;
        let records = self.policy.record == Record::All;
        let flag = |set: bool, flag: u32| if set { flag } else { 0 };
        let fields = [
            (layout::H_MAGIC, layout::MAGIC),
            (layout::H_FORMAT, layout::FORMAT),
            (layout::H_WORDS, self.words),
            (
                layout::H_FLAGS,
                flag(monitors, layout::FLAG_MONITOR) | flag(records, layout::FLAG_RECORD_ALL),
            ),
            (layout::H_CONDITIONS, self.conditions_at),
            (layout::H_CONDITION_COUNT, self.conditions.count),
            (layout::H_RULE_COUNT, self.policy.rules.len() as u32),
            (layout::H_BUDGET_COUNT, self.conditions.budgets),
        ];
        for (at, value) in fields {
            words[at as usize] = value;
        }
    }
}

fn write_starts(lanes: &[(Operation, Lane)], placed: &Placed, words: &mut [u32]) {
    let mut used = [0; Operation::ALL.len()];
    for (number, (operation, lane)) in lanes.iter().enumerate() {
        let backward = if lane.backward { layout::START_BACKWARD } else { 0 };
        let at = layout::start_index(*operation, used[*operation as usize]);
        words[at as usize] = placed.index(number, lane.dfa.start) | backward;
        used[*operation as usize] += 1;
        words[layout::H_FLAGS as usize] |= match operation {
            Operation::SelectCgroup => layout::FLAG_SELECTS_CGROUP,
            Operation::SelectExe => layout::FLAG_SELECTS_EXE,
            Operation::Exec
            | Operation::File
            | Operation::Inet
            | Operation::Unix
            | Operation::Feature
            | Operation::Call => 0,
        };
    }
}

fn report(operation: Operation, lane: &Lane) -> LaneReport {
    LaneReport {
        operation,
        backward: lane.backward,
        rules: lane.shares.len() as u32,
        built: lane.built as u32 - 1,
        states: lane.dfa.len() as u32 - 1,
    }
}

fn cells<'l>(lanes: impl Iterator<Item = &'l Lane>) -> u32 {
    lanes.map(|lane| pack::cells(&lane.dfa)).sum()
}

fn provenance(policy: &CheckedPolicy) -> Provenance {
    let texts = |written: &[Written]| written.iter().map(|w| w.text.to_string()).collect();
    let origin = |rule: &crate::checked::Rule| RuleOrigin {
        id: rule.id.clone(),
        file: rule.place.file,
        line: rule.place.line,
        reason: rule.reason.clone(),
        transition: rule.transition.clone(),
        asking: rule.asking.clone(),
    };
    Provenance {
        format: provenance::FORMAT,
        policy: policy.name.clone(),
        version: policy.version,
        agent: policy.agent.clone(),
        files: policy.files.clone(),
        cgroups: texts(&policy.cgroups),
        executables: texts(&policy.executables),
        accepts_from: policy.accepts_from.clone(),
        deciders: policy.deciders.clone(),
        context: context::names(policy).iter().map(|name| name.as_str().to_owned()).collect(),
        rules: policy.rules.iter().map(origin).collect(),
    }
}

fn blame(policy: &CheckedPolicy, operation: Operation, failure: Failure) -> LowerError {
    let culprits = |rules: Vec<u16>| match operation {
        Operation::SelectCgroup => vec![selector(policy, "agent.cgroup")],
        Operation::SelectExe => vec![selector(policy, "agent.exe")],
        Operation::Exec
        | Operation::File
        | Operation::Inet
        | Operation::Unix
        | Operation::Feature
        | Operation::Call => culprits(policy, rules.into_iter()),
    };
    let operation = operation.name();
    match failure {
        Failure::SetEntries(rules) => LowerError::SetEntries { culprits: culprits(rules) },
        Failure::Explodes(limits::MAX_STATES, rules) => {
            LowerError::States { operation, culprits: culprits(rules) }
        }
        Failure::Explodes(states, rules) => {
            LowerError::Lanes { operation, states, culprits: culprits(rules) }
        }
    }
}

/// A context value's patterns are one rule's, and read from one end.
fn of_context(policy: &CheckedPolicy, rule: u16, failure: Failure) -> LowerError {
    let states = match failure {
        Failure::Explodes(states, _) => states,
        Failure::SetEntries(_) => limits::MAX_STATES,
    };
    LowerError::Context { states, culprits: culprits(policy, [rule].into_iter()) }
}

fn selector(policy: &CheckedPolicy, key: &str) -> Culprit {
    let file = policy.files.first().cloned().unwrap_or_default();
    Culprit { id: key.to_owned(), file, line: 0 }
}

/// Rules named in an error about the whole image.
const LARGEST: usize = 8;

fn largest<'l>(policy: &CheckedPolicy, lanes: impl Iterator<Item = &'l Lane>) -> Vec<Culprit> {
    let mut shares = vec![0; policy.rules.len()];
    for (rule, share) in lanes.flat_map(|lane| &lane.shares) {
        if let Some(sum) = shares.get_mut(usize::from(*rule)) {
            *sum += share;
        }
    }
    let mut rules: Vec<(u16, u64)> = (0..).zip(shares).collect();
    rules.sort_by_key(|&(rule, share)| (core::cmp::Reverse(share), rule));
    culprits(policy, rules.into_iter().take(LARGEST).map(|(rule, _)| rule))
}
