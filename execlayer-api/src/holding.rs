//! Questions, answers and what is remembered of them, as tool and daemon say it to each other. Must not
//! decide anything.

use serde::{Deserialize, Serialize};

/// A call that is held until somebody answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Question {
    /// Its number.
    pub id: u64,
    /// The agent whose policy asks.
    pub agent: String,
    /// The process that waits.
    pub pid: u32,
    /// Its effective uid.
    pub uid: u32,
    /// Path of its executable.
    pub program: String,
    /// Name of the operation.
    pub operation: String,
    /// Names of the accesses that are wanted.
    pub access: Vec<String>,
    /// What it is about. Bytes that are not printable are written as `\xNN`.
    pub subject: String,
    /// Id of the rule that asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// File of the rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Line of the rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// What the rule's author gave as the reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Command line of the process, as far as it could be read; not printable bytes as `\xNN`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// SHA-256 of the file that would be executed, in hex, where the kernel says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Who is asked now: `human`, or a decider of the policy.
    pub asked: String,
    /// The call waits. If not, it failed already, and a yes is for those that follow.
    pub held: bool,
    /// Calls that wait for the same answer, this one among them.
    pub calls: u64,
    /// Seconds for which the rule wants a yes remembered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remember: Option<u64>,
    /// Seconds that it has waited.
    pub waits: u64,
    /// Seconds until it is denied.
    pub left: u64,
}

/// An answer that is remembered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Grant {
    /// Its number.
    pub id: u64,
    /// The agent.
    pub agent: String,
    /// Whether it allows.
    pub allows: bool,
    /// Whose calls.
    pub scope: Whose,
    /// The process tree: start time of its first task, ns since boot. Only of [`Whose::Tree`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<u64>,
    /// Which calls.
    pub about: About,
    /// Names of the accesses. None of [`About::Rule`].
    pub access: Vec<String>,
    /// What it was about when it was given.
    pub subject: String,
    /// Id of the rule that asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// Who gave it.
    pub by: String,
    /// Seconds until it ends.
    pub left: u64,
}

/// A grant is no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Revoked {
    /// Its number.
    pub id: u64,
}

/// What was denied, and what to make of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Denial {
    /// When it was denied last, seconds since 1970.
    pub time: u64,
    /// How often in a row.
    pub count: u64,
    /// The process.
    pub pid: u32,
    /// Path of its executable.
    pub program: String,
    /// Name of the operation.
    pub operation: String,
    /// Names of the accesses that were wanted.
    pub access: Vec<String>,
    /// What it was about. Bytes that are not printable are written as `\xNN`.
    pub subject: String,
    /// Id of the rule, if one denied it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// File of the rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Line of the rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// Name of the reason, such as `rule` or `unlisted`.
    pub reason: String,
    /// What the reason means.
    pub meaning: String,
    /// What the rule's author or whoever answered said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What to do.
    pub advice: Advice,
}

/// What an agent should do about a denial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Advice {
    /// A person may approve it: then the same call passes.
    RetryAfterApproval,
    /// The same call will fail again.
    DoNotRetry,
}

/// A question was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Answered {
    /// Its number.
    pub id: u64,
    /// Whether the call goes on.
    pub allowed: bool,
    /// Calls that were held and got this answer; 0 if it is for those that follow.
    pub calls: u64,
    /// Number of the grant that remembers it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant: Option<u64>,
}

/// For how long an answer holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
pub enum Remember {
    /// As the rule says with `remember`; if it says nothing, for this call.
    #[default]
    AsRule,
    /// For this call.
    Once,
    /// For a time: a grant.
    For {
        /// How long, 1 to [`MAX_GRANT`].
        seconds: u64,
        /// Whose calls.
        scope: Whose,
        /// Which calls.
        about: About,
    },
}

/// Seconds that an answer is remembered at most: 30 days.
pub const MAX_GRANT: u64 = 30 * 24 * 60 * 60;

/// Whose calls a grant is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Whose {
    /// This process tree's: the agent that asked, and what it started.
    Tree,
    /// Everybody's under this policy.
    Profile,
}

/// Which calls a grant is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum About {
    /// The same access to the same subject.
    Subject,
    /// All that the same rule asks about, until the policy changes.
    Rule,
}
