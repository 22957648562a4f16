//! Why a policy cannot be lowered: which limit, its value, and the rules that cause it.

use execlayer_common::limits;

use crate::checked::CheckedPolicy;

/// A rule that is to blame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Culprit {
    /// The rule's id, or the selector's key.
    pub id: String,
    /// The file, as the author named it.
    pub file: String,
    /// The line, from 1; 0 for a selector.
    pub line: u32,
}

/// Why a policy cannot be lowered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LowerError {
    /// More rules than numbers.
    #[error("the policy has {found} rules; {} are allowed (`MAX_RULES`)", limits::MAX_RULES)]
    Rules {
        /// Rules of the policy.
        found: usize,
    },
    /// More conditions than numbers.
    #[error(
        "the policy has more than {} different conditions (`MAX_CONDITIONS`): {}",
        limits::MAX_CONDITIONS,
        list(.culprits)
    )]
    Conditions {
        /// The rules with those that are too many.
        culprits: Vec<Culprit>,
    },
    /// More budgets than the kernel keeps.
    #[error(
        "the policy has more than {} rules with `at_most` (`MAX_BUDGETS`): {}",
        limits::MAX_BUDGETS,
        list(.culprits)
    )]
    Budgets {
        /// The rules with those that are too many.
        culprits: Vec<Culprit>,
    },
    /// Too many rules match the same subject.
    #[error(
        "{} rules decide about the same subject; {} are allowed (`MAX_SET_ENTRIES`): {}",
        .culprits.len(),
        limits::MAX_SET_ENTRIES,
        list(.culprits)
    )]
    SetEntries {
        /// All of them.
        culprits: Vec<Culprit>,
    },
    /// Patterns that multiply each other's states.
    #[error(
        "the patterns for `{operation}` multiply to more than {states} states, and more than {} \
         automata would be needed (`MAX_LANES`): {}",
        limits::MAX_LANES,
        list(.culprits)
    )]
    Lanes {
        /// The operation's name.
        operation: &'static str,
        /// States of one automaton at which the attempt was ended.
        states: usize,
        /// Rules whose patterns already multiply without any others.
        culprits: Vec<Culprit>,
    },
    /// Patterns with more states than are built.
    #[error(
        "the patterns for `{operation}` have more than {} states (`MAX_STATES`): {}",
        limits::MAX_STATES,
        list(.culprits)
    )]
    States {
        /// The operation's name.
        operation: &'static str,
        /// Rules whose patterns already have as many without any others.
        culprits: Vec<Culprit>,
    },
    /// Patterns of one context value that multiply each other's states.
    #[error(
        "the patterns of one value in `context` multiply to more than {states} states: {}",
        list(.culprits)
    )]
    Context {
        /// States at which the attempt was ended.
        states: usize,
        /// The rule.
        culprits: Vec<Culprit>,
    },
    /// One program leads to different policies.
    #[error("the same program leads to the policies of different agents by the rules {}", list(.culprits))]
    Transitions {
        /// All of them.
        culprits: Vec<Culprit>,
    },
    /// The image is too large.
    #[error(
        "the image is larger than {} bytes (`MAX_IMAGE_BYTES`); most of it is for {}",
        limits::MAX_IMAGE_BYTES,
        list(.culprits)
    )]
    ImageBytes {
        /// Rules that take most of it, the largest first.
        culprits: Vec<Culprit>,
    },
}

impl LowerError {
    /// The rules to blame.
    #[must_use]
    pub fn culprits(&self) -> &[Culprit] {
        match self {
            Self::Rules { .. } => &[],
            Self::Conditions { culprits }
            | Self::Budgets { culprits }
            | Self::SetEntries { culprits }
            | Self::Lanes { culprits, .. }
            | Self::Context { culprits, .. }
            | Self::States { culprits, .. }
            | Self::Transitions { culprits }
            | Self::ImageBytes { culprits } => culprits,
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn help(&self) -> &'static str {
        match self {
            Self::Rules { .. } => "join rules that differ in their paths only",
            Self::Conditions { .. } => "use the same `when` in several rules",
            Self::Budgets { .. } => "join rules that may share one budget",
            Self::SetEntries { .. } => "make the paths of these rules exclude each other",
            Self::Lanes { .. } | Self::States { .. } => {
                "use fewer `**` and `*` in front of other parts of a path, or begin the patterns with \
                 different directories"
            }
            Self::Context { .. } => "use fewer `**` and `*` in these patterns",
            Self::Transitions { .. } => {
                "make the paths of these rules exclude each other, with `except` for instance"
            }
            Self::ImageBytes { .. } => "name directories instead of single files",
        }
    }
}

/// Culprits shown in one line.
const SHOWN: usize = 8;

fn list(culprits: &[Culprit]) -> String {
    let shown = culprits.iter().take(SHOWN).map(|culprit| match culprit.line {
        0 => format!("`{}` ({})", culprit.id, culprit.file),
        line => format!("`{}` ({}:{line})", culprit.id, culprit.file),
    });
    let mut text = shown.collect::<Vec<_>>().join(", ");
    if let Some(more @ 1..) = culprits.len().checked_sub(SHOWN) {
        text.push_str(&format!(" and {more} more"));
    }
    text
}

/// The rules with these numbers.
pub(super) fn culprits(policy: &CheckedPolicy, rules: impl Iterator<Item = u16>) -> Vec<Culprit> {
    let file = |file: u32| policy.files.get(file as usize).cloned().unwrap_or_default();
    let mut out: Vec<Culprit> = Vec::new();
    for rule in rules.filter_map(|rule| policy.rules.get(usize::from(rule))) {
        let culprit =
            Culprit { id: rule.id.clone(), file: file(rule.place.file), line: rule.place.line };
        if !out.contains(&culprit) {
            out.push(culprit);
        }
    }
    out
}
