//! Posts a question to a webhook and believes what is signed. Must not follow a redirect, use a proxy,
//! or take an answer to another question.

use std::{
    net::IpAddr,
    thread,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use execlayer_export::http::{agent, short};
use serde::Deserialize;
use serde_json::{Value, json};
use ureq::{
    Agent,
    http::{Uri, header::CONTENT_TYPE},
};

use super::{
    Answer,
    child::Answered,
    circuit::Circuits,
    line::{self, MAX_RETRIES},
    signature,
};

/// Version of the body.
const VERSION: u32 = 1;
const MAX_BODY: u64 = 64 << 10;
const TIMESTAMP: &str = "x-execlayer-timestamp";
const SIGNATURE: &str = "x-execlayer-signature";
/// What is signed begins with it: neither direction's signature serves the other.
const QUESTION: &[u8] = b"execlayer-question\n";
const ANSWER: &[u8] = b"execlayer-answer\n";
/// Sets of certificates that are kept.
const MAX_AGENTS: usize = 16;

/// One webhook.
pub(super) struct Hook<'a> {
    pub(super) url: &'a str,
    pub(super) secret: &'a [u8],
    pub(super) agent: &'a Agent,
}

#[derive(Deserialize)]
pub(super) struct Said {
    pub(super) answer: Answer,
    #[serde(default)]
    pub(super) reason: Option<String>,
}

/// Asks, and asks again after a while if that failed.
pub(super) fn ask(
    hook: &Hook<'_>,
    retries: u32,
    question: &Value,
    circuits: &Circuits,
) -> Answered {
    let host = match host(hook.url) {
        Ok(host) => host,
        Err(problem) => return (Answer::Unknown, problem),
    };
    if !circuits.may_ask(hook.url, Instant::now()) {
        return (Answer::Unknown, format!("{host}: circuit open"));
    }
    let mut attempt = 0;
    loop {
        match once(hook, question) {
            Ok(said) => {
                circuits.tell(hook.url, true, Instant::now());
                let note = said.reason.filter(|reason| !reason.trim().is_empty());
                return (said.answer, note.unwrap_or_else(|| format!("{host} said so")));
            }
            Err(problem) if attempt >= retries.min(MAX_RETRIES) => {
                circuits.tell(hook.url, false, Instant::now());
                return (Answer::Unknown, format!("{host}: {problem}"));
            }
            Err(_) => thread::sleep(line::pause(attempt)),
        }
        attempt += 1;
    }
}

/// The URL's host, if the URL may be asked.
fn host(url: &str) -> Result<String, String> {
    let uri: Uri = url.parse().map_err(|error| format!("the webhook's URL is none: {error}"))?;
    let host = uri.host().unwrap_or_default();
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err(format!("{host}: a webhook's URL has no user"));
    }
    let address: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
    let is_loopback = address.is_some_and(|address| address.to_canonical().is_loopback());
    match uri.scheme_str() {
        Some("https") => Ok(host.to_owned()),
        Some("http") if is_loopback => Ok(host.to_owned()),
        _ => Err(format!("{host}: a webhook is https, or http on a loopback address")),
    }
}

fn once(hook: &Hook<'_>, question: &Value) -> Result<Said, String> {
    let nonce = signature::nonce().map_err(|error| format!("no nonce: {error}"))?;
    let body = json!({ "version": VERSION, "nonce": nonce, "question": question }).to_string();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = now.as_secs().to_string();
    let parts = [QUESTION, now.as_bytes(), b"\n", body.as_bytes()];
    let signed = signature::sign(hook.secret, &parts).ok_or("the secret is no key")?;
    let mut response = hook
        .agent
        .post(hook.url)
        .header(CONTENT_TYPE, "application/json")
        .header(TIMESTAMP, &now)
        .header(SIGNATURE, &signed)
        .send(&body)
        .map_err(|error| short(&error))?;
    if response.status() != 200 {
        return Err(format!("status {}", response.status().as_u16()));
    }
    let given = response.headers().get(SIGNATURE).and_then(|value| value.to_str().ok());
    let given = given.ok_or("the response is not signed")?.to_owned();
    let body = response.body_mut().with_config().limit(MAX_BODY).read_to_vec();
    let body = body.map_err(|error| short(&error))?;
    read(&given, hook.secret, &nonce, &body)
}

/// What a response says, if it is signed for the question with this nonce.
pub(super) fn read(given: &str, secret: &[u8], nonce: &str, body: &[u8]) -> Result<Said, String> {
    if !signature::is_of(given, secret, &signed_parts(nonce, body)) {
        return Err("the response's signature is wrong".to_owned());
    }
    serde_json::from_slice(body).map_err(|error| format!("the response is no answer: {error}"))
}

/// What the signature of a response is over.
pub(super) fn signed_parts<'a>(nonce: &'a str, body: &'a [u8]) -> [&'a [u8]; 4] {
    [ANSWER, nonce.as_bytes(), b"\n", body]
}

/// HTTP clients by the certificates that they trust and the seconds that they give an attempt.
#[derive(Default)]
pub(super) struct Agents(Vec<(Option<String>, u32, Agent)>);

impl Agents {
    /// One that trusts what comes from these certificates (PEM), and nothing without any.
    pub(super) fn get(&mut self, ca: Option<String>, timeout: u32) -> Result<Agent, String> {
        let known = |agent: &&(_, _, _)| agent.1 == timeout && agent.0 == ca;
        if let Some((_, _, agent)) = self.0.iter().find(known) {
            return Ok(agent.clone());
        }
        let agent = agent(ca.as_deref(), line::seconds(timeout))?;
        if self.0.len() >= MAX_AGENTS {
            self.0.remove(0);
        }
        self.0.push((ca, timeout, agent.clone()));
        Ok(agent)
    }
}

#[cfg(test)]
mod tests;
