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
use execlayer_common::call::Request;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{RefOr, Schema, schema::AnyOfBuilder},
};

use crate::{
    backend::Backend,
    body,
    caller::Caller,
    context::{Context, ContextValue},
    problem::{Code, Problem, ProblemBody},
    routes::{Home, check_batch, judged, judged_one, lost},
    types::{Decision, Evaluation, Outcome},
};

/// Who, or about what. Properties that are not judged are allowed to be there.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[schema(as = authzen::Entity)]
pub(crate) struct Entity {
    #[serde(rename = "type")]
    kind: String,
    id: String,
}

#[derive(Clone, Debug, Deserialize, ToSchema)]
#[schema(as = authzen::Action)]
pub(crate) struct Action {
    #[schema(min_length = 1, max_length = 256, pattern = r"^[^\x00]*$")]
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

/// One question by itself.
#[derive(Debug, ToSchema)]
#[schema(as = authzen::Request)]
#[expect(dead_code, reason = "only described")]
pub(crate) struct One {
    subject: Entity,
    action: Action,
    resource: Entity,
    context: Option<Context>,
}

/// Several, and what they have in common.
#[derive(Debug, ToSchema)]
#[schema(as = authzen::Requests)]
#[expect(dead_code, reason = "only described")]
pub(crate) struct All {
    subject: Option<Entity>,
    action: Option<Action>,
    resource: Option<Entity>,
    context: Option<Context>,
    /// Each as one by itself, with what is missing taken from here. What cannot be judged is answered by itself.
    #[schema(min_items = 1, max_items = 100)]
    evaluations: Vec<serde_json::Value>,
}

/// Without several, it is as one by itself; what describes both is taken for several.
#[derive(Debug)]
pub(crate) struct OneOrAll;

impl ToSchema for OneOrAll {}

impl PartialSchema for OneOrAll {
    fn schema() -> RefOr<Schema> {
        AnyOfBuilder::new().item(One::schema()).item(All::schema()).into()
    }
}

/// See [`OneOrAll`].
#[derive(Debug, ToSchema)]
#[schema(as = authzen::SaidOneOrAll)]
#[serde(untagged)]
#[expect(dead_code, reason = "only described")]
pub(crate) enum SaidOneOrAll {
    One(Said),
    All(SaidAll),
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = authzen::Said)]
pub(crate) struct Said {
    decision: bool,
    context: Because,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = authzen::Because)]
#[serde(untagged)]
pub(crate) enum Because {
    Decision(Box<Decision>),
    Problem { error: ProblemBody },
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = authzen::SaidAll)]
pub(crate) struct SaidAll {
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
        evaluations: Option<Vec<Box<RawValue>>>,
    }

    let bytes = body::json(&headers, sent, home.patience).await?;
    let whole: Asked = body::parse(&bytes)?;
    let Several { evaluations } = body::parse(&bytes)?;
    let asked = evaluations.unwrap_or_default();
    if asked.is_empty() {
        let decision = judged_one(&home.backend, &caller, whole.evaluation()?).await?;
        return Ok(Json(Said::from(Ok(decision))).into_response());
    }
    if let Some(Action { name }) = &whole.action {
        Request::new(name.as_bytes(), b"")
            .map_err(|error| Problem::new(Code::Malformed, error.to_string()))?;
    }
    // Each would have a copy of what the whole says.
    check_batch(asked.len())?;
    // What cannot be judged is answered by itself, and holds no other up.
    let (mut calls, mut refused) = (Vec::new(), Vec::new());
    for one in asked {
        let one = body::parse::<Asked>(one.get().as_bytes());
        let call = one.and_then(|one| one.or(&whole).evaluation());
        match call.and_then(|call| call.check().map(|()| call)) {
            Ok(call) => {
                calls.push(call);
                refused.push(None);
            }
            Err(problem) => refused.push(Some(problem)),
        }
    }
    let mut results = Vec::new();
    if !calls.is_empty() {
        results = judged(&home.backend, &caller, calls).await?;
    }
    let mut results = results.into_iter();
    let mut next = || results.next().unwrap_or_else(|| Err(lost()));
    let evaluations = refused.into_iter().map(|problem| problem.map_or_else(&mut next, Err));
    let evaluations = evaluations.map(Said::from).collect();
    Ok(Json(SaidAll { evaluations }).into_response())
}
