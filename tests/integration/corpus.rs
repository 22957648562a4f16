//! The corpus against every subject of this host.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::OnceLock,
};

use anyhow::{Context, Result, ensure};
use execlayer_common::access::Operation;
use execlayer_policy::cases::Expect;
use harness::{
    acts::Act,
    corpus::{self, Claim, Suite},
    subject::{Answer, Silence, Subject},
};

use crate::subjects;

fn suites() -> &'static [Suite] {
    static SUITES: OnceLock<Vec<Suite>> = OnceLock::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    SUITES.get_or_init(|| corpus::load(&folder).unwrap())
}

fn answer(
    subject: &mut dyn Subject,
    suite: &Suite,
    claim: &Claim,
) -> Result<Result<Answer, Silence>> {
    subject.refill()?;
    for before in claim.before() {
        let _ = subject.judge(&suite.prepared, before, claim.case.facts)?;
    }
    subject.judge(&suite.prepared, &claim.case.act, claim.case.facts)
}

#[test]
fn every_subject_answers_every_case_as_expected() {
    let mut subjects = subjects::all().unwrap();
    let mut wrong = Vec::new();
    let mut counts: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for suite in suites() {
        for subject in &mut subjects {
            subject.install(&suite.prepared).unwrap();
            for claim in &suite.claims {
                let (answered, silent) = counts.entry(subject.name()).or_default();
                let place = || format!("{}, {}, {}", suite.file, suite.name, claim.case.name);
                match answer(subject.as_mut(), suite, claim) {
                    Ok(Err(why)) => {
                        *silent += 1;
                        println!("not run here: {}: {}: {why:?}", subject.name(), place());
                    }
                    Ok(Ok(answer)) => {
                        *answered += 1;
                        if let Err(error) = claim.check(&suite.prepared, answer) {
                            wrong.push(format!("{}: {}: {error:#}", subject.name(), place()));
                        }
                    }
                    Err(error) => wrong.push(format!("{}: {}: {error:#}", subject.name(), place())),
                }
            }
        }
    }
    for (name, (answered, silent)) in &counts {
        println!("{name}: {answered} cases answered, {silent} not");
    }
    assert!(wrong.is_empty(), "{} wrong answers:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn the_corpus_is_large_and_no_two_claims_are_the_same() {
    let suites = suites();
    let mut names = BTreeSet::new();
    let mut acts = BTreeSet::new();
    let mut total = 0;
    for suite in suites {
        for claim in &suite.claims {
            total += 1;
            let case = &claim.case;
            assert!(
                names.insert(case.name.clone()),
                "two cases are called `{}`; the second is in {}",
                case.name,
                suite.file
            );
            let act = &case.act;
            if act.operation == Operation::Inet {
                // Different ways to write an address come to the same bytes on purpose.
                continue;
            }
            let given = format!("{:?}", act.context);
            let facts = (case.facts.uid, case.facts.minute, claim.before().len(), given);
            let key = (&suite.file, &suite.name, act.operation, act.wanted.0, &act.subject, facts);
            assert!(acts.insert(key), "`{}` does what another case of its suite does", case.name);
        }
    }
    println!("{total} cases in {} suites", suites.len());
    assert!(total >= 300, "{total} cases are fewer than 300");
}

#[test]
fn the_corpus_reaches_every_verdict_of_every_operation() {
    let mut seen = BTreeSet::new();
    for claim in suites().iter().flat_map(|suite| &suite.claims) {
        seen.insert((claim.case.act.operation, format!("{:?}", claim.case.expect)));
    }
    for operation in
        [Operation::Exec, Operation::File, Operation::Inet, Operation::Unix, Operation::Call]
    {
        for expect in [Expect::Allow, Expect::Ask, Expect::Deny] {
            let key = (operation, format!("{expect:?}"));
            assert!(seen.contains(&key), "no case expects {expect:?} of {operation:?}");
        }
    }
    for expect in [Expect::Allow, Expect::Deny] {
        let key = (Operation::Feature, format!("{expect:?}"));
        assert!(seen.contains(&key), "no case expects {expect:?} of a feature");
    }
}

#[test]
fn a_case_with_a_wrong_expectation_fails() -> Result<()> {
    let suites = suites();
    let suite = suites.first().context("no suite")?;
    let claim = suite.claims.first().context("no case")?;
    let mut subjects = subjects::all()?;
    for subject in &mut subjects {
        subject.install(&suite.prepared)?;
        let Ok(answer) = answer(subject.as_mut(), suite, claim)? else { continue };
        ensure!(claim.check(&suite.prepared, answer).is_ok(), "it is right as it stands");
        for (expect, rule) in [
            (Expect::Deny, claim.case.rule.clone()),
            (Expect::Ask, claim.case.rule.clone()),
            (Expect::Allow, Some("another".to_owned())),
            (Expect::Allow, None),
        ] {
            let mut case = claim.case.clone();
            (case.expect, case.rule) = (expect, rule);
            let other = Claim { case, first: Vec::new(), times: 0, reason: None };
            ensure!(other.check(&suite.prepared, answer).is_err(), "{:?} passes", other.case);
        }
    }
    Ok(())
}

#[test]
fn most_cases_can_be_real_acts_and_the_others_say_why_not() {
    let mut real = 0;
    let mut not: BTreeMap<&str, usize> = BTreeMap::new();
    for suite in suites() {
        // A call of a tool is no act of the kernel.
        let is_call = |claim: &&Claim| claim.case.act.operation == Operation::Call;
        for claim in suite.claims.iter().filter(|claim| !is_call(claim)) {
            match Act::plan(&suite.prepared, claim) {
                Ok(_) => real += 1,
                Err(why) => *not.entry(why).or_default() += 1,
            }
        }
    }
    println!("{real} cases can be performed");
    for (why, count) in &not {
        println!("{count} cannot: {why}");
    }
    assert!(real > not.values().sum::<usize>() * 2, "{real} can, {not:?}");
}
