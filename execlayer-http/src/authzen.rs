//! The evaluation endpoints of the OpenID AuthZEN Authorization API 1.0, over the same evaluations. Owns how its fields
//! stand for ours: `subject.id` is the agent, `action.name` the tool, `resource.id` what it is called about; the
//! context's values are the context's. What is held is no yes: `decision` is false, and `context.hold` says why.
//!
//! Fields and nesting: AuthZEN Authorization API 1.0, sections 5 to 7, written from knowledge of the document.

use axum::{
    Extension, Json,
    body::Body,
    extract::State,
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};

use crate::{
    backend::Backend,
    body,
    caller::Caller,
    context::{Context, ContextValue},
    problem::{Code, Problem, ProblemBody},
    routes::{Home, check_batch, judged, judged_one},
    types::{Decision, Evaluation, Outcome},
};

/// Who, or about what. Properties that are not judged are allowed to be there.
#[derive(Clone, Debug, Deserialize)]
struct Entity {
    #[serde(rename = "type")]
    kind: String,
    id: String,
}

#[derive(Clone, Debug, Deserialize)]
struct Action {
    name: String,
}

/// One question; in a list of them, what is missing is that of the whole.
#[derive(Clone, Debug, Default, Deserialize)]
struct Asked {
    subject: Option<Entity>,
    action: Option<Action>,
    resource: Option<Entity>,
    context: Option<Context>,
}

#[derive(Debug, Serialize)]
struct Said {
    decision: bool,
    context: Because,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Because {
    Decision(Box<Decision>),
    Problem { error: ProblemBody },
}

#[derive(Debug, Serialize)]
struct SaidAll {
    evaluations: Vec<Said>,
}

impl Asked {
    fn or(self, whole: &Self) -> Self {
        Self {
            subject: self.subject.or_else(|| whole.subject.clone()),
            action: self.action.or_else(|| whole.action.clone()),
            resource: self.resource.or_else(|| whole.resource.clone()),
            context: self.context.or_else(|| whole.context.clone()),
        }
    }

    fn evaluation(self) -> Result<Evaluation, Problem> {
        let missing = |name| Problem::new(Code::Malformed, format!("`{name}` is missing"));
        let subject = self.subject.ok_or_else(|| missing("subject"))?;
        let resource = self.resource.ok_or_else(|| missing("resource"))?;
        let mut context = self.context.unwrap_or_default();
        // Not judged unless a rule asks for it.
        let kinds = [("subject.type", subject.kind), ("resource.type", resource.kind)];
        for (name, kind) in kinds {
            if context.0.iter().all(|(known, _)| known != name) {
                context.0.push((name.to_owned(), ContextValue::Text(kind)));
            }
        }
        Ok(Evaluation {
            action: self.action.ok_or_else(|| missing("action"))?.name,
            resource: resource.id,
            context,
            agent: Some(subject.id),
            session: None,
            call: None,
            dry_run: false,
        })
    }
}

impl From<Result<Decision, Problem>> for Said {
    fn from(result: Result<Decision, Problem>) -> Self {
        match result {
            Ok(decision) => Self {
                decision: decision.decision == Outcome::Allow,
                context: Because::Decision(Box::new(decision)),
            },
            Err(problem) => {
                Self { decision: false, context: Because::Problem { error: problem.body() } }
            }
        }
    }
}

pub(crate) async fn evaluation<B: Backend>(
    State(home): Home<B>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    sent: Body,
) -> Result<Response, Problem> {
    let asked: Asked = body::parse(&body::json(&headers, sent, home.patience).await?)?;
    let decision = judged_one(&home.backend, &caller, asked.evaluation()?).await?;
    Ok(Json(Said::from(Ok(decision))).into_response())
}

pub(crate) async fn evaluations<B: Backend>(
    State(home): Home<B>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    sent: Body,
) -> Result<Response, Problem> {
    /// Each is read by itself: what is between must not lose the text of numbers.
    #[derive(Deserialize)]
    struct Several {
        evaluations: Option<Vec<Asked>>,
    }

    let bytes = body::json(&headers, sent, home.patience).await?;
    let whole: Asked = body::parse(&bytes)?;
    let Several { evaluations } = body::parse(&bytes)?;
    let asked = evaluations.unwrap_or_else(|| vec![Asked::default()]);
    // Each would have a copy of what the whole says.
    check_batch(asked.len())?;
    let calls = asked.into_iter().map(|one| one.or(&whole).evaluation());
    let calls = calls.collect::<Result<Vec<_>, _>>()?;
    let judged = judged(&home.backend, &caller, calls).await?;
    let evaluations = judged.into_iter().map(Said::from).collect();
    Ok(Json(SaidAll { evaluations }).into_response())
}
