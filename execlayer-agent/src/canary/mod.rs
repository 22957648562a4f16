//! The canary: after every load a child of the daemon's own really tries a denied exec, open and
//! connect, once for each way in which a task can be selected. Nothing else proves that the gate
//! stands: programs attach without a word where nobody calls them.

mod acts;
pub(crate) mod image;
mod yard;

use std::{io, path::Path};

use execlayer_common::access::Operation;

use crate::{
    kernel::{
        Gate, InstallError,
        events::{Decision, Observed},
    },
    profiles::{CANARY, Profiles},
    scopes::{Cgroup, ScopeError},
};

pub use acts::{Act, Outcome, run_child};
use yard::Yard;

/// Name of the canary's agent in the audit trail.
pub const AGENT: &str = "execlayer-canary";

/// How the child comes to be governed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selector {
    /// Its cgroup is an open scope.
    Scope,
    /// Its cgroup matches a pattern of the policy.
    Cgroup,
    /// It executes a file that matches a pattern of the policy.
    Exe,
}

impl Selector {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Scope, Self::Cgroup, Self::Exe];

    /// For people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scope => "scope",
            Self::Cgroup => "cgroup",
            Self::Exe => "exe",
        }
    }
}

/// Why the gate does not stand, or why that cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum CanaryError {
    /// The gate does not stand.
    #[error("the canary's {} went through although its policy denies it (selected by {})", act.name(), selector.name())]
    WentThrough {
        /// What was done.
        act: Act,
        /// How the child was selected.
        selector: Selector,
    },
    /// The gate denied, and not because of the rule.
    #[error("the canary's {} was denied and no event names its rule (selected by {})", act.name(), selector.name())]
    NoEvent {
        /// What was tried.
        act: Act,
        /// How the child was selected.
        selector: Selector,
    },
    /// The same act must work for whoever is not governed.
    #[error("the canary's {} failed although it was not governed: {outcome}", act.name())]
    NotFree {
        /// What was tried.
        act: Act,
        /// What came of it.
        outcome: String,
    },
    /// It failed, and not with the gate's error.
    #[error("the canary's {} ended with `{outcome}` and not with a denial (selected by {})", act.name(), selector.name())]
    Strange {
        /// What was tried.
        act: Act,
        /// How the child was selected.
        selector: Selector,
        /// What came of it.
        outcome: String,
    },
    /// The child did not come as far as its acts.
    #[error("the canary did not run: {0}")]
    Child(String),
    /// Something it needs could not be made.
    #[error("cannot prepare the canary: {0}")]
    Prepare(#[from] io::Error),
    /// Its cgroup.
    #[error(transparent)]
    Cgroup(#[from] ScopeError),
    /// Its policy.
    #[error(transparent)]
    Install(#[from] InstallError),
}

impl CanaryError {
    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> &'static str {
        match self {
            Self::WentThrough { .. } | Self::NoEvent { .. } | Self::Strange { .. } => {
                "nothing is enforced on this machine: report the kernel's release"
            }
            Self::NotFree { .. } | Self::Child(_) | Self::Prepare(_) => {
                "the state directory must be on a file system that programs can be executed from \
                 (--state-dir), and the loopback interface must be up"
            }
            Self::Cgroup(_) => "cgroup2 must be mounted and writable",
            Self::Install(_) => "report the kernel's release",
        }
    }
}

/// Tries everything. `drain` returns the events that have come since it was called last.
///
/// # Errors
///
/// A [`CanaryError`] by the first thing that is not as it must be. Nothing of the canary is left in
/// force, whatever comes of it.
pub fn run(
    gate: &mut dyn Gate,
    profiles: &mut Profiles,
    state_dir: &Path,
    cgroup_root: &Path,
    drain: &mut dyn FnMut(&Profiles) -> Vec<Observed>,
) -> Result<Vec<String>, CanaryError> {
    let yard = Yard::make(state_dir)?;
    for (act, outcome) in acts::free(&yard)? {
        if outcome != Outcome::Done {
            return Err(CanaryError::NotFree { act, outcome: outcome.to_string() });
        }
    }
    let mut report =
        vec!["exec, open, connect and connect-unix: free while not governed".to_owned()];
    for selector in Selector::ALL {
        drain(profiles);
        let outcomes = governed(gate, profiles, &yard, cgroup_root, selector);
        // Also if it failed: what the kernel said is in the audit trail then.
        let seen = drain(profiles);
        judge(selector, &yard, &outcomes?, &seen)?;
        report.push(format!(
            "exec, open, connect and connect-unix: denied while governed by {}",
            selector.name()
        ));
    }
    Ok(report)
}

fn governed(
    gate: &mut dyn Gate,
    profiles: &mut Profiles,
    yard: &Yard,
    cgroup_root: &Path,
    selector: Selector,
) -> Result<Vec<(Act, Outcome)>, CanaryError> {
    let name = format!("canary-{}-{}", yard.name(), selector.name());
    let cgroup = match selector {
        Selector::Exe => None,
        Selector::Scope | Selector::Cgroup => Some(Cgroup::make(cgroup_root, &name)?),
    };
    let done = in_force(gate, profiles, yard, selector, &name, cgroup.as_ref());
    // What was in force is taken out whatever came of it.
    let mut left = Ok(());
    if let Some(cgroup) = &cgroup {
        left = gate.set_scope(cgroup.id, None).and_then(|()| yard::remove_soon(cgroup));
    }
    let removed = profiles.remove_canary(gate);
    let outcomes = done?;
    left.and(removed)?;
    Ok(outcomes)
}

fn in_force(
    gate: &mut dyn Gate,
    profiles: &mut Profiles,
    yard: &Yard,
    selector: Selector,
    name: &str,
    cgroup: Option<&Cgroup>,
) -> Result<Vec<(Act, Outcome)>, CanaryError> {
    let selecting = match selector {
        Selector::Scope => None,
        Selector::Cgroup => Some((Operation::SelectCgroup, Cgroup::subject(name))),
        Selector::Exe => Some((Operation::SelectExe, yard.agent_subject())),
    };
    let (image, provenance) = yard.policy(selecting);
    profiles.install_canary(gate, image, provenance)?;
    if let (Selector::Scope, Some(cgroup)) = (selector, cgroup) {
        gate.set_scope(cgroup.id, Some(CANARY))?;
    }
    match (selector, cgroup) {
        (Selector::Exe, _) | (_, None) => acts::by_selected_exe(yard),
        (_, Some(cgroup)) => acts::in_cgroup(yard, cgroup),
    }
}

fn judge(
    selector: Selector,
    yard: &Yard,
    outcomes: &[(Act, Outcome)],
    seen: &[Observed],
) -> Result<(), CanaryError> {
    for act in Act::ALL {
        let outcome = outcomes.iter().find(|(done, _)| *done == act).map(|(_, outcome)| outcome);
        match outcome {
            Some(Outcome::Denied) => {}
            Some(Outcome::Done) => return Err(CanaryError::WentThrough { act, selector }),
            Some(other) => {
                return Err(CanaryError::Strange { act, selector, outcome: other.to_string() });
            }
            None => return Err(CanaryError::Child(format!("it did not try {}", act.name()))),
        }
        let (operation, subject, rule) = yard.expected(act);
        let is_named = seen.iter().any(|event| {
            event.profile == CANARY
                && event.decision == Decision::Deny
                && event.operation == operation
                && event.subject == subject
                && event.rule.is_some_and(|found| found.0 == rule)
                && !event.monitor
        });
        if !is_named {
            return Err(CanaryError::NoEvent { act, selector });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
