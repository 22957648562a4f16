//! Sockets that say one thing to whoever connects, and read nothing: what was denied to its own process tree, or how the
//! daemon is. One slow client holds nobody else up.

use std::{io, path::Path, sync::Arc};

use execlayer_api::{ErrorCode, Failure, Response};
use tokio::{
    net::{UnixListener, UnixStream},
    sync::{Semaphore, mpsc, oneshot},
};

use crate::control;

/// Clients at once; more are turned away.
const MAX_CLIENTS: usize = 32;

/// What a socket says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// What was denied to whoever connects.
    Denials,
    /// The daemon's state.
    State,
}

/// Who asks, what, and where the answer goes.
#[derive(Debug)]
pub struct Query {
    /// What the socket says.
    pub about: About,
    /// The process that connected.
    pub pid: i32,
    /// Where the answer goes.
    pub reply: oneshot::Sender<Response>,
}

/// Makes the socket, for everybody.
///
/// # Errors
///
/// If it cannot be made.
pub fn bind(path: &Path) -> io::Result<UnixListener> {
    control::bind_with(path, 0o666)
}

/// Serves clients until the receiver of `queries` is gone.
pub async fn serve(listener: UnixListener, about: About, queries: mpsc::Sender<Query>) {
    let clients = Arc::new(Semaphore::new(MAX_CLIENTS));
    while !queries.is_closed() {
        let Ok((stream, _address)) = listener.accept().await else {
            // Out of descriptors, most likely: give others time to end.
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            continue;
        };
        // Whoever does not read its answer may keep one of them busy, and nobody else waiting.
        let Ok(permit) = Arc::clone(&clients).try_acquire_owned() else { continue };
        let queries = queries.clone();
        tokio::spawn(async move {
            if let Err(error) = client(stream, about, queries).await {
                tracing::debug!("a client that only listens left: {error}");
            }
            drop(permit);
        });
    }
}

async fn client(
    mut stream: UnixStream,
    about: About,
    queries: mpsc::Sender<Query>,
) -> io::Result<()> {
    let refused = |code, message: &str| {
        Response::Error(Failure { code, message: message.to_owned(), help: None })
    };
    let response = match stream.peer_cred()?.pid() {
        None => refused(ErrorCode::Forbidden, "this process cannot be named here"),
        Some(pid) => {
            let (reply, answer) = oneshot::channel();
            let stopping = || refused(ErrorCode::Unavailable, "the daemon is stopping");
            match queries.send(Query { about, pid, reply }).await {
                Ok(()) => answer.await.unwrap_or_else(|_gone| stopping()),
                Err(_gone) => stopping(),
            }
        }
    };
    control::send(&mut stream, &response).await
}
