//! Messages of RFC 5424, over a unix socket, UDP (RFC 5426) or TCP (RFC 6587, counted octets). Nobody says that they
//! arrived: what was on its way when a connection broke may be lost. Must not know the formats that are in them.

use std::{
    io::{self, Read, Write},
    net::{TcpStream, ToSocketAddrs, UdpSocket},
    os::unix::net::{UnixDatagram, UnixStream},
};

use super::{Item, PATIENCE, Sink, Trouble, line, no_heads};
use crate::{
    format::said::gravity,
    settings::{Format, Syslog},
};

/// "Log audit" (RFC 5424, table 1).
const FACILITY: u8 = 13;
/// What a field of the header may have (RFC 5424, section 6).
const MAX_HOST: usize = 255;
const MAX_ID: usize = 32;

#[derive(Debug)]
enum Way {
    Datagrams(UnixDatagram),
    Udp(UdpSocket),
    Stream(UnixStream),
    Tcp(TcpStream),
}

impl Way {
    fn open(syslog: &Syslog) -> io::Result<Self> {
        match syslog {
            Syslog::Unix(path) => {
                let socket = UnixDatagram::unbound()?;
                match socket.connect(path) {
                    Ok(()) => {
                        socket.set_write_timeout(Some(PATIENCE))?;
                        Ok(Self::Datagrams(socket))
                    }
                    // KERNEL: unix_find_other, another type of socket (net/unix/af_unix.c, 6.1).
                    Err(error) if error.raw_os_error() == Some(libc::EPROTOTYPE) => {
                        let stream = UnixStream::connect(path)?;
                        stream.set_write_timeout(Some(PATIENCE))?;
                        Ok(Self::Stream(stream))
                    }
                    Err(error) => Err(error),
                }
            }
            Syslog::Udp(place) => each(place, |address| {
                let any = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
                let socket = UdpSocket::bind(any)?;
                socket.connect(address)?;
                Ok(Self::Udp(socket))
            }),
            Syslog::Tcp(place) => each(place, |address| {
                let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
                stream.set_write_timeout(Some(PATIENCE))?;
                stream.set_nodelay(true)?;
                Ok(Self::Tcp(stream))
            }),
        }
    }

    fn is_open(&self) -> bool {
        match self {
            Self::Datagrams(_) | Self::Udp(_) => true,
            Self::Stream(stream) => is_silent(stream, |on| stream.set_nonblocking(on)),
            Self::Tcp(stream) => is_silent(stream, |on| stream.set_nonblocking(on)),
        }
    }

    fn send(&self, messages: &[Vec<u8>]) -> io::Result<()> {
        match self {
            Self::Datagrams(socket) => {
                messages.iter().try_for_each(|message| socket.send(message).map(|_all| ()))
            }
            Self::Udp(socket) => {
                messages.iter().try_for_each(|message| socket.send(message).map(|_all| ()))
            }
            Self::Stream(stream) => (&*stream).write_all(&counted(messages)),
            Self::Tcp(stream) => (&*stream).write_all(&counted(messages)),
        }
    }
}

/// The first address that works.
fn each(place: &str, open: impl Fn(std::net::SocketAddr) -> io::Result<Way>) -> io::Result<Way> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in place.to_socket_addrs()? {
        match open(address) {
            Ok(way) => return Ok(way),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Whether the other side of a stream, which says nothing, has not closed it.
fn is_silent(mut stream: impl Read, set_nonblocking: impl Fn(bool) -> io::Result<()>) -> bool {
    if set_nonblocking(true).is_err() {
        return false;
    }
    let mut buffer = [0; 1_024];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return false,
            Ok(_) => {}
            Err(error) => {
                let is_silent = error.kind() == io::ErrorKind::WouldBlock;
                return is_silent && set_nonblocking(false).is_ok();
            }
        }
    }
}

fn counted(messages: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for message in messages {
        bytes.extend_from_slice(format!("{} ", message.len()).as_bytes());
        bytes.extend_from_slice(message);
    }
    bytes
}

/// Messages to one place.
#[derive(Debug)]
pub(super) struct Messages {
    syslog: Syslog,
    format: Format,
    way: Option<Way>,
}

impl Messages {
    pub(super) fn new(syslog: &Syslog, format: Format) -> Self {
        Self { syslog: syslog.clone(), format, way: None }
    }

    fn try_send(&mut self, messages: &[Vec<u8>]) -> io::Result<()> {
        let way = match self.way.take() {
            Some(way) if way.is_open() => way,
            _ => Way::open(&self.syslog)?,
        };
        way.send(messages)?;
        self.way = Some(way);
        Ok(())
    }

    fn name(&self) -> String {
        match &self.syslog {
            Syslog::Unix(path) => path.display().to_string(),
            Syslog::Udp(place) | Syslog::Tcp(place) => place.clone(),
        }
    }
}

impl Sink for Messages {
    fn send(&mut self, items: &[Item]) -> Result<(), Trouble> {
        let messages: Vec<_> =
            items.iter().map(|item| message(item, &line(self.format, item))).collect();
        self.try_send(&messages).map_err(|error| match error.raw_os_error() {
            Some(libc::EMSGSIZE) => Trouble::Refused("too long for a datagram".to_owned()),
            _ => Trouble::of(&self.name(), &error),
        })
    }

    fn send_head(&mut self, _size: u64, _note: &str) -> Result<(), Trouble> {
        Err(no_heads())
    }
}

/// A message: `<priority>1 time host execlayer - kind - text` (RFC 5424, section 6).
fn message(item: &Item, text: &[u8]) -> Vec<u8> {
    let field = |name: &str| item.fields.get(name).and_then(serde_json::Value::as_str);
    let priority = FACILITY * 8 + gravity(&item.fields).severity();
    // Six digits of a second, and no more (section 6.2.3).
    let time = field("time").map_or_else(|| "-".to_owned(), microseconds);
    let host = token(field("host").unwrap_or_default(), MAX_HOST);
    let kind = token(field("kind").unwrap_or_default(), MAX_ID);
    let mut message = format!("<{priority}>1 {time} {host} execlayer - {kind} - ").into_bytes();
    message.extend_from_slice(text);
    message
}

fn microseconds(time: &str) -> String {
    match time.split_once('.') {
        Some((seconds, rest)) if time.ends_with('Z') => {
            let digits: String = rest.chars().take_while(char::is_ascii_digit).take(6).collect();
            format!("{seconds}.{digits}Z")
        }
        _ => time.to_owned(),
    }
}

/// A field of the header: printable ASCII without spaces, or `-`.
fn token(text: &str, most: usize) -> String {
    let token: String = text.chars().filter(char::is_ascii_graphic).take(most).collect();
    if token.is_empty() { "-".to_owned() } else { token }
}

#[cfg(test)]
mod tests {
    use std::{
        io::Read,
        net::{TcpListener, UdpSocket},
        os::unix::net::{UnixDatagram, UnixListener},
    };

    use super::{Messages, Sink, Trouble};
    use crate::{
        settings::{Format, Syslog},
        sink::tests::item,
    };

    const HEADER: &str =
        "<108>1 2026-01-01T12:00:00.500000Z build-7 execlayer - verdict - {\"access\"";

    /// Takes counted messages apart, to the end.
    fn uncounted(mut bytes: &[u8]) -> Vec<String> {
        let mut messages = Vec::new();
        while !bytes.is_empty() {
            let space = bytes.iter().position(|byte| *byte == b' ').unwrap();
            let count: usize = std::str::from_utf8(&bytes[..space]).unwrap().parse().unwrap();
            messages.push(String::from_utf8(bytes[space + 1..][..count].to_vec()).unwrap());
            bytes = &bytes[space + 1 + count..];
        }
        messages
    }

    fn read_all(mut stream: impl Read) -> Vec<String> {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        uncounted(&bytes)
    }

    #[test]
    fn a_stream_carries_counted_messages_and_is_opened_again_when_it_was_closed() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let place = listener.local_addr().unwrap().to_string();
        let mut sink = Messages::new(&Syslog::Tcp(place), Format::Records);
        sink.send(&[item(0), item(1)]).unwrap();
        let (first, _from) = listener.accept().unwrap();
        // Taken only as far as it has come, then hung up.
        first.shutdown(std::net::Shutdown::Write).unwrap();
        sink.send(&[item(2)]).unwrap();
        let (second, _from) = listener.accept().unwrap();
        drop(sink);
        let messages = read_all(first);
        assert_eq!(messages.len(), 2);
        assert!(messages[0].starts_with(HEADER), "{}", messages[0]);
        assert!(read_all(second)[0].contains("\"seq\":2"));
    }

    #[test]
    fn unix_sockets_of_either_kind_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("datagrams");
        let socket = UnixDatagram::bind(&path).unwrap();
        Messages::new(&Syslog::Unix(path), Format::Records).send(&[item(0), item(1)]).unwrap();
        for seq in 0..2 {
            let mut buffer = [0; 65_536];
            let count = socket.recv(&mut buffer).unwrap();
            let text = String::from_utf8_lossy(&buffer[..count]).into_owned();
            assert!(text.starts_with(HEADER) && text.contains(&format!("\"seq\":{seq}")), "{text}");
        }
        let path = folder.path().join("stream");
        let listener = UnixListener::bind(&path).unwrap();
        Messages::new(&Syslog::Unix(path), Format::Records).send(&[item(0)]).unwrap();
        assert_eq!(read_all(listener.accept().unwrap().0).len(), 1);
    }

    #[test]
    fn a_datagram_has_one_message_and_one_that_is_too_long_is_refused() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let place = socket.local_addr().unwrap().to_string();
        let mut sink = Messages::new(&Syslog::Udp(place), Format::Records);
        sink.send(&[item(0)]).unwrap();
        let mut buffer = [0; 65_536];
        let count = socket.recv(&mut buffer).unwrap();
        assert!(buffer[..count].starts_with(HEADER.as_bytes()));
        let mut long = item(1);
        long.line = vec![b'x'; 65_535];
        assert!(matches!(sink.send(&[long]), Err(Trouble::Refused(_))));
    }

    #[test]
    fn nobody_there_is_trouble_for_later() {
        let nobody = Syslog::Unix("/nowhere/log".into());
        let refused = Messages::new(&nobody, Format::Cef).send(&[item(0)]);
        assert!(matches!(refused, Err(Trouble::Later(text)) if text.contains("/nowhere/log")));
    }

    #[test]
    fn a_header_holds_only_what_it_may() {
        let mut odd = item(0);
        odd.fields.insert("host".into(), "a b\n\u{e9}".into());
        odd.fields.insert("kind".into(), "".into());
        odd.fields.insert("verdict".into(), serde_json::Value::Null);
        odd.fields.insert("time".into(), serde_json::Value::Null);
        let message = super::message(&odd, b"text");
        assert_eq!(String::from_utf8(message).unwrap(), "<110>1 - ab execlayer - - - text");
    }
}
