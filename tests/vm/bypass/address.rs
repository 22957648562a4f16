//! Socket addresses as the kernel reads them, and calls that take one. Must not know what is allowed.

use super::tried_i386;
use crate::attempts::{Absent, Act};
use crate::raw::{address, call, low};
use anyhow::Result;
use nix::errno::Errno;
use nix::libc;
use std::net::SocketAddr;

pub(super) const STREAM: i32 = libc::SOCK_STREAM;
pub(super) const DATAGRAM: i32 = libc::SOCK_DGRAM;
pub(super) const SEQUENCE: i32 = libc::SOCK_SEQPACKET;

/// The bytes of an internet address.
pub(super) fn inet(at: &str) -> Result<Vec<u8>> {
    Ok(match at.parse()? {
        SocketAddr::V4(v4) => {
            let family = (libc::AF_INET as u16).to_le_bytes();
            [&family[..], &v4.port().to_be_bytes(), &v4.ip().octets(), &[0; 8]].concat()
        }
        SocketAddr::V6(v6) => {
            let family = (libc::AF_INET6 as u16).to_le_bytes();
            [&family[..], &v6.port().to_be_bytes(), &[0; 4], &v6.ip().octets(), &[0; 4]].concat()
        }
    })
}

/// The same IPv4 address, of no family.
pub(super) fn unspecified(at: &str) -> Result<Vec<u8>> {
    let mut bytes = inet(at)?;
    bytes[..2].copy_from_slice(&[0, 0]);
    Ok(bytes)
}

/// The bytes of a unix socket's name: a path, or `@` and an abstract name.
pub(super) fn unix(name: &str) -> Vec<u8> {
    let family = (libc::AF_UNIX as u16).to_le_bytes();
    match name.strip_prefix('@') {
        Some(name) => [&family[..], b"\0", name.as_bytes()].concat(),
        None => [&family[..], name.as_bytes(), b"\0"].concat(),
    }
}

/// A socket of the address's family; left out where the kernel has no such protocol.
pub(super) fn socket(to: &[u8], kind: i32, protocol: i32) -> Result<usize> {
    let family = i32::from(u16::from_le_bytes([to[0], to[1]]));
    Ok(made(family, kind, protocol)??)
}

pub(super) fn made(family: i32, kind: i32, protocol: i32) -> Result<Result<usize, Errno>> {
    let kind = kind | libc::SOCK_CLOEXEC;
    match call(libc::SYS_socket, [family as usize, kind as usize, protocol as usize]) {
        Err(
            Errno::EAFNOSUPPORT
            | Errno::EPROTONOSUPPORT
            | Errno::ESOCKTNOSUPPORT
            | Errno::ENOPROTOOPT,
        ) => Err(Absent("that protocol").into()),
        made => Ok(made),
    }
}

pub(super) fn connect(socket: usize, to: &[u8]) -> Act {
    Ok(call(libc::SYS_connect, [socket, address(to), to.len()]).map(drop))
}

pub(super) fn connect_i386(socket: usize, to: &[u8]) -> Act {
    tried_i386(362, [socket as u32, low(to)?, to.len() as u32, 0, 0])
}

/// By the one call that once was all of them.
pub(super) fn connect_by_socketcall(socket: usize, to: &[u8]) -> Act {
    let arguments = [socket as u32, low(to)?, to.len() as u32];
    let arguments: Vec<u8> = arguments.iter().flat_map(|number| number.to_le_bytes()).collect();
    tried_i386(102, [3, low(&arguments)?, 0, 0, 0])
}

pub(super) fn bind(socket: usize, at: &[u8]) -> Act {
    Ok(call(libc::SYS_bind, [socket, address(at), at.len()]).map(drop))
}

pub(super) fn send_to(socket: usize, to: &[u8], flags: i32) -> Act {
    let data = b"hello";
    let arguments = [socket, address(data), 5, flags as usize, address(to), to.len()];
    Ok(call(libc::SYS_sendto, arguments).map(drop))
}

pub(super) fn send_message(socket: usize, to: &[u8], flags: i32) -> Act {
    let part = [address(b"hello"), 5];
    let message = header(to, &part);
    Ok(call(libc::SYS_sendmsg, [socket, address(&message), flags as usize]).map(drop))
}

/// One message to each; where not all go out, the kernel only says how many did.
pub(super) fn send_messages(socket: usize, to: &[&[u8]]) -> Act {
    let part = [address(b"hello"), 5];
    let messages: Vec<[usize; 8]> = to
        .iter()
        .map(|to| {
            let [a, b, c, d, e, f, g] = header(to, &part);
            [a, b, c, d, e, f, g, 0]
        })
        .collect();
    let sent = call(libc::SYS_sendmmsg, [socket, address(&messages[..]), to.len(), 0]);
    Ok(match sent {
        Ok(count) if count < to.len() => Err(Errno::EACCES),
        sent => sent.map(drop),
    })
}

/// struct msghdr.
fn header(to: &[u8], part: &[usize; 2]) -> [usize; 7] {
    [address(to), to.len(), address(part), 1, 0, 0, 0]
}
