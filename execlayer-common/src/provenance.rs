//! What leads from a rule's number back to its text. Written by lowering, carried in the bundle,
//! read by whoever prints an event; the kernel never sees it.

extern crate alloc;

use alloc::{string::String, vec::Vec};
use serde::{Deserialize, Serialize};

/// Version of this schema.
pub const FORMAT: u32 = 2;

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
    /// Agents whose rules may lead to this policy ([`RuleOrigin::transition`]).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accepts_from: Vec<String>,
    /// Who can be asked, as far as rules name them; [`RuleOrigin::asking`] counts in this list.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deciders: Vec<Decider>,
    /// Names of the context values that rules test, by their numbers in the image ([`crate::context`]).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub context: Vec<String>,
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
    /// The agent to whose policy executing leads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transition: Option<String>,
    /// How it asks. Only of rules that do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asking: Option<Asking>,
}

/// What an `ask` rule says about its questions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asking {
    /// Seconds after which a question is denied; `None` leaves it to the daemon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<u32>,
    /// Seconds for which a yes holds for the same subject, in the same process tree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remember: Option<u32>,
    /// Who is asked, in this order, as indices into [`Provenance::deciders`]. None: a person.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deciders: Vec<u32>,
}

/// Somebody or something that answers questions. What it does not know goes to the next in the chain;
/// what nobody knows is denied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decider {
    /// Its name in the policy.
    pub name: String,
    /// What it is.
    pub kind: DeciderKind,
}

/// What a decider is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
pub enum DeciderKind {
    /// A person, with the operator's tool.
    Human {},
    /// Allows to execute a file whose SHA-256 is listed; knows nothing of others.
    Sha256 {
        /// 64 lower-case hexadecimal digits each, sorted.
        digests: Vec<String>,
    },
    /// Allows to connect to an address that one of these names resolves to now.
    Host {
        /// DNS names.
        hosts: Vec<String>,
    },
    /// Allows so many calls in any such time.
    Budget {
        /// Calls.
        uses: u32,
        /// Seconds.
        window: u32,
    },
    /// Runs a program with the question as JSON on its standard input. Exit code 0 allows, 1 denies, 2
    /// does not know.
    Command {
        /// Absolute path, then arguments.
        argv: Vec<String>,
        /// Seconds that it may take.
        timeout: u32,
    },
    /// Posts the question as JSON.
    Webhook {
        /// `https://...`, or `http://` of a loopback address.
        url: String,
        /// File with the secret that signs both ways (HMAC-SHA256).
        secret: String,
        /// File with the certificates (PEM) that the server's must come from; none: the system's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ca: Option<String>,
        /// Seconds that one attempt may take.
        timeout: u32,
        /// Attempts after the first.
        retries: u32,
    },
}
