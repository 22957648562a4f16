//! What leads from a rule's number back to its text. Written by lowering, carried in the bundle,
//! read by whoever prints an event; the kernel never sees it.

extern crate alloc;

use alloc::{string::String, vec::Vec};
use serde::{Deserialize, Serialize};

/// Version of this schema.
pub const FORMAT: u32 = 1;

/// Where the rules of one image come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// [`FORMAT`].
    pub format: u32,
    /// The policy's name.
    pub policy: String,
    /// The policy's version.
    pub version: u64,
    /// The agent that the policy is for.
    pub agent: String,
    /// Files that the policy was read from, as the author named them; the first is the policy itself.
    pub files: Vec<String>,
    /// Cgroup globs that select tasks.
    pub cgroups: Vec<String>,
    /// Executable globs that select tasks.
    pub executables: Vec<String>,
    /// By rule number.
    pub rules: Vec<RuleOrigin>,
}

/// One rule's origin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleOrigin {
    /// The rule's id.
    pub id: String,
    /// Index into [`Provenance::files`].
    pub file: u32,
    /// Line of the rule, from 1.
    pub line: u32,
    /// What the author gave as the reason, for people and agents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}
