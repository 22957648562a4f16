//! A quick examination of one subject: a corpus, then some policies that nobody wrote. Ends at the
//! first wrong answer. Used to find out whether a broken subject is noticed.

use anyhow::{Context, Result, bail, ensure};
use execlayer_common::image::Effect;
use execlayer_policy::CheckedPolicy;

use crate::{
    compare::{Said, ask, draw},
    corpus::Suite,
    generate,
    prepare::Prepared,
    random::Random,
    reference::Reference,
    subject::Subject,
};

/// Makes the image of a policy.
pub type Lower<'a> = &'a dyn Fn(&CheckedPolicy) -> Result<Vec<u32>>;

const SEED: u64 = 7;
const POLICIES: usize = 120;
const ACTS: usize = 50;

/// Examines a subject over images that `lower` makes.
///
/// # Errors
///
/// The first wrong answer, or why there was none.
pub fn examine(
    make: &dyn Fn() -> Box<dyn Subject>,
    lower: Lower<'_>,
    suites: &[Suite],
) -> Result<()> {
    let mut subject = make();
    for suite in suites {
        let prepared = again(&suite.prepared, lower)?;
        subject.install(&prepared)?;
        for claim in &suite.claims {
            let (act, facts) = (&claim.case.act, claim.case.facts);
            subject.refill()?;
            for before in claim.before() {
                let _ = subject.judge(&prepared, before, facts)?;
            }
            let place = || format!("corpus: {}: {}", suite.file, claim.case.name);
            let answer = subject.judge(&prepared, act, facts).with_context(place)?;
            let Ok(answer) = answer else { bail!("{}: silent", place()) };
            claim.check(&prepared, answer).with_context(place)?;
        }
    }
    drawn(make, lower)
}

fn again(prepared: &Prepared, lower: Lower<'_>) -> Result<Prepared> {
    let provenance = prepared.provenance().clone();
    Prepared::from_image(prepared.policy().clone(), lower(prepared.policy())?, provenance)
}

fn drawn(make: &dyn Fn() -> Box<dyn Subject>, lower: Lower<'_>) -> Result<()> {
    let mut random = Random::new(SEED);
    let mut subjects: Vec<Box<dyn Subject>> = vec![Box::new(Reference::default()), make()];
    let mut policies = 0;
    while policies < POLICIES {
        let Ok(prepared) = Prepared::from_rules(&generate::text(&generate::rules(&mut random)))
        else {
            continue;
        };
        let prepared = again(&prepared, lower)?;
        policies += 1;
        for subject in &mut subjects {
            subject.install(&prepared)?;
        }
        for turn in 0..ACTS {
            let effect = if turn % 2 == 0 { Effect::Allow } else { Effect::Ask };
            let Some((question, _)) = draw(&prepared, effect, &mut random) else { continue };
            match ask(&mut subjects, &prepared, &question)? {
                Said::Same(_, silent) => ensure!(silent == 0, "drawn: silent"),
                Said::Different(what) => bail!("drawn: {what}"),
            }
        }
    }
    Ok(())
}
