//! Addresses: connecting and sending to them, being bound to them. Unix sockets are judged where the peer is
//! known.

use aya_ebpf::programs::LsmContext;
use execlayer_common::{access::Access, label::Label, question::Hook, reason::Reason};

use super::unix;
use crate::{
    address::Asked,
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
    let asked = asked(label, Access::CONNECT, Hook::SocketConnect, ctx.arg(0));
    let address: u64 = ctx.arg(1);
    let len: i32 = ctx.arg(2);
    if len < 2 {
        return asked.unnamed(Reason::AddressFamily);
    }
    let Some(family) = read::<u16>(address) else { return asked.unnamed(Reason::ReadFault) };
    // AF_UNSPEC takes a connection back. A unix peer is judged by unix_stream_connect and
    // unix_may_send, which see it.
    if family == AF_UNSPEC || family == AF_UNIX {
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
    let asked = asked(label, Access::CONNECT, Hook::SocketSend, ctx.arg(0));
    let Some(of_socket) = asked.family() else { return 0 };
    let len: u32 = typed(message, &fields::OFF_MSG_NAMELEN);
    let Some(family) = read::<u16>(address) else { return asked.unnamed(Reason::ReadFault) };
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
    let asked = asked(label, Access::BIND, Hook::SocketBind, ctx.arg(0));
    let address: u64 = ctx.arg(1);
    let len: i32 = ctx.arg(2);
    let of_socket: u16 = typed(asked.sock, &fields::OFF_SOCK_FAMILY);
    if of_socket == AF_UNIX {
        return unix::bind(label, address, len);
    }
    let Some(of_socket) = asked.family() else { return 0 };
    let Some(family) = read::<u16>(address) else { return asked.unnamed(Reason::ReadFault) };
    // KERNEL: AF_UNSPEC is taken for AF_INET (net/ipv4/af_inet.c, `__inet_bind`, 6.1).
    let family = if family == AF_UNSPEC { of_socket } else { family };
    asked.at(family, address, len as u32)
}

/// `int socket_listen(struct socket *sock, int backlog)` and `int socket_accept(struct socket *sock, struct
/// socket *newsock)`: a socket that was bound before its task was governed, or never.
#[inline(always)]
pub fn serve(ctx: &LsmContext) -> i32 {
    let Some(label) = label::of(label::current()) else { return 0 };
    let asked = asked(label, Access::BIND, Hook::SocketBind, ctx.arg(0));
    if asked.family().is_some() { asked.bound() } else { 0 }
}

#[inline(always)]
fn asked(label: Label, wanted: Access, hook: Hook, socket: *const Socket) -> Asked {
    Asked { label, wanted, hook, sock: typed(socket, &fields::OFF_SOCKET_SK) }
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
