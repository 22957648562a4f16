//! Sockets with requests: lines in, calls out, answers back. Knows who asks and how long a line may
//! be; must not know what a request means. One slow or broken client holds nobody else up.

use std::{fs, io, os::unix::fs::PermissionsExt, path::Path, sync::Arc, time::Duration};

use execlayer_api::{
    ErrorCode, Failure, Request, Response, decode_request, encode_response,
    line::{LineError, MAX_LINK, MAX_REQUEST, decode_ask, encode_reply},
    link::{Ask, Reply},
};
use nix::unistd::Gid;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{UnixListener, UnixStream},
    sync::{Semaphore, mpsc, oneshot},
    time::timeout,
};

/// Clients at once: of root, and of everybody else together, who cannot take root's room. More are refused.
const MAX_CLIENTS: usize = 32;
/// For the rest of a line that has begun, and for an answer to be taken.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is said on a socket.
pub trait Protocol: 'static {
    /// What can be asked.
    type Request: Send + std::fmt::Debug + 'static;
    /// What is answered.
    type Response: Send + Sync + std::fmt::Debug + 'static;
    /// Bytes of a request at most.
    const MAX_REQUEST: usize;

    /// Reads a request.
    ///
    /// # Errors
    ///
    /// A [`LineError`] that says what is wrong.
    fn decode(line: &[u8]) -> Result<Self::Request, LineError>;

    /// Writes a response.
    ///
    /// # Errors
    ///
    /// A [`LineError`] if it is too long.
    fn encode(response: &Self::Response) -> Result<Vec<u8>, LineError>;

    /// The response of a failure.
    fn failed(failure: Failure) -> Self::Response;
}

/// What the operator's tool says.
#[derive(Debug)]
pub enum Control {}

impl Protocol for Control {
    type Request = Request;
    type Response = Response;
    const MAX_REQUEST: usize = MAX_REQUEST;

    fn decode(line: &[u8]) -> Result<Request, LineError> {
        decode_request(line)
    }

    fn encode(response: &Response) -> Result<Vec<u8>, LineError> {
        encode_response(response)
    }

    fn failed(failure: Failure) -> Response {
        Response::Error(failure)
    }
}

/// What the process that serves the evaluation API says.
#[derive(Debug)]
pub enum Link {}

impl Protocol for Link {
    type Request = Ask;
    type Response = Reply;
    const MAX_REQUEST: usize = MAX_LINK;

    fn decode(line: &[u8]) -> Result<Ask, LineError> {
        decode_ask(line)
    }

    fn encode(response: &Reply) -> Result<Vec<u8>, LineError> {
        encode_reply(response)
    }

    fn failed(failure: Failure) -> Reply {
        Reply::Error(failure)
    }
}

/// A request, who asks, and where the answer goes.
#[derive(Debug)]
pub struct Call<P: Protocol = Control> {
    /// The process that connected.
    pub pid: i32,
    /// Its effective uid.
    pub uid: u32,
    /// What it asks.
    pub request: P::Request,
    /// Where the answer goes.
    pub reply: oneshot::Sender<P::Response>,
}

/// Makes the socket, for root and that group, if there is one. Whoever calls holds the daemon's lock: what
/// lies there is a dead daemon's.
///
/// # Errors
///
/// If it cannot be made.
pub fn bind(path: &Path, group: Option<Gid>) -> io::Result<UnixListener> {
    let listener = bind_with(path, 0o600)?;
    if let Some(group) = group {
        std::os::unix::fs::chown(path, None, Some(group.as_raw()))?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o660))?;
    }
    Ok(listener)
}

/// Makes a socket with these permissions.
pub(crate) fn bind_with(path: &Path, mode: u32) -> io::Result<UnixListener> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    Ok(listener)
}

/// Serves clients until the receiver of `calls` is gone.
pub async fn serve<P: Protocol>(listener: UnixListener, calls: mpsc::Sender<Call<P>>) {
    let room = || Arc::new(Semaphore::new(MAX_CLIENTS));
    let (roots, others) = (room(), room());
    loop {
        match listener.accept().await {
            Ok((stream, _address)) => {
                let calls = calls.clone();
                let is_root = stream.peer_cred().is_ok_and(|peer| peer.uid() == 0);
                let clients = if is_root { &roots } else { &others };
                let permit = Arc::clone(clients).try_acquire_owned();
                tokio::spawn(async move {
                    let served = match permit {
                        Ok(_permit) => client(stream, calls).await,
                        Err(_full) => full::<P>(stream).await,
                    };
                    if let Err(error) = served {
                        tracing::debug!("a control client left: {error}");
                    }
                });
            }
            Err(error) => {
                // Out of descriptors, most likely: give others time to end.
                tracing::warn!("cannot take a control client: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        if calls.is_closed() {
            return;
        }
    }
}

async fn full<P: Protocol>(mut stream: UnixStream) -> io::Result<()> {
    let refusal = refused::<P>(ErrorCode::Limit, "too many clients are connected");
    say::<P>(&mut stream, &refusal).await
}

async fn client<P: Protocol>(stream: UnixStream, calls: mpsc::Sender<Call<P>>) -> io::Result<()> {
    let peer = stream.peer_cred()?;
    let (reader, mut writer) = stream.into_split();
    let Some(pid) = peer.pid() else {
        let refusal = refused::<P>(ErrorCode::Forbidden, "this process cannot be named here");
        return say::<P>(&mut writer, &refusal).await;
    };
    let mut reader = BufReader::new(reader);
    while let Some(line) = next_line(&mut reader, P::MAX_REQUEST).await? {
        let response = match P::decode(&line) {
            Err(error) => {
                let code = match error {
                    LineError::Version { .. } => ErrorCode::UnsupportedVersion,
                    LineError::Malformed(_) | LineError::TooLong { .. } => ErrorCode::BadRequest,
                };
                say::<P>(&mut writer, &refused::<P>(code, &error.to_string())).await?;
                // What follows a line that was not read to its end means nothing.
                if matches!(error, LineError::TooLong { .. }) {
                    return Ok(());
                }
                continue;
            }
            Ok(request) => {
                let (reply, answer) = oneshot::channel();
                let unavailable = || refused::<P>(ErrorCode::Unavailable, "the daemon is stopping");
                match calls.send(Call { pid, uid: peer.uid(), request, reply }).await {
                    Ok(()) => answer.await.unwrap_or_else(|_gone| unavailable()),
                    Err(_gone) => unavailable(),
                }
            }
        };
        say::<P>(&mut writer, &response).await?;
    }
    Ok(())
}

/// A line with its newline, or more than a line may have, or `None` at the end.
async fn next_line(
    reader: &mut (impl AsyncBufReadExt + Unpin),
    most: usize,
) -> io::Result<Option<Vec<u8>>> {
    // Between lines a client may take as long as it likes.
    if reader.fill_buf().await?.is_empty() {
        return Ok(None);
    }
    let mut line = Vec::new();
    let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    timeout(PATIENCE, reader.take(limit).read_until(b'\n', &mut line)).await??;
    Ok(Some(line))
}

pub(crate) async fn send(
    writer: &mut (impl AsyncWriteExt + Unpin),
    response: &Response,
) -> io::Result<()> {
    say::<Control>(writer, response).await
}

async fn say<P: Protocol>(
    writer: &mut (impl AsyncWriteExt + Unpin),
    response: &P::Response,
) -> io::Result<()> {
    let line = match P::encode(response) {
        Ok(line) => line,
        Err(error) => {
            let refusal = refused::<P>(ErrorCode::Internal, &error.to_string());
            P::encode(&refusal).map_err(io::Error::other)?
        }
    };
    timeout(PATIENCE, writer.write_all(&line)).await?
}

fn refused<P: Protocol>(code: ErrorCode, message: &str) -> P::Response {
    P::failed(Failure { code, message: message.to_owned(), help: None })
}

#[cfg(test)]
mod tests;
