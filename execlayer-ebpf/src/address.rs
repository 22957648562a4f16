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
        let kind = u64::from(protocol) << 16 | u64::from(family);
        returned(judge_address(scratch, kind, address, len))
    }

    /// Judges the address that the socket is bound to.
    #[inline(always)]
    pub fn bound(&self) -> i32 {
        let Some(scratch) = self.prepare() else { return ON_FAILURE };
        let sock = forget(scratch, self.sock as u64);
        returned(judge_bound(scratch, sock))
    }

    /// Denies what has no address that could be named.
    #[inline(always)]
    pub fn unnamed(&self, reason: Reason) -> i32 {
        gate::fail(&self.call(), reason)
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
    let (protocol, family) = (protocol((kind >> 16) as u16), kind as u16);
    // SAFETY: this task owns the buffer.
    let is_local = unsafe { (*scratch).event.access } == Access::BIND.0;
    // KERNEL: sockaddr_in and sockaddr_in6 (include/uapi/linux/in.h, in6.h): port at 2, address at 4
    // and 8.
    let port = read::<u16>(address.wrapping_add(2)).map(u16::from_be);
    let at = address.wrapping_add(if family == AF_INET { 4 } else { 8 });
    let name = match port {
        None => Err(Reason::ReadFault),
        Some(port) if family == AF_INET && len >= 8 => v4(protocol, at, port, is_local),
        Some(port) if family == AF_INET6 && len >= 24 => v6(protocol, at, port, is_local),
        Some(_) => Err(Reason::AddressFamily),
    };
    settle(scratch, name)
}

/// VERIFIER: a global function, looked at once (see [`crate::judge`]).
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn judge_bound(scratch: *mut Scratch, sock: u64) -> i32 {
    if scratch.is_null() {
        return ON_FAILURE;
    }
    let half = |at: u64| read::<u16>(sock.wrapping_add(at));
    let family = half(offset(&fields::OFF_SOCK_FAMILY)).unwrap_or(0);
    let protocol = protocol(half(offset(&fields::OFF_SOCK_PROTOCOL)).unwrap_or(0));
    let name = match half(offset(&fields::OFF_SOCK_NUM)) {
        None => Err(Reason::ReadFault),
        Some(port) if family == AF_INET => {
            v4(protocol, sock.wrapping_add(offset(&fields::OFF_SOCK_LOCAL)), port, true)
        }
        Some(port) => {
            v6(protocol, sock.wrapping_add(offset(&fields::OFF_SOCK_LOCAL_6)), port, true)
        }
    };
    settle(scratch, name)
}

/// KERNEL: include/uapi/linux/in.h.
#[inline(always)]
pub const fn protocol(number: u16) -> Protocol {
    match number {
        IPPROTO_TCP | IPPROTO_MPTCP => Protocol::Tcp,
        IPPROTO_UDP | IPPROTO_UDPLITE => Protocol::Udp,
        _ => Protocol::Other,
    }
}

#[inline(always)]
fn v4(protocol: Protocol, at: u64, port: u16, is_local: bool) -> Result<Inet, Reason> {
    let bytes = read(at).ok_or(Reason::ReadFault)?;
    Ok(if is_local {
        Inet::local_v4(protocol, bytes, port)
    } else {
        Inet::v4(protocol, bytes, port)
    })
}

#[inline(always)]
fn v6(protocol: Protocol, at: u64, port: u16, is_local: bool) -> Result<Inet, Reason> {
    let bytes = read(at).ok_or(Reason::ReadFault)?;
    Ok(if is_local {
        Inet::local_v6(protocol, bytes, port)
    } else {
        Inet::v6(protocol, bytes, port)
    })
}

/// Writes the address into scratch and judges it; gives the scratch back.
#[inline(always)]
fn settle(scratch: *mut Scratch, name: Result<Inet, Reason>) -> i32 {
    // SAFETY: this task owns the buffer, which is longer than an address.
    let hook = unsafe {
        (*scratch).pos = 0;
        (*scratch).len = 0;
        match name {
            Ok(inet) => {
                let (bytes, len) = inet.raw();
                (&raw mut (*scratch).path).cast::<[u8; Inet::MAX]>().write_unaligned(*bytes);
                (*scratch).len = u64::from(len);
            }
            Err(reason) => (*scratch).event.reason = reason as u8,
        }
        (*scratch).call.hook
    };
    // SAFETY: as above.
    let outcome = judge::judge_slowly(scratch, unsafe { (*scratch).event.profile });
    let result = gate::settle(scratch, hook, outcome);
    scratch::release(scratch);
    result
}
