//! A call as it was asked, judged. Owns the digest that an answer is about; must not ask anybody.

use execlayer_common::{reason::Reason, verdict::Verdict};
use execlayer_engine::{Name, Number, Request, Value};
use execlayer_http::context::{Context, ContextValue};
use sha2::{Digest as _, Sha256};

use super::policies::InForce;
use execlayer_api::{
    link::{Judged, Said},
    text,
};

/// A call of a tool, and by whom.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "named as in the records")]
pub struct Call {
    pub action: String,
    pub resource: String,
    pub context: Context,
    pub call: Option<String>,
    pub agent_session: Option<String>,
    pub pid: u32,
    pub uid: u32,
    pub session: u64,
    /// It is only looked at: no budget is used.
    pub is_look: bool,
}

/// The moment at which a call is judged.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Minute of the UTC day.
    pub minute: u16,
    /// Seconds since boot.
    pub second: u64,
}

/// Judges a call by a policy.
///
/// # Errors
///
/// What is wrong with the call, for whoever made it.
pub fn judge(policy: &InForce, call: &Call, moment: Moment) -> Result<(Verdict, Judged), String> {
    let Context(context) = &call.context;
    let lists: Vec<Vec<&[u8]>> = context.iter().map(|(_, given)| list(given)).collect();
    let mut values = Vec::with_capacity(context.len());
    for ((name, given), list) in context.iter().zip(&lists) {
        let known = Name::new(name).map_err(|error| format!("`{name}`: {error}"))?;
        let value = match given {
            ContextValue::Text(text) => Value::Text(text.as_bytes()),
            ContextValue::Number(number) => {
                // What no reader of the audit trail could hold is not written into it.
                let is_held = number.parse::<f64>().is_ok_and(f64::is_finite);
                let number = Number::parse(number).filter(|_| is_held);
                Value::Number(number.ok_or_else(|| format!("`{name}` is no number, or too large"))?)
            }
            ContextValue::Flag(flag) => Value::Flag(*flag),
            ContextValue::List(_) => Value::List(list),
        };
        values.push((known, value));
    }
    let request = Request::new(call.action.as_bytes(), call.resource.as_bytes())
        .and_then(|request| request.with(&values))
        .map_err(|error| error.to_string())?
        .by(call.uid)
        .at(moment.minute, moment.second);
    let verdict =
        if call.is_look { policy.bundle.look(&request) } else { policy.bundle.evaluate(&request) };
    let digest = digest(&policy.head.agent, call);
    let judged = Judged {
        agent: policy.head.agent.clone(),
        generation: policy.head.generation,
        pid: call.pid,
        uid: call.uid,
        session: call.session,
        agent_session: call.agent_session.clone(),
        call: call.call.clone(),
        action: call.action.clone(),
        resource: call.resource.clone(),
        context: as_json(&call.context),
        digest,
        verdict: match verdict {
            Verdict::Allow(_) => Said::Allow,
            Verdict::Ask(_) => Said::Ask,
            Verdict::Deny(..) => Said::Deny,
        },
        reason: match verdict {
            // Whether it is held is not known yet.
            Verdict::Ask(_) => Reason::None.name().to_owned(),
            other => other.reason().name().to_owned(),
        },
        rule: verdict.rule().map(|rule| rule.0),
    };
    Ok((verdict, judged))
}

fn list(given: &ContextValue) -> Vec<&[u8]> {
    match given {
        ContextValue::List(texts) => texts.iter().map(String::as_bytes).collect(),
        ContextValue::Text(_) | ContextValue::Number(_) | ContextValue::Flag(_) => Vec::new(),
    }
}

/// SHA-256 over agent, tool, resource and context, each with its length and kind, the context sorted by name and numbers
/// as they were written.
fn digest(agent: &str, call: &Call) -> String {
    let mut hash = Sha256::new();
    let mut put = |kind: u8, bytes: &[u8]| {
        hash.update([kind]);
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    put(b'a', agent.as_bytes());
    put(b't', call.action.as_bytes());
    put(b'r', call.resource.as_bytes());
    let mut values: Vec<_> = call.context.0.iter().collect();
    values.sort_by_key(|(name, _)| name);
    for (name, value) in values {
        put(b'n', name.as_bytes());
        match value {
            ContextValue::Text(text) => put(b's', text.as_bytes()),
            ContextValue::Flag(flag) => put(b'f', &[u8::from(*flag)]),
            ContextValue::Number(number) => put(b'd', number.as_bytes()),
            ContextValue::List(list) => {
                put(b'l', &(list.len() as u64).to_le_bytes());
                list.iter().for_each(|text| put(b's', text.as_bytes()));
            }
        }
    }
    text::hex(&hash.finalize())
}

/// The values as one JSON object, numbers as they were written.
fn as_json(Context(context): &Context) -> String {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let values = context.iter().map(|(name, given)| {
        let value = match given {
            ContextValue::Text(text) => quoted(text),
            ContextValue::Number(number) => number.clone(),
            ContextValue::Flag(flag) => flag.to_string(),
            ContextValue::List(texts) => {
                let texts: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
                format!("[{}]", texts.join(","))
            }
        };
        format!("{}:{value}", quoted(name))
    });
    format!("{{{}}}", values.collect::<Vec<_>>().join(","))
}
