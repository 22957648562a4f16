//! The checked policy: every name resolved, every limit kept, every pattern a tree. The only input of
//! lowering and of the reference evaluator. Must not know about text beyond where a rule stands.

use std::sync::Arc;

use execlayer_common::{
    access::Access,
    call::{Name, Number},
    image::Effect,
    provenance::{Asking, Decider},
};

use crate::pattern::Pattern;

/// What the profile does with a denial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The call fails.
    Enforce,
    /// The call is recorded and passes.
    Monitor,
}

/// What is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record {
    /// Denials and asks.
    Denied,
    /// Every verdict.
    All,
}

/// Where something stands in the policy's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Index into [`CheckedPolicy::files`].
    pub file: u32,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
}

/// A pattern as it was written, and what it means.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Written {
    /// The text, variables filled in.
    pub text: Arc<str>,
    /// What it matches.
    pub pattern: Pattern,
}

/// `at_most`: so many uses in each window. Windows follow one another from boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Budget {
    /// Uses, at least 1.
    pub uses: u32,
    /// Seconds, at least 1.
    pub window: u32,
}

/// `when`: all that is given must hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Condition {
    /// Effective uid.
    pub uid: Option<u32>,
    /// Minutes of the UTC day: from, and up to but not including. From after to goes over midnight.
    pub between: Option<(u16, u16)>,
    /// Only on `allow`. Each rule's budget is its own.
    pub at_most: Option<Budget>,
}

impl Condition {
    /// Whether it always holds.
    #[must_use]
    pub fn is_always(&self) -> bool {
        *self == Self::default()
    }
}

/// What a rule asks of one context value of a call.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Test {
    /// The value's name.
    pub name: Name,
    /// What is asked of it.
    pub asks: Asks,
}

/// See [`Test`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Asks {
    /// Whether it is there at all.
    Given(bool),
    /// Whether it is true.
    Flag(bool),
    /// A number, both ends included.
    Number(Number, Number),
    /// A text that one of these matches.
    Text(Vec<Written>),
    /// A list of texts, each of which one of these matches.
    Every(Vec<Written>),
    /// A list of texts, at least one of which one of these matches.
    Some(Vec<Written>),
}

/// A rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Unique in the policy.
    pub id: String,
    /// Where the rule stands.
    pub place: Place,
    /// What it does.
    pub effect: Effect,
    /// What it is about, all of them.
    pub access: Access,
    /// Paths, for `exec` and the file accesses: any of these ...
    pub paths: Vec<Written>,
    /// ... and none of these.
    pub except: Vec<Written>,
    /// Internet destinations, for `connect`; patterns over [`execlayer_common::subject::Inet`].
    pub inet: Vec<Written>,
    /// The machine's own addresses, for `bind`; the same, but `0.0.0.0` and `::` are not loopback.
    pub local: Vec<Written>,
    /// Unix socket names, for `connect` and `bind`; `@` before an abstract name.
    pub unix: Vec<Written>,
    /// Features, for `use`: exact names.
    pub features: Vec<Written>,
    /// Calls of tools, for `call`; patterns over [`execlayer_common::call`]'s subjects.
    pub calls: Vec<Written>,
    /// When it holds.
    pub when: Condition,
    /// What must hold of a call's context, too.
    pub context: Vec<Test>,
    /// For people and agents.
    pub reason: Option<String>,
    /// The agent to whose policy executing leads; its access has [`Access::ENTER`].
    pub transition: Option<String>,
    /// Of rules that ask; counts in [`CheckedPolicy::deciders`].
    pub asking: Option<Asking>,
}

impl Rule {
    /// Whether it holds whenever something matches.
    #[must_use]
    pub fn is_always(&self) -> bool {
        self.when.is_always() && self.context.is_empty()
    }
}

/// A checked policy. Made by [`crate::check`] only.
#[derive(Clone, Debug)]
pub struct CheckedPolicy {
    pub(crate) name: String,
    pub(crate) version: u64,
    pub(crate) agent: String,
    pub(crate) mode: Mode,
    pub(crate) record: Record,
    pub(crate) cgroups: Vec<Written>,
    pub(crate) executables: Vec<Written>,
    pub(crate) accepts_from: Vec<String>,
    pub(crate) files: Vec<String>,
    pub(crate) deciders: Vec<Decider>,
    pub(crate) rules: Vec<Rule>,
}

impl CheckedPolicy {
    /// The policy's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The policy's version.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The agent that it is for.
    #[must_use]
    pub fn agent(&self) -> &str {
        &self.agent
    }

    /// Enforce or monitor.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// What is recorded.
    #[must_use]
    pub fn record(&self) -> Record {
        self.record
    }

    /// Patterns of cgroup paths below the cgroup2 root that select tasks.
    #[must_use]
    pub fn cgroups(&self) -> &[Written] {
        &self.cgroups
    }

    /// Patterns of executables that select tasks.
    #[must_use]
    pub fn executables(&self) -> &[Written] {
        &self.executables
    }

    /// Agents whose rules may lead to this policy.
    #[must_use]
    pub fn accepts_from(&self) -> &[String] {
        &self.accepts_from
    }

    /// Files that it was read from, as the author named them; the first is the policy itself.
    #[must_use]
    pub fn files(&self) -> &[String] {
        &self.files
    }

    /// Deciders that rules name.
    #[must_use]
    pub fn deciders(&self) -> &[Decider] {
        &self.deciders
    }

    /// The rules; a rule's number is its index here. Rules of `extends` come first.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }
}
