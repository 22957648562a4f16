//! What the process that serves the evaluation API asks of the root daemon, and is told. A protocol of its own: what is
//! said here comes from a process without privileges, on behalf of others, and nothing of it changes enforcement but
//! what is signed. Must not decide anything.

use serde::{Deserialize, Serialize};

use crate::{
    holding::{Answered, Question},
    response::Failure,
    status::Status,
};

/// A request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
pub enum Ask {
    /// What is in force for whom? Answered by [`Told::Policies`].
    Policies {},
    /// What is in force for this agent, whole? Answered by [`Told::Policy`].
    Policy {
        /// The agent.
        agent: String,
    },
    /// Whose is this process? Answered by [`Told::Process`].
    Who {
        /// The process.
        pid: u32,
    },
    /// Write down what was decided about calls of tools. Answered by [`Told::Recorded`].
    Record {
        /// In their order.
        calls: Vec<Judged>,
    },
    /// Put a call of a tool to a person. Answered by [`Told::Asked`].
    Hold {
        /// What its policy asks about.
        call: Box<Judged>,
    },
    /// What is open? Answered by [`Told::Questions`].
    Questions {},
    /// What became of a question? Answered by [`Told::Question`].
    Question {
        /// Its number.
        id: u64,
        /// Whoever asked it wants to know, and a yes is used by that.
        #[serde(default)]
        is_asker: bool,
    },
    /// A person's answer. Answered by [`Told::Answered`].
    Answer {
        /// Number of the question.
        id: u64,
        /// Whether it may go on.
        allow: bool,
        /// Why, for the audit trail.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<String>,
        /// Who, as far as the API knows.
        by: String,
    },
    /// How is the daemon? Answered by [`Told::Status`].
    Status {},
    /// Verify this bundle and put it in force. Answered by [`Told::Installed`].
    Install {
        /// Base64 of the file.
        bundle: String,
        /// Who, as far as the API knows.
        by: String,
    },
}

/// A response: the outcome, or why there is none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// It was done.
    Done(Told),
    /// It was refused or failed, and nothing changed.
    Error(Failure),
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "each is to the request of its name")]
pub enum Told {
    Policies(Vec<Head>),
    Policy(Box<Whole>),
    Process(Process),
    Recorded(Recorded),
    Asked(Asked),
    Questions(Vec<Question>),
    Question(Box<Ended>),
    Answered(Answered),
    Status(Box<Status>),
    Installed(crate::response::Installed),
}

/// A policy in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Head {
    /// The agent.
    pub agent: String,
    /// The policy's name.
    pub policy: String,
    /// Its version.
    pub version: u64,
    /// SHA-256 of what was signed, in hex.
    pub digest: String,
    /// Counts the installations of this daemon.
    pub generation: u32,
}

/// A policy in force, with all that judging by it needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Whole {
    /// What it is.
    pub head: Head,
    /// Base64 of its image's words, little endian.
    pub image: String,
    /// Its provenance, as JSON.
    pub provenance: String,
}

/// Whose a process is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Process {
    /// The agent whose policy governs it; `None` if none does.
    pub agent: Option<String>,
    /// Its process tree: start time of its first task, ns since boot. 0 if nothing governs it.
    pub session: u64,
}

/// What was decided about a call of a tool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Judged {
    /// The agent.
    pub agent: String,
    /// The generation that it was judged by.
    pub generation: u32,
    /// The process that asked.
    pub pid: u32,
    /// Its effective uid.
    pub uid: u32,
    /// See [`Process::session`].
    pub session: u64,
    /// The agent's own name of its session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_session: Option<String>,
    /// The agent's own name of the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<String>,
    /// The tool's name.
    pub action: String,
    /// What it is called about.
    pub resource: String,
    /// The values that it gives, as one JSON object.
    pub context: String,
    /// SHA-256 of agent, action, resource and context, in hex: what an answer is about.
    pub digest: String,
    /// `allow`, `ask` or `deny`.
    pub verdict: Said,
    /// Name of the reason.
    pub reason: String,
    /// Number of the rule that decided, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<u16>,
}

/// A verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Said {
    /// It goes on.
    Allow,
    /// It is to be asked about.
    Ask,
    /// It does not go on.
    Deny,
}

impl Said {
    /// The name used in records.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Ask => "ask",
            Self::Deny => "deny",
        }
    }
}

/// Calls were written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Recorded {
    /// They were not, and what cannot be recorded is denied.
    pub is_denied: bool,
}

/// A call was put to a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Asked {
    /// Number of the question.
    pub id: u64,
    /// Seconds until it is denied.
    pub left: u64,
    /// It was answered before: whether by yes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<bool>,
}

/// What became of a question about a call of a tool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Ended {
    /// The question.
    pub question: Question,
    /// See [`Process::session`].
    pub session: u64,
    /// Whether it was allowed; `None` as long as it is open.
    pub allowed: Option<bool>,
    /// How it ended: `allowed`, `denied`, `timed-out`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ending: Option<String>,
    /// What whoever answered said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}
