//! Connecting and sending to unix sockets, by what the peer is really bound to: the caller's
//! `sun_path` may be relative, a symlink or a bind mount.

use aya_ebpf::{
    helpers::generated::{bpf_probe_read_kernel, bpf_skc_to_unix_sock},
    programs::LsmContext,
};
use execlayer_common::{
    access::{Access, Operation},
    label::Label,
    limits,
    question::Hook,
    reason::Reason,
    subject,
};

use crate::{
    enforce::ON_FAILURE,
    gate::{self, Call},
    guard::{self, Listener},
    kernel::{Dentry, Sock, Socket, UnixSock, VfsMount, fields},
    kread::{member, offset, read, typed, within},
    label,
    place::{Change, Kind},
    scratch::Scratch,
};

/// What the record says.
const CONTROL: u64 = u64::from_le_bytes(*b"(daemon)");

/// `int unix_stream_connect(struct sock *sock, struct sock *other, struct sock *newsk)`
#[inline(always)]
pub fn connect(ctx: &LsmContext) -> i32 {
    let Some(label) = label::of(label::current()) else { return 0 };
    peer(&call(label, Hook::UnixConnect), ctx.arg(1))
}

/// `int unix_may_send(struct socket *sock, struct socket *other)`
#[inline(always)]
pub fn send(ctx: &LsmContext) -> i32 {
    let Some(label) = label::of(label::current()) else { return 0 };
    let other: *const Socket = ctx.arg(1);
    peer(&call(label, Hook::UnixSend), typed(other, &fields::OFF_SOCKET_SK))
}

/// A unix socket that is to be bound; by path it is judged as a name that is made.
#[inline(always)]
pub fn bind(label: Label, address: u64, len: i32) -> i32 {
    // KERNEL: sockaddr_un is a u16 family and sun_path; without a path the kernel chooses an abstract name
    // (net/unix/af_unix.c, `unix_autobind`, 6.1).
    let name = address.wrapping_add(2);
    if len <= 2 || read::<u8>(name) != Some(0) {
        return 0;
    }
    let call = Call { wanted: Access::BIND, ..call(label, Hook::SocketBind) };
    let Some(scratch) = gate::take(&call) else { return ON_FAILURE };
    gate::judge(&call, scratch, write_name(scratch, name, (len as u64).wrapping_sub(2)))
}

#[inline(always)]
const fn call(label: Label, hook: Hook) -> Call {
    Call { label, operation: Operation::Unix, wanted: Access::CONNECT, flags: 0, hook }
}

#[inline(always)]
fn peer(call: &Call, sock: *const Sock) -> i32 {
    if sock.is_null() {
        return gate::fail(call, Reason::ReadFault);
    }
    // SAFETY: VERIFIER: a BTF-typed sock; null if it is no unix socket.
    let peer: *const UnixSock = unsafe { bpf_skc_to_unix_sock(sock.cast_mut().cast()) }.cast();
    if peer.is_null() {
        return gate::fail(call, Reason::AddressFamily);
    }
    match guard::listener(sock, peer) {
        Listener::Why => return 0,
        Listener::Control => return guard::deny(call.label, CONTROL),
        Listener::Other => {}
    }
    let path = member(peer, &fields::OFF_UNIX_PATH);
    let dentry: *const Dentry = typed(path, &fields::OFF_PATH_DENTRY);
    if !dentry.is_null() {
        let mnt: *const VfsMount = typed(path, &fields::OFF_PATH_MNT);
        let Call { label, operation, wanted, hook, .. } = *call;
        return Change { label, operation, wanted, kind: Kind::Named, hook, flags: 0 }
            .at(mnt, dentry);
    }
    let address: u64 = typed(peer, &fields::OFF_UNIX_ADDR);
    if address == 0 {
        // A peer without a name can only have come as a descriptor: a socketpair.
        return 0;
    }
    let Some(scratch) = gate::take(call) else { return ON_FAILURE };
    gate::judge(call, scratch, abstract_name(scratch, address))
}

/// Writes `@` and the abstract name.
#[inline(always)]
fn abstract_name(scratch: *mut Scratch, address: u64) -> Result<(), Reason> {
    let len: u32 =
        read(address.wrapping_add(offset(&fields::OFF_UNIX_ADDR_LEN))).ok_or(Reason::ReadFault)?;
    // KERNEL: sockaddr_un is a u16 family and sun_path, whose first byte is NUL here; the length
    // counts all of it (include/linux/un.h).
    let name = address.wrapping_add(offset(&fields::OFF_UNIX_ADDR_NAME)).wrapping_add(2);
    write_name(scratch, name, u64::from(len).wrapping_sub(2))
}

/// Writes `@` and the name that lies at `name`, behind a NUL that counts.
#[inline(always)]
fn write_name(scratch: *mut Scratch, name: u64, len: u64) -> Result<(), Reason> {
    if len == 0 || len > u64::from(limits::MAX_UNIX_NAME) {
        return Err(Reason::ReadFault);
    }
    // SAFETY: this task owns the buffer; at most 127 bytes are written.
    let failed = unsafe {
        let to = (&raw mut (*scratch).path).cast::<u8>();
        bpf_probe_read_kernel(to.cast(), (within::<0x7f>(len)) as u32, name as *const _)
    };
    if failed != 0 {
        return Err(Reason::ReadFault);
    }
    // SAFETY: as above.
    unsafe {
        (&raw mut (*scratch).path).cast::<u8>().write(subject::ABSTRACT);
        (*scratch).pos = 0;
        (*scratch).len = len;
    }
    Ok(())
}
