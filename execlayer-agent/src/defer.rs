//! Resolve: open questions and what becomes of them. Owns the queue, and when a stopped group goes on; must
//! not know who answers, and must not read records.
//!
//! A yes is written into the kernel's map before the task is woken. Whatever cannot be answered is denied.

mod equals;
mod pending;
mod signals;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
};

use execlayer_common::question::{Key, Question, STATE_ALLOW, STATE_DENY, STATE_OPEN};

use self::equals::Equals;
pub use self::pending::{Ending, Pending, Same, Stage};
use crate::kernel::Hold;

/// ns that an answer is good for: the call that waits for it is restarted at once.
const ANSWER_LIFE: u64 = 5_000_000_000;

/// An answer for the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Answer {
    key: Key,
    id: u64,
    /// `None`: the question is gone there, and its task only needs to go on.
    state: Option<u32>,
    /// Its thread's files are measured.
    is_measured: bool,
    /// The process' parent.
    ppid: u32,
}

/// Questions, by their number.
#[derive(Debug, Default)]
pub struct Deferred {
    open: BTreeMap<u64, Pending>,
    equals: Equals,
    /// Held open questions of each thread group.
    waiting: BTreeMap<u32, usize>,
    /// Open questions of each profile.
    by_profile: BTreeMap<u32, u32>,
    /// Answers that are not in the kernel yet, by thread group: it goes on when all of its questions are
    /// answered, and only then does their time run.
    ready: BTreeMap<u32, Vec<Answer>>,
    /// Answers in the kernel, and when they end.
    written: Vec<(u64, Answer)>,
    /// Open questions of the kernel that no record told of, when it was last looked.
    unknown: BTreeSet<u64>,
}

/// What was found when both sides were brought together.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Reconciled {
    /// Questions without a record that are asked again.
    pub asked_again: usize,
    /// Questions that the kernel has ended.
    pub gone: Vec<u64>,
}

impl Deferred {
    /// A question came; whether somebody has to be asked about it, because no open one is equal. One that is
    /// not held and equal to another is only counted there.
    pub fn ask(&mut self, id: u64, mut pending: Pending) -> bool {
        let first = self.equals.first(&pending.same);
        if let Some(first) = first
            && !pending.asked.is_held
            && let Some(known) = self.open.get_mut(&first)
        {
            known.repeats += 1;
            return false;
        }
        if first.is_some() {
            pending.stage = Stage::Follows;
        }
        self.equals.add(&pending.same, id);
        if pending.asked.is_held {
            *self.waiting.entry(pending.observed.tgid).or_default() += 1;
        }
        *self.by_profile.entry(pending.observed.profile).or_default() += 1;
        self.open.insert(id, pending);
        first.is_none()
    }

    /// What is open, oldest first.
    pub fn open(&self) -> impl Iterator<Item = (u64, &Pending)> {
        self.open.iter().map(|(id, pending)| (*id, pending))
    }

    /// An open question.
    #[must_use]
    pub fn get(&self, id: u64) -> Option<&Pending> {
        self.open.get(&id)
    }

    /// An open question, for the chain to go on.
    pub fn get_mut(&mut self, id: u64) -> Option<&mut Pending> {
        self.open.get_mut(&id)
    }

    /// Open questions of a profile.
    #[must_use]
    pub fn count_of(&self, profile: u32) -> u32 {
        self.by_profile.get(&profile).copied().unwrap_or_default()
    }

    /// Whether the thread group waits for an answer.
    #[must_use]
    pub fn is_waiting(&self, tgid: u32) -> bool {
        self.waiting.contains_key(&tgid) || self.ready.contains_key(&tgid)
    }

    /// This question and those that are equal to it, in the order in which they came; none if it has ended.
    #[must_use]
    pub fn equal_to(&self, id: u64) -> Vec<u64> {
        let same = self.open.get(&id).map(|pending| &pending.same);
        same.map_or_else(Vec::new, |same| self.equals.all(same))
    }

    /// Ends a question. `None` if there is no such question; with it, which equal one now leads and has
    /// nobody asked. The group goes on with [`Self::release`].
    pub fn settle(&mut self, id: u64, ending: Ending) -> Option<(Pending, Option<u64>)> {
        let settled = self.open.remove(&id)?;
        let next = self.equals.remove(&settled.same, id);
        let tgid = settled.observed.tgid;
        if let Some(count) = self.by_profile.get_mut(&settled.observed.profile) {
            *count = count.saturating_sub(1);
        }
        if settled.asked.is_held {
            if let Some(count) = self.waiting.get_mut(&tgid) {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    self.waiting.remove(&tgid);
                }
            }
            let state = match ending {
                Ending::Allowed => Some(STATE_ALLOW),
                Ending::Cancelled => None,
                _ => Some(STATE_DENY),
            };
            let is_measured = settled.stage == Stage::Measured || settled.digest.is_some();
            let ppid = settled.observed.ppid;
            let answer = Answer { key: settled.asked.key, id, state, is_measured, ppid };
            self.ready.entry(tgid).or_default().push(answer);
        }
        let leads = next.filter(|_| settled.stage != Stage::Follows);
        if let Some(leader) = leads.and_then(|leads| self.open.get_mut(&leads)) {
            leader.position = settled.position;
        }
        Some((settled, leads))
    }

    /// Puts answers into the kernel and lets those groups go on that wait for no other one.
    ///
    /// # Errors
    ///
    /// The first thing that the kernel said. What failed is tried again the next time.
    pub fn release(&mut self, gate: &mut dyn Hold, now: u64) -> io::Result<()> {
        let is_ready = |tgid: &&u32| !self.waiting.contains_key(tgid);
        let ready: Vec<u32> = self.ready.keys().filter(is_ready).copied().collect();
        let mut done = Ok(());
        for tgid in ready {
            done = done.and(self.release_group(gate, tgid, now));
        }
        done
    }

    fn release_group(&mut self, gate: &mut dyn Hold, tgid: u32, now: u64) -> io::Result<()> {
        let expires = now.saturating_add(ANSWER_LIFE);
        for answer in self.ready.get(&tgid).into_iter().flatten() {
            if let Some(state) = answer.state {
                gate.answer(&answer.key, answer.id, state, expires)?;
            }
        }
        gate.wake(tgid)?;
        let written = self.ready.remove(&tgid).unwrap_or_default();
        self.written.extend(written.into_iter().map(|answer| (expires, answer)));
        Ok(())
    }

    /// Stopped parents of processes that went on a moment ago. Those that watch their children stop
    /// themselves when one is stopped (sudo, su), and would wait for ever.
    #[must_use]
    pub fn stopped_parents(&self) -> BTreeSet<u32> {
        let parents = self.written.iter().map(|(_expires, answer)| answer.ppid);
        let parents: BTreeSet<u32> = parents.filter(|ppid| !self.is_waiting(*ppid)).collect();
        parents.into_iter().filter(|ppid| signals::is_stopped(*ppid)).collect()
    }

    /// Questions whose end has come by itself, and why.
    #[must_use]
    pub fn due(&self, now: u64) -> Vec<(u64, Ending)> {
        let due = self.open.iter().filter_map(|(id, pending)| {
            if pending.asked.is_held && signals::is_ending(pending.observed.tgid) {
                Some((*id, Ending::Left))
            } else {
                (pending.deadline <= now).then_some((*id, Ending::TimedOut))
            }
        });
        due.collect()
    }

    /// Brings both sides together: answers that nobody came for are removed, and questions that no record
    /// told of are asked again.
    ///
    /// # Errors
    ///
    /// The first thing that the kernel said. What failed is tried again the next time.
    pub fn reconcile(&mut self, gate: &mut dyn Hold, now: u64) -> io::Result<Reconciled> {
        let in_kernel = gate.questions()?;
        let mut done = Ok(());
        let mut kept = Vec::with_capacity(self.written.len());
        for (expires, answer) in std::mem::take(&mut self.written) {
            if expires > now {
                kept.push((expires, answer));
                continue;
            }
            let left = in_kernel.iter().find(|(_key, question)| question.id == answer.id);
            let ended = end_answer(gate, &answer, left.map(|(_key, question)| question));
            if ended.is_err() {
                kept.push((expires, answer));
            }
            done = done.and(ended);
        }
        self.written = kept;

        let there: BTreeSet<u64> = in_kernel.iter().map(|(_key, question)| question.id).collect();
        let is_gone = |(id, pending): &(&u64, &Pending)| {
            pending.asked.is_held && !there.contains(id) && pending.deadline > now
        };
        let gone = self.open.iter().filter(is_gone).map(|(id, _pending)| *id).collect();
        let answered: BTreeSet<u64> = self
            .ready
            .values()
            .flatten()
            .chain(self.written.iter().map(|(_expires, answer)| answer))
            .map(|answer| answer.id)
            .collect();
        let is_known = |id: &u64| self.open.contains_key(id) || answered.contains(id);
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
        done.map(|()| Reconciled { asked_again, gone })
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

/// Removes a question, or its answer. A task that may still be stopped for it goes on: it asks again, or is
/// denied if nobody is there to ask.
fn ask_again(gate: &mut dyn Hold, key: &Key, question: &Question) -> io::Result<()> {
    gate.forget(key, question.id)?;
    if question.used_in == 0 { gate.wake(question.tgid) } else { Ok(()) }
}

/// Removes an answer whose time is over. If nobody came for it, its task may have been stopped once more when
/// it was let go: between the look at the question and the signal.
fn end_answer(gate: &mut dyn Hold, answer: &Answer, left: Option<&Question>) -> io::Result<()> {
    if answer.is_measured {
        gate.measure(answer.key.tid, None)?;
    }
    match left {
        Some(question) => ask_again(gate, &answer.key, question),
        None => Ok(()),
    }
}

#[cfg(test)]
pub(crate) mod tests;
