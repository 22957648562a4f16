//! What was denied lately, for the agents that it was denied to. Owns how much is kept; must not be a log:
//! what finds no room is forgotten.

use std::collections::{BTreeMap, VecDeque};

use execlayer_api::{Advice, Denial, text};
use execlayer_common::{provenance::Provenance, reason::Reason};

use crate::{
    defer::Ending,
    kernel::events::{Decision, Observed},
    record::line,
};

/// Process trees that are remembered; the one that was silent longest is forgotten first.
const MAX_SESSIONS: usize = 256;
/// Denials of each.
const MAX_DENIALS: usize = 32;
/// Questions whose end is remembered until the denial comes that it causes.
const MAX_ENDINGS: usize = 1_024;

/// How a question ended, and what was said.
#[derive(Clone, Debug)]
struct Said {
    id: u64,
    ending: Ending,
    message: Option<String>,
}

#[derive(Debug, Default)]
struct Session {
    /// ns since boot.
    last: u64,
    denials: VecDeque<Denial>,
}

/// Denials by process tree.
#[derive(Debug, Default)]
pub struct Denials {
    sessions: BTreeMap<u64, Session>,
    endings: VecDeque<Said>,
}

impl Denials {
    /// A question ended: what was said is the reason of the denial that follows.
    pub fn ended(&mut self, id: u64, ending: Ending, message: Option<&str>) {
        if self.endings.len() == MAX_ENDINGS {
            self.endings.pop_front();
        }
        self.endings.push_back(Said { id, ending, message: message.map(str::to_owned) });
    }

    /// Takes note of a record, if it is a denial. `offset` turns its time into a date.
    pub fn observe(&mut self, observed: &Observed, known: Option<&Provenance>, offset: u64) {
        if observed.decision != Decision::Deny || observed.monitor {
            return;
        }
        let denial = self.denial(observed, known, offset);
        if !self.sessions.contains_key(&observed.session) && self.sessions.len() >= MAX_SESSIONS {
            let oldest = self.sessions.iter().min_by_key(|(_id, session)| session.last);
            if let Some(oldest) = oldest.map(|(id, _session)| *id) {
                self.sessions.remove(&oldest);
            }
        }
        let session = self.sessions.entry(observed.session).or_default();
        session.last = observed.time;
        if let Some(last) = session.denials.back_mut()
            && is_alike(last, &denial)
        {
            last.count += 1;
            last.time = denial.time;
            return;
        }
        if session.denials.len() == MAX_DENIALS {
            session.denials.pop_front();
        }
        session.denials.push_back(denial);
    }

    /// What was denied to a process tree, oldest first.
    #[must_use]
    pub fn of(&self, session: u64) -> Vec<Denial> {
        let session = self.sessions.get(&session);
        session.map_or_else(Vec::new, |session| session.denials.iter().cloned().collect())
    }

    fn denial(&self, observed: &Observed, known: Option<&Provenance>, offset: u64) -> Denial {
        let rule = line::rule_of(observed, known);
        let said = observed.answer.and_then(|id| self.endings.iter().rev().find(|s| s.id == id));
        let ending = said.map(|said| said.ending);
        let message = said.and_then(|said| said.message.clone());
        Denial {
            time: observed.time.saturating_add(offset) / 1_000_000_000,
            count: 1,
            pid: observed.tgid,
            program: text::escaped(&observed.exe),
            operation: observed.operation.name().to_owned(),
            access: line::access_texts(observed.access),
            subject: line::subject(observed),
            rule: rule.id.map(str::to_owned),
            file: rule.file.map(str::to_owned),
            line: rule.line,
            reason: observed.reason.name().to_owned(),
            meaning: meaning(observed.reason, ending).to_owned(),
            message: message.or_else(|| rule.message.map(str::to_owned)),
            advice: advice(observed.reason, ending),
        }
    }
}

fn meaning(reason: Reason, ending: Option<Ending>) -> &'static str {
    match (reason, ending) {
        (Reason::Answered, Some(Ending::TimedOut)) => {
            "somebody was asked, and nobody answered in time"
        }
        (Reason::Answered, Some(Ending::TooMany)) => "too many questions of this policy are open",
        (Reason::Answered, Some(Ending::Denied)) => "somebody was asked, and said no",
        _ => reason.meaning(),
    }
}

fn advice(reason: Reason, ending: Option<Ending>) -> Advice {
    match reason {
        Reason::CannotHold | Reason::NoDecider | Reason::QuestionsFull | Reason::Woken => {
            Advice::RetryAfterApproval
        }
        Reason::Answered if matches!(ending, Some(Ending::TimedOut | Ending::TooMany)) => {
            Advice::RetryAfterApproval
        }
        _ => Advice::DoNotRetry,
    }
}

fn is_alike(one: &Denial, other: &Denial) -> bool {
    let essence = |denial: &Denial| Denial { time: 0, count: 0, pid: 0, ..denial.clone() };
    essence(one) == essence(other)
}

#[cfg(test)]
mod tests;
