//! Subjects compared over policies and acts that nobody wrote.

use std::collections::BTreeMap;
use std::env;

use anyhow::{Result, bail};
use execlayer_common::{access::Operation, image::Effect, verdict::Verdict};
use harness::{
    compare::{Said, ask, draw, shrink},
    generate::{self, Draft},
    prepare::Prepared,
    random::Random,
    subject::Subject,
};

use crate::subjects;

/// Starts the generator; printed by each run.
const SEED: &str = "EXECLAYER_SEED";
/// Acts on which all subjects are compared.
const COMPARISONS: usize = 100_000;
const ACTS_FOR_EACH_POLICY: usize = 160;

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
                let why =
                    if first.contains("contradicts") { "contradicts itself" } else { "other" };
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
        for operation in
            [Operation::Exec, Operation::File, Operation::Inet, Operation::Unix, Operation::Feature]
        {
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
        let Some((question, changed)) = draw(prepared, counts.wanted(), random) else {
            bail!("a policy without rules");
        };
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
