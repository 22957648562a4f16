//! Questions of the daemon: taken from records, led along their chain of deciders, ended by answers, time
//! and the kernel, and written into the log. The queue is `defer`'s, the chain `resolve`'s.

mod begin;
mod views;

pub use self::begin::deny_all;

use std::io;

use execlayer_common::{
    limits,
    provenance::{Asking, Decider, DeciderKind, Provenance},
    question::{STATE_MEASURE, daemon as words},
    subject::Inet,
};

use super::{DAEMON, Daemon};
use crate::{
    courier::{Answer, Task},
    defer::{Ending, Pending, Same, Stage},
    kernel::events::{Asked, Observed},
    record::{line, time},
    resolve::{self, Facts, Step},
    state::Concern,
};

pub(super) const SECOND: u64 = 1_000_000_000;

impl Daemon {
    /// A record that is a question.
    pub(super) fn take_question(&mut self, observed: Observed) {
        let Some(asked) = observed.asked else { return };
        let known = self.profiles.provenance(observed.profile, observed.generation).cloned();
        let asking = asking(&observed, known.as_deref());
        let patience = asking.and_then(|asking| asking.timeout).unwrap_or(self.options.hold);
        let is_alone = is_measured(&chain(&observed, known.as_deref()));
        let profile = observed.profile;
        let pending = Pending {
            deadline: observed.time.saturating_add(u64::from(patience).saturating_mul(SECOND)),
            same: Same::of(&observed, &asked, is_alone),
            asked,
            observed,
            stage: Stage::New,
            position: 0,
            digest: None,
            repeats: 0,
        };
        let leads = self.deferred.ask(asked.id, pending);
        if self.deferred.count_of(profile) > limits::MAX_PROFILE_QUESTIONS {
            self.end(asked.id, Ending::TooMany, DAEMON, None, None);
            self.set_full(profile, true);
        } else if leads {
            self.advance(asked.id);
        }
    }

    /// The file that was to be made is there: nothing needs to be answered.
    pub(super) fn take_cancellation(&mut self, id: u64, tgid: u32) {
        let was_known = self.end(id, Ending::Cancelled, DAEMON, None, None);
        // Its record was lost: nobody else knows that the group is stopped.
        if !was_known && !self.deferred.is_waiting(tgid) {
            let woken = self.gate.holding().wake(tgid);
            self.note_questions_if(woken);
        }
    }

    /// The file of a question was measured, or could not be.
    pub(super) fn take_digest(&mut self, id: u64, digest: Option<[u8; 32]>) {
        let Some(pending) = self.deferred.get_mut(id) else { return };
        if digest.is_none() {
            tracing::warn!(
                "a program could not be measured: the kernel needs CONFIG_IMA and SHA-256"
            );
        }
        pending.digest = digest;
        pending.asked.is_measurable = false;
        if digest.is_none() {
            let tid = pending.asked.key.tid;
            let done = self.gate.holding().measure(tid, None);
            self.note_questions_if(done);
        }
        self.advance(id);
    }

    /// What a decider outside of the daemon said about a question. It may have ended meanwhile.
    pub fn errand_done(&mut self, id: u64, said: Answer, note: &str) {
        let is_asked = |pending: &&mut Pending| pending.stage == Stage::Errand;
        let Some(pending) = self.deferred.get_mut(id).filter(is_asked) else { return };
        let (position, observed) = (pending.position, pending.observed.clone());
        if said == Answer::Unknown {
            pending.position = position.saturating_add(1);
        }
        let known = self.profiles.provenance(observed.profile, observed.generation).cloned();
        let chain = chain(&observed, known.as_deref());
        let name = chain.get(position).map_or_else(String::new, |decider| by(decider));
        match said {
            Answer::Allow => self.allow_all(id, &name, Some(note)),
            Answer::Deny => self.end_all(id, Ending::Denied, &name, Some(note), None),
            Answer::Unknown => {
                tracing::info!("question {id}: {name} does not know: {note}");
                self.advance(id);
            }
        }
    }

    /// What deciders outside of the daemon are to be asked since this was last called.
    pub fn take_errands(&mut self) -> Vec<Task> {
        std::mem::take(&mut self.errands)
    }

    /// Leads a question along its chain until somebody has to be waited for, or it has ended.
    fn advance(&mut self, id: u64) {
        let Some(pending) = self.deferred.get(id) else { return };
        let observed = &pending.observed;
        let policy = (observed.profile, observed.generation);
        let known = self.profiles.provenance(policy.0, policy.1).cloned();
        let chain = chain(observed, known.as_deref());
        let facts = Facts {
            digest: pending.digest,
            is_measurable: pending.asked.is_measurable,
            is_held: pending.asked.is_held,
            policy,
            now: time::boot(),
        };
        let mut position = pending.position;
        let step = resolve::next(&chain, &mut position, &facts, &mut self.budgets);
        let stage = match &step {
            Step::Human => Stage::Human,
            Step::Measure => Stage::Measured,
            Step::Errand => Stage::Errand,
            Step::Allow(_) | Step::Deny => Stage::New,
        };
        let asked = pending.asked;
        if let Some(pending) = self.deferred.get_mut(id) {
            (pending.position, pending.stage) = (position, stage);
        }
        match step {
            Step::Human => {}
            Step::Measure => self.measure(id, &asked),
            Step::Errand => self.send_errand(id, chain.get(position).copied()),
            Step::Allow(by) => self.allow_all(id, &by, None),
            Step::Deny => {
                self.end_all(
                    id,
                    Ending::Denied,
                    DAEMON,
                    Some("no decider of the rule knows it"),
                    None,
                );
            }
        }
    }

    /// Lets the call go on as far as to where its file is measured; it is held again there.
    fn measure(&mut self, id: u64, asked: &Asked) {
        let Some(tgid) = self.deferred.get(id).map(|pending| pending.observed.tgid) else { return };
        let holding = self.gate.holding();
        let done = holding
            .measure(asked.key.tid, Some(id))
            .and_then(|()| holding.answer(&asked.key, id, STATE_MEASURE, u64::MAX).map(|_| ()))
            .and_then(|()| holding.wake(tgid));
        self.note_questions_if(done);
    }

    fn send_errand(&mut self, id: u64, decider: Option<&Decider>) {
        let (Some(decider), Some(pending)) = (decider, self.deferred.get(id)) else { return };
        let question = serde_json::to_value(self.view(id, pending, time::boot()));
        let address = Inet::address_of(&pending.observed.subject);
        match question {
            Ok(question) => {
                let decider = decider.kind.clone();
                self.errands.push(Task { id, decider, question, address });
            }
            Err(error) => self.errand_done(id, Answer::Unknown, &error.to_string()),
        }
    }

    /// A yes that no person gave, for a question and its equals: it is remembered as the rule says.
    fn allow_all(&mut self, id: u64, by: &str, message: Option<&str>) {
        let grant = match self.remember(id, true, execlayer_api::Remember::AsRule, by) {
            Ok(grant) => grant,
            Err(failure) => {
                // The call goes on; the next one is asked about.
                tracing::warn!("question {id}: {}", failure.message);
                None
            }
        };
        self.end_all(id, Ending::Allowed, by, message, grant);
    }

    /// Ends a question and its equals.
    fn end_all(
        &mut self,
        id: u64,
        ending: Ending,
        by: &str,
        message: Option<&str>,
        grant: Option<u64>,
    ) {
        for id in self.deferred.equal_to(id) {
            self.end(id, ending, by, message, grant);
        }
    }

    /// Ends a question; whether it was there.
    fn end(
        &mut self,
        id: u64,
        ending: Ending,
        by: &str,
        message: Option<&str>,
        grant: Option<u64>,
    ) -> bool {
        let now = time::boot();
        let Some((pending, leads)) = self.deferred.settle(id, ending) else { return false };
        self.denials.ended(id, ending, message);
        let held = now.saturating_sub(pending.observed.time) / 1_000_000;
        let real = now.saturating_add(self.offset);
        self.write(line::answer(id, ending.name(), by, message, grant, held, real), None);
        let profile = pending.observed.profile;
        if self.deferred.count_of(profile) <= limits::MAX_PROFILE_QUESTIONS / 2 {
            self.set_full(profile, false);
        }
        let released = self.deferred.release(self.gate.holding(), now);
        self.note_questions_if(released);
        // Somebody who only followed has nobody asked now. With an answer for all, all are ended anyway.
        if let Some(leads) = leads
            && matches!(
                ending,
                Ending::Left | Ending::TimedOut | Ending::Cancelled | Ending::TooMany
            )
        {
            self.advance(leads);
        }
        true
    }

    /// Tells the kernel whether a profile has room for another question.
    fn set_full(&mut self, profile: u32, is_full: bool) {
        let changed = if is_full { self.full.insert(profile) } else { self.full.remove(&profile) };
        if changed {
            let told = self.gate.holding().tell(words::FULL + profile, u64::from(is_full));
            self.note_questions_if(told);
        }
    }

    fn note_questions_if(&mut self, done: io::Result<()>) {
        if let Err(error) = done {
            self.note_questions(error);
        }
    }

    fn note_questions(&mut self, error: io::Error) {
        self.health.raise(Concern::Maps, format!("cannot reach the kernel's questions: {error}"));
    }
}

/// What the rule of a question says about asking.
pub(super) fn asking<'a>(observed: &Observed, known: Option<&'a Provenance>) -> Option<&'a Asking> {
    let rule = observed.rule?;
    known?.rules.get(usize::from(rule.0))?.asking.as_ref()
}

/// The deciders of a question, in their order.
fn chain<'a>(observed: &Observed, known: Option<&'a Provenance>) -> Vec<&'a Decider> {
    let (Some(asking), Some(known)) = (asking(observed, known), known) else { return Vec::new() };
    let decider = |index: &u32| known.deciders.get(*index as usize);
    asking.deciders.iter().filter_map(decider).collect()
}

/// Whether a question's answer may depend on the content of its own file.
fn is_measured(chain: &[&Decider]) -> bool {
    chain.iter().any(|decider| matches!(decider.kind, DeciderKind::Sha256 { .. }))
}

/// A decider's name in the log.
fn by(decider: &Decider) -> String {
    let kind = match &decider.kind {
        DeciderKind::Human {} => "human",
        DeciderKind::Sha256 { .. } => "sha256",
        DeciderKind::Host { .. } => "host",
        DeciderKind::Budget { .. } => "budget",
        DeciderKind::Command { .. } => "command",
        DeciderKind::Webhook { .. } => "webhook",
    };
    format!("{kind} `{}`", decider.name)
}
