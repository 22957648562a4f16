//! Resolve: the chain of deciders of one question, step by step. Owns the order and what each kind of
//! decider knows by itself; must not touch the queue or the kernel.

use std::collections::{BTreeMap, VecDeque};

use execlayer_common::provenance::{Decider, DeciderKind};

const SECOND: u64 = 1_000_000_000;

/// What to do next about a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Wait for a person.
    Human,
    /// Have the file measured, and come back.
    Measure,
    /// Ask the decider at the position outside of the daemon, and come back one further if it does not know.
    Errand,
    /// This decider says yes.
    Allow(String),
    /// Nobody knows.
    Deny,
}

/// What is known of a question.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts {
    /// SHA-256 of the file that is executed.
    pub digest: Option<[u8; 32]>,
    /// It could be measured, and was not yet.
    pub is_measurable: bool,
    /// The call waits. If not, an answer is for whatever follows, and cannot be counted.
    pub is_held: bool,
    /// The policy: profile number and generation.
    pub policy: (u32, u32),
    /// ns since boot.
    pub now: u64,
}

/// Goes along the chain from `position` on, and leaves it where it stops. No chain is a person.
pub fn next(
    chain: &[&Decider],
    position: &mut usize,
    facts: &Facts,
    budgets: &mut Budgets,
) -> Step {
    if chain.is_empty() {
        return Step::Human;
    }
    while let Some(decider) = chain.get(*position) {
        match &decider.kind {
            DeciderKind::Human {} => return Step::Human,
            DeciderKind::Sha256 { digests } => match facts.digest {
                None if facts.is_measurable => return Step::Measure,
                Some(digest) if is_listed(digests, &digest) => {
                    return Step::Allow(format!("sha256 `{}`", decider.name));
                }
                _ => {}
            },
            DeciderKind::Budget { uses, window } if facts.is_held => {
                let key = (facts.policy, decider.name.clone());
                if budgets.spend(key, *uses, *window, facts.now) {
                    return Step::Allow(format!("budget `{}`", decider.name));
                }
            }
            DeciderKind::Budget { .. } => {}
            DeciderKind::Host { .. }
            | DeciderKind::Command { .. }
            | DeciderKind::Webhook { .. } => return Step::Errand,
        }
        *position = position.saturating_add(1);
    }
    Step::Deny
}

fn is_listed(digests: &[String], digest: &[u8; 32]) -> bool {
    let hex = execlayer_api::text::hex(digest);
    digests.contains(&hex)
}

/// What deciders of the kind `budget` have spent. A new generation of a policy starts anew.
#[derive(Debug, Default)]
pub struct Budgets {
    spent: BTreeMap<((u32, u32), String), VecDeque<u64>>,
}

impl Budgets {
    /// Uses the budget once; whether it had a use left.
    fn spend(&mut self, key: ((u32, u32), String), uses: u32, window: u32, now: u64) -> bool {
        let window = u64::from(window).saturating_mul(SECOND);
        let spent = self.spent.entry(key).or_default();
        while spent.front().is_some_and(|at| at.saturating_add(window) <= now) {
            spent.pop_front();
        }
        if spent.len() >= uses as usize {
            return false;
        }
        spent.push_back(now);
        true
    }

    /// Forgets what belongs to generations that are not in force.
    pub fn keep_current(&mut self, generation: impl Fn(u32) -> Option<u32>) {
        self.spent.retain(|((profile, of), _name), _spent| generation(*profile) == Some(*of));
    }
}

#[cfg(test)]
mod tests;
