//! The decision over an image in user space, as a subject: the same source as in the kernel. Must not
//! read the policy, only its image.

use std::cell::RefCell;

use anyhow::Result;
use execlayer_common::{
    access::Operation,
    automaton::{self, Table},
    decide::{self, Body, Kept, World},
    image::class_of,
    limits,
    verdict::Verdict,
};
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
}

impl Subject for UserImage {
    fn name(&self) -> &'static str {
        "image in user space"
    }

    fn install(&mut self, prepared: &Prepared) -> Result<()> {
        self.words.clear();
        self.words.extend_from_slice(prepared.words());
        self.words.resize(room(prepared.words().len())?, 0);
        self.refill()
    }

    fn refill(&mut self) -> Result<()> {
        self.uses.replace(vec![0; limits::MAX_BUDGETS as usize]);
        Ok(())
    }

    fn judge(
        &mut self,
        _prepared: &Prepared,
        act: &Act,
        facts: Facts,
    ) -> Result<Result<Answer, Silence>> {
        let here = Here { image: self, subject: &act.subject, facts, kept: Kept::default() };
        if matches!(act.operation, Operation::SelectCgroup | Operation::SelectExe) {
            return Ok(Ok(Answer::Selected(decide::selects(&here, act.operation))));
        }
        let verdict = decide::judge(&here, act.operation, act.wanted);
        let at_once = decide::allowed_at_once(&here, act.wanted);
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

/// One act before the image.
struct Here<'a> {
    image: &'a UserImage,
    subject: &'a [u8],
    facts: Facts,
    kept: Kept,
}

impl Table for Here<'_> {
    fn word(&self, index: u32) -> u32 {
        let words = &self.image.words;
        let masked = index as usize & words.len().wrapping_sub(1);
        words.get(masked).copied().unwrap_or(0)
    }
}

impl World for Here<'_> {
    fn run(&self, start: u32, backward: bool) -> u32 {
        if backward {
            automaton::walk(self, start, self.subject.iter().rev())
        } else {
            automaton::walk(self, start, self.subject.iter())
        }
    }

    fn keep(&self, lane: u32, set: u32) {
        self.kept.keep(lane, set);
    }

    fn kept(&self, lane: u32) -> u32 {
        self.kept.kept(lane)
    }

    fn uid(&self) -> u32 {
        self.facts.uid
    }

    fn minute(&self) -> u32 {
        u32::from(self.facts.minute)
    }

    fn spend(&self, number: u32, uses: u32, _window: u32) -> bool {
        let mut all = self.image.uses.borrow_mut();
        let Some(used) = all.get_mut(number as usize) else { return false };
        let left = *used < uses;
        *used += u32::from(left);
        left
    }

    fn repeat<B: Body<Self>>(&self, count: u32, body: &mut B) {
        for index in 0..count {
            if !body.turn(self, index) {
                break;
            }
        }
    }
}
