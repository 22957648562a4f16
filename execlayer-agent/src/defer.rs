//! Resolve: open questions and what becomes of them. Owns the queue, its time limit and when a stopped
//! group goes on; must not know who answers, and must not read records.
//!
//! A yes is written into the kernel's map before the task is woken. Whatever cannot be answered is denied.

mod signals;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
};

use execlayer_common::question::{Key, Question, STATE_ALLOW, STATE_DENY, STATE_OPEN};

use crate::kernel::{Hold, events::Observed};

/// ns that an answer is good for: the call that waits for it is restarted at once.
const ANSWER_LIFE: u64 = 5_000_000_000;

/// A question that nobody has answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// Who asks what, as the kernel knows it.
    pub key: Key,
    /// What was seen.
    pub observed: Observed,
    /// ns since boot at which it is denied.
    pub deadline: u64,
}

/// Why a question ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Somebody said yes.
    Allowed,
    /// Somebody said no.
    Denied,
    /// Nobody said anything in time.
    TimedOut,
    /// The process is about to end, or gone.
    Left,
}

impl Ending {
    /// The name used in events.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Denied => "denied",
            Self::TimedOut => "timed-out",
            Self::Left => "left",
        }
    }
}

/// An answer that is not in the kernel yet, or still there.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Answer {
    key: Key,
    id: u64,
    tgid: u32,
    state: u32,
    /// ns since boot; 0 until it is in the kernel.
    expires: u64,
}

/// Questions, by their number.
#[derive(Debug, Default)]
pub struct Deferred {
    open: BTreeMap<u64, Pending>,
    /// A group goes on when all of its questions are answered, and only then does their time run.
    answers: Vec<Answer>,
    /// Open questions of the kernel that no record told of, when it was last looked.
    unknown: BTreeSet<u64>,
}

impl Deferred {
    /// A question came.
    pub fn ask(&mut self, id: u64, pending: Pending) {
        self.open.insert(id, pending);
    }

    /// What is open, oldest first.
    pub fn open(&self) -> impl Iterator<Item = (u64, &Pending)> {
        self.open.iter().map(|(id, pending)| (*id, pending))
    }

    /// Ends a question. `None` if there is no such question. The group goes on with [`Self::release`].
    pub fn settle(&mut self, id: u64, ending: Ending) -> Option<Pending> {
        let settled = self.open.remove(&id)?;
        let state = if ending == Ending::Allowed { STATE_ALLOW } else { STATE_DENY };
        let (key, tgid) = (settled.key, settled.observed.tgid);
        self.answers.push(Answer { key, id, tgid, state, expires: 0 });
        Some(settled)
    }

    /// Puts answers into the kernel and lets those groups go on that wait for no other one.
    ///
    /// # Errors
    ///
    /// The first thing that the kernel said. What failed is tried again the next time.
    pub fn release(&mut self, gate: &mut dyn Hold, now: u64) -> io::Result<()> {
        let waiting: BTreeSet<u32> =
            self.open.values().map(|pending| pending.observed.tgid).collect();
        let unwritten = self.answers.iter().filter(|answer| answer.expires == 0);
        let ready: BTreeSet<u32> =
            unwritten.map(|answer| answer.tgid).filter(|tgid| !waiting.contains(tgid)).collect();
        let mut done = Ok(());
        for tgid in ready {
            done = done.and(self.release_group(gate, tgid, now));
        }
        done
    }

    fn release_group(&mut self, gate: &mut dyn Hold, tgid: u32, now: u64) -> io::Result<()> {
        let expires = now.saturating_add(ANSWER_LIFE);
        let is_ready = |answer: &Answer| answer.tgid == tgid && answer.expires == 0;
        for answer in self.answers.iter().filter(|answer| is_ready(answer)) {
            gate.answer(&answer.key, answer.id, answer.state, expires)?;
        }
        gate.wake(tgid)?;
        let written = self.answers.iter_mut().filter(|answer| is_ready(answer));
        written.for_each(|answer| answer.expires = expires);
        Ok(())
    }

    /// Questions whose end has come by itself, and why.
    #[must_use]
    pub fn due(&self, now: u64) -> Vec<(u64, Ending)> {
        let due = self.open.iter().filter_map(|(id, pending)| {
            if signals::is_ending(pending.observed.tgid) {
                Some((*id, Ending::Left))
            } else {
                (pending.deadline <= now).then_some((*id, Ending::TimedOut))
            }
        });
        due.collect()
    }

    /// Brings both sides together: answers that nobody came for are removed, questions that are gone from
    /// the kernel are dropped, and those that no record told of are asked again; how many these were.
    ///
    /// # Errors
    ///
    /// The first thing that the kernel said. What failed is tried again the next time.
    pub fn reconcile(&mut self, gate: &mut dyn Hold, now: u64) -> io::Result<usize> {
        let mut done = Ok(());
        let mut kept = Vec::with_capacity(self.answers.len());
        for answer in std::mem::take(&mut self.answers) {
            if answer.expires == 0 || answer.expires > now {
                kept.push(answer);
                continue;
            }
            let forgotten = gate.forget(&answer.key, answer.id);
            if forgotten.is_err() {
                kept.push(answer);
            }
            done = done.and(forgotten);
        }
        self.answers = kept;
        let in_kernel = gate.questions()?;
        let there: BTreeSet<u64> = in_kernel.iter().map(|(_key, question)| question.id).collect();
        self.open.retain(|id, _pending| there.contains(id));
        let is_known = |id: &u64| {
            self.open.contains_key(id) || self.answers.iter().any(|answer| answer.id == *id)
        };
        let unknown: BTreeSet<u64> = there.into_iter().filter(|id| !is_known(id)).collect();
        let mut asked_again = 0;
        for (key, question) in &in_kernel {
            // Its record may still be on its way: it must have been unknown before, too.
            if unknown.contains(&question.id) && self.unknown.contains(&question.id) {
                let again = ask_again(gate, key, question);
                asked_again += usize::from(again.is_ok());
                done = done.and(again);
            }
        }
        self.unknown = unknown;
        done.map(|()| asked_again)
    }
}

/// Has everyone ask again whose question an earlier daemon took; how many there were.
///
/// # Errors
///
/// The first thing that the kernel said; the others were done all the same.
pub fn ask_all_again(gate: &mut dyn Hold) -> io::Result<usize> {
    let (mut asked, mut done) = (0, Ok(()));
    for (key, question) in gate.questions()? {
        asked += usize::from(question.state == STATE_OPEN);
        done = done.and(ask_again(gate, &key, &question));
    }
    done.map(|()| asked)
}

/// Removes a question; the task that waits for it asks again, or is denied if nobody is there to ask.
fn ask_again(gate: &mut dyn Hold, key: &Key, question: &Question) -> io::Result<()> {
    gate.forget(key, question.id)?;
    if question.state == STATE_OPEN { gate.wake(question.tgid) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
