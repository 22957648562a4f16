//! Records as server-sent events (WHATWG HTML, section 9.2), which can be resumed by their numbers. Must not know what a
//! record says.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    Extension,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, Uri, header},
    response::{IntoResponse, Response},
};
use futures_core::Stream;
use tokio::{
    sync::mpsc,
    time::{Interval, MissedTickBehavior, interval},
};

use crate::{
    backend::{Backend, Event},
    caller::Caller,
    problem::Problem,
    routes::{Home, number, parameter},
};

/// Without a record for so long a comment is sent, so that whoever listens sees that the connection is alive.
const BREATH: Duration = Duration::from_secs(15);

pub(crate) async fn follow<B: Backend>(
    State(home): Home<B>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    // Whoever lost the connection goes on behind the last one that came.
    let last = headers.get("last-event-id").map(|value| value.to_str().unwrap_or_default());
    let from = match (last, parameter(&uri, "from")?) {
        (Some(last), _) => Some(number(last)?.saturating_add(1)),
        (None, Some(from)) => Some(number(from)?),
        (None, None) => None,
    };
    let records = home.backend.follow(&caller, from).await?;
    let mut breath = interval(BREATH);
    breath.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let kind = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
    Ok((kind, Body::from_stream(Events { records, breath })).into_response())
}

struct Events {
    records: mpsc::Receiver<Event>,
    breath: Interval,
}

impl Stream for Events {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match self.records.poll_recv(cx) {
            Poll::Ready(Some((number, record))) => {
                self.breath.reset();
                Poll::Ready(Some(Ok(format!("id: {number}\ndata: {record}\n\n").into())))
            }
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => {
                self.breath.poll_tick(cx).map(|_tick| Some(Ok(Bytes::from_static(b":\n\n"))))
            }
        }
    }
}
