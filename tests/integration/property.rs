//! Subjects compared over policies and acts that nobody wrote.

use std::collections::BTreeMap;
use std::env;

use anyhow::{Result, bail};
use execlayer_common::{
    access::{Access, Operation},
    image::Effect,
    verdict::Verdict,
};
use execlayer_policy::{cases::Act, evaluate::Facts, pattern::Pattern};
use harness::{
    generate::{self, Draft},
    mutate,
    prepare::Prepared,
    random::Random,
    subject::{Answer, Subject},
};

use crate::subjects;

/// Starts the generator; printed by each run.
const SEED: &str = "EXECLAYER_SEED";
/// Acts on which all subjects are compared.
const COMPARISONS: usize = 100_000;
const ACTS_FOR_EACH_POLICY: usize = 160;
const UIDS: [u32; 4] = [0, 1000, 1001, 65_536];
const MINUTES: [u16; 8] = [0, 359, 360, 479, 480, 720, 721, 1320];

#[derive(Clone, Debug)]
struct Question {
    act: Act,
    facts: Facts,
    /// Times that it is asked in a row, for budgets.
    times: usize,
}

#[derive(Default)]
struct Counts {
    policies: usize,
    refused: BTreeMap<String, usize>,
    compared: usize,
    silent: usize,
    mutated: usize,
    allow: usize,
    ask: usize,
    deny: usize,
    by_operation: BTreeMap<&'static str, usize>,
}

#[test]
fn all_subjects_agree_about_policies_and_acts_that_nobody_wrote() {
    let seed = match env::var(SEED) {
        Ok(text) => text.parse().unwrap(),
        Err(_) => 0x00e7_ec1a_0001,
    };
    println!("{SEED}={seed}");
    let mut random = Random::new(seed);
    let mut subjects = subjects::all().unwrap();
    let mut counts = Counts::default();
    while counts.compared < COMPARISONS {
        let drafts = generate::rules(&mut random);
        let prepared = match Prepared::from_rules(&generate::text(&drafts)) {
            Ok(prepared) => prepared,
            Err(error) => {
                let first = format!("{error:#}");
                let why = if first.contains("contradicts") { "contradicts itself" } else { "other" };
                assert_eq!(why, "contradicts itself", "{first}\n{}", generate::text(&drafts));
                *counts.refused.entry(why.to_owned()).or_default() += 1;
                continue;
            }
        };
        counts.policies += 1;
        policy(&mut subjects, &prepared, &drafts, &mut random, &mut counts).unwrap();
    }
    counts.report();
    counts.check();
}

impl Counts {
    fn report(&self) {
        println!(
            "{} acts compared under {} policies ({} refused as contradicting themselves), {} of \
             them changed after they were drawn from a pattern; {} allow, {} ask, {} deny; {} times \
             a subject was silent; {:?}",
            self.compared,
            self.policies,
            self.refused.values().sum::<usize>(),
            self.mutated,
            self.allow,
            self.ask,
            self.deny,
            self.silent,
            self.by_operation,
        );
    }

    fn check(&self) {
        for (name, count) in [("allow", self.allow), ("ask", self.ask), ("deny", self.deny)] {
            assert!(count * 5 >= self.compared, "{name} is less than a fifth: {count}");
        }
        assert!(self.mutated * 3 >= self.compared, "too few acts are changed: {}", self.mutated);
        assert!(self.silent * 100 <= self.compared, "too often silent: {}", self.silent);
        assert!(
            self.refused.values().sum::<usize>() * 5 <= self.policies,
            "too many policies are refused: {:?}",
            self.refused
        );
        for operation in [Operation::Exec, Operation::File, Operation::Inet, Operation::Unix] {
            let count = self.by_operation.get(operation.name()).copied().unwrap_or(0);
            assert!(count * 50 >= self.compared, "{} is seldom: {count}", operation.name());
        }
    }

    /// What has been drawn least.
    fn wanted(&self) -> Effect {
        let least = self.allow.min(self.ask).min(self.deny);
        match least {
            _ if least == self.ask => Effect::Ask,
            _ if least == self.allow => Effect::Allow,
            _ => Effect::Deny,
        }
    }
}

fn policy(
    subjects: &mut [Box<dyn Subject>],
    prepared: &Prepared,
    drafts: &[Draft],
    random: &mut Random,
    counts: &mut Counts,
) -> Result<()> {
    for subject in &mut *subjects {
        subject.install(prepared)?;
    }
    for _ in 0..ACTS_FOR_EACH_POLICY {
        let (question, changed) = draw(prepared, counts.wanted(), random);
        match ask(subjects, prepared, &question)? {
            Said::Same(verdict, silent) => {
                counts.compared += 1;
                counts.mutated += usize::from(changed);
                counts.silent += silent;
                *counts.by_operation.entry(question.act.operation.name()).or_default() += 1;
                match verdict {
                    Verdict::Allow(_) => counts.allow += 1,
                    Verdict::Ask(_) => counts.ask += 1,
                    Verdict::Deny(..) => counts.deny += 1,
                }
            }
            Said::Different(_) => bail!("{}", shrink(subjects, drafts.to_vec(), question)),
        }
    }
    Ok(())
}

enum Said {
    Same(Verdict, usize),
    Different(String),
}

/// Asks every subject, with fresh budgets, and compares each of the answers.
fn ask(
    subjects: &mut [Box<dyn Subject>],
    prepared: &Prepared,
    question: &Question,
) -> Result<Said> {
    let mut expected: Vec<Answer> = Vec::new();
    let mut silent = 0;
    for (number, subject) in subjects.iter_mut().enumerate() {
        subject.refill()?;
        for turn in 0..question.times {
            let Ok(answer) = subject.judge(prepared, &question.act, question.facts)? else {
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

fn draw(prepared: &Prepared, wanted: Effect, random: &mut Random) -> (Question, bool) {
    let rules = prepared.policy().rules();
    let alike: Vec<_> = rules.iter().filter(|rule| rule.effect == wanted).collect();
    let rule = match random.pick(&alike) {
        Some(rule) => *rule,
        None => &rules[random.below(rules.len())],
    };
    let access = |operation| rule.access.intersection(Access::of(operation));
    let operations: Vec<Operation> = [Operation::Exec, Operation::File]
        .into_iter()
        .filter(|operation| !access(*operation).is_empty() && !rule.paths.is_empty())
        .chain((!rule.inet.is_empty()).then_some(Operation::Inet))
        .chain((!rule.unix.is_empty()).then_some(Operation::Unix))
        .collect();
    let operation = random.pick(&operations).copied().unwrap_or(Operation::File);
    let patterns: Vec<&Pattern> = match operation {
        Operation::Inet => &rule.inet,
        Operation::Unix => &rule.unix,
        // Near an exception is as good as near the rule.
        _ if !rule.except.is_empty() && random.chance(1, 4) => &rule.except,
        _ => &rule.paths,
    }
    .iter()
    .map(|written| &written.pattern)
    .collect();
    let mut subject =
        random.pick(&patterns).map(|pattern| mutate::sample(pattern, random)).unwrap_or_default();
    let before = subject.clone();
    if random.chance(9, 20) {
        mutate::mutate(&mut subject, random);
    }
    let changed = subject != before;
    let all = Access::of(operation).0;
    let wanted = match random.below(8) {
        // Any bits of the operation, or one or more of the rule's.
        0 => Access(random.number() as u32 & all),
        1 | 2 => access(operation),
        _ => {
            let bits: Vec<u32> =
                (0..32).map(|bit| 1 << bit).filter(|bit| bit & access(operation).0 != 0).collect();
            Access(random.pick(&bits).copied().unwrap_or(all))
        }
    };
    let (uid, minute) = (random.pick(&UIDS).copied(), random.pick(&MINUTES).copied());
    let mut facts = Facts { uid: uid.unwrap_or(0), minute: minute.unwrap_or(0) };
    if random.chance(1, 2) {
        // As the rule wants it.
        facts.uid = rule.when.uid.unwrap_or(facts.uid);
        facts.minute = rule.when.between.map_or(facts.minute, |(from, _)| from);
    }
    let has_budget = rules.iter().any(|rule| rule.when.at_most.is_some());
    let times = if has_budget && random.chance(1, 2) { 1 + random.below(5) } else { 1 };
    (Question { act: Act { operation, subject, wanted }, facts, times }, changed)
}

/// The smallest policy and act, found by leaving things out, about which the subjects differ.
fn shrink(
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
        "{difference}\n{:?} {:?} of \"{}\", {:?}, asked {} times, under:\n{}",
        act.operation,
        act.wanted,
        act.subject.escape_ascii(),
        question.facts,
        question.times,
        generate::text(&drafts)
    )
}
