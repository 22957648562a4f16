//! The one encoding of requests and responses: a JSON object on one line, with the protocol's
//! version. Must not read or write a socket.

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    Request, Response, VERSION,
    link::{Ask, Reply},
};

/// Bytes of a request line at most, its newline included.
pub const MAX_REQUEST: usize = 64 << 10;
/// Bytes of a response line at most, its newline included: a thousand rows with the longest path,
/// every byte of it escaped.
pub const MAX_RESPONSE: usize = 32 << 20;

/// Why a line is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// Not JSON, or not of this protocol.
    #[error("the line is not of the control protocol: {0}")]
    Malformed(String),
    /// Longer than the limit.
    #[error("the line has {length} bytes (the limit is {limit})")]
    TooLong {
        /// Bytes of the line.
        length: usize,
        /// What is allowed.
        limit: usize,
    },
    /// Of another version.
    #[error("the line is of protocol version {found} (this side speaks {VERSION})")]
    Version {
        /// The version that the line names.
        found: u32,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RequestLine<T> {
    version: u32,
    request: T,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ResponseLine<T> {
    version: u32,
    response: T,
}

/// Read first, so that another version is refused by its number and not by its fields.
#[derive(Deserialize)]
struct AnyVersion {
    version: u32,
}

/// Writes a request with its newline.
///
/// # Errors
///
/// [`LineError::TooLong`].
pub fn encode_request(request: &Request) -> Result<Vec<u8>, LineError> {
    encode(&RequestLine { version: VERSION, request }, MAX_REQUEST)
}

/// Writes a response with its newline.
///
/// # Errors
///
/// [`LineError::TooLong`].
pub fn encode_response(response: &Response) -> Result<Vec<u8>, LineError> {
    encode(&ResponseLine { version: VERSION, response }, MAX_RESPONSE)
}

/// Reads a request, with or without its newline.
///
/// # Errors
///
/// A [`LineError`] that says what is wrong.
pub fn decode_request(line: &[u8]) -> Result<Request, LineError> {
    decode::<RequestLine<Request>>(line, MAX_REQUEST).map(|line| line.request)
}

/// Reads a response, with or without its newline.
///
/// # Errors
///
/// A [`LineError`] that says what is wrong.
pub fn decode_response(line: &[u8]) -> Result<Response, LineError> {
    decode::<ResponseLine<Response>>(line, MAX_RESPONSE).map(|line| line.response)
}

/// Bytes of a line of the link between the daemon and the process that serves the API, its newline included: the
/// largest bundle, in base64.
pub const MAX_LINK: usize = 32 << 20;

/// Writes a request of the link with its newline.
///
/// # Errors
///
/// [`LineError::TooLong`].
pub fn encode_ask(request: &Ask) -> Result<Vec<u8>, LineError> {
    encode(&RequestLine { version: VERSION, request }, MAX_LINK)
}

/// Writes a response of the link with its newline.
///
/// # Errors
///
/// [`LineError::TooLong`].
pub fn encode_reply(response: &Reply) -> Result<Vec<u8>, LineError> {
    encode(&ResponseLine { version: VERSION, response }, MAX_LINK)
}

/// Reads a request of the link, with or without its newline.
///
/// # Errors
///
/// A [`LineError`] that says what is wrong.
pub fn decode_ask(line: &[u8]) -> Result<Ask, LineError> {
    decode::<RequestLine<Ask>>(line, MAX_LINK).map(|line| line.request)
}

/// Reads a response of the link, with or without its newline.
///
/// # Errors
///
/// A [`LineError`] that says what is wrong.
pub fn decode_reply(line: &[u8]) -> Result<Reply, LineError> {
    decode::<ResponseLine<Reply>>(line, MAX_LINK).map(|line| line.response)
}

fn encode(line: &impl Serialize, limit: usize) -> Result<Vec<u8>, LineError> {
    let mut bytes = serde_json::to_vec(line).map_err(|error| malformed(&error))?;
    bytes.push(b'\n');
    within(bytes.len(), limit)?;
    Ok(bytes)
}

fn decode<T: DeserializeOwned>(line: &[u8], limit: usize) -> Result<T, LineError> {
    within(line.len(), limit)?;
    let any: AnyVersion = serde_json::from_slice(line).map_err(|error| malformed(&error))?;
    if any.version != VERSION {
        return Err(LineError::Version { found: any.version });
    }
    serde_json::from_slice(line).map_err(|error| malformed(&error))
}

fn within(length: usize, limit: usize) -> Result<(), LineError> {
    if length > limit { Err(LineError::TooLong { length, limit }) } else { Ok(()) }
}

fn malformed(error: &serde_json::Error) -> LineError {
    LineError::Malformed(error.to_string())
}

#[cfg(test)]
mod tests;
