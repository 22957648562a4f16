//! Judges internet addresses, in global functions that the verifier looks at once: where a call goes to,
//! and where a socket is bound. Must not read hooks' arguments.

use execlayer_common::{
    access::{Access, Operation},
    label::Label,
    question::Hook,
    reason::Reason,
    subject::{Inet, Protocol},
};

use crate::{
    enforce::ON_FAILURE,
    gate::{self, Call},
    judge,
    kernel::{
        AF_INET, AF_INET6, IPPROTO_MPTCP, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_UDPLITE, Sock, fields,
    },
    kread::{offset, read, typed},
    place::returned,
    scratch::{self, Scratch, forget},
};

/// A call about an address.
pub struct Asked {
    pub label: Label,
    pub wanted: Access,
    pub hook: Hook,
    pub sock: *const Sock,
}

impl Asked {
    /// Judges the address at `address`, which is one of `family` and has `len` bytes.
    #[inline(always)]
    pub fn at(&self, family: u16, address: u64, len: u32) -> i32 {
        let Some(scratch) = self.prepare() else { return ON_FAILURE };
        let protocol: u16 = typed(self.sock, &fields::OFF_SOCK_PROTOCOL);
        let kind = kind(protocol, family);
        // VERIFIER: a global function takes no pointer of the kernel's as a number.
        returned(judge_address(scratch, kind, forget(scratch, address), len))
    }

    /// Judges the address that the socket is bound to.
    #[inline(always)]
    pub fn bound(&self) -> i32 {
        let Some(scratch) = self.prepare() else { return ON_FAILURE };
        let sock = forget(scratch, self.sock as u64);
        returned(judge_bound(scratch, sock))
    }

    #[inline(always)]
    const fn call(&self) -> Call {
        let (label, wanted, hook) = (self.label, self.wanted, self.hook);
        Call { label, operation: Operation::Inet, wanted, flags: 0, hook }
    }

    #[inline(always)]
    fn prepare(&self) -> Option<*mut Scratch> {
        let scratch = gate::take(&self.call())?;
        gate::ask(&self.call(), scratch, Reason::None);
        // SAFETY: this task owns the buffer.
        unsafe {
            (*scratch).call.hook = self.hook as u32;
            (*scratch).file = [0; 6];
        }
        Some(scratch)
    }
}

/// VERIFIER: a global function, looked at once (see [`crate::judge`]).
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn judge_address(scratch: *mut Scratch, kind: u64, address: u64, len: u32) -> i32 {
    if scratch.is_null() {
        return ON_FAILURE;
    }
    let family = kind as u16;
    // KERNEL: sockaddr_in and sockaddr_in6 (include/uapi/linux/in.h, in6.h): port at 2, address at 4
    // and 8.
    let (at, least) = if family == AF_INET { (4, 8) } else { (8, 24) };
    let port = read::<u16>(address.wrapping_add(2)).map(u16::from_be);
    let reason = match port {
        None => Reason::ReadFault as u32,
        Some(_) if !matches!(family, AF_INET | AF_INET6) || len < least => {
            Reason::AddressFamily as u32
        }
        Some(port) => put(scratch, kind, address.wrapping_add(at), port.into()),
    };
    settle(scratch, reason)
}

/// VERIFIER: a global function, looked at once (see [`crate::judge`]).
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn judge_bound(scratch: *mut Scratch, sock: u64) -> i32 {
    if scratch.is_null() {
        return ON_FAILURE;
    }
    let half = |at: u64| read::<u16>(sock.wrapping_add(at)).unwrap_or(0);
    let family = half(offset(&fields::OFF_SOCK_FAMILY));
    let protocol = half(offset(&fields::OFF_SOCK_PROTOCOL));
    let port = half(offset(&fields::OFF_SOCK_NUM));
    let at = if family == AF_INET {
        offset(&fields::OFF_SOCK_LOCAL)
    } else {
        offset(&fields::OFF_SOCK_LOCAL_6)
    };
    let reason = put(scratch, kind(protocol, family), sock.wrapping_add(at), port.into());
    settle(scratch, reason)
}

#[inline(always)]
const fn kind(protocol: u16, family: u16) -> u64 {
    (protocol as u64) << 16 | family as u64
}

/// KERNEL: include/uapi/linux/in.h.
#[inline(always)]
const fn protocol(number: u16) -> Protocol {
    match number {
        IPPROTO_TCP | IPPROTO_MPTCP => Protocol::Tcp,
        IPPROTO_UDP | IPPROTO_UDPLITE => Protocol::Udp,
        _ => Protocol::Other,
    }
}

/// Writes the address that lies at `at` into scratch; the reason why not, or 0.
///
/// VERIFIER: a function of its own, so that its stack is free again when the loops begin.
#[inline(never)]
fn put(scratch: *mut Scratch, kind: u64, at: u64, port: u32) -> u32 {
    let (protocol, port) = (protocol((kind >> 16) as u16), port as u16);
    // SAFETY: this task owns the buffer.
    let is_local = unsafe { (*scratch).event.access } == Access::BIND.0;
    let inet = if kind as u16 == AF_INET {
        let Some(bytes) = read(at) else { return Reason::ReadFault as u32 };
        if is_local {
            Inet::local_v4(protocol, bytes, port)
        } else {
            Inet::v4(protocol, bytes, port)
        }
    } else {
        let Some(bytes) = read(at) else { return Reason::ReadFault as u32 };
        if is_local {
            Inet::local_v6(protocol, bytes, port)
        } else {
            Inet::v6(protocol, bytes, port)
        }
    };
    let (bytes, len) = inet.raw();
    // SAFETY: as above; the buffer is longer than an address.
    unsafe {
        (&raw mut (*scratch).path).cast::<[u8; Inet::MAX]>().write_unaligned(*bytes);
        (*scratch).pos = 0;
        (*scratch).len = u64::from(len);
    }
    0
}

/// Judges the address in scratch, or denies for the reason why it is not there; gives the scratch back.
#[inline(always)]
fn settle(scratch: *mut Scratch, reason: u32) -> i32 {
    // SAFETY: this task owns the buffer.
    let (hook, profile) = unsafe {
        if reason != 0 {
            (*scratch).len = 0;
            (*scratch).event.reason = reason as u8;
        }
        ((*scratch).call.hook, (*scratch).event.profile)
    };
    let outcome = judge::judge_slowly(scratch, profile);
    let result = gate::settle(scratch, hook, outcome);
    scratch::release(scratch);
    result
}
