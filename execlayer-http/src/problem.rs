//! Errors as problem details (RFC 9457). Owns their codes; none of them is ever a decision.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Problem {
    /// Its code.
    pub code: Code,
    /// For people: what happened, and what to do about it.
    pub detail: String,
    /// Methods that the route has, of [`Code::Method`].
    pub allow: Option<String>,
}

/// Kind of a [`Problem`]; each has its HTTP status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "see `Code::all`")]
pub enum Code {
    Malformed,
    Unauthenticated,
    Forbidden,
    NotGoverned,
    NotFound,
    Method,
    Slow,
    NoPolicy,
    Ended,
    TooLarge,
    MediaType,
    Refused,
    TooMany,
    Internal,
    Unavailable,
}

impl Code {
    const fn all(self) -> (u16, &'static str, &'static str) {
        match self {
            Self::Malformed => (400, "malformed", "The request cannot be read"),
            Self::Unauthenticated => (401, "unauthenticated", "Nobody knows who asks"),
            Self::Forbidden => (403, "forbidden", "The caller may not do this"),
            Self::NotGoverned => (403, "not-governed", "The caller is no agent and no operator"),
            Self::NotFound => (404, "not-found", "There is no such thing"),
            Self::Method => (405, "method", "The resource has other methods"),
            Self::Slow => (408, "slow", "The request did not come in time"),
            Self::NoPolicy => (409, "no-policy", "The agent has no policy in force"),
            Self::Ended => (409, "ended", "It has ended"),
            Self::TooLarge => (413, "too-large", "The request is too large"),
            Self::MediaType => (415, "media-type", "The body is of another type"),
            Self::Refused => (422, "refused", "What was sent is refused"),
            Self::TooMany => (429, "too-many", "The caller asks too much at once"),
            Self::Internal => (500, "internal", "The server failed"),
            Self::Unavailable => (503, "unavailable", "The daemon cannot be reached"),
        }
    }

    /// The name in its type.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.all().1
    }

    /// Its HTTP status.
    #[must_use]
    pub const fn status(self) -> u16 {
        self.all().0
    }
}

/// A problem on the wire.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ProblemBody {
    /// `urn:execlayer:problem:` and the code.
    #[schema(rename = "type")]
    #[serde(rename = "type")]
    kind: String,
    /// The code in words.
    title: &'static str,
    /// HTTP status.
    status: u16,
    /// What happened.
    detail: String,
}

impl Problem {
    /// A problem of that code.
    #[must_use]
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), allow: None }
    }

    /// As JSON, for a part of an answer.
    #[must_use]
    pub fn body(&self) -> ProblemBody {
        let (status, name, title) = self.code.all();
        let kind = format!("urn:execlayer:problem:{name}");
        ProblemBody { kind, title, status, detail: self.detail.clone() }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.code.status());
        let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self.body())).into_response();
        let headers = response.headers_mut();
        let json = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, json);
        match self.code {
            Code::Unauthenticated => {
                let bearer = HeaderValue::from_static("Bearer realm=\"execlayer\"");
                headers.insert(header::WWW_AUTHENTICATE, bearer);
            }
            Code::TooMany | Code::Unavailable => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            _ => {}
        }
        if let Some(allow) = self.allow.and_then(|allow| HeaderValue::from_str(&allow).ok()) {
            headers.insert(header::ALLOW, allow);
        }
        response
    }
}
