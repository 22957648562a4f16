//! That no event of the kernel is missing from the trail without being counted there, and how much of the ring buffer
//! each profile may have. Must not write anything but what is missing.
//!
//! What the kernel counted a tick ago was in the ring buffer then, or had found no room. By now all of it was taken. So
//! whatever of it no record accounts for is missing, for good.

use std::{collections::BTreeMap, io};

use execlayer_common::{
    event::{self, Counts},
    limits,
    question::daemon as words,
};

use super::{Daemon, now};
use crate::{
    record::{
        line, time,
        trail::{Account, Weight},
    },
    state::Concern,
};

/// Ticks for which a loss is a reason to be degraded. The trail shows it for ever.
const LOSS_SHOWN: u64 = 600;

/// What the kernel counted, and what was taken.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    /// By profile, a tick ago.
    before: BTreeMap<u32, Counts>,
    /// By profile: bytes of the ring buffer that were taken.
    taken: BTreeMap<u32, u64>,
    /// Profiles of which the kernel was not told yet.
    untold: Vec<u32>,
    ticks_since_loss: u64,
}

impl Accounts {
    /// A record of this size was taken.
    pub(super) fn take(&mut self, profile: u32, bytes: usize) {
        *self.taken.entry(profile).or_default() += event::room(bytes as u64);
        if !self.untold.contains(&profile) {
            self.untold.push(profile);
        }
    }
}

impl Daemon {
    /// Takes up the accounts of this loaded gate. What happens from now on is accounted for.
    pub(super) fn begin_accounts(&mut self) {
        if let Err(error) = self.try_begin_accounts() {
            let reason = format!("cannot say which events are missing: {error}");
            self.health.raise(Concern::Maps, reason);
        }
    }

    fn try_begin_accounts(&mut self) -> io::Result<()> {
        let kept = self.gate.holding().told(words::INSTANCE)?;
        let instance = if kept == 0 { self.offset.wrapping_add(time::boot()).max(1) } else { kept };
        self.gate.holding().tell(words::INSTANCE, instance)?;
        // An earlier daemon may have had no room.
        self.is_unrecorded = self.gate.holding().told(words::UNRECORDED)? != 0;
        let is_known = self.trail.begin_accounts(instance);
        for profile in 0..=limits::MAX_PROFILES {
            let counts = self.gate.counts(profile)?;
            if kept != 0 && !is_known {
                // Nobody knows what the daemon before wrote of them.
                let account = Account { events: counts.events, of_ring: counts.lost };
                self.trail.set_account(profile, account);
            }
            let taken = self.gate.holding().told(words::TAKEN + profile)?;
            self.accounts.taken.insert(profile, taken);
            self.accounts.before.insert(profile, counts);
        }
        let kept = self.trail.checkpoint();
        self.note_trail(kept.map(|()| true));
        Ok(())
    }

    /// Nothing is governed any more, and all that was in the ring buffer was taken: what is missing now is missing for
    /// good, and there is no next tick.
    pub(super) fn end_accounts(&mut self) {
        self.write_repeats(u64::MAX);
        self.settle();
        for profile in 0..=limits::MAX_PROFILES {
            if let Ok(counts) = self.gate.counts(profile) {
                self.write_loss_of(profile, counts);
            }
        }
    }

    /// Says to the kernel how much of the ring buffer is free for whom.
    pub(super) fn tell_taken(&mut self) {
        for profile in std::mem::take(&mut self.accounts.untold) {
            let taken = self.accounts.taken.get(&profile).copied().unwrap_or_default();
            if let Err(error) = self.gate.holding().tell(words::TAKEN + profile, taken) {
                self.health.raise(Concern::Maps, format!("cannot free the ring buffer: {error}"));
            }
        }
    }

    /// Every second, after all that was in the ring buffer was taken and written.
    pub(super) fn tick_accounts(&mut self) {
        self.write_repeats(time::boot());
        // What waits to be written is accounted for once it is.
        self.settle();
        self.write_losses();
        self.accounts.ticks_since_loss += 1;
        if self.accounts.ticks_since_loss > LOSS_SHOWN {
            self.health.clear(Concern::LostEvents);
        }
    }

    /// Verdicts that were not written out, of whiles that ended by `now`.
    pub(super) fn write_repeats(&mut self, now: u64) {
        let calls = self.call_repeats.ended(now);
        for repeat in self.repeats.ended(now).into_iter().chain(calls) {
            self.write_event(&repeat.last, Some(&repeat));
        }
    }

    fn write_losses(&mut self) {
        for profile in 0..=limits::MAX_PROFILES {
            let counts = match self.gate.counts(profile) {
                Ok(counts) => counts,
                Err(error) => {
                    let reason = format!("cannot read the counters of lost events: {error}");
                    return self.health.raise(Concern::Maps, reason);
                }
            };
            let Some(before) = self.accounts.before.insert(profile, counts) else { continue };
            let taken = self.accounts.taken.entry(profile).or_default();
            if *taken < before.put {
                // A daemon before took it and did not live to say so.
                *taken = before.put;
                self.accounts.untold.push(profile);
            }
            self.write_loss_of(profile, before);
        }
        self.tell_taken();
        let own = self.trail.take_unwritten(None);
        if own != 0 {
            self.write(line::lost(None, None, "write", own, now()), None);
        }
    }

    fn write_loss_of(&mut self, profile: u32, counts: Counts) {
        let account = self.trail.account(profile);
        let waiting = self.repeats.waiting(profile);
        let mut missing = counts.events.saturating_sub(account.events.saturating_add(waiting));
        if missing == 0 {
            return;
        }
        let unwritten = self.trail.take_unwritten(Some(profile));
        let in_ring = counts.lost.saturating_sub(account.of_ring);
        for (cause, count) in [("ring", in_ring), ("write", unwritten), ("daemon", u64::MAX)] {
            let count = count.min(missing);
            if count == 0 {
                continue;
            }
            missing -= count;
            let line = line::lost(Some(profile), self.profiles.agent(profile), cause, count, now());
            self.write(line, Some(Weight { profile, events: count, of_ring: cause == "ring" }));
        }
        let reason = "events are missing from the audit trail: it says how many";
        self.health.raise(Concern::LostEvents, reason.to_owned());
        self.accounts.ticks_since_loss = 0;
    }
}
