//! What listens in the yard: a process that is not governed, at ports, sockets and abstract names. Must not
//! answer, but for the descriptors that it gives.

use std::{
    fs::File,
    io::{self, IoSlice},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket},
    os::{
        fd::AsRawFd,
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr as SocketName, UnixDatagram, UnixListener},
    },
    path::{Path, PathBuf},
    thread,
};

use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};

/// Listeners of one side. Connections wait in their queues, and nobody takes them.
#[derive(Debug)]
pub(super) struct Unix {
    _stream: UnixListener,
    _datagram: UnixDatagram,
    _abstract: UnixListener,
}

impl Unix {
    /// At names in a folder, and at an abstract name.
    pub(super) fn listen(folder: &Path, name: &str) -> io::Result<Self> {
        Ok(Self {
            _stream: UnixListener::bind(folder.join("socket"))?,
            _datagram: UnixDatagram::bind(folder.join("datagrams"))?,
            _abstract: UnixListener::bind_addr(&SocketName::from_abstract_name(name)?)?,
        })
    }
}

/// The same port over TCP and UDP, IPv4 and IPv6.
#[derive(Debug)]
pub(super) struct Inet {
    pub(super) port: u16,
    _tcp: Vec<TcpListener>,
    _udp: Vec<UdpSocket>,
}

impl Inet {
    pub(super) fn listen() -> io::Result<Self> {
        const TRIES: u32 = 20;
        let mut tries = 0;
        loop {
            tries += 1;
            let first = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
            let port = first.local_addr()?.port();
            match Self::beside(first, port) {
                Ok(inet) => return Ok(inet),
                // Somebody else has that port over another protocol.
                Err(error) if error.kind() == io::ErrorKind::AddrInUse && tries < TRIES => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn beside(first: TcpListener, port: u16) -> io::Result<Self> {
        let v6 = SocketAddr::from((Ipv6Addr::LOCALHOST, port));
        let mut inet = Self { port, _tcp: vec![first], _udp: Vec::new() };
        inet._udp.push(UdpSocket::bind((Ipv4Addr::LOCALHOST, port))?);
        // A machine may have no IPv6: then its acts cannot be tried, and say so.
        inet._tcp.extend(unless_taken(TcpListener::bind(v6))?);
        inet._udp.extend(unless_taken(UdpSocket::bind(v6))?);
        Ok(inet)
    }
}

fn unless_taken<T>(bound: io::Result<T>) -> io::Result<Option<T>> {
    match bound {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(error),
        bound => Ok(bound.ok()),
    }
}

/// Gives a descriptor of the file to whoever connects, as long as this process lives.
pub(super) fn give(listener: UnixListener, file: PathBuf) {
    thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            let Ok(given) = File::open(&file) else { continue };
            let descriptors = [given.as_raw_fd()];
            let control = [ControlMessage::ScmRights(&descriptors)];
            let parts = [IoSlice::new(b"x")];
            // Who has gone away already does not get it.
            let _ = sendmsg::<()>(socket.as_raw_fd(), &parts, &control, MsgFlags::empty(), None);
        }
    });
}
