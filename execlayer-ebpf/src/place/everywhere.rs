//! A file that a hook names without its mount: judged by every name that it has in the task's mount
//! namespace, and denied if one of them is.
//!
//! KERNEL: a super block lists its mounts: until 6.17 by `struct list_head` in both, from 6.18 on by
//! pointers from mount to mount (fs/mount.h, `mnt_instance`, `mnt_next_for_sb`).

use core::ffi::c_void;

use execlayer_common::{limits::MAX_SB_MOUNTS, question::Hook};

use super::{Reason, ask_again, is_nowhere, judged, refuse};
use crate::{
    enforce::ON_FAILURE,
    gate,
    hold::call,
    kernel::{PF_IO_WORKER, Task, fields},
    kread::{UNSET, load, offset, typed, variable},
    label,
    scratch::{self, Mounts, Scratch},
    walk,
    world::repeat,
};

/// Whether mounts point to one another, and not into one another.
#[unsafe(no_mangle)]
static MOUNTS_POINT: u32 = UNSET;

/// VERIFIER: what changes from turn to turn is in scratch. 6.1 looks at a loop's body once and believes that
/// what its stack holds then is all that it can hold; code behind the loop for anything else is cut out.
#[repr(C)]
struct Search {
    scratch: *mut Scratch,
    dentry: u64,
    first: u64,
    namespace: u64,
}

/// VERIFIER: a global function, looked at once (see [`crate::judge`]).
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn judge_everywhere(scratch: *mut Scratch, dentry: u64) -> i32 {
    if scratch.is_null() {
        return ON_FAILURE;
    }
    let task = label::current();
    let result = if is_nowhere(dentry) || acts_for_another(task) {
        0
    } else {
        search(scratch, task, dentry)
    };
    scratch::release(scratch);
    result
}

/// Whether a file system is at work below another that was asked first: it does so with its own
/// credentials (fs/overlayfs/inode.c, `ovl_setattr`, 6.1). So do calls of io_uring with a personality, and
/// those are nobody else's.
#[inline(always)]
fn acts_for_another(task: *const Task) -> bool {
    const IO_URING_ENTER: u32 = 426;
    let (acting, real): (u64, u64) =
        (typed(task, &fields::OFF_TASK_CRED), typed(task, &fields::OFF_TASK_REAL_CRED));
    let flags: u32 = typed(task, &fields::OFF_TASK_FLAGS);
    acting != real && flags & PF_IO_WORKER == 0 && call::number_of(task) != IO_URING_ENTER
}

#[inline(always)]
fn search(scratch: *mut Scratch, task: *const Task, dentry: u64) -> i32 {
    let sb = load(dentry, &fields::OFF_DENTRY_SB);
    let first = load(sb, &fields::OFF_SB_MOUNTS);
    let spaces: u64 = typed(task, &fields::OFF_TASK_NSPROXY);
    let namespace = load(spaces, &fields::OFF_NSPROXY_MNT);
    let head = sb.wrapping_add(offset(&fields::OFF_SB_MOUNTS));
    let mut search = Search { scratch, dentry, first: head, namespace };
    // SAFETY: this task owns the buffer.
    let found = unsafe {
        let mounts = &raw mut (*scratch).mounts;
        mounts.write_volatile(Mounts { next: first, result: 0, names: 0, is_done: 0 });
        repeat(MAX_SB_MOUNTS, try_mount as *const () as *mut c_void, (&raw mut search).cast());
        mounts.read_volatile()
    };
    if found.result != 0 {
        return found.result as i32;
    }
    let missing = if found.is_done == 0 {
        Reason::PathTooDeep
    } else if found.names == 0 {
        Reason::NoName
    } else {
        return 0;
    };
    refuse(scratch, missing)
}

extern "C" fn try_mount(_turn: u64, search: *mut Search) -> i64 {
    // SAFETY: `bpf_loop` passes the context that `search` owns.
    let search = unsafe { &mut *search };
    let scratch = search.scratch;
    // SAFETY: this task owns the buffer.
    let mounts = unsafe { &mut (*scratch).mounts };
    let points = variable(&MOUNTS_POINT) != 0;
    let node = mounts.next;
    if node == 0 || !points && node == search.first {
        mounts.is_done = 1;
        return 1;
    }
    let next_at = offset(&fields::OFF_MOUNT_NEXT);
    let mount = if points { node } else { node.wrapping_sub(next_at) };
    mounts.next = load(mount, &fields::OFF_MOUNT_NEXT);
    if load(mount, &fields::OFF_MOUNT_NS) != search.namespace {
        return 0;
    }
    let mnt = mount.wrapping_add(offset(&fields::OFF_MOUNT_MNT));
    let root = walk::root_of(label::current());
    // Most mounts of a file system show another part of it.
    let Ok(()) = walk::path_at(scratch, root, mnt, search.dentry) else { return 0 };
    mounts.names = mounts.names.wrapping_add(1);
    // SAFETY: this task owns the buffer.
    let wanted = unsafe { (*scratch).event.access };
    ask_again(scratch, wanted);
    let outcome = judged(scratch, Ok(()));
    let result = gate::settle(scratch, Hook::Never as u32, outcome);
    // SAFETY: as above.
    unsafe { (*scratch).mounts.result = result.into() };
    i64::from(result != 0)
}
