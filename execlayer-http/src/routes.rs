//! What each route does with a request that may be made. Must not decide who may make it: [`crate::caller`] does, for
//! all of them, before any of these runs.

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use axum::{
    Extension, Json, Router,
    body::Body,
    extract::{MatchedPath, Path, Request, State},
    http::{HeaderMap, Uri, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::{
    authzen,
    backend::Backend,
    body,
    caller::{Caller, ROUTES, need},
    events,
    openapi::document,
    problem::{Code, Problem},
    types::{
        Answer, Decision, Evaluated, EvaluatedAll, Evaluation, Evaluations, MAX_BATCH, Policies,
        Questions,
    },
};

/// Longest wait for a question's end.
const MAX_WAIT: Duration = Duration::from_secs(60);
/// The member of a batch, as it stands in its bytes.
const BATCH: &[u8] = b"\"evaluations\"";
/// Records in one answer.
const MAX_RECORDS: usize = 1_000;

static DOCUMENT: LazyLock<utoipa::openapi::OpenApi> = LazyLock::new(document);

/// What every request finds.
#[derive(Debug)]
pub(crate) struct Shared<B> {
    pub(crate) backend: B,
    /// For a body.
    pub(crate) patience: Duration,
}

pub(crate) type Home<B> = State<Arc<Shared<B>>>;

/// Every route, behind the one check of who asks.
pub(crate) fn router<B: Backend>(shared: Arc<Shared<B>>) -> Router {
    Router::new()
        .route("/healthz", get(async || "alive\n"))
        .route("/readyz", get(ready::<B>))
        .route("/v1/openapi.json", get(async || Json(&*DOCUMENT)))
        .route("/v1/evaluate", post(evaluate::<B>))
        .route("/access/v1/evaluation", post(authzen::evaluation::<B>))
        .route("/access/v1/evaluations", post(authzen::evaluations::<B>))
        .route("/v1/questions", get(questions::<B>))
        .route("/v1/questions/{id}", get(question::<B>))
        .route("/v1/questions/{id}/answer", post(answer::<B>))
        .route("/v1/events", get(events::follow::<B>))
        .route("/v1/audit", get(audit::<B>))
        .route("/v1/policies", get(policies::<B>).put(install::<B>))
        .route("/v1/status", get(status::<B>))
        .route("/metrics", get(metrics::<B>))
        .method_not_allowed_fallback(async |Extension(path): Extension<Known>| {
            other_method(&path.0)
        })
        .layer(middleware::from_fn(check))
        .fallback(async |uri: Uri| {
            let detail = format!("there is nothing at `{}`", uri.path());
            Problem::new(Code::NotFound, detail).into_response()
        })
        .with_state(shared)
}

/// The path of the route that a request is for.
#[derive(Clone, Debug)]
struct Known(String);

/// Whether the caller may make this request at all.
async fn check(path: MatchedPath, mut request: Request, next: Next) -> Response {
    let path = path.as_str();
    let Some(need) = need(request.method().as_str(), path) else { return other_method(path) };
    let caller = request.extensions().get::<Caller>();
    match caller {
        Some(caller) if need.is_met(caller) => {}
        Some(Caller::Nobody { why }) => {
            return Problem::new(Code::NotGoverned, why.clone()).into_response();
        }
        Some(Caller::Agent { name, .. }) => {
            let detail = format!("an agent may not do this (`{name}`)");
            return Problem::new(Code::Forbidden, detail).into_response();
        }
        Some(Caller::Operator { name, .. }) => {
            let detail = format!("`{name}` has no role that may do this");
            return Problem::new(Code::Forbidden, detail).into_response();
        }
        // Nothing puts requests here without saying whose they are.
        None => return Problem::new(Code::Internal, "the caller is not known").into_response(),
    }
    let known = Known(path.to_owned());
    request.extensions_mut().insert(known);
    next.run(request).await
}

fn other_method(path: &str) -> Response {
    let methods = ROUTES.iter().filter(|(_, at, _)| *at == path).map(|(method, ..)| *method);
    let allow = methods.collect::<Vec<_>>().join(", ");
    let detail = format!("`{path}` has the methods {allow}");
    Problem { allow: Some(allow), ..Problem::new(Code::Method, detail) }.into_response()
}

async fn ready<B: Backend>(State(home): Home<B>) -> Response {
    match home.backend.is_ready() {
        true => "ready\n".into_response(),
        false => Problem::new(Code::Unavailable, "the daemon says nothing now").into_response(),
    }
}

async fn evaluate<B: Backend>(
    State(home): Home<B>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    sent: Body,
) -> Result<Response, Problem> {
    /// A batch, as far as it can be told.
    #[derive(Deserialize)]
    struct Probe {
        evaluations: Option<IgnoredAny>,
    }

    let bytes = body::json(&headers, sent, home.patience).await?;
    // Mostly it is not there, and nobody writes it with escapes who means it.
    let may_be_batch = bytes.windows(BATCH.len()).any(|window| window == BATCH);
    if !may_be_batch || body::parse::<Probe>(&bytes)?.evaluations.is_none() {
        let evaluation: Evaluation = body::parse(&bytes)?;
        let decision = judged_one(&home.backend, &caller, evaluation).await?;
        return Ok(Json(decision).into_response());
    }
    let Evaluations { evaluations } = body::parse(&bytes)?;
    let decisions = judged(&home.backend, &caller, evaluations).await?;
    let evaluations = decisions
        .into_iter()
        .map(|one| match one {
            Ok(decision) => Evaluated::Decision(Box::new(decision)),
            Err(problem) => Evaluated::Problem { problem: problem.body() },
        })
        .collect();
    Ok(Json(EvaluatedAll { evaluations }).into_response())
}

pub(crate) fn lost() -> Problem {
    Problem::new(Code::Internal, "there is no decision for this call")
}

/// Has one call judged.
pub(crate) async fn judged_one<B: Backend>(
    backend: &B,
    caller: &Caller,
    call: Evaluation,
) -> Result<Decision, Problem> {
    judged(backend, caller, vec![call]).await?.pop().unwrap_or_else(|| Err(lost()))
}

/// Whether a batch may have so many calls.
pub(crate) fn check_batch(calls: usize) -> Result<(), Problem> {
    if (1..=MAX_BATCH).contains(&calls) {
        return Ok(());
    }
    let detail = format!("a batch has 1 to {MAX_BATCH} evaluations, and this one {calls}");
    Err(Problem::new(Code::Malformed, detail))
}

/// Has calls judged: as many results as calls.
pub(crate) async fn judged<B: Backend>(
    backend: &B,
    caller: &Caller,
    calls: Vec<Evaluation>,
) -> Result<Vec<Result<Decision, Problem>>, Problem> {
    check_batch(calls.len())?;
    for call in &calls {
        call.check()?;
    }
    let count = calls.len();
    let decisions = backend.evaluate(caller, calls).await;
    if decisions.len() == count { Ok(decisions) } else { Err(lost()) }
}

async fn questions<B: Backend>(
    State(home): Home<B>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Questions>, Problem> {
    home.backend.questions(&caller).await.map(|questions| Json(Questions { questions }))
}

async fn question<B: Backend>(
    State(home): Home<B>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    uri: Uri,
) -> Result<Response, Problem> {
    let id = number(&id)?;
    let wait = match parameter(&uri, "wait")? {
        None => Duration::ZERO,
        Some(text) => {
            let seconds = number(text.strip_suffix('s').unwrap_or(text));
            let wait = seconds.ok().map(Duration::from_secs).filter(|wait| *wait <= MAX_WAIT);
            wait.ok_or_else(|| {
                let detail =
                    format!("`wait` is `0s` to `{}s`, and not `{text}`", MAX_WAIT.as_secs());
                Problem::new(Code::Malformed, detail)
            })?
        }
    };
    home.backend.question(&caller, id, wait).await.map(|found| Json(found).into_response())
}

async fn answer<B: Backend>(
    State(home): Home<B>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    headers: HeaderMap,
    sent: Body,
) -> Result<Response, Problem> {
    let id = number(&id)?;
    let answer: Answer = body::parse(&body::json(&headers, sent, home.patience).await?)?;
    home.backend.answer(&caller, id, answer).await.map(|given| Json(given).into_response())
}

async fn audit<B: Backend>(
    State(home): Home<B>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
) -> Result<Response, Problem> {
    let number = |name| parameter(&uri, name)?.map(number).transpose();
    let (from, limit) = (number("from")?.unwrap_or(0), number("limit")?.unwrap_or(100));
    let limit = usize::try_from(limit).ok().filter(|limit| (1..=MAX_RECORDS).contains(limit));
    let limit = limit
        .ok_or_else(|| Problem::new(Code::Malformed, format!("`limit` is 1 to {MAX_RECORDS}")))?;
    home.backend.records(&caller, from, limit).await.map(|found| Json(found).into_response())
}

async fn policies<B: Backend>(State(home): Home<B>) -> Result<Json<Policies>, Problem> {
    home.backend.policies().await.map(|policies| Json(Policies { policies }))
}

async fn install<B: Backend>(
    State(home): Home<B>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    sent: Body,
) -> Result<Response, Problem> {
    let bytes = body::read(&headers, sent, body::MAX_BUNDLE, home.patience).await?;
    home.backend.install(&caller, bytes).await.map(|policy| Json(policy).into_response())
}

async fn status<B: Backend>(State(home): Home<B>) -> Result<Response, Problem> {
    home.backend.status().await.map(|status| Json(status).into_response())
}

async fn metrics<B: Backend>(State(home): Home<B>) -> Response {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], home.backend.metrics()).into_response()
}

/// A number as the document has them: digits, below 2^63.
pub(crate) fn number(text: &str) -> Result<u64, Problem> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse::<i64>().ok().filter(|_| is_plain);
    number.and_then(|number| u64::try_from(number).ok()).ok_or_else(|| {
        Problem::new(Code::Malformed, format!("`{}` is no number", text.escape_default()))
    })
}

/// A parameter of the query, which needs no decoding: all of them are numbers and durations.
pub(crate) fn parameter<'u>(uri: &'u Uri, name: &str) -> Result<Option<&'u str>, Problem> {
    let pairs = uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    let mut found = None;
    for pair in pairs {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        if key == name && found.replace(value).is_some() {
            return Err(Problem::new(Code::Malformed, format!("`{name}` is given twice")));
        }
    }
    Ok(found)
}
