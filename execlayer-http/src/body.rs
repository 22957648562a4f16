//! Bodies of requests: read within their limits, and as JSON. Must not know what is in them.

use std::time::Duration;

use axum::{
    body::Body,
    http::{HeaderMap, header},
};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use crate::problem::{Code, Problem};

/// Bytes of a body of JSON.
pub(crate) const MAX_JSON: usize = 1 << 20;
/// Bytes of a signed bundle.
pub(crate) const MAX_BUNDLE: usize = 16 << 20;

/// A body of at most so many bytes, whole.
pub(crate) async fn read(
    headers: &HeaderMap,
    body: Body,
    most: usize,
    patience: Duration,
) -> Result<Vec<u8>, Problem> {
    let too_large =
        || Problem::new(Code::TooLarge, format!("a body here has at most {most} bytes"));
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    if length.and_then(|text| text.parse::<u64>().ok()).is_some_and(|length| length > most as u64) {
        return Err(too_large());
    }
    match timeout(patience, axum::body::to_bytes(body, most)).await {
        Err(_late) => {
            let seconds = patience.as_secs();
            Err(Problem::new(Code::Slow, format!("the body did not come within {seconds} s")))
        }
        Ok(Ok(bytes)) => Ok(bytes.into()),
        Ok(Err(error)) if is_limit(&error) => Err(too_large()),
        Ok(Err(error)) => {
            Err(Problem::new(Code::Malformed, format!("the body broke off: {error}")))
        }
    }
}

fn is_limit(error: &axum::Error) -> bool {
    let mut source: Option<&dyn std::error::Error> = Some(error);
    while let Some(at) = source {
        if at.to_string().contains("length limit exceeded") {
            return true;
        }
        source = at.source();
    }
    false
}

/// A body of JSON.
pub(crate) async fn json(
    headers: &HeaderMap,
    body: Body,
    patience: Duration,
) -> Result<Vec<u8>, Problem> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = kind.and_then(|kind| kind.split(';').next()).map(str::trim);
    if !essence.is_some_and(|essence| essence.eq_ignore_ascii_case("application/json")) {
        let detail = "send `Content-Type: application/json`";
        return Err(Problem::new(Code::MediaType, detail));
    }
    read(headers, body, MAX_JSON, patience).await
}

/// What JSON says, whole and nothing behind it.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(bytes).map_err(|error| Problem::new(Code::Malformed, error.to_string()))
}
