//! Reaching an address without the connect that everybody knows.

use super::address::{self, DATAGRAM, STREAM, connect, inet, send_message, send_messages, send_to};
use super::{Set, judge};
use crate::attempts::Governed::{Denied, Passes};
use crate::attempts::{Absent, Act, Attempt, Governed};
use crate::framework::Lane;
use crate::gate::{Gate, policy};
use crate::raw::{address as place, call};
use anyhow::Result;
use nix::errno::Errno;
use nix::libc::{self, MSG_FASTOPEN};
use std::net::{TcpListener, UdpSocket};

crate::tests! { bypass_by_sending => .lanes(&[Lane::Bypass]).limit(290) }

pub(crate) const SET: Set = ("bypass-send", ATTEMPTS);

const UNLISTED: Governed = Denied("unlisted");

/// The same act with the port that is allowed, and with another.
macro_rules! ports {
    ($($name:literal => $act:expr;)*) => {
        &[$(
            Attempt::new($name, Passes, || $act("7200")),
            Attempt::new(concat!($name, " to another port"), UNLISTED, || $act("7210")),
        )*]
    };
}

const ATTEMPTS: &[Attempt] = ports! {
    "sendto over v4" => |port| sent("127.0.0.1", port);
    "sendto over v6" => |port| sent("[::1]", port);
    "sendto over mapped v4" => |port| sent("[::ffff:127.0.0.1]", port);
    "sendto to no v4 address" => |port| sent("0.0.0.0", port);
    "sendto to no v6 address" => |port| sent("[::]", port);
    "sendto of no family" => |port| {
        let to = at("127.0.0.1", port)?;
        let socket = address::socket(&to, DATAGRAM, 0)?;
        send_to(socket, &address::unspecified(&format!("127.0.0.1:{port}"))?, 0)
    };
    "sendto to v4 from a v6 socket" => |port| {
        let socket = address::socket(&at("[::1]", port)?, DATAGRAM, 0)?;
        send_to(socket, &at("127.0.0.1", port)?, 0)
    };
    "sendto over udp-lite" => |port| {
        let to = at("127.0.0.1", port)?;
        send_to(address::socket(&to, DATAGRAM, libc::IPPROTO_UDPLITE)?, &to, 0)
    };
    "sendto from a connected socket" => |port| {
        let socket = connected("7200")?;
        send_to(socket, &at("127.0.0.1", port)?, 0)
    };
    "sendto from a socket that is disconnected" => |port| {
        let socket = connected("7200")?;
        connect(socket, &address::unspecified("0.0.0.0:0")?)??;
        send_to(socket, &at("127.0.0.1", port)?, 0)
    };
    "connect of a connected socket" => |port| {
        connect(connected("7200")?, &at("127.0.0.1", port)?)
    };
    "sendmsg over v4" => |port| {
        let to = at("127.0.0.1", port)?;
        send_message(address::socket(&to, DATAGRAM, 0)?, &to, 0)
    };
    "sendmsg over v6" => |port| {
        let to = at("[::1]", port)?;
        send_message(address::socket(&to, DATAGRAM, 0)?, &to, 0)
    };
    "sendmmsg" => |port| {
        let to = at("127.0.0.1", port)?;
        send_messages(address::socket(&to, DATAGRAM, 0)?, &[&to])
    };
    "sendmmsg of a second message" => |port| {
        let (first, second) = (at("127.0.0.1", "7200")?, at("127.0.0.1", port)?);
        send_messages(address::socket(&first, DATAGRAM, 0)?, &[&first, &second])
    };
    "sendto by 32-bit calls" => |port| {
        let to = at("127.0.0.1", port)?;
        let socket = address::socket(&to, DATAGRAM, 0)? as u32;
        let (data, to) = (crate::raw::low(b"hello")?, crate::raw::low(&to)?);
        // The address's length would be the sixth argument: so by `socketcall`.
        let arguments = [socket, data, 5, 0, to, 16].map(u32::to_le_bytes).concat();
        super::tried_i386(102, [11, crate::raw::low(&arguments)?, 0, 0, 0])
    };
    "MSG_FASTOPEN over v4" => |port| opened_fast("127.0.0.1", port);
    "MSG_FASTOPEN over v6" => |port| opened_fast("[::1]", port);
    "MSG_FASTOPEN over mapped v4" => |port| opened_fast("[::ffff:127.0.0.1]", port);
    "MSG_FASTOPEN of sendmsg" => |port| {
        let to = at("127.0.0.1", port)?;
        send_message(address::socket(&to, STREAM, 0)?, &to, MSG_FASTOPEN)
    };
    "TCP_FASTOPEN_CONNECT" => |port| {
        let to = at("127.0.0.1", port)?;
        let socket = address::socket(&to, STREAM, 0)?;
        let option = libc::TCP_FASTOPEN_CONNECT as usize;
        call(libc::SYS_setsockopt, [socket, libc::IPPROTO_TCP as usize, option, place(&1_i32), 4])?;
        connect(socket, &to)
    };
    "MPTCP over v4" => |port| mptcp("127.0.0.1", port);
    "MPTCP over v6" => |port| mptcp("[::1]", port);
    "MSG_FASTOPEN of MPTCP" => |port| {
        let to = at("127.0.0.1", port)?;
        let socket = address::socket(&to, STREAM, libc::IPPROTO_MPTCP)?;
        match send_to(socket, &to, MSG_FASTOPEN)? {
            Err(Errno::EOPNOTSUPP) => Err(Absent("MSG_FASTOPEN of MPTCP").into()),
            sent => Ok(sent),
        }
    };
    "connect by 32-bit calls" => |port| {
        let to = at("127.0.0.1", port)?;
        address::connect_i386(address::socket(&to, STREAM, 0)?, &to)
    };
    "connect by socketcall" => |port| {
        let to = at("127.0.0.1", port)?;
        address::connect_by_socketcall(address::socket(&to, STREAM, 0)?, &to)
    };
    "connect by a longer address" => |port| {
        let mut to = at("127.0.0.1", port)?;
        let socket = address::socket(&to, STREAM, 0)?;
        to.resize(128, 0xff);
        connect(socket, &to)
    };
};

pub(crate) const ALIASES: Set = ("bypass-aliases", OF_ALIASES);

/// What is allowed is 127.0.0.1 alone.
const OF_ALIASES: &[Attempt] = &[
    Attempt::new("tcp", Passes, || tcp("127.0.0.1")),
    Attempt::new("tcp to an alias", UNLISTED, || tcp("127.0.0.2")),
    Attempt::new("tcp to the last alias", UNLISTED, || tcp("127.255.255.254")),
    Attempt::new("tcp to a mapped alias", UNLISTED, || tcp("[::ffff:127.0.0.2]")),
    Attempt::new("sendto", Passes, || sent("127.0.0.1", "7200")),
    Attempt::new("sendto to an alias", UNLISTED, || sent("127.0.0.2", "7200")),
    Attempt::new("sendto to a mapped alias", UNLISTED, || sent("[::ffff:127.0.0.2]", "7200")),
];

const RULES: &str = r#"
[[rule]]
id = "files"
allow = ["read", "modify", "exec"]
path = ["/", "/**"]

[[rule]]
id = "port"
allow = ["connect"]
to = ["127.0.0.1:7200", "[::1]:7200"]
"#;

fn bypass_by_sending() -> Result<()> {
    std::fs::write("/proc/sys/net/ipv4/tcp_fastopen", "3")?;
    // What listens lives as long as this process; each serves IPv4, too.
    let mut listening = Vec::new();
    for port in [7200, 7210] {
        listening.push((TcpListener::bind(("::", port))?, UdpSocket::bind(("::", port))?));
    }
    let gate = Gate::start()?;
    let policy = policy("bypass-send", "", RULES)?;
    judge(&gate, SET, &policy)?;
    judge(&gate, ALIASES, &policy)
}

fn at(host: &str, port: &str) -> Result<Vec<u8>> {
    inet(&format!("{host}:{port}"))
}

fn sent(host: &str, port: &str) -> Act {
    let to = at(host, port)?;
    send_to(address::socket(&to, DATAGRAM, 0)?, &to, 0)
}

fn connected(port: &str) -> Result<usize> {
    let to = at("127.0.0.1", port)?;
    let socket = address::socket(&to, DATAGRAM, 0)?;
    connect(socket, &to)??;
    Ok(socket)
}

fn opened_fast(host: &str, port: &str) -> Act {
    let to = at(host, port)?;
    send_to(address::socket(&to, STREAM, 0)?, &to, MSG_FASTOPEN)
}

fn mptcp(host: &str, port: &str) -> Act {
    let to = at(host, port)?;
    connect(address::socket(&to, STREAM, libc::IPPROTO_MPTCP)?, &to)
}

fn tcp(host: &str) -> Act {
    let to = at(host, "7200")?;
    connect(address::socket(&to, STREAM, 0)?, &to)
}
