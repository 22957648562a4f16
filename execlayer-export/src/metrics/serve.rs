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
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use execlayer_api::Status;
use prometheus_client::{encoding::text, registry::Registry};

use super::{collect::Moment, status, tally::Watch};
use crate::counts::Counts;

const MAX_REQUEST: usize = 8 << 10;
const MAX_HEADERS: usize = 64;
/// For a whole connection.
const PATIENCE: Duration = Duration::from_secs(5);
/// After something that went wrong.
const BREATH: Duration = Duration::from_millis(100);
/// For how long what the daemon said is shown.
const FRESH: Duration = Duration::from_secs(2);
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
    watch: Arc<Watch>,
    counts: Arc<Counts>,
    status: PathBuf,
    /// What the daemon said, and when: it has other things to do than to be asked.
    said: Mutex<Option<(Instant, Option<Status>)>>,
}

impl Shown {
    /// What the records say, what the sinks have done, and the socket on which the daemon says how it is.
    #[must_use]
    pub fn new(watch: Arc<Watch>, counts: Arc<Counts>, status: PathBuf) -> Self {
        Self { watch, counts, status, said: Mutex::default() }
    }

    /// How the daemon was a moment ago.
    fn status(&self) -> Option<Status> {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        match &*said {
            Some((moment, status)) if moment.elapsed() < FRESH => status.clone(),
            _ => {
                let status = status::ask(&self.status).ok();
                *said = Some((Instant::now(), status.clone()));
                status
            }
        }
    }
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
        let accepted = match &self.listener {
            Listener::Unix(listener) => {
                listener.accept().map(|(stream, _from)| Client::Unix(stream))
            }
            Listener::Tcp(listener) => listener.accept().map(|(stream, _from)| Client::Tcp(stream)),
        };
        let served = accepted.and_then(|client| {
            answer(&self.shown, &mut Timed { client, until: Instant::now() + PATIENCE })
        });
        if let Err(error) = served {
            tracing::debug!("a scrape ended early: {error}");
            // Out of descriptors, perhaps: give others time to end.
            thread::sleep(BREATH);
        }
    }
}

enum Client {
    Unix(UnixStream),
    Tcp(TcpStream),
}

/// A connection that ends in time, however little comes or goes at once.
struct Timed {
    client: Client,
    until: Instant,
}

impl Timed {
    fn left(&self) -> io::Result<Option<Duration>> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(Some(left)) }
    }
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.left()?;
        match &mut self.client {
            Client::Unix(stream) => {
                stream.set_read_timeout(left).and_then(|()| stream.read(buffer))
            }
            Client::Tcp(stream) => stream.set_read_timeout(left).and_then(|()| stream.read(buffer)),
        }
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let left = self.left()?;
        match &mut self.client {
            Client::Unix(stream) => {
                stream.set_write_timeout(left).and_then(|()| stream.write(bytes))
            }
            Client::Tcp(stream) => {
                stream.set_write_timeout(left).and_then(|()| stream.write(bytes))
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn answer(shown: &Shown, stream: &mut Timed) -> io::Result<()> {
    let (status, body) = match target(stream)? {
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
    let (mut bytes, mut buffer) = (Vec::new(), [0; 1_024]);
    loop {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut request = httparse::Request::new(&mut headers);
        match request.parse(&bytes) {
            Ok(httparse::Status::Complete(_)) if request.method == Some("GET") => {
                let path = request.path.unwrap_or_default();
                return Ok(Some(path.split('?').next().unwrap_or_default().to_owned()));
            }
            Ok(httparse::Status::Partial) if bytes.len() < MAX_REQUEST => {}
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
    let moment =
        Moment { tally: shown.watch.now(), status: shown.status(), sinks: shown.counts.now() };
    let mut registry = Registry::with_prefix("execlayer");
    registry.register_collector(Box::new(moment));
    let mut text = String::new();
    text::encode(&mut text, &registry)?;
    Ok(text)
}

#[cfg(test)]
mod tests;
