//! What two images say of one subject, at every moment and to every caller that makes a difference. Judges
//! with the kernel's own decision function.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    rc::Rc,
};

use execlayer_common::{
    access::{Access, Operation},
    automaton::Table as _,
    image::{
        self, CONDITION_BUDGET, CONDITION_CONTEXT, CONDITION_TESTS_SHIFT, CONDITION_TIME,
        CONDITION_UID,
    },
    limits::MAX_SET_ENTRIES,
    verdict::{RuleIndex, Verdict},
};

use super::{
    Budget, Change, DifferenceError, Side, When,
    contexts::{Contexts, Outcome},
};
use crate::{
    evaluate::Facts,
    image_world::{View, judge_call, judge_image},
};

const MAX_MOMENTS: usize = 4_096;

/// What has been compared of one operation.
pub(super) struct Compared<'a> {
    sides: [Side<'a>; 2],
    operation: Operation,
    /// Subjects with the same decision sets are judged alike.
    sets: HashSet<(Box<[u32]>, bool)>,
    /// What was found.
    pub(super) changes: Vec<Change>,
}

impl<'a> Compared<'a> {
    pub(super) fn new(sides: [Side<'a>; 2], operation: Operation) -> Self {
        Self { sides, operation, sets: HashSet::new(), changes: Vec::new() }
    }

    /// Compares what both say of a subject that has led to these decision sets, `old` of them of the old
    /// image.
    pub(super) fn compare(
        &mut self,
        sets: &[u32],
        old: usize,
        is_unspecified: bool,
        subject: impl FnOnce() -> Vec<u8>,
    ) -> Result<(), DifferenceError> {
        if !self.sets.insert((sets.into(), is_unspecified)) {
            return Ok(());
        }
        let moments = self.moments(sets, old)?;
        let subject = subject();
        let mut wanted = Access::of(self.operation);
        if is_unspecified {
            wanted = Access(wanted.0 & !Access::CONNECT.0);
        }
        let mut found: Vec<Change> = Vec::new();
        for bit in (0..u32::BITS).map(|bit| Access(1 << bit)).filter(|bit| wanted.contains(*bit)) {
            for (before, after, when) in self.differing(&subject, bit, &moments) {
                let same = |change: &&mut Change| {
                    (change.before, change.after) == (before, after)
                        && change.when == when
                        && (change.access == Access::ENTER) == (bit == Access::ENTER)
                };
                match found.iter_mut().find(same) {
                    Some(change) => change.access = change.access.union(bit),
                    None => found.push(Change {
                        operation: self.operation,
                        access: bit,
                        before,
                        after,
                        when,
                        subject: subject.clone(),
                    }),
                }
            }
        }
        for change in found {
            if !self.changes.iter().any(|known| is_covered(&change, known)) {
                self.changes.push(change);
            }
        }
        Ok(())
    }

    /// Both verdicts wherever they differ in what happens.
    fn differing(
        &self,
        subject: &[u8],
        wanted: Access,
        moments: &[Moment],
    ) -> Vec<(Verdict, Verdict, Option<When>)> {
        let judge = |moment: &Moment, image: usize| {
            let words = self.sides[image].image;
            let mut is_left = |number, _, _| moment.is_left(image, number);
            if self.operation == Operation::Call {
                let contexts = |tests, effect| moment.is_met(image, tests, effect);
                return judge_call(words, subject, moment.facts, &mut is_left, &contexts);
            }
            judge_image(words, self.operation, subject, wanted, moment.facts, &mut is_left)
        };
        let judged: Vec<[Verdict; 2]> =
            moments.iter().map(|moment| [judge(moment, 0), judge(moment, 1)]).collect();
        let is_always = judged.windows(2).all(|pair| pair[0] == pair[1]);
        let mut out: Vec<(Verdict, Verdict, Option<When>)> = Vec::new();
        for ([before, after], moment) in judged.into_iter().zip(moments) {
            let is_known = out.iter().any(|known| (known.0, known.1) == (before, after));
            let leads_elsewhere = wanted == Access::ENTER
                && self.sides[0].target(before) != self.sides[1].target(after);
            if (before.raw() != after.raw() || leads_elsewhere) && !is_known {
                out.push((before, after, (!is_always).then(|| moment.when.clone())));
            }
        }
        out
    }

    fn moments(&self, sets: &[u32], old: usize) -> Result<Vec<Moment>, DifferenceError> {
        let mut contexts = Contexts::default();
        // By context's number: who asks it.
        let mut askers: BTreeMap<usize, (RuleIndex, bool)> = BTreeMap::new();
        let (mut uids, mut minutes) = (BTreeSet::new(), BTreeSet::new());
        // By image and number: uses and seconds.
        let mut numbers: [BTreeMap<u32, (u32, u32)>; 2] = Default::default();
        for (number, &set) in sets.iter().enumerate().filter(|(_, set)| **set != 0) {
            let image = usize::from(number >= old);
            let view = View(self.sides[image].image);
            for (at, rule) in conditions(view, set) {
                let flags = view.word(at);
                if flags & CONDITION_UID != 0 {
                    uids.insert(view.word(at + 1));
                }
                if flags & CONDITION_TIME != 0 {
                    let span = view.word(at + 2);
                    minutes.extend([span as u16, (span >> 16) as u16].map(|at| at % DAY));
                }
                if flags & CONDITION_CONTEXT != 0 {
                    let tests = flags >> CONDITION_TESTS_SHIFT;
                    let number = contexts.add(image, self.sides[image], tests);
                    askers.entry(number).or_insert((rule, image == 1));
                }
                if flags & CONDITION_BUDGET != 0 {
                    let uses_and_window = (view.word(at + 4), view.word(at + 5));
                    numbers[image].insert(view.word(at + 3), uses_and_window);
                }
            }
        }
        let numbers = numbers.map(known_as);
        let budgets: BTreeSet<Budget> =
            numbers.iter().flat_map(BTreeMap::values).copied().collect();
        // Somebody whom nobody names.
        if let Some(other) = (1_000..).chain(0..1_000).find(|uid| !uids.contains(uid)) {
            uids.insert(other);
        }
        // What holds in a minute holds until the next that is named.
        let (has_minutes, has_uids) = (!minutes.is_empty(), uids.len() > 1);
        if !has_minutes {
            minutes.insert(0);
        }
        let combinations =
            u32::try_from(budgets.len()).ok().and_then(|count| 1_usize.checked_shl(count));
        let outcomes =
            u32::try_from(contexts.len()).ok().and_then(|count| 3_usize.checked_pow(count));
        let count = combinations
            .zip(outcomes)
            .and_then(|(count, outcomes)| count.checked_mul(outcomes))
            .and_then(|count| count.checked_mul(uids.len() * minutes.len()));
        let (combinations, outcomes) = match (combinations, outcomes, count) {
            (Some(combinations), Some(outcomes), Some(count)) if count <= MAX_MOMENTS => {
                (combinations, outcomes)
            }
            _ => return Err(DifferenceError::Moments { limit: MAX_MOMENTS }),
        };
        let contexts = Rc::new(contexts);
        let mut moments = Vec::new();
        for &uid in &uids {
            for &minute in &minutes {
                // All have a use left in the first.
                let all = (0..outcomes)
                    .flat_map(|outcome| (0..combinations).map(move |spent| (outcome, spent)));
                moments.extend(all.map(|(outcome, spent)| Moment {
                    facts: Facts { uid, minute },
                    numbers: numbers.clone(),
                    contexts: Rc::clone(&contexts),
                    when: When {
                        uid: has_uids.then_some(uid),
                        minute: has_minutes.then_some(minute),
                        budgets:
                            (0..).zip(&budgets).map(|(at, &b)| (b, spent >> at & 1 == 0)).collect(),
                        contexts: told(&askers, outcome),
                    },
                }));
            }
        }
        Ok(moments)
    }
}

/// What each context comes to in combination `number`.
fn told(
    askers: &BTreeMap<usize, (RuleIndex, bool)>,
    number: usize,
) -> Vec<(RuleIndex, bool, Outcome)> {
    let mut rest = number;
    let outcome = || {
        let outcome = Outcome::ALL[rest % 3];
        rest /= 3;
        outcome
    };
    let outcomes = std::iter::repeat_with(outcome);
    askers
        .values()
        .zip(outcomes)
        .map(|(&(rule, is_new), outcome)| (rule, is_new, outcome))
        .collect()
}

/// What budgets are called in both images, by their numbers in one.
fn known_as(numbers: BTreeMap<u32, (u32, u32)>) -> BTreeMap<u32, Budget> {
    let mut seen: BTreeMap<(u32, u32), u32> = BTreeMap::new();
    let name = |(number, (uses, window))| {
        let before = seen.entry((uses, window)).or_default();
        let budget = Budget { uses, window, before: *before };
        *before += 1;
        (number, budget)
    };
    numbers.into_iter().map(name).collect()
}

/// Minutes of a day.
const DAY: u16 = 1_440;

struct Moment {
    facts: Facts,
    /// By image: its budgets.
    numbers: [BTreeMap<u32, Budget>; 2],
    contexts: Rc<Contexts>,
    when: When,
}

impl Moment {
    fn is_met(&self, image: usize, tests: u32, effect: u32) -> bool {
        let number = self.contexts.number(image, tests);
        let told = number.and_then(|number| self.when.contexts.get(number));
        told.is_some_and(|(_, _, outcome)| outcome.is_met(effect))
    }

    fn is_left(&self, image: usize, number: u32) -> bool {
        let budget = self.numbers.get(image).and_then(|numbers| numbers.get(&number));
        self.when.budgets.iter().any(|(known, is_left)| Some(known) == budget && *is_left)
    }
}

fn is_covered(change: &Change, known: &Change) -> bool {
    known.access.contains(change.access)
        && (known.before, known.after) == (change.before, change.after)
        && known.when == change.when
}

/// Where the conditions of a decision set are, and whose they are.
fn conditions(view: View<'_>, set: u32) -> impl Iterator<Item = (u32, RuleIndex)> {
    let count = view.word(set.wrapping_add(3)) & !image::SET_CONDITIONAL;
    let first = view.word(image::H_CONDITIONS);
    (0..count.min(MAX_SET_ENTRIES)).filter_map(move |entry| {
        let at = set
            .wrapping_add(image::SET_HEADER_WORDS)
            .wrapping_add(entry.wrapping_mul(image::ENTRY_WORDS))
            .wrapping_add(1);
        let entry = view.word(at);
        let number = image::entry_condition(entry).checked_sub(1)?;
        let condition = first.wrapping_add(number.wrapping_mul(image::CONDITION_WORDS));
        Some((condition, RuleIndex(image::entry_rule(entry))))
    })
}
