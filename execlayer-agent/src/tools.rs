//! Calls of tools that a person is asked about, and what they answered. Owns how long an answer is good for; must not
//! know who asks or write anything down.
//!
//! An answer is about one call of one process tree under one generation of its policy: agent, tool, resource and
//! context. A yes is used once, unless the rule has it remembered.

use std::collections::{BTreeMap, VecDeque};

use crate::defer::{Ending, Pending};

/// Open questions of one profile.
pub const MAX_OPEN: usize = 256;
/// Questions whose end is remembered.
const MAX_ENDED: usize = 1_024;
/// ns for which an answer is kept for whoever asks again.
pub const RETRY: u64 = 60_000_000_000;
/// Numbers a second at most before they could be given twice after a restart.
const NUMBERS: u64 = 1_000;

/// What an answer is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Same {
    /// SHA-256 of the call, in hex.
    pub digest: String,
    /// The process tree.
    pub session: u64,
    /// The generation of its policy.
    pub generation: u32,
}

#[derive(Debug)]
struct Open {
    pending: Pending,
    same: Same,
}

/// A question that has ended.
#[derive(Debug)]
pub struct Over {
    /// Its number.
    pub id: u64,
    /// What was asked.
    pub pending: Pending,
    /// How it ended.
    pub ending: Ending,
    /// What was said.
    pub message: Option<String>,
    same: Same,
    /// ns since boot until which it is the answer.
    until: u64,
    /// A yes that was not used yet, or is remembered.
    is_good: bool,
    is_remembered: bool,
}

/// Questions about calls of tools.
#[derive(Debug)]
pub struct Tools {
    open: BTreeMap<u64, Open>,
    ended: VecDeque<Over>,
    next: u64,
}

impl Tools {
    /// None yet. Numbers begin where no earlier daemon's are, and no kernel's ever will be: `now` is in seconds since 1970.
    #[must_use]
    pub fn new(now: u64) -> Self {
        Self { open: BTreeMap::new(), ended: VecDeque::new(), next: now.saturating_mul(NUMBERS) }
    }

    /// What is open, oldest first.
    pub fn open(&self) -> impl Iterator<Item = (u64, &Pending)> {
        self.open.iter().map(|(id, open)| (*id, &open.pending))
    }

    /// Whether it is an open question of a tool.
    #[must_use]
    pub fn is_open(&self, id: u64) -> bool {
        self.open.contains_key(&id)
    }

    /// An open question.
    #[must_use]
    pub fn get(&self, id: u64) -> Option<&Pending> {
        self.open.get(&id).map(|open| &open.pending)
    }

    /// Open questions of a profile.
    #[must_use]
    pub fn count_of(&self, profile: u32) -> usize {
        self.open.values().filter(|open| open.pending.observed.profile == profile).count()
    }

    /// The open question about the same.
    #[must_use]
    pub fn same(&self, same: &Same) -> Option<u64> {
        self.open.iter().find(|(_id, open)| open.same == *same).map(|(id, _open)| *id)
    }

    /// Another question, which gets its number here.
    pub fn ask(&mut self, mut pending: Pending, same: Same) -> u64 {
        let id = self.next;
        pending.asked.id = id;
        pending.observed.asked = Some(pending.asked);
        self.next = id.saturating_add(1);
        self.open.insert(id, Open { pending, same });
        id
    }

    /// What was answered about the same lately: the question, and whether yes. A yes is used by that.
    pub fn answered(&mut self, same: &Same, now: u64) -> Option<(u64, bool)> {
        let mut ended = self.ended.iter_mut().rev();
        let over = ended.find(|over| over.same == *same && now < over.until)?;
        match over.ending {
            Ending::Allowed if over.is_good => {
                over.is_good = over.is_remembered;
                Some((over.id, true))
            }
            Ending::Denied => Some((over.id, false)),
            _ => None,
        }
    }

    /// Ends a question; `remembered` is how long, in ns, a yes holds for every call of the same.
    pub fn end(
        &mut self,
        id: u64,
        ending: Ending,
        message: Option<&str>,
        (now, remembered): (u64, Option<u64>),
    ) -> Option<&Over> {
        let Open { pending, same } = self.open.remove(&id)?;
        if self.ended.len() == MAX_ENDED {
            self.ended.pop_front();
        }
        self.ended.push_back(Over {
            id,
            pending,
            ending,
            message: message.map(str::to_owned),
            same,
            until: now.saturating_add(remembered.unwrap_or(RETRY)),
            is_good: ending == Ending::Allowed,
            is_remembered: remembered.is_some(),
        });
        self.ended.back()
    }

    /// A question that has ended, and whether its yes was not used before. Whoever asked it and is told yes uses that.
    pub fn over(&mut self, id: u64, is_asker: bool) -> Option<(&Over, bool)> {
        let over = self.ended.iter_mut().find(|over| over.id == id)?;
        let was_good = over.is_good;
        if is_asker {
            over.is_good &= over.is_remembered;
        }
        Some((over, was_good))
    }

    /// Open questions whose time is over.
    #[must_use]
    pub fn due(&self, now: u64) -> Vec<u64> {
        self.open().filter(|(_id, pending)| pending.deadline <= now).map(|(id, _)| id).collect()
    }
}

#[cfg(test)]
mod tests;
