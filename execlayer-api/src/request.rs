//! What the tool can ask of the daemon. Every change to enforcement is a variant here.

use serde::{Deserialize, Serialize};

use crate::holding::Remember;

/// Names a scope of one daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ScopeId(pub u64);

impl core::fmt::Display for ScopeId {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.fmt(f)
    }
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// Who is there? Answered by [`crate::Outcome::Hello`].
    Hello {},
    /// Verify what is signed in this file and put it in force: a bundle, in the slot of its agent if it has
    /// one already; the next root; an order to go back. Answered by [`crate::Outcome::Installed`],
    /// [`crate::Outcome::RootInForce`] or [`crate::Outcome::Ordered`].
    Install {
        /// Absolute path.
        path: String,
    },
    /// Make a cgroup whose tasks are governed by the agent's policy from their next exec on.
    /// Answered by [`crate::Outcome::Scope`].
    OpenScope {
        /// Name of an installed agent.
        agent: String,
        /// The process that will close the scope. If it ends without doing so, the daemon does.
        owner_pid: u32,
        /// The cgroup is one below the owner's, so that limits of that hold in it.
        #[serde(default, skip_serializing_if = "core::ops::Not::not")]
        below_owner: bool,
    },
    /// The command of a scope has ended: what was denied in it? Its descendants may live on, and
    /// stay governed. Answered by [`crate::Outcome::Summary`].
    CloseScope {
        /// The scope.
        id: ScopeId,
    },
    /// What is in force? Answered by [`crate::Outcome::Status`].
    Status {},
    /// Which calls are held? Answered by [`crate::Outcome::Questions`].
    Questions {},
    /// Let a call that is held go on, or fail, and all open ones that are equal to it. Answered by
    /// [`crate::Outcome::Answered`].
    Answer {
        /// Number of the question.
        id: u64,
        /// Whether it may go on.
        allow: bool,
        /// For how long this is the answer.
        #[serde(default)]
        remember: Remember,
        /// Why, for the audit trail.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<String>,
    },
    /// Which answers are remembered? Answered by [`crate::Outcome::Grants`].
    Grants {},
    /// Forget a remembered answer: the next call is asked about again. Answered by
    /// [`crate::Outcome::Revoked`].
    Revoke {
        /// Number of the grant.
        id: u64,
    },
    /// What was denied to this process' tree lately, and why? Answered by [`crate::Outcome::Why`].
    Why {
        /// A process of the tree.
        pid: u32,
    },
    /// Detach everything and end. Answered by [`crate::Outcome::Stopping`].
    Stop {
        /// Also if the daemon runs as a service: after this nothing is enforced.
        force: bool,
    },
}
