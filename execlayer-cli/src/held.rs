//! Questions as the tool asks for them, and answers as it gives them. Must not choose an answer, nor
//! print one.

use execlayer_api::{Answered, Failure, Outcome, Question, Remember, Request};

use crate::{
    daemon::{self, AskError, Places},
    error::CliError,
    words,
};

/// What is open, of one agent or of all.
pub(crate) fn questions(places: &Places, agent: Option<&str>) -> Result<Vec<Question>, CliError> {
    match daemon::ask(places, &Request::Questions {})? {
        Outcome::Questions(mut questions) => {
            questions.retain(|question| agent.is_none_or(|agent| question.agent == agent));
            Ok(questions)
        }
        other => Err(daemon::unexpected(&other)),
    }
}

/// Somebody's answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer<'a> {
    pub(crate) allow: bool,
    pub(crate) remember: Remember,
    /// For the audit trail.
    pub(crate) message: Option<&'a str>,
}

/// What came of it, or why the daemon refuses this one answer.
pub(crate) fn answer(
    places: &Places,
    id: u64,
    answer: &Answer<'_>,
) -> Result<Result<Answered, Failure>, CliError> {
    let request = Request::Answer {
        id,
        allow: answer.allow,
        remember: answer.remember,
        message: answer.message.map(str::to_owned),
    };
    match daemon::ask(places, &request) {
        Ok(Outcome::Answered(answered)) => Ok(Ok(answered)),
        Ok(other) => Err(daemon::unexpected(&other)),
        Err(AskError::Refused(failure)) => Ok(Err(failure)),
        Err(error) => Err(error.into()),
    }
}

/// What became of a question, for people.
pub(crate) fn outcome(answered: &Answered) -> String {
    let word = match (answered.allowed, answered.calls) {
        (true, 0) => "is allowed, for the next try",
        (true, _) => "goes on",
        (false, _) => "is denied",
    };
    let calls = match answered.calls {
        0 | 1 => String::new(),
        calls => format!(" ({})", words::count(calls, "call")),
    };
    let grant = answered.grant.map(|grant| format!(", remembered as grant {grant}"));
    format!("{}: {word}{calls}{}\n", answered.id, grant.unwrap_or_default())
}

/// Said of a question that nobody waits for any more.
pub(crate) const FAILED_ALREADY: &str = "failed already; a yes is for the next try";
