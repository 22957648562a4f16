//! Connecting to addresses. Unix sockets are judged where the peer is known.

use aya_ebpf::programs::LsmContext;
use execlayer_common::{
    access::{Access, Operation},
    question::Hook,
    reason::Reason,
    subject::{Inet, Protocol},
};

use crate::{
    enforce::ON_FAILURE,
    gate::{self, Call},
    kernel::{
        AF_INET, AF_INET6, AF_UNIX, AF_UNSPEC, IPPROTO_MPTCP, IPPROTO_TCP, IPPROTO_UDP, Sock,
        Socket, fields,
    },
    kread::{read, typed},
    label,
    scratch::Scratch,
};

/// `int socket_connect(struct socket *sock, struct sockaddr *address, int addrlen)`
///
/// KERNEL: the address was copied into the kernel before the hook (net/socket.c, `__sys_connect`,
/// 6.1): reading it as user memory would fail.
#[inline(always)]
pub fn connect(ctx: &LsmContext) -> i32 {
    let Some(label) = label::of(label::current()) else { return 0 };
    let socket: *const Socket = ctx.arg(0);
    let address: u64 = ctx.arg(1);
    let len: i32 = ctx.arg(2);
    let call = Call {
        label,
        operation: Operation::Inet,
        wanted: Access::CONNECT,
        flags: 0,
        hook: Hook::SocketConnect,
    };
    if len < 2 {
        return gate::fail(&call, Reason::AddressFamily);
    }
    let Some(family) = read::<u16>(address) else {
        return gate::fail(&call, Reason::ReadFault);
    };
    // AF_UNSPEC takes a connection back. A unix peer is judged by unix_stream_connect and
    // unix_may_send, which see it.
    if family == AF_UNSPEC || family == AF_UNIX {
        return 0;
    }
    let sock: *const Sock = typed(socket, &fields::OFF_SOCKET_SK);
    if sock.is_null() {
        return gate::fail(&call, Reason::ReadFault);
    }
    let protocol = match typed::<u16, _>(sock, &fields::OFF_SOCK_PROTOCOL) {
        IPPROTO_TCP | IPPROTO_MPTCP => Protocol::Tcp,
        IPPROTO_UDP => Protocol::Udp,
        _ => Protocol::Other,
    };
    let Some(scratch) = gate::take(&call) else { return ON_FAILURE };
    gate::judge(&call, scratch, write(scratch, protocol, family, address, len))
}

/// VERIFIER: a function of its own, so that its stack is free again when the loops begin.
#[inline(never)]
fn write(
    scratch: *mut Scratch,
    protocol: Protocol,
    family: u16,
    address: u64,
    len: i32,
) -> Result<(), Reason> {
    // KERNEL: sockaddr_in and sockaddr_in6 (include/uapi/linux/in.h, in6.h): port at 2, address at 4
    // and 8.
    let port = u16::from_be(read(address.wrapping_add(2)).ok_or(Reason::ReadFault)?);
    let inet = if family == AF_INET && len >= 8 {
        let bytes = read(address.wrapping_add(4)).ok_or(Reason::ReadFault)?;
        Inet::v4(protocol, bytes, port)
    } else if family == AF_INET6 && len >= 24 {
        let bytes = read(address.wrapping_add(8)).ok_or(Reason::ReadFault)?;
        Inet::v6(protocol, bytes, port)
    } else {
        return Err(Reason::AddressFamily);
    };
    let (bytes, len) = inet.raw();
    // SAFETY: this task owns the buffer, which is longer than the address.
    unsafe {
        (&raw mut (*scratch).path).cast::<[u8; Inet::MAX]>().write_unaligned(*bytes);
        (*scratch).pos = 0;
        (*scratch).len = u64::from(len);
    }
    Ok(())
}
