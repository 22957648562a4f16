//! A connection is judged by where it really leads. The policy allows one port and a few sockets.

use crate::attempts::{self, Act, Attempt, Governed};
use crate::framework::Lane;
use crate::gate::{Gate, policy};
use anyhow::Result;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, SockaddrIn, SockaddrIn6, UnixAddr, connect, recv,
    sendto, socket, socketpair,
};
use nix::unistd::{chdir, write};
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsRawFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::symlink;
use std::os::unix::net::{SocketAddr as UnixName, UnixDatagram, UnixListener};

crate::tests! {
    every_connection_meets_its_destination => .lanes(&[Lane::Plain, Lane::Subjects]).limit(290)
}

use Governed::{Denied, Passes};

/// Each denied attempt stands beside the allowed one that differs in what is judged alone.
pub(crate) const ATTEMPTS: &[Attempt] = &[
    case("tcp over v4", Passes, || tcp("127.0.0.1:7000")),
    case("tcp over v4 denied", Denied("unlisted"), || tcp("127.0.0.1:7100")),
    case("tcp over v6", Passes, || tcp("[::1]:7000")),
    case("tcp over v6 denied", Denied("unlisted"), || tcp("[::1]:7100")),
    case("tcp over mapped v4", Passes, || tcp("[::ffff:127.0.0.1]:7000")),
    case("tcp over mapped v4 denied", Denied("unlisted"), || tcp("[::ffff:127.0.0.1]:7100")),
    case("tcp to no address", Passes, || tcp("0.0.0.0:7000")),
    case("tcp to no address denied", Denied("unlisted"), || tcp("0.0.0.0:7100")),
    case("udp over v4", Passes, || inet(SockType::Datagram, "127.0.0.1:7000")),
    case("udp over v4 denied", Denied("unlisted"), || inet(SockType::Datagram, "127.0.0.1:7100")),
    case("udp over v6", Passes, || inet(SockType::Datagram, "[::1]:7000")),
    case("udp over v6 denied", Denied("unlisted"), || inet(SockType::Datagram, "[::1]:7100")),
    case("a port of one protocol", Denied("unlisted"), || {
        inet(SockType::Datagram, "127.0.0.1:7001")
    }),
    case("a port of the other protocol", Passes, || tcp("127.0.0.1:7001")),
    case("a socket", Passes, || unix("/srv/net/open.sock")),
    case("a socket denied", Denied("unlisted"), || unix("/srv/net/shut.sock")),
    case("a socket by a link", Passes, || unix("/srv/net/link-to-open")),
    case("a socket by a link denied", Denied("unlisted"), || unix("/srv/net/open-but-shut.sock")),
    case("a socket from its folder", Passes, || relative("open.sock")),
    case("a socket from its folder denied", Denied("unlisted"), || relative("shut.sock")),
    case("an abstract name", Passes, || abstract_name("net-open")),
    case("an abstract name denied", Denied("unlisted"), || abstract_name("net-shut")),
    case("datagrams to a socket", Passes, || datagram_connect("/srv/net/open.dgram")),
    case("datagrams to a socket denied", Denied("unlisted"), || {
        datagram_connect("/srv/net/shut.dgram")
    }),
    case("one datagram", Passes, || datagram("/srv/net/open.dgram")),
    case("one datagram denied", Denied("unlisted"), || datagram("/srv/net/shut.dgram")),
    case("a pair of streams", Passes, || pair(SockType::Stream)),
    case("a pair of datagrams", Passes, || pair(SockType::Datagram)),
];

const RULES: &str = r#"
[[rule]]
id = "files"
allow = ["read", "modify", "exec", "ioctl"]
path = ["/", "/**"]

[[rule]]
id = "port"
allow = ["connect"]
to = ["localhost:7000", "tcp:localhost:7001"]

[[rule]]
id = "sockets"
allow = ["connect"]
to = ["unix:/srv/net/open*", "unix:@net-open"]
"#;

const fn case(name: &'static str, governed: Governed, act: fn() -> Act) -> Attempt {
    Attempt::new(name, governed, act)
}

fn every_connection_meets_its_destination() -> Result<()> {
    // Listening is not judged; what listens lives as long as this process.
    let mut tcp = Vec::new();
    for port in [7000, 7001, 7100] {
        tcp.push(TcpListener::bind(("127.0.0.1", port))?);
        tcp.push(TcpListener::bind(("::1", port))?);
    }
    fs::create_dir_all("/srv/net")?;
    let mut streams = Vec::new();
    for name in ["open", "shut"] {
        streams.push(UnixListener::bind(format!("/srv/net/{name}.sock"))?);
        let name = UnixName::from_abstract_name(format!("net-{name}"))?;
        streams.push(UnixListener::bind_addr(&name)?);
    }
    let open = UnixDatagram::bind("/srv/net/open.dgram")?;
    let shut = UnixDatagram::bind("/srv/net/shut.dgram")?;
    symlink("/srv/net/open.sock", "/srv/net/link-to-open")?;
    symlink("/srv/net/shut.sock", "/srv/net/open-but-shut.sock")?;
    let gate = Gate::start()?;
    attempts::judge(&gate, ("net", ATTEMPTS), &policy("net", "", RULES)?)?;
    // Two ungoverned ones and, at the open one, one governed.
    open.set_nonblocking(true)?;
    shut.set_nonblocking(true)?;
    let arrived = |socket: &UnixDatagram| {
        std::iter::from_fn(|| recv(socket.as_raw_fd(), &mut [0; 8], MsgFlags::empty()).ok()).count()
    };
    let arrived = (arrived(&open), arrived(&shut));
    anyhow::ensure!(arrived == (3, 2), "datagrams arrived: {arrived:?}");
    Ok(())
}

fn tcp(to: &str) -> Act {
    inet(SockType::Stream, to)
}

fn inet(kind: SockType, to: &str) -> Act {
    Ok(match to.parse()? {
        SocketAddr::V4(v4) => {
            let socket = socket(AddressFamily::Inet, kind, SockFlag::empty(), None)?;
            connect(socket.as_raw_fd(), &SockaddrIn::from(v4))
        }
        SocketAddr::V6(v6) => {
            let socket = socket(AddressFamily::Inet6, kind, SockFlag::empty(), None)?;
            connect(socket.as_raw_fd(), &SockaddrIn6::from(v6))
        }
    })
}

fn unix(path: &str) -> Act {
    let socket = socket(AddressFamily::Unix, SockType::Stream, SockFlag::empty(), None)?;
    Ok(connect(socket.as_raw_fd(), &UnixAddr::new(path)?))
}

fn relative(name: &str) -> Act {
    chdir("/srv/net")?;
    unix(name)
}

fn abstract_name(name: &str) -> Act {
    let socket = socket(AddressFamily::Unix, SockType::Stream, SockFlag::empty(), None)?;
    Ok(connect(socket.as_raw_fd(), &UnixAddr::new_abstract(name.as_bytes())?))
}

fn datagram_connect(path: &str) -> Act {
    let socket = socket(AddressFamily::Unix, SockType::Datagram, SockFlag::empty(), None)?;
    Ok(connect(socket.as_raw_fd(), &UnixAddr::new(path)?))
}

fn datagram(path: &str) -> Act {
    let socket = socket(AddressFamily::Unix, SockType::Datagram, SockFlag::empty(), None)?;
    let to = UnixAddr::new(path)?;
    Ok(sendto(socket.as_raw_fd(), b"hello", &to, MsgFlags::empty()).map(drop))
}

fn pair(kind: SockType) -> Act {
    let (one, other) = socketpair(AddressFamily::Unix, kind, None, SockFlag::empty())?;
    let sent = write(&one, b"hello").map(drop);
    if sent.is_ok() {
        recv(other.as_raw_fd(), &mut [0; 8], MsgFlags::empty())?;
    }
    Ok(sent)
}
