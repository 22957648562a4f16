//! Why a verdict is what it is. Numbers are ABI: never reuse one.

/// Why a call was denied (or would have been).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Reason {
    /// The call was allowed.
    None = 0,
    /// A deny rule matched.
    Rule = 1,
    /// No rule allows it.
    Unlisted = 2,
    /// An ask rule matched, and the daemon does not hold calls.
    AskNotHeld = 3,
    /// A budget (`at_most`) that would have allowed it is used up.
    BudgetSpent = 4,
    /// The file has no name below the task's root: detached, outside the root, memfd, anonymous.
    NoName = 5,
    /// The file was deleted.
    Deleted = 6,
    /// The name is longer than [`crate::limits::MAX_PATH`].
    PathTooLong = 7,
    /// More components or mounts than the walk follows.
    PathTooDeep = 8,
    /// The name kept changing while it was read.
    PathRaced = 9,
    /// The task is governed and no policy is in its slot.
    NoPolicy = 10,
    /// Kernel memory that is needed for the verdict could not be read.
    ReadFault = 11,
    /// The address family cannot be named in a policy.
    AddressFamily = 12,
    /// An ask rule matched, and this call cannot be held: of another kind than those that the kernel can
    /// restart, or made by a task that cannot be stopped.
    CannotHold = 13,
    /// An ask rule matched, and no daemon is there to take the question.
    NoDecider = 14,
    /// An ask rule matched, and there is no room for another question.
    QuestionsFull = 15,
    /// Somebody was asked, and said no, or nothing in time.
    Answered = 16,
    /// The task was woken too often while its question was open.
    Woken = 17,
    /// The call was allowed by an answer that is remembered.
    Granted = 18,
    /// The file was changed after its digest was approved.
    FileChanged = 19,
    /// It belongs to the gate itself, which no governed task may touch.
    Guarded = 20,
    /// The file would have another name, and that allows what the old one does not.
    GrantsMore = 21,
    /// A rule leads from the program to another policy, which is not in force or does not let this one's
    /// programs in.
    NoTransition = 22,
    /// A rule leads from the program to another policy, and somebody of this one would have a hand in it.
    UnsafeTransition = 23,
    /// It is allowed, or would be asked about, and must be recorded, which cannot be done.
    Unrecorded = 24,
}

impl Reason {
    /// Every reason, in the order of its number.
    pub const ALL: [Self; 25] = [
        Self::None,
        Self::Rule,
        Self::Unlisted,
        Self::AskNotHeld,
        Self::BudgetSpent,
        Self::NoName,
        Self::Deleted,
        Self::PathTooLong,
        Self::PathTooDeep,
        Self::PathRaced,
        Self::NoPolicy,
        Self::ReadFault,
        Self::AddressFamily,
        Self::CannotHold,
        Self::NoDecider,
        Self::QuestionsFull,
        Self::Answered,
        Self::Woken,
        Self::Granted,
        Self::FileChanged,
        Self::Guarded,
        Self::GrantsMore,
        Self::NoTransition,
        Self::UnsafeTransition,
        Self::Unrecorded,
    ];

    /// The reason with this number, or `None`.
    #[must_use]
    pub fn from_raw(raw: u8) -> Option<Self> {
        Self::ALL.get(usize::from(raw)).copied()
    }

    /// The name used in events: stable, lower case, with hyphens.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "allowed",
            Self::Rule => "rule",
            Self::Unlisted => "unlisted",
            Self::AskNotHeld => "ask-not-held",
            Self::BudgetSpent => "budget-spent",
            Self::NoName => "no-name",
            Self::Deleted => "deleted",
            Self::PathTooLong => "path-too-long",
            Self::PathTooDeep => "path-too-deep",
            Self::PathRaced => "path-raced",
            Self::NoPolicy => "no-policy",
            Self::ReadFault => "read-fault",
            Self::AddressFamily => "address-family",
            Self::CannotHold => "cannot-hold",
            Self::NoDecider => "no-decider",
            Self::QuestionsFull => "questions-full",
            Self::Answered => "answered",
            Self::Woken => "woken",
            Self::Granted => "granted",
            Self::FileChanged => "file-changed",
            Self::Guarded => "guarded",
            Self::GrantsMore => "grants-more",
            Self::NoTransition => "no-transition",
            Self::UnsafeTransition => "unsafe-transition",
            Self::Unrecorded => "unrecorded",
        }
    }

    /// The reason with this name, or `None`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.name() == name)
    }

    /// What it means, for people.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::None => "a rule allows it",
            Self::Rule => "a deny rule matches",
            Self::Unlisted => "no rule allows it",
            Self::AskNotHeld => "an ask rule matches, and the daemon does not hold calls",
            Self::BudgetSpent => "the rule that allows it has used up its budget",
            Self::NoName => "the file has no name below the task's root directory",
            Self::Deleted => "the file was deleted",
            Self::PathTooLong => "the path is longer than 4095 bytes",
            Self::PathTooDeep => "the path has more components or mounts than can be judged",
            Self::PathRaced => "the path kept changing while it was judged",
            Self::NoPolicy => "the task is governed and its policy is not installed",
            Self::ReadFault => "kernel memory that the verdict needs could not be read",
            Self::AddressFamily => "no policy can name this address family",
            Self::CannotHold => "an ask rule matches, and this call cannot be held",
            Self::NoDecider => "an ask rule matches, and no daemon is there to take the question",
            Self::QuestionsFull => "an ask rule matches, and there is no room for another question",
            Self::Answered => "somebody was asked, and said no, or nothing in time",
            Self::Woken => "the task was woken too often while its question was open",
            Self::Granted => "an ask rule matches, and an answer that is remembered allows it",
            Self::FileChanged => "the file was changed after its digest was approved",
            Self::Guarded => "it belongs to the gate itself",
            Self::GrantsMore => "under its new name more would be allowed than under the old one",
            Self::NoTransition => {
                "it leads to another agent's policy, which is not in force or does not accept it"
            }
            Self::UnsafeTransition => {
                "it leads to another agent's policy, and is a script, is traced, or shares its directory"
            }
            Self::Unrecorded => "it must be recorded, and the audit trail cannot be written",
        }
    }
}
