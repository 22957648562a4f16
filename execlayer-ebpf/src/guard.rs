//! What belongs to the gate itself, which no governed task may touch whatever its policy says: the daemon's
//! sockets, pins, maps and programs. Owns what that is and how it is denied; must not look at policies.

use execlayer_common::{
    access::{Access, Operation},
    event,
    label::Label,
    question::{Hook, daemon},
    reason::Reason,
    slot::Slot,
    verdict::raw,
};

use crate::{
    emit,
    enforce::ON_FAILURE,
    gate::{self, Call},
    hold::told,
    kernel::{BPF_FS_MAGIC, Dentry, Inode, Pid, Sock, SuperBlock, UnixSock, fields},
    kread::{member, offset, read, typed, typed_at},
    maps::SLOTS,
    scratch::{self, Scratch},
};

/// `why.sock`, the one socket of the daemon's that governed tasks can use, as a little-endian word.
const WHY: u64 = u64::from_le_bytes(*b"why.sock");

/// Whether it lies on a bpf file system: maps, programs and links are pinned there.
#[inline(always)]
pub fn is_on_bpffs(dentry: *const Dentry) -> bool {
    let sb: *const SuperBlock = typed(dentry, &fields::OFF_DENTRY_SB);
    let magic: u64 = typed(sb, &fields::OFF_SB_MAGIC);
    magic == BPF_FS_MAGIC
}

/// Whether it is the daemon's run directory, where its sockets are.
#[inline(always)]
pub fn is_run_directory(inode: *const Inode) -> bool {
    if inode.is_null() {
        return false;
    }
    let sb: *const SuperBlock = typed(inode, &fields::OFF_INODE_SB);
    let device: u32 = typed(sb, &fields::OFF_SB_DEV);
    let number: u64 = typed(inode, &fields::OFF_INODE_INO);
    number != 0
        && number == told(daemon::RUN_INODE)
        && u64::from(device) == told(daemon::RUN_DEVICE)
}

/// A socket as far as it is the daemon's.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Listener {
    /// Somebody else's.
    Other,
    /// The daemon's, for everybody.
    Why,
    /// The daemon's, and for no governed task.
    Control,
}

/// Whether the daemon listens on this socket. Known by who listens, not by name: a name leads to whatever is
/// mounted there.
///
/// KERNEL: a listening socket keeps its owner (net/unix/af_unix.c, `unix_listen`, 6.1).
#[inline(always)]
pub fn listener(sock: *const Sock, peer: *const UnixSock) -> Listener {
    let pid: *const Pid = typed(sock, &fields::OFF_SOCK_PEER_PID);
    if pid.is_null() {
        return Listener::Other;
    }
    let number: u32 = typed_at(member(pid, &fields::OFF_PID_NUMBERS), 0);
    if number == 0 || u64::from(number) != told(daemon::PID) {
        return Listener::Other;
    }
    let address: u64 = typed(peer, &fields::OFF_UNIX_ADDR);
    let len: u32 = read(address.wrapping_add(offset(&fields::OFF_UNIX_ADDR_LEN))).unwrap_or(0);
    // The name ends with a NUL that counts.
    let end = address.wrapping_add(offset(&fields::OFF_UNIX_ADDR_NAME)).wrapping_add(len.into());
    if read::<u64>(end.wrapping_sub(9)) == Some(WHY) { Listener::Why } else { Listener::Control }
}

/// Denies what has no name of its own, and records it under `what`.
#[inline(always)]
pub fn deny(label: Label, what: u64) -> i32 {
    let (operation, wanted) = (Operation::File, Access(0));
    let call = Call { label, operation, wanted, flags: 0, hook: Hook::Never };
    let Some(scratch) = gate::take(&call) else { return ON_FAILURE };
    gate::ask(&call, scratch, Reason::Guarded);
    // SAFETY: this task owns the buffer.
    unsafe {
        (&raw mut (*scratch).path).cast::<u64>().write_volatile(what);
        (*scratch).pos = 0;
        (*scratch).len = 8;
    }
    let result = record_refusal(scratch);
    scratch::release(scratch);
    result
}

/// Denies the subject in scratch, whose question is there, also in monitor mode.
#[inline(always)]
pub fn record_refusal(scratch: *mut Scratch) -> i32 {
    // VERIFIER: not judged, only named: a judgement is more to look at than all the rest.
    // SAFETY: this task owns the buffer.
    let profile = unsafe { (*scratch).event.profile };
    let slot = Slot(SLOTS.get(profile.wrapping_sub(1)).copied().unwrap_or_default());
    // SAFETY: as above.
    unsafe {
        let header = &mut (*scratch).event;
        header.reason = Reason::Guarded as u8;
        header.generation = slot.generation();
        header.verdict = raw::DENY;
        header.rule = event::NO_RULE;
    }
    emit::record(scratch);
    ON_FAILURE
}
