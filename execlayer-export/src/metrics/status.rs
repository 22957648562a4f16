//! Asks the daemon how it is. Must not be needed: a daemon that is not there is a metric.

use std::{
    io::{self, BufRead, BufReader, Read},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

use execlayer_api::{Outcome, Response, Status, decode_response, line::MAX_RESPONSE};

/// Less than a scrape may take: that nobody answers is one of its results.
const PATIENCE: Duration = Duration::from_secs(2);

/// What it says to whoever connects to this socket.
pub(super) fn ask(socket: &Path) -> io::Result<Status> {
    let stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut line = Vec::new();
    BufReader::new(stream).take(MAX_RESPONSE as u64 + 1).read_until(b'\n', &mut line)?;
    match decode_response(&line).map_err(io::Error::other)? {
        Response::Done(Outcome::Status(status)) => Ok(*status),
        Response::Done(_) => Err(io::Error::other("it said something else")),
        Response::Error(failure) => Err(io::Error::other(failure.message)),
    }
}
