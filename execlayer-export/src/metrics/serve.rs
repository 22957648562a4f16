//! The endpoint: `GET /metrics`, on a unix socket or a loopback address, one request a connection. Must not take more
//! than a few lines from anybody, nor listen where other machines reach it.

use std::{
    fs,
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::{
        fs::{FileTypeExt, PermissionsExt},
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
    time::{Duration, Instant},
};

use prometheus_client::{encoding::text, registry::Registry};

use super::{collect::Moment, status, tally::Watch};
use crate::counts::Counts;

const MAX_REQUEST: usize = 8 << 10;
const MAX_HEADERS: usize = 64;
const PATIENCE: Duration = Duration::from_secs(5);
/// As the specification of OpenMetrics 1.0 has it.
const TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Where it listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A socket's path.
    Unix(PathBuf),
    /// A loopback address and a port.
    Tcp(SocketAddr),
}

/// Why a text names no place.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// Neither form.
    #[error("it is unix:/PATH, 127.0.0.1:PORT or [::1]:PORT")]
    Form,
    /// Others could reach it.
    #[error(
        "only loopback addresses: who scrapes from elsewhere does so through a proxy that asks who they are"
    )]
    NotLoopback,
}

impl FromStr for Place {
    type Err = PlaceError;

    fn from_str(text: &str) -> Result<Self, PlaceError> {
        if let Some(path) = text.strip_prefix("unix:") {
            return match path.starts_with('/') {
                true => Ok(Self::Unix(path.into())),
                false => Err(PlaceError::Form),
            };
        }
        let address: SocketAddr = text.parse().map_err(|_error| PlaceError::Form)?;
        match address.ip().to_canonical().is_loopback() {
            true => Ok(Self::Tcp(address)),
            false => Err(PlaceError::NotLoopback),
        }
    }
}

/// What is shown.
#[derive(Debug)]
pub struct Shown {
    /// What the records say.
    pub watch: Arc<Watch>,
    /// What the sinks have done.
    pub counts: Arc<Counts>,
    /// Where the daemon says how it is.
    pub status: PathBuf,
}

/// Listens.
///
/// # Errors
///
/// If it cannot.
pub fn serve(place: &Place, shown: Arc<Shown>) -> io::Result<Server> {
    let listener = match place {
        Place::Unix(path) => {
            remove_old(path)?;
            let listener = UnixListener::bind(path)?;
            fs::set_permissions(path, fs::Permissions::from_mode(0o660))?;
            Listener::Unix(listener)
        }
        Place::Tcp(address) => Listener::Tcp(TcpListener::bind(address)?),
    };
    Ok(Server { listener, shown })
}

/// A socket of a process that has ended is in the way; anything else is not ours.
fn remove_old(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.file_type().is_socket() => fs::remove_file(path),
        Ok(_) => Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "something that is no socket is there",
        )),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

enum Listener {
    Unix(UnixListener),
    Tcp(TcpListener),
}

/// An endpoint that listens.
pub struct Server {
    listener: Listener,
    shown: Arc<Shown>,
}

impl Server {
    /// Where, if the system chose the port.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        match &self.listener {
            Listener::Unix(_) => None,
            Listener::Tcp(listener) => listener.local_addr().ok(),
        }
    }

    /// Answers one connection.
    pub fn turn(&self) {
        let served = match &self.listener {
            Listener::Unix(listener) => listener.accept().and_then(|(stream, _from)| {
                UnixStream::set_read_timeout(&stream, Some(PATIENCE))?;
                UnixStream::set_write_timeout(&stream, Some(PATIENCE))?;
                answer(&self.shown, stream)
            }),
            Listener::Tcp(listener) => listener.accept().and_then(|(stream, _from)| {
                TcpStream::set_read_timeout(&stream, Some(PATIENCE))?;
                TcpStream::set_write_timeout(&stream, Some(PATIENCE))?;
                answer(&self.shown, stream)
            }),
        };
        if let Err(error) = served {
            tracing::debug!("a scrape ended early: {error}");
        }
    }
}

fn answer(shown: &Shown, mut stream: impl Read + Write) -> io::Result<()> {
    let (status, body) = match target(&mut stream)? {
        Some(target) if target == "/metrics" => match render(shown) {
            Ok(text) => ("200 OK", text),
            Err(_error) => ("500 Internal Server Error", "the metrics cannot be written\n".into()),
        },
        Some(_) => ("404 Not Found", "there is only /metrics\n".to_owned()),
        None => ("400 Bad Request", "only GET is answered\n".to_owned()),
    };
    let kind = if status.starts_with("200") { TYPE } else { "text/plain; charset=utf-8" };
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())
}

/// The path that a GET asks for.
fn target(stream: &mut impl Read) -> io::Result<Option<String>> {
    let until = Instant::now() + PATIENCE;
    let (mut bytes, mut buffer) = (Vec::new(), [0; 1_024]);
    loop {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut request = httparse::Request::new(&mut headers);
        match request.parse(&bytes) {
            Ok(httparse::Status::Complete(_)) if request.method == Some("GET") => {
                let path = request.path.unwrap_or_default();
                return Ok(Some(path.split('?').next().unwrap_or_default().to_owned()));
            }
            Ok(httparse::Status::Partial)
                if bytes.len() < MAX_REQUEST && Instant::now() < until => {}
            Ok(_) | Err(_) => return Ok(None),
        }
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            return Ok(None);
        }
        bytes.extend_from_slice(buffer.get(..count).unwrap_or_default());
    }
}

fn render(shown: &Shown) -> Result<String, std::fmt::Error> {
    let moment = Moment {
        tally: shown.watch.now(),
        status: status::ask(&shown.status).ok(),
        sinks: shown.counts.now(),
    };
    let mut registry = Registry::with_prefix("execlayer");
    registry.register_collector(Box::new(moment));
    let mut text = String::new();
    text::encode(&mut text, &registry)?;
    Ok(text)
}

#[cfg(test)]
mod tests;
