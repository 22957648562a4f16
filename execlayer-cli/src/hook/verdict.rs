//! What the daemon says about a call and about a question. Takes nothing for an allow but the one word.

use super::{Fault, json::Object};
use crate::words;

/// What an agent is told.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Allow,
    /// With a reason that is not empty.
    Deny(String),
    /// Whoever sits before the agent decides, knowing why.
    Ask(String),
}

/// What `POST /v1/evaluate` answers.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decision {
    Allow,
    Deny(String),
    Hold { question: u64, why: String },
}

/// What `GET /v1/questions/{id}` answers.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum State {
    Open,
    Allowed,
    Denied(String),
}

impl Decision {
    pub(super) fn parse(body: &str) -> Result<Self, Fault> {
        let said = Object::parse(body)?;
        match said.needed("decision")?.as_str() {
            "allow" => Ok(Self::Allow),
            "deny" => Ok(Self::Deny(reason("denied", &said)?)),
            "hold" => {
                let question = said.object("hold")?.number("question")?;
                Ok(Self::Hold { question, why: reason("needs an answer", &said)? })
            }
            other => Err(Fault::new(format!("the daemon's decision `{other}` is unknown"))),
        }
    }
}

impl State {
    pub(super) fn parse(body: &str, question: u64) -> Result<Self, Fault> {
        let said = Object::parse(body)?;
        if said.has("id") && said.number("id")? != question {
            return Err(Fault::new("the daemon answers about another question"));
        }
        let why = said.text("message")?.map(|text| format!(": {text}")).unwrap_or_default();
        match said.needed("state")?.as_str() {
            "open" => Ok(Self::Open),
            "allowed" => Ok(Self::Allowed),
            "denied" => Ok(Self::Denied(format!("question {question} was denied{why}"))),
            "timed-out" => Ok(Self::Denied(format!("nobody answered question {question} in time"))),
            "used" => Ok(Self::Denied(format!(
                "the yes to question {question} was used by another call that is the same"
            ))),
            "replaced" => Ok(Self::Denied(format!(
                "another policy came while question {question} was open: try again"
            ))),
            other => Err(Fault::new(format!("a question's state `{other}` is unknown"))),
        }
    }
}

/// `denied by rule `no-push` (policy.toml:12): A person pushes.`
fn reason(what: &str, said: &Object<'_>) -> Result<String, Fault> {
    let by = if said.has("rule") {
        let rule = said.object("rule")?;
        let line = if rule.has("line") { u32::try_from(rule.number("line")?).ok() } else { None };
        let (id, file) = (rule.text("id")?, rule.text("file")?);
        format!(" by {}", words::rule(id.as_deref(), file.as_deref(), line))
    } else {
        said.text("reason")?.map(|reason| format!(" ({reason})")).unwrap_or_default()
    };
    let message = said.text("message")?.map(|text| format!(": {text}")).unwrap_or_default();
    Ok(format!("{what}{by}{message}"))
}
