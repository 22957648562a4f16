//! Addresses: connecting and sending to them, being bound to them. Unix sockets are judged where the peer is
//! known.

use aya_ebpf::programs::LsmContext;
use execlayer_common::{access::Access, label::Label, question::Hook};

use super::unix;
use crate::{
    address::Asked,
    enforce::ON_FAILURE,
    kernel::{AF_INET, AF_INET6, AF_UNIX, AF_UNSPEC, Message, Sock, Socket, fields},
    kread::{read, typed},
    label,
};

/// `int socket_connect(struct socket *sock, struct sockaddr *address, int addrlen)`
///
/// KERNEL: the address was copied into the kernel before the hook (net/socket.c, `__sys_connect`,
/// 6.1): reading it as user memory would fail.
#[inline(always)]
pub fn connect(ctx: &LsmContext) -> i32 {
    let Some(label) = label::of(label::current()) else { return 0 };
    let Some(asked) = asked(label, Access::CONNECT, Hook::SocketConnect, ctx.arg(0)) else {
        return ON_FAILURE;
    };
    let address: u64 = ctx.arg(1);
    let len: i32 = ctx.arg(2);
    let family = family_at(address);
    // AF_UNSPEC takes a connection back. A unix peer is judged by unix_stream_connect and
    // unix_may_send, which see it.
    if len >= 2 && matches!(family, AF_UNSPEC | AF_UNIX) {
        return 0;
    }
    asked.at(family, address, len as u32)
}

/// `int socket_sendmsg(struct socket *sock, struct msghdr *msg, int size)`: a datagram that names where it
/// goes, or TCP that connects while it sends.
#[inline(always)]
pub fn send(ctx: &LsmContext) -> i32 {
    let message: *const Message = ctx.arg(1);
    let address: u64 = typed(message, &fields::OFF_MSG_NAME);
    if address == 0 {
        return 0;
    }
    let Some(label) = label::of(label::current()) else { return 0 };
    let Some(asked) = asked(label, Access::CONNECT, Hook::SocketSend, ctx.arg(0)) else {
        return ON_FAILURE;
    };
    let Some(of_socket) = asked.family() else { return 0 };
    let len: u32 = typed(message, &fields::OFF_MSG_NAMELEN);
    let family = family_at(address);
    // KERNEL: on an IPv4 UDP socket AF_UNSPEC is taken for AF_INET, on an IPv6 one there is no address then
    // (net/ipv4/udp.c, `udp_sendmsg`; net/ipv6/udp.c, `udpv6_sendmsg`; 6.1).
    match (of_socket, family) {
        (AF_INET, AF_UNSPEC) => asked.at(AF_INET, address, len),
        (_, AF_UNSPEC) => 0,
        _ => asked.at(family, address, len),
    }
}

/// `int socket_bind(struct socket *sock, struct sockaddr *address, int addrlen)`
#[inline(always)]
pub fn bind(ctx: &LsmContext) -> i32 {
    let Some(label) = label::of(label::current()) else { return 0 };
    let Some(asked) = asked(label, Access::BIND, Hook::SocketBind, ctx.arg(0)) else {
        return ON_FAILURE;
    };
    let address: u64 = ctx.arg(1);
    let len: i32 = ctx.arg(2);
    let of_socket: u16 = typed(asked.sock, &fields::OFF_SOCK_FAMILY);
    if of_socket == AF_UNIX {
        return unix::bind(label, address, len);
    }
    let Some(of_socket) = asked.family() else { return 0 };
    let family = family_at(address);
    // KERNEL: AF_UNSPEC is taken for AF_INET (net/ipv4/af_inet.c, `__inet_bind`, 6.1).
    let family = if family == AF_UNSPEC { of_socket } else { family };
    asked.at(family, address, len as u32)
}

/// `int socket_listen(struct socket *sock, int backlog)` and `int socket_accept(struct socket *sock, struct
/// socket *newsock)`: a socket that was bound before its task was governed, or never.
#[inline(always)]
pub fn serve(ctx: &LsmContext) -> i32 {
    let Some(label) = label::of(label::current()) else { return 0 };
    let Some(asked) = asked(label, Access::BIND, Hook::SocketBind, ctx.arg(0)) else {
        return ON_FAILURE;
    };
    if asked.family().is_some() { asked.bound() } else { 0 }
}

/// The family of an address; one that cannot be judged if it cannot be read.
#[inline(always)]
fn family_at(address: u64) -> u16 {
    read(address).unwrap_or(u16::MAX)
}

#[inline(always)]
fn asked(label: Label, wanted: Access, hook: Hook, socket: *const Socket) -> Option<Asked> {
    let sock: *const Sock = typed(socket, &fields::OFF_SOCKET_SK);
    if sock.is_null() { None } else { Some(Asked { label, wanted, hook, sock }) }
}

impl Asked {
    /// The socket's family, if it is one of addresses that are judged.
    #[inline(always)]
    fn family(&self) -> Option<u16> {
        let sock: *const Sock = self.sock;
        let family: u16 = typed(sock, &fields::OFF_SOCK_FAMILY);
        matches!(family, AF_INET | AF_INET6).then_some(family)
    }
}
