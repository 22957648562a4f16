//! The verdict, and nothing about how it is reached or enforced.

use crate::reason::Reason;

/// The number of a rule in its policy, the index into its provenance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct RuleIndex(pub u16);

/// What is to happen to a call. There is no default on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a verdict that nobody enforces is a hole"]
pub enum Verdict {
    /// Goes on; the rule that allows it.
    Allow(RuleIndex),
    /// To be asked about; the rule that says so.
    Ask(RuleIndex),
    /// Fails; why, and the rule if one is the cause.
    Deny(Reason, Option<RuleIndex>),
}

/// [`Verdict`] as a number, for events. Bit patterns are far apart.
pub mod raw {
    /// Allow.
    pub const ALLOW: u8 = 0x5a;
    /// Ask.
    pub const ASK: u8 = 0x33;
    /// Deny.
    pub const DENY: u8 = 0xa5;
}

impl Verdict {
    /// The number used in events.
    #[must_use]
    pub const fn raw(self) -> u8 {
        match self {
            Self::Allow(_) => raw::ALLOW,
            Self::Ask(_) => raw::ASK,
            Self::Deny(..) => raw::DENY,
        }
    }

    /// Why a call with this verdict is not let pass, as long as nothing is held.
    #[must_use]
    pub const fn reason(self) -> Reason {
        match self {
            Self::Allow(_) => Reason::None,
            Self::Ask(_) => Reason::AskNotHeld,
            Self::Deny(reason, _) => reason,
        }
    }

    /// The rule that decided, if one did.
    #[must_use]
    pub const fn rule(self) -> Option<RuleIndex> {
        match self {
            Self::Allow(rule) | Self::Ask(rule) => Some(rule),
            Self::Deny(_, rule) => rule,
        }
    }
}
