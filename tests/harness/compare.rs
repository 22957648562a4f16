//! Acts drawn near the patterns of a policy, the same act put to several subjects, and the smallest
//! policy and act about which they differ. Must not count or judge the outcome.

use anyhow::{Result, bail};
use execlayer_common::{
    access::{Access, Operation},
    image::Effect,
    verdict::Verdict,
};
use execlayer_policy::{cases::Act, checked::Rule, evaluate::Facts};

use crate::{
    generate::{self, Draft},
    mutate,
    prepare::Prepared,
    random::Random,
    subject::{Answer, Subject},
};

const UIDS: [u32; 4] = [0, 1000, 1001, 65_536];
const MINUTES: [u16; 8] = [0, 359, 360, 479, 480, 720, 721, 1320];

/// An act, and how it is asked about.
#[derive(Clone, Debug)]
pub struct Question {
    /// What is done.
    pub act: Act,
    /// By whom, and when.
    pub facts: Facts,
    /// What else is done before, for budgets.
    pub before: Vec<Act>,
    /// Times that it is asked in a row, for budgets.
    pub times: usize,
}

/// What the subjects said.
#[derive(Debug)]
pub enum Said {
    /// All the same in each turn; the last verdict, and how many of them were silent.
    Same(Verdict, usize),
    /// Not the same; who said what.
    Different(String),
}

/// Asks every subject, with fresh budgets, and compares each of the answers with the first one's.
///
/// # Errors
///
/// A subject had no answer.
pub fn ask(
    subjects: &mut [Box<dyn Subject>],
    prepared: &Prepared,
    question: &Question,
) -> Result<Said> {
    let mut expected: Vec<Answer> = Vec::new();
    let mut silent = 0;
    for (number, subject) in subjects.iter_mut().enumerate() {
        subject.refill()?;
        let again = std::iter::repeat_n(&question.act, question.times);
        for (turn, act) in question.before.iter().chain(again).enumerate() {
            let Ok(answer) = subject.judge(prepared, act, question.facts)? else {
                silent += 1;
                break;
            };
            if number == 0 {
                expected.push(answer);
            } else if expected.get(turn) != Some(&answer) {
                return Ok(Said::Different(format!(
                    "turn {turn}: {} says {answer:?}, the reference {:?}",
                    subject.name(),
                    expected.get(turn)
                )));
            }
        }
    }
    match expected.last() {
        Some(Answer::Verdict(verdict)) => Ok(Said::Same(*verdict, silent)),
        other => bail!("the reference gave no verdict: {other:?}"),
    }
}

/// Draws an act near a pattern of a rule that does `wanted`, if there is one; whether its subject was
/// changed after it was drawn. `None` if the policy has no rules.
pub fn draw(prepared: &Prepared, wanted: Effect, random: &mut Random) -> Option<(Question, bool)> {
    let rules = prepared.policy().rules();
    let alike: Vec<&Rule> = rules.iter().filter(|rule| rule.effect == wanted).collect();
    let rule = random.pick(&alike).copied().or_else(|| random.pick(rules))?;
    let (act, changed) = draw_act(rule, random);
    let (uid, minute) = (random.pick(&UIDS).copied(), random.pick(&MINUTES).copied());
    let mut facts = Facts { uid: uid.unwrap_or(0), minute: minute.unwrap_or(0) };
    if random.chance(1, 2) {
        // As the rule wants it.
        facts.uid = rule.when.uid.unwrap_or(facts.uid);
        facts.minute = rule.when.between.map_or(facts.minute, |(from, _)| from);
    }
    let mut question = Question { act, facts, before: Vec::new(), times: 1 };
    let budgets: Vec<&Rule> = rules.iter().filter(|rule| rule.when.at_most.is_some()).collect();
    if !budgets.is_empty() && random.chance(1, 2) {
        question.times += random.below(4);
        for _ in 0..random.below(4) {
            let other = random.pick(&budgets)?;
            question.before.push(draw_act(other, random).0);
        }
    }
    Some((question, changed))
}

fn draw_act(rule: &Rule, random: &mut Random) -> (Act, bool) {
    let access = |operation| rule.access.intersection(Access::of(operation));
    let operations: Vec<Operation> = [Operation::Exec, Operation::File]
        .into_iter()
        .filter(|operation| !access(*operation).is_empty() && !rule.paths.is_empty())
        .chain((!rule.inet.is_empty() || !rule.local.is_empty()).then_some(Operation::Inet))
        .chain((!rule.unix.is_empty()).then_some(Operation::Unix))
        .chain((!rule.features.is_empty()).then_some(Operation::Feature))
        .collect();
    let operation = random.pick(&operations).copied().unwrap_or(Operation::File);
    let patterns = match operation {
        Operation::Inet if rule.inet.is_empty() || random.chance(1, 2) => &rule.local,
        Operation::Inet => &rule.inet,
        Operation::Unix => &rule.unix,
        Operation::Feature => &rule.features,
        // Near an exception is as good as near the rule.
        _ if !rule.except.is_empty() && random.chance(1, 4) => &rule.except,
        _ => &rule.paths,
    };
    let drawn = random.pick(patterns).map(|written| mutate::sample(&written.pattern, random));
    let mut subject = drawn.unwrap_or_default();
    let before = subject.clone();
    if random.chance(9, 20) {
        mutate::mutate(&mut subject, random);
    }
    let changed = subject != before;
    let wanted = match random.below(8) {
        // Any bits of the operation, or all or one of the rule's.
        0 => Access(random.number() as u32 & Access::of(operation).0),
        1 | 2 => access(operation),
        _ => {
            let bits = (0..32).map(|bit| 1 << bit);
            let bits: Vec<u32> = bits.filter(|bit| bit & access(operation).0 != 0).collect();
            Access(random.pick(&bits).copied().unwrap_or_default())
        }
    };
    (Act { operation, subject, wanted, context: Vec::new() }, changed)
}

/// The smallest policy and act, found by leaving things out, about which the subjects differ.
#[must_use]
pub fn shrink(
    subjects: &mut [Box<dyn Subject>],
    mut drafts: Vec<Draft>,
    mut question: Question,
) -> String {
    let mut difference = String::new();
    let mut differs = |drafts: &[Draft], question: &Question| -> bool {
        let Ok(prepared) = Prepared::from_rules(&generate::text(drafts)) else { return false };
        if subjects.iter_mut().any(|subject| subject.install(&prepared).is_err()) {
            return false;
        }
        match ask(subjects, &prepared, question) {
            Ok(Said::Different(what)) => {
                difference = what;
                true
            }
            _ => false,
        }
    };
    let mut at = 0;
    while at < drafts.len() {
        let mut fewer = drafts.clone();
        fewer.remove(at);
        if differs(&fewer, &question) {
            drafts = fewer;
        } else {
            at += 1;
        }
    }
    let mut at = 0;
    while at < question.before.len() {
        let mut fewer = question.clone();
        fewer.before.remove(at);
        if differs(&drafts, &fewer) {
            question = fewer;
        } else {
            at += 1;
        }
    }
    let mut at = 0;
    while at < question.act.subject.len() {
        let mut shorter = question.clone();
        shorter.act.subject.remove(at);
        if differs(&drafts, &shorter) {
            question = shorter;
        } else {
            at += 1;
        }
    }
    // Once more, so that the difference is the one of what is printed.
    differs(&drafts, &question);
    let act = &question.act;
    format!(
        "{difference}\n{:?} {:?} of \"{}\", {:?}, asked {} times after {:?}, under:\n{}",
        act.operation,
        act.wanted,
        act.subject.escape_ascii(),
        question.facts,
        question.times,
        question.before,
        generate::text(&drafts)
    )
}
