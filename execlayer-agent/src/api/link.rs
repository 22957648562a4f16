//! The way to the root daemon: a request at a time on each of a few connections. Must not know what is asked.

use std::{io, path::PathBuf, time::Duration};

use execlayer_api::{
    ErrorCode, Failure,
    line::{MAX_LINK, decode_reply, encode_ask},
    link::{Ask, Reply, Told},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::UnixStream,
    sync::{Mutex, Semaphore},
    time::timeout,
};

/// Connections at once: fewer than the daemon takes.
const CONNECTIONS: usize = 16;
/// For one answer of the daemon, which waits for nobody.
const PATIENCE: Duration = Duration::from_secs(5);

/// The daemon, as far as it can be reached.
#[derive(Debug)]
pub struct Link {
    socket: PathBuf,
    free: Mutex<Vec<BufReader<UnixStream>>>,
    room: Semaphore,
}

impl Link {
    /// To the daemon behind this socket.
    #[must_use]
    pub fn to(socket: PathBuf) -> Self {
        Self { socket, free: Mutex::new(Vec::new()), room: Semaphore::new(CONNECTIONS) }
    }

    /// Asks the daemon.
    ///
    /// # Errors
    ///
    /// What the daemon refused, or [`ErrorCode::Unavailable`] if it cannot be reached.
    pub async fn ask(&self, request: &Ask) -> Result<Told, Failure> {
        let unavailable = |error: io::Error| Failure {
            code: ErrorCode::Unavailable,
            message: format!("the daemon cannot be reached: {error}"),
            help: Some("systemctl status execlayerd shows why".to_owned()),
        };
        let line = encode_ask(request).map_err(|error| Failure {
            code: ErrorCode::BadRequest,
            message: error.to_string(),
            help: None,
        })?;
        let answer = timeout(PATIENCE, self.exchange(&line)).await;
        match answer.unwrap_or_else(|_late| Err(io::ErrorKind::TimedOut.into())) {
            Ok(Reply::Done(told)) => Ok(told),
            Ok(Reply::Error(failure)) => Err(failure),
            Err(error) => Err(unavailable(error)),
        }
    }

    async fn exchange(&self, line: &[u8]) -> io::Result<Reply> {
        let _permit = self.room.acquire().await.map_err(io::Error::other)?;
        // One that was left open may be a dead daemon's: nothing was asked of it yet, so it can be tried anew.
        let kept = self.free.lock().await.pop();
        if let Some(mut stream) = kept
            && let Ok(reply) = say(&mut stream, line).await
        {
            return self.keep(stream, &reply).await;
        }
        let mut stream = BufReader::new(UnixStream::connect(&self.socket).await?);
        let reply = say(&mut stream, line).await?;
        self.keep(stream, &reply).await
    }

    async fn keep(&self, stream: BufReader<UnixStream>, reply: &[u8]) -> io::Result<Reply> {
        let reply = decode_reply(reply).map_err(io::Error::other)?;
        self.free.lock().await.push(stream);
        Ok(reply)
    }
}

async fn say(stream: &mut BufReader<UnixStream>, line: &[u8]) -> io::Result<Vec<u8>> {
    stream.get_mut().write_all(line).await?;
    let mut answer = Vec::new();
    let most = u64::try_from(MAX_LINK).unwrap_or(u64::MAX);
    stream.take(most).read_until(b'\n', &mut answer).await?;
    if answer.ends_with(b"\n") { Ok(answer) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}
