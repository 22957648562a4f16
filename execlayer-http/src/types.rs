//! What is said in requests and answers. Shapes and limits; must not decide anything.

use execlayer_common::{call::Request, limits::MAX_CONTEXT_VALUES};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    context::Context,
    problem::{Code, Problem, ProblemBody},
};

/// Evaluations in one request.
pub const MAX_BATCH: usize = 100;
/// Characters of an agent's own names.
const MAX_NAME: usize = 128;

/// A call of a tool that is to be judged.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Evaluation {
    /// The tool's name, 1 to 256 bytes.
    #[schema(min_length = 1, max_length = 256, pattern = r"^[^\x00]*$")]
    pub action: String,
    /// What it is called about, at most 65,536 bytes.
    #[serde(default)]
    #[schema(max_length = 65_536)]
    pub resource: String,
    /// Named values: texts, numbers, truth values, lists of texts; at most 64.
    #[serde(default)]
    pub context: Context,
    /// The agent. Operators may evaluate as any; an agent only as itself.
    #[serde(default)]
    pub agent: Option<String>,
    /// The agent's own name of its session.
    #[serde(default)]
    #[schema(max_length = 128)]
    pub session: Option<String>,
    /// The agent's own name of the call.
    #[serde(default)]
    #[schema(max_length = 128)]
    pub call: Option<String>,
    /// Only judge: record nothing, ask nobody, use no budget.
    #[serde(default)]
    pub dry_run: bool,
}

impl Evaluation {
    /// Checks what the types do not say.
    pub(crate) fn check(&self) -> Result<(), Problem> {
        let malformed = |detail: String| Problem::new(Code::Malformed, detail);
        Request::new(self.action.as_bytes(), self.resource.as_bytes())
            .map_err(|error| malformed(error.to_string()))?;
        if self.context.0.len() > MAX_CONTEXT_VALUES {
            return Err(malformed(format!("there are more than {MAX_CONTEXT_VALUES} values")));
        }
        for (name, text) in [("session", &self.session), ("call", &self.call)] {
            if text.as_ref().is_some_and(|text| text.chars().count() > MAX_NAME) {
                return Err(malformed(format!("`{name}` has more than {MAX_NAME} characters")));
            }
        }
        Ok(())
    }
}

/// Calls that are to be judged, in their order.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Evaluations {
    /// 1 to 100.
    #[schema(min_items = 1, max_items = 100)]
    pub evaluations: Vec<Evaluation>,
}

/// One call, or several.
#[derive(Debug, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only described: what came is told apart before it is read")]
pub(crate) enum Asked {
    One(Evaluation),
    Several(Evaluations),
}

/// What became of them.
#[derive(Debug, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only described")]
pub(crate) enum Said {
    One(Box<Decision>),
    Several(EvaluatedAll),
}

/// What is to become of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It may go on.
    Allow,
    /// It must not.
    Deny,
    /// It must not until somebody answered.
    Hold,
}

/// The answer to an [`Evaluation`]. Made by whoever judges, and by nobody else: no error becomes one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Decision {
    /// What is to become of the call.
    pub decision: Outcome,
    /// Why, in one word: `rule`, `unlisted`, `budget-spent`, `answered`, `allowed`, ...
    pub reason: String,
    /// What the rule's author or whoever answered said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The rule that decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<Rule>,
    /// The agent.
    pub agent: String,
    /// The policy.
    pub policy: Policy,
    /// The policy only watches: `would_be` says what it were otherwise.
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    pub monitored: bool,
    /// See `monitored`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub would_be: Option<Outcome>,
    /// SHA-256 over agent, action, resource and context: what an answer is about.
    pub action_digest: String,
    /// With `hold`: the question.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hold: Option<Hold>,
}

/// A rule's address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[expect(missing_docs, reason = "named as in a record")]
pub struct Rule {
    pub id: String,
    pub file: String,
    pub line: u32,
}

/// A policy in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Policy {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: u64,
    /// SHA-256 of what was signed, in hex.
    pub digest: String,
}

/// A question that is open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Hold {
    /// Its number.
    pub question: u64,
    /// Seconds until it is denied.
    pub expires_in: u64,
    /// Where its answer can be had.
    pub url: String,
}

/// The policy of an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct AgentPolicy {
    /// The agent.
    pub agent: String,
    /// Its policy.
    #[serde(flatten)]
    pub policy: Policy,
}

/// A question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[expect(missing_docs, reason = "named as the tool names them")]
pub struct Question {
    pub id: u64,
    /// `open`, `allowed`, `denied`, `timed-out`, `left`, or for whoever asked `used`, as another call of the same tree went on
    /// by that yes, or `replaced`, as another policy came.
    pub state: String,
    pub agent: String,
    pub pid: u32,
    pub program: String,
    pub operation: String,
    pub access: Vec<String>,
    pub subject: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Seconds that it has waited.
    pub waits: u64,
    /// Seconds until it is denied.
    pub expires_in: u64,
}

/// Questions, oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Questions {
    /// Those that the caller may see.
    pub questions: Vec<Question>,
}

/// A person's answer.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// Whether the call may go on.
    pub allow: bool,
    /// Why, for the agent and the audit trail.
    #[serde(default)]
    pub message: Option<String>,
}

/// An answer was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Answered {
    /// The question.
    pub question: u64,
    /// Whether the call goes on.
    pub allowed: bool,
}

/// Policies in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Policies {
    /// By agent.
    pub policies: Vec<AgentPolicy>,
}

/// One of a batch: a decision, or why there is none.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum Evaluated {
    /// It was judged.
    Decision(Box<Decision>),
    /// It was not, and is not allowed.
    Problem {
        /// Why.
        problem: ProblemBody,
    },
}

/// Decisions, in the order of the request.
#[derive(Debug, Serialize, ToSchema)]
pub struct EvaluatedAll {
    /// One for each evaluation.
    pub evaluations: Vec<Evaluated>,
}

/// Records of the audit trail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Records {
    /// As they are in the trail, those that the caller may see.
    #[schema(value_type = Vec<Object>)]
    pub records: Vec<serde_json::Value>,
    /// Number to go on with.
    pub next: u64,
}
