//! The daemon's HTTP API over its unix socket: one request a connection (HTTP/1.1, RFC 9112). Takes
//! nothing for an answer but status 200 with the JSON that was announced, to the byte.

use std::{
    io::{self, Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

use httparse::{EMPTY_HEADER, Header, Response, Status};

use super::{
    Fault,
    deadline::Deadline,
    json::Object,
    mapping::Call,
    verdict::{Decision, State},
};

/// Head and body of an answer.
const MAX_RESPONSE: usize = 1 << 20;
const MAX_HEADERS: usize = 64;

/// Whom to ask, and for how long.
pub(super) struct Client<'a> {
    pub(super) socket: &'a Path,
    pub(super) deadline: &'a Deadline,
}

impl Client<'_> {
    /// What is to be done about a call.
    pub(super) fn evaluate(&self, call: &Call) -> Result<Decision, Fault> {
        let body = serde_json::to_string(call)
            .map_err(|error| Fault::new(format!("internal error: {error}")))?;
        let head = format!(
            "POST /v1/evaluate HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: {}\r\n",
            body.len()
        );
        Decision::parse(&self.ask(&head, &body)?)
    }

    /// How it is with a question, after `wait` at most if it is open.
    pub(super) fn question(&self, question: u64, wait: Duration) -> Result<State, Fault> {
        let wait = wait.as_secs();
        let head = format!("GET /v1/questions/{question}?wait={wait}s HTTP/1.1\r\n");
        State::parse(&self.ask(&head, "")?, question)
    }

    fn ask(&self, head: &str, body: &str) -> Result<String, Fault> {
        let nobody = |error| {
            let socket = self.socket.display();
            Fault::new(format!("no daemon answers at {socket}: {error}"))
        };
        let mut stream = UnixStream::connect(self.socket).map_err(nobody)?;
        stream.set_write_timeout(Some(self.deadline.left()?)).map_err(nobody)?;
        let common = "Host: execlayer\r\nAccept: application/json\r\nConnection: close\r\n";
        let broken = |error: io::Error| match error.kind() {
            io::ErrorKind::WouldBlock => Fault::new("the daemon did not answer in time"),
            _ => Fault::new(format!("the daemon hung up: {error}")),
        };
        stream.write_all(format!("{head}{common}\r\n{body}").as_bytes()).map_err(broken)?;
        let mut bytes = Vec::new();
        let mut buffer = [0; 8_192];
        loop {
            if let Some(body) = body_of(&bytes)? {
                return Ok(body);
            }
            stream.set_read_timeout(Some(self.deadline.left()?)).map_err(broken)?;
            match stream.read(&mut buffer) {
                Ok(0) => return Err(Fault::new("the daemon hung up before it had answered")),
                Ok(count) => bytes.extend_from_slice(buffer.get(..count).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(broken(error)),
            }
            if bytes.len() > MAX_RESPONSE {
                return Err(Fault::new(format!("the answer is longer than {MAX_RESPONSE} bytes")));
            }
        }
    }
}

/// The body of an answer, as soon as it is there.
fn body_of(bytes: &[u8]) -> Result<Option<String>, Fault> {
    let mut headers = [EMPTY_HEADER; MAX_HEADERS];
    let mut response = Response::new(&mut headers);
    let begin = match response.parse(bytes) {
        Ok(Status::Partial) => return Ok(None),
        Ok(Status::Complete(begin)) => begin,
        Err(error) => return Err(Fault::new(format!("the answer is no HTTP: {error}"))),
    };
    let length = length(response.headers)?;
    let body = bytes.get(begin..).unwrap_or_default();
    if body.len() < length {
        return Ok(None);
    }
    if body.len() > length {
        return Err(Fault::new("the answer is longer than it says"));
    }
    let text =
        std::str::from_utf8(body).map_err(|_invalid| Fault::new("the answer is not UTF-8"))?;
    let kind = one(response.headers, "content-type")?;
    match response.code {
        Some(200) if is_json(kind) => Ok(Some(text.to_owned())),
        Some(200) => Err(Fault::new(format!("the answer is `{kind}`, not `application/json`"))),
        code => Err(refusal(code.unwrap_or_default(), text)),
    }
}

fn length(headers: &[Header<'_>]) -> Result<usize, Fault> {
    if headers.iter().any(|header| header.name.eq_ignore_ascii_case("transfer-encoding")) {
        return Err(Fault::new("the answer comes in pieces"));
    }
    let text = one(headers, "content-length")?;
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(length) if is_number && length <= MAX_RESPONSE => Ok(length),
        _ => Err(Fault::new(format!("the answer's length `{text}` makes no sense"))),
    }
}

/// A header that is there once.
fn one<'a>(headers: &[Header<'a>], name: &str) -> Result<&'a str, Fault> {
    let mut values = headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name));
    match (values.next(), values.next()) {
        (Some(header), None) => std::str::from_utf8(header.value)
            .map(str::trim)
            .map_err(|_invalid| Fault::new(format!("the answer's {name} is not text"))),
        _ => Err(Fault::new(format!("the answer has not one {name}"))),
    }
}

fn is_json(kind: &str) -> bool {
    let (name, rest) = kind.split_once(';').unwrap_or((kind, "charset=utf-8"));
    name.trim().eq_ignore_ascii_case("application/json")
        && rest.trim().eq_ignore_ascii_case("charset=utf-8")
}

/// What a problem (RFC 9457) says of itself, if it is one.
fn refusal(code: u16, body: &str) -> Fault {
    let problem = Object::parse(body).unwrap_or_default();
    let mut why =
        ["title", "detail"].into_iter().filter_map(|name| problem.text(name).ok().flatten());
    match (why.next(), why.next()) {
        (Some(title), Some(detail)) => {
            Fault::new(format!("the daemon refuses ({code}): {title}: {detail}"))
        }
        (Some(one), None) => Fault::new(format!("the daemon refuses ({code}): {one}")),
        _ => Fault::new(format!("the daemon refuses ({code})")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(head: &str, body: &str) -> Result<Option<String>, Fault> {
        body_of(format!("HTTP/1.1 {head}\r\n\r\n{body}").as_bytes())
    }

    #[test]
    fn only_what_was_announced_is_an_answer() {
        let json = "200 OK\r\nContent-Type: application/json";
        let read = |head: &str, body: &str| answer(&format!("{json}\r\n{head}"), body);
        assert_eq!(read("Content-Length: 2", "{}").unwrap().unwrap(), "{}");
        assert_eq!(read("content-length:2", "{}").unwrap().unwrap(), "{}");
        assert_eq!(read("Content-Length: 3", "{}").unwrap(), None);
        for wrong in [
            "Content-Length: 1",
            "Content-Length: +2",
            "Content-Length: -2",
            "Content-Length: 0x2",
            "Content-Length:",
            "Content-Length: 2\r\nContent-Length: 2",
            "Content-Length: 2\r\nTransfer-Encoding: chunked",
            "Content-Length: 99999999999999999999999",
            "Content-Length: 1048577",
            "X: y",
        ] {
            assert!(read(wrong, "{}").is_err(), "{wrong}");
        }
    }

    #[test]
    fn only_json_with_status_200_is_an_answer() {
        let read = |status: &str, kind: &str| {
            answer(&format!("{status}\r\nContent-Type: {kind}\r\nContent-Length: 2"), "{}")
        };
        for kind in [
            "application/json",
            "Application/JSON; charset=UTF-8",
            "application/json;charset=utf-8",
        ] {
            assert_eq!(read("200 OK", kind).unwrap().unwrap(), "{}", "{kind}");
        }
        for kind in [
            "text/plain",
            "application/problem+json",
            "application/json-seq",
            "application/json; x=y",
            "",
        ] {
            assert!(read("200 OK", kind).is_err(), "{kind}");
        }
        for status in [
            "100 Continue",
            "201 Created",
            "204 No Content",
            "301 Moved",
            "403 No",
            "500 No",
            "503 No",
        ] {
            assert!(read(status, "application/json").is_err(), "{status}");
        }
        assert!(answer("200 OK\r\nContent-Length: 2", "{}").is_err());
    }

    #[test]
    fn a_problem_says_what_it_is() {
        let body = r#"{"title":"Not governed","detail":"pid 7 is nobody's","status":403}"#;
        let head = format!(
            "403 No\r\nContent-Type: application/problem+json\r\nContent-Length: {}",
            body.len()
        );
        let fault = answer(&head, body).unwrap_err().to_string();
        assert_eq!(fault, "the daemon refuses (403): Not governed: pid 7 is nobody's");
    }
}
