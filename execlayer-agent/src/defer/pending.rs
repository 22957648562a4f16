//! One open question: what is asked, how long it may take, and where it stands. Plain values.

use execlayer_common::access::Operation;

use crate::kernel::events::{Asked, Observed};

/// What equal questions agree in: one answer is for all of them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Same {
    profile: u32,
    session: u64,
    operation: Operation,
    access: u32,
    subject: [u64; 2],
    /// Generation and rule: who is asked is the rule's matter.
    rule: (u32, Option<u16>),
    /// See [`execlayer_common::question::Key::reserved`].
    place: u32,
    /// Of a question that is like no other: its number.
    own: Option<u64>,
}

impl Same {
    /// What a question agrees in with others; with none if its answer is for its own file alone.
    #[must_use]
    pub fn of(observed: &Observed, asked: &Asked, is_alone: bool) -> Self {
        Self {
            profile: observed.profile,
            session: observed.session,
            operation: observed.operation,
            access: observed.access.0,
            subject: asked.key.subject,
            rule: (observed.generation, observed.rule.map(|rule| rule.0)),
            place: asked.key.reserved,
            own: is_alone.then_some(asked.id),
        }
    }
}

/// Where a question stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Nobody has been asked yet.
    New,
    /// A person is asked.
    Human,
    /// Its file is measured.
    Measured,
    /// Something outside of the daemon is asked.
    Errand,
    /// Another one that is equal is asked about.
    Follows,
}

/// A question that nobody has answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// How the kernel knows it.
    pub asked: Asked,
    /// What was seen.
    pub observed: Observed,
    /// ns since boot at which it is denied.
    pub deadline: u64,
    /// What it agrees in with others.
    pub same: Same,
    /// Where it stands.
    pub stage: Stage,
    /// Which decider of its chain is asked.
    pub position: usize,
    /// SHA-256 of the file that is executed, if it was measured.
    pub digest: Option<[u8; 32]>,
    /// Calls that were not held and are not open themselves.
    pub repeats: u64,
}

/// Why a question ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Somebody said yes.
    Allowed,
    /// Somebody said no, or nobody knew.
    Denied,
    /// Nobody said anything in time.
    TimedOut,
    /// The process is about to end, or gone.
    Left,
    /// The file that was to be made is there.
    Cancelled,
    /// The policy has too many questions open.
    TooMany,
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
            Self::Cancelled => "cancelled",
            Self::TooMany => "too-many",
        }
    }
}
