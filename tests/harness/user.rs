//! The decision over an image in user space, as a subject: the same source as in the kernel. Must not
//! read the policy, only its image.

use std::cell::RefCell;

use anyhow::Result;
use execlayer_common::{
    access::Operation,
    automaton::Table,
    decide::{self, World},
    image::class_of,
    limits,
    verdict::Verdict,
};
use execlayer_engine::PolicyBundle;
use execlayer_policy::image_world::ImageWorld;
use execlayer_policy::{cases::Act, evaluate::Facts};

use crate::{
    prepare::Prepared,
    subject::{Answer, Silence, Subject},
};

/// An image padded to its size class, as the kernel holds it.
#[derive(Debug, Default)]
pub struct UserImage {
    words: Vec<u32>,
    uses: RefCell<Vec<u32>>,
    /// What judges calls of tools.
    engine: Option<PolicyBundle>,
}

impl UserImage {
    /// Decides, and names the rule.
    pub fn verdict(&self, act: &Act, facts: Facts) -> Verdict {
        decide::judge(&self.before(act, facts), act.operation, act.wanted)
    }

    /// Whether the masks alone allow the act: all that the gate asks about most calls.
    pub fn allowed_at_once(&self, act: &Act, facts: Facts) -> bool {
        let world = self.before(act, facts);
        decide::matches(&world, act.operation);
        decide::allowed_at_once(&world, act.wanted)
    }

    fn before<'a>(&'a self, act: &'a Act, facts: Facts) -> impl World + 'a {
        ImageWorld::new(Padded(&self.words), &act.subject, facts, |number, uses, _window| {
            let mut all = self.uses.borrow_mut();
            let Some(used) = all.get_mut(number as usize) else { return false };
            let left = *used < uses;
            *used += u32::from(left);
            left
        })
    }
}

impl Subject for UserImage {
    fn name(&self) -> &'static str {
        "image in user space"
    }

    fn install(&mut self, prepared: &Prepared) -> Result<()> {
        self.words.clear();
        self.words.extend_from_slice(prepared.words());
        self.words.resize(room(prepared.words().len())?, 0);
        self.engine = Some(PolicyBundle::new(prepared.words(), prepared.provenance().clone())?);
        self.refill()
    }

    fn refill(&mut self) -> Result<()> {
        self.uses.replace(vec![0; limits::MAX_BUDGETS as usize]);
        if let Some(engine) = &mut self.engine {
            engine.refill();
        }
        Ok(())
    }

    fn judge(
        &mut self,
        _prepared: &Prepared,
        act: &Act,
        facts: Facts,
    ) -> Result<Result<Answer, Silence>> {
        let engine = self.engine.as_ref();
        let called = act.as_call(|call| {
            engine.map(|engine| engine.evaluate(&call.by(facts.uid).at(facts.minute, 0)))
        });
        if let Some(verdict) = called.flatten() {
            return Ok(Ok(Answer::Verdict(verdict)));
        }
        let world = self.before(act, facts);
        if matches!(act.operation, Operation::SelectCgroup | Operation::SelectExe) {
            return Ok(Ok(Answer::Selected(decide::selects(&world, act.operation))));
        }
        let verdict = decide::judge(&world, act.operation, act.wanted);
        let at_once = decide::allowed_at_once(&world, act.wanted);
        anyhow::ensure!(
            !at_once || matches!(verdict, Verdict::Allow(_)),
            "the masks allow at once what the entries do not: {verdict:?}"
        );
        Ok(Ok(Answer::Verdict(verdict)))
    }
}

/// Words of the size class that holds an image of `words`.
///
/// # Errors
///
/// No class is large enough.
pub fn room(words: usize) -> Result<usize> {
    let class = u32::try_from(words).ok().and_then(class_of);
    let room = class.and_then(|class| limits::CLASS_WORDS.get(usize::from(class)));
    match room {
        Some(&room) => Ok(room as usize),
        None => anyhow::bail!("no size class holds an image of {words} words"),
    }
}

/// Words of a whole size class; an index outside of it is wrapped, as in the kernel.
struct Padded<'a>(&'a [u32]);

impl Table for Padded<'_> {
    fn word(&self, index: u32) -> u32 {
        let masked = index as usize & self.0.len().wrapping_sub(1);
        self.0.get(masked).copied().unwrap_or(0)
    }
}
