//! The audit trail for whoever asks the API for it: an agent sees what was denied to itself, an operator all. Must not
//! know sockets.

use std::{path::PathBuf, time::Duration};

use execlayer_audit::read::{ReadError, Tail};
use execlayer_http::{
    backend::Event,
    caller::Caller,
    problem::{Code, Problem},
    types::Records,
};
use serde_json::Value;
use tokio::sync::mpsc;

use super::bounds::Place;

/// Between two looks for new records.
const LOOK: Duration = Duration::from_millis(500);
/// Records that are read at once, and bytes of them.
const CHUNK: usize = 256;
const BYTES: usize = 4 << 20;
/// Records that wait for a slow listener; then it waits for that one.
const AHEAD: usize = 64;

/// Records from one number on: of `limit` that are looked at, those that the caller may see.
pub(super) async fn page(
    folder: PathBuf,
    caller: Caller,
    from: u64,
    limit: usize,
) -> Result<Records, Problem> {
    let read = tokio::task::spawn_blocking(move || {
        let mut tail = Tail::from(&folder, from);
        let chunk = tail.read(limit, BYTES)?;
        let records = chunk.records.iter().filter_map(|record| seen(&caller, record));
        Ok(Records { records: records.collect(), next: tail.next() })
    });
    match read.await {
        Ok(Ok(records)) => Ok(records),
        Ok(Err(ReadError::Shorter { size })) => {
            Err(Problem::new(Code::NotFound, format!("the audit trail has {size} records")))
        }
        Ok(Err(error)) => Err(Problem::new(Code::Unavailable, error.to_string())),
        Err(_ended) => Err(Problem::new(Code::Internal, "the audit trail was not read")),
    }
}

/// Records from one number on, for as long as somebody listens.
pub(super) fn follow(
    folder: PathBuf,
    caller: Caller,
    from: u64,
    place: Place,
) -> mpsc::Receiver<Event> {
    let (sender, receiver) = mpsc::channel(AHEAD);
    tokio::spawn(async move {
        let _place = place;
        let mut tail = Tail::from(&folder, from);
        while !sender.is_closed() {
            let read = tokio::task::spawn_blocking(move || {
                let chunk = tail.read(CHUNK, BYTES);
                (tail, chunk)
            });
            let Ok((next, chunk)) = read.await else { return };
            tail = next;
            let chunk = match chunk {
                Ok(chunk) => chunk,
                Err(error) => {
                    tracing::warn!("records that somebody follows: {error}");
                    return;
                }
            };
            let is_end = chunk.records.len() < CHUNK;
            for (number, record) in (chunk.first..).zip(chunk.records) {
                let Some(value) = seen(&caller, &record) else { continue };
                if sender.send((number, value.to_string())).await.is_err() {
                    return;
                }
            }
            if is_end {
                tokio::time::sleep(LOOK).await;
            }
        }
    });
    receiver
}

/// The record, if the caller may see it.
fn seen(caller: &Caller, record: &[u8]) -> Option<Value> {
    let value: Value = serde_json::from_slice(record).ok()?;
    let is_seen = match caller {
        Caller::Agent { name, session, .. } => {
            value["agent"] == name.as_str()
                && value["session"] == *session
                && value["verdict"] == "deny"
        }
        Caller::Operator { .. } => true,
        Caller::Nobody { .. } => false,
    };
    is_seen.then_some(value)
}

#[cfg(test)]
mod tests {
    use execlayer_http::caller::{Caller, Roles};

    use super::seen;

    #[test]
    fn an_agent_sees_its_own_denials_and_nothing_else() {
        let agent = Caller::Agent { name: "coder".to_owned(), session: 7, pid: 1, uid: 0 };
        let roles = Roles { read: true, ..Roles::default() };
        let operator = Caller::Operator { name: "desk".to_owned(), roles, pid: 1, uid: 0 };
        for (record, is_own) in [
            (r#"{"agent":"coder","session":7,"verdict":"deny"}"#, true),
            (r#"{"agent":"coder","session":7,"verdict":"allow"}"#, false),
            (r#"{"agent":"coder","session":8,"verdict":"deny"}"#, false),
            (r#"{"agent":"other","session":7,"verdict":"deny"}"#, false),
            (r#"{"kind":"state"}"#, false),
        ] {
            assert_eq!(seen(&agent, record.as_bytes()).is_some(), is_own, "{record}");
            assert!(seen(&operator, record.as_bytes()).is_some());
            let nobody = Caller::Nobody { why: String::new() };
            assert!(seen(&nobody, record.as_bytes()).is_none());
        }
    }
}
