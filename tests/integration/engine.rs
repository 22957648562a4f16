//! The engine: the same verdicts everywhere, by one version each, however often that is replaced.

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
};

use anyhow::{Context as _, Result, anyhow};
use execlayer_engine::{Live, PolicyBundle, Request, Verdict};
use execlayer_policy::author::{Draft, Rule};
use harness::{
    calls::{CALLS, DIGEST, judge, policy},
    prepare::Prepared,
};

#[test]
fn a_hundred_thousand_calls_are_judged_alike_on_every_machine() -> Result<()> {
    let bundle = policy()?;
    let said = judge(&bundle, CALLS)?;
    for count in said.counts {
        assert!(count * 20 >= CALLS, "one verdict is too rare: {:?}", said.counts);
    }
    assert_eq!(said.digest, DIGEST, "{:?}", said.counts);
    assert_eq!(judge(&bundle, CALLS)?, said, "and again");
    Ok(())
}

/// Versions disagree about every call: even ones allow, odd ones deny, by a rule that has the version's name.
fn version(of: &[Prepared; 2], number: usize) -> Result<PolicyBundle> {
    let prepared = of.get(number % 2).context("one of two")?;
    let mut provenance = prepared.provenance().clone();
    for rule in &mut provenance.rules {
        rule.id = format!("v{number}");
    }
    Ok(PolicyBundle::new(prepared.words(), provenance)?)
}

#[test]
fn every_verdict_is_that_of_one_version_however_many_swap_and_judge() -> Result<()> {
    const THREADS: usize = 64;
    const SWAPS: usize = 10_000;
    let rule = |effect: &str| {
        Prepared::from_rules(&format!(
            "[[rule]]\nid = \"r\"\n{effect} = [\"call\"]\naction = \"**\"\n"
        ))
    };
    let both = [rule("allow")?, rule("deny")?];
    let live = Live::new(version(&both, 0)?);
    let (is_over, judged, newest) =
        (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| -> Result<()> {
        let judges: Vec<_> = (0..THREADS)
            .map(|_| {
                scope.spawn(|| -> Result<()> {
                    let request = Request::new(b"any", b"thing")?;
                    let mut last = 0;
                    while !is_over.load(Ordering::Acquire) {
                        let (verdict, id) = live.with(|bundle| {
                            let verdict = bundle.evaluate(&request);
                            (verdict, bundle.rule(verdict).map(|rule| rule.id.clone()))
                        });
                        let number = id.as_deref().and_then(|id| id.strip_prefix('v'));
                        let number: usize = number.ok_or_else(|| anyhow!("no rule"))?.parse()?;
                        let is_allowed = matches!(verdict, Verdict::Allow(_));
                        assert_eq!(
                            is_allowed,
                            number.is_multiple_of(2),
                            "a verdict of two versions"
                        );
                        assert!(
                            number >= last,
                            "an older version came back: {number} after {last}"
                        );
                        assert!(
                            number <= newest.load(Ordering::Acquire),
                            "{number} is not there yet"
                        );
                        last = number;
                        judged.fetch_add(1, Ordering::Relaxed);
                    }
                    Ok(())
                })
            })
            .collect();
        for number in 1..=SWAPS {
            let next = version(&both, number)?;
            newest.store(number, Ordering::Release);
            let _before = live.replace(next);
        }
        is_over.store(true, Ordering::Release);
        judges
            .into_iter()
            .try_for_each(|judge| judge.join().map_err(|_panic| anyhow!("a judge failed"))?)
    })?;
    let judged = judged.load(Ordering::Relaxed);
    println!("{judged} verdicts beside {SWAPS} swaps");
    assert!(judged > SWAPS, "{judged} verdicts");
    Ok(())
}

#[test]
fn many_agents_have_their_own_policies_and_budgets() -> Result<()> {
    let agents: Vec<PolicyBundle> = (0..16)
        .map(|number| {
            let own = Rule::allow("own").action(&format!("tool-{number}")).at_most("1000/hour");
            Draft::new("own", &format!("agent-{number}")).rule(own).build()
        })
        .collect::<Result<_, _>>()
        .map_err(|error| anyhow!("{error}"))?;
    thread::scope(|scope| {
        for (number, bundle) in agents.iter().enumerate() {
            for _ in 0..2 {
                scope.spawn(move || {
                    for other in 0..16 {
                        let action = format!("tool-{other}");
                        let request = Request::new(action.as_bytes(), b"").unwrap().at(0, 7);
                        let looked = bundle.look(&request);
                        assert_eq!(matches!(looked, Verdict::Allow(_)), other == number);
                    }
                    for _ in 0..600 {
                        let action = format!("tool-{number}");
                        let request = Request::new(action.as_bytes(), b"").unwrap().at(0, 7);
                        let _used = bundle.evaluate(&request);
                    }
                });
            }
        }
    });
    for (number, bundle) in agents.iter().enumerate() {
        let action = format!("tool-{number}");
        let request = Request::new(action.as_bytes(), b"")?.at(0, 7);
        assert!(
            matches!(bundle.evaluate(&request), Verdict::Deny(..)),
            "1,200 calls used 1,000 uses"
        );
        assert!(
            matches!(bundle.evaluate(&request.at(0, 3_600)), Verdict::Allow(_)),
            "the next hour"
        );
    }
    Ok(())
}
