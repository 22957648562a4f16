//! What the daemon answers. Must not decide anything: an answer is a value, printed by the tool.

use serde::{Deserialize, Serialize};

use crate::{
    holding::{Answered, Denial, Grant, Question, Revoked},
    request::ScopeId,
    status::{State, Status},
};

/// A response: the outcome, or why there is none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Response {
    /// It was done.
    Done(Outcome),
    /// It was refused or failed, and nothing changed.
    Error(Failure),
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// To [`crate::Request::Hello`].
    Hello(Hello),
    /// To [`crate::Request::Install`].
    Installed(Installed),
    /// To [`crate::Request::Install`] of a root.
    RootInForce(RootInForce),
    /// To [`crate::Request::Install`] of an order to go back.
    Ordered(Ordered),
    /// To [`crate::Request::OpenScope`].
    Scope(Scope),
    /// To [`crate::Request::CloseScope`].
    Summary(Summary),
    /// To [`crate::Request::Status`].
    Status(Box<Status>),
    /// To [`crate::Request::Questions`], oldest first.
    Questions(Vec<Question>),
    /// To [`crate::Request::Answer`].
    Answered(Answered),
    /// To [`crate::Request::Grants`], oldest first.
    Grants(Vec<Grant>),
    /// To [`crate::Request::Revoke`].
    Revoked(Revoked),
    /// To [`crate::Request::Why`], and what the socket [`crate::places::WHY_SOCKET`] says.
    Why(Vec<Denial>),
    /// To [`crate::Request::Stop`].
    Stopping {},
}

/// Who answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Hello {
    /// Release of the daemon.
    pub release: String,
    /// Its process.
    pub pid: u32,
    /// It ends by itself when nothing is governed any more.
    pub ephemeral: bool,
    /// Its state.
    pub state: State,
}

/// A policy came into force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Installed {
    /// Number of the profile: its slot plus one.
    pub profile: u32,
    /// The agent.
    pub agent: String,
    /// The policy's name.
    pub policy: String,
    /// The policy's version.
    pub version: u64,
    /// Counts the installations of this daemon.
    pub generation: u32,
    /// SHA-256 of what was signed, in hex.
    pub digest: String,
}

/// Who may sign what is said by this root from now on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RootInForce {
    /// Its version.
    pub version: u64,
    /// SHA-256 of what was signed, in hex.
    pub digest: String,
}

/// An older version of a policy may be put in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Ordered {
    /// The agent.
    pub agent: String,
    /// The policy's name.
    pub policy: String,
    /// The newest version that was in force.
    pub from: u64,
    /// The version that may be.
    pub to: u64,
}

/// A scope is open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Scope {
    /// Its name.
    pub id: ScopeId,
    /// Absolute path of its cgroup's directory: write `0` to its `cgroup.procs`, then exec.
    pub cgroup: String,
}

/// What happened in a scope.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Summary {
    /// Denials, those alike counted together, most frequent first; at most [`Summary::MAX_ROWS`].
    pub denied: Vec<DeniedRow>,
    /// Rows that found no room in `denied`.
    pub more: u64,
    /// Calls that were allowed, as far as the policy records them.
    pub allowed: u64,
    /// Events that the kernel could not deliver.
    pub lost: u64,
}

impl Summary {
    /// Rows of a summary at most.
    pub const MAX_ROWS: usize = 1_000;
}

/// Denials that agree in operation, access, subject and rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct DeniedRow {
    /// How many.
    pub count: u64,
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
    /// What the rule's author gave as the reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What became of the calls.
    pub verdict: DeniedVerdict,
}

/// What became of a call that the policy does not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeniedVerdict {
    /// It failed.
    Denied,
    /// The policy only monitors: it was recorded and passed.
    Monitored,
}

/// Why a request had no outcome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Failure {
    /// For programs.
    pub code: ErrorCode,
    /// For people: one line, lower case, no period.
    pub message: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

/// Kind of a [`Failure`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorCode {
    /// The line is no request of this protocol.
    BadRequest,
    /// The bundle was refused; what was in force stays.
    BundleRefused,
    /// The peer is governed, or not root.
    Forbidden,
    /// The daemon failed.
    Internal,
    /// A limit is reached; the message names it.
    Limit,
    /// A service is stopped only with force.
    NotEphemeral,
    /// The bundle selects tasks that another agent's policy selects.
    Overlap,
    /// The daemon is not ready, or is stopping.
    Unavailable,
    /// No policy of this agent is installed.
    UnknownAgent,
    /// No such grant, or it has ended.
    UnknownGrant,
    /// No governed process with this number.
    UnknownProcess,
    /// No such question, or it has ended.
    UnknownQuestion,
    /// No such scope.
    UnknownScope,
    /// The line is of another version of the protocol.
    UnsupportedVersion,
}
