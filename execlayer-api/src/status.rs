//! What the daemon says about itself. Must not hold anything that only a log needs.

use serde::{Deserialize, Serialize};

/// State of the daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Programs are being loaded; nothing is enforced yet.
    Starting,
    /// Verdicts are enforced and recorded.
    Enforcing,
    /// Verdicts are enforced, and something else fails: [`Status::degraded`] says what.
    Degraded,
    /// Programs are being detached.
    Stopping,
}

impl State {
    /// The name on the wire and on the screen.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Enforcing => "enforcing",
            Self::Degraded => "degraded",
            Self::Stopping => "stopping",
        }
    }
}

/// The whole status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Status {
    /// Release of the daemon.
    pub release: String,
    /// Its process.
    pub pid: u32,
    /// Seconds since 1970 of its start.
    pub started: u64,
    /// It ends by itself when nothing is governed any more.
    pub ephemeral: bool,
    /// Its state.
    pub state: State,
    /// What fails, if the state is [`State::Degraded`].
    pub degraded: Vec<String>,
    /// Release of the running kernel.
    pub kernel: String,
    /// The kernel programs.
    pub programs: Vec<Program>,
    /// The policies in force.
    pub profiles: Vec<Profile>,
    /// Scopes that are open.
    pub scopes: u32,
    /// Records of the kernel that the daemon could not read.
    pub unknown_events: u64,
    /// The last try of a denied exec, open and connect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<Canary>,
    /// The audit trail.
    pub audit: Audit,
    /// Calls that wait for an answer.
    #[serde(default)]
    pub questions: u32,
}

/// The audit trail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Audit {
    /// Its folder.
    pub folder: String,
    /// Its name in its signed heads.
    pub origin: String,
    /// Records in it.
    pub records: u64,
    /// How many of them the newest signed head covers.
    pub signed: u64,
    /// Records that could not be written since the daemon started.
    pub unwritten: u64,
}

/// A kernel program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Program {
    /// Its name.
    pub name: String,
    /// Where it is attached.
    pub hook: String,
    /// Whether it is.
    pub attached: bool,
}

/// A policy in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Profile {
    /// Its number: the slot plus one.
    pub number: u32,
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
    /// Enforce or monitor.
    pub mode: Mode,
    /// Rules of the policy.
    pub rules: u32,
    /// Bytes of the image.
    pub image_bytes: u64,
    /// Kernel memory of the table that holds it.
    pub table_bytes: u64,
    /// Threads that it governs now.
    pub governed_tasks: u64,
    /// Events that the kernel could not deliver.
    pub lost_events: u64,
    /// Seconds since 1970 from which on the policy's time is over, if it ever is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<u64>,
}

/// What a profile does with a denial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// The call fails.
    Enforce,
    /// The call is recorded and passes.
    Monitor,
}

impl Mode {
    /// The name on the wire and on the screen.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Monitor => "monitor",
        }
    }
}

/// Result of a canary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Canary {
    /// Every denied act failed, and every event named the canary's rule.
    pub passed: bool,
    /// Seconds since 1970.
    pub time: u64,
    /// Each act and what came of it, for people.
    pub acts: Vec<String>,
}
