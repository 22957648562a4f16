//! The daemon's state, and what is wrong with it. A failure to observe or record is a state that is
//! shown, never silence. Must not know what caused a reason.

use std::collections::BTreeMap;

use execlayer_api::State;

/// What a reason is about. One reason each; the newest text wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Concern {
    /// The audit trail cannot be written.
    Trail,
    /// The audit trail that was there is not what this device wrote.
    TrailSetAside,
    /// The group that may read the audit trail is not there.
    TrailGroup,
    /// Records that were lost in the kernel.
    LostEvents,
    /// Records that this version does not know.
    UnknownEvents,
    /// Policies that did not come back after a restart.
    StoredBundles,
    /// Policies of an earlier daemon whose rules nobody can name.
    NamelessPolicies,
    /// The swap of a policy that stopped half-way.
    TornPolicy,
    /// Reading or writing a map.
    Maps,
    /// Tasks that could not be adopted.
    Adoption,
    /// Keys that cannot be read.
    Keys,
    /// High-water marks that were lost or cannot be written.
    Marks,
    /// Files in the drop-in directory that were refused.
    Dropped,
    /// Policies in force whose time is over.
    Expired,
    /// Rules that lead to policies that cannot be entered.
    Ways,
}

/// Phase and reasons.
#[derive(Debug)]
pub struct Health {
    phase: Phase,
    reasons: BTreeMap<Concern, String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Starting,
    Up,
    Stopping,
}

impl Default for Health {
    fn default() -> Self {
        Self { phase: Phase::Starting, reasons: BTreeMap::new() }
    }
}

impl Health {
    /// Everything is loaded and was tried.
    pub fn up(&mut self) {
        if self.phase == Phase::Starting {
            self.phase = Phase::Up;
        }
    }

    /// Nothing new is taken.
    pub fn stop(&mut self) {
        self.phase = Phase::Stopping;
    }

    /// Something fails. Said once on standard error, and shown until it is cleared.
    pub fn raise(&mut self, concern: Concern, reason: String) {
        if self.reasons.get(&concern) != Some(&reason) {
            tracing::warn!("degraded: {reason}");
            self.reasons.insert(concern, reason);
        }
    }

    /// It works again.
    pub fn clear(&mut self, concern: Concern) {
        if let Some(reason) = self.reasons.remove(&concern) {
            tracing::info!("no longer degraded: {reason}");
        }
    }

    /// The state as it is shown.
    #[must_use]
    pub fn state(&self) -> State {
        match self.phase {
            Phase::Starting => State::Starting,
            Phase::Stopping => State::Stopping,
            Phase::Up if self.reasons.is_empty() => State::Enforcing,
            Phase::Up => State::Degraded,
        }
    }

    /// What it is that fails and why, but for one of them.
    #[must_use]
    pub fn concerns_but(&self, but: Concern) -> BTreeMap<Concern, String> {
        let mut concerns = self.reasons.clone();
        concerns.remove(&but);
        concerns
    }

    /// What fails, for people.
    #[must_use]
    pub fn reasons(&self) -> Vec<String> {
        self.reasons.values().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use execlayer_api::State;

    use super::{Concern, Health};

    #[test]
    fn a_reason_degrades_and_clearing_the_last_one_mends() {
        let mut health = Health::default();
        assert_eq!(health.state(), State::Starting);
        health.up();
        assert_eq!(health.state(), State::Enforcing);
        health.raise(Concern::Trail, "a".into());
        health.raise(Concern::Maps, "b".into());
        assert_eq!((health.state(), health.reasons().len()), (State::Degraded, 2));
        health.clear(Concern::Trail);
        assert_eq!(health.state(), State::Degraded);
        health.clear(Concern::Maps);
        assert_eq!(health.state(), State::Enforcing);
        health.stop();
        health.up();
        assert_eq!(health.state(), State::Stopping, "there is no way back");
    }
}
