//! From (mount, dentry) to the absolute path below the task's root, written into scratch. Owns how a
//! name is obtained and proved; must not know what it is for.
//!
//! The walk follows d_parent from the file to the task's root and writes names from the end of the
//! buffer to its front. It is exact: every dentry's d_seq is read before its name and parent, and a
//! second pass over the same chain must meet the same names with the same counts, so at the moment
//! between the passes all of them were in place at once. A rename changes d_seq of what it
//! moves (fs/dcache.c, `__d_move`, 6.1). A chain that ends anywhere but at the task's root
//! is no name: detached mount, outside of the root, anonymous inode.

use core::ffi::c_void;

use aya_ebpf::helpers::generated::bpf_probe_read_kernel;
use execlayer_common::{limits, reason::Reason};

use crate::{
    kernel::{Dentry, Fs, Task, VfsMount, fields},
    kread::{member, offset, read, typed, typed_at, within},
    scratch::{IN_PATH, PATH_END, Scratch, forget},
    world::repeat,
};

/// Attempts before a name that keeps changing is given up.
const TRIES: u32 = 4;
/// Longest component. KERNEL: NAME_MAX (include/uapi/linux/limits.h).
const NAME_MAX: u64 = 255;

/// A task's root directory.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Root {
    mnt: u64,
    dentry: u64,
}

/// The root of `task`.
#[inline(always)]
pub fn root_of(task: *const Task) -> Root {
    let fs: *const Fs = typed(task, &fields::OFF_TASK_FS);
    let root = member(fs, &fields::OFF_FS_ROOT);
    Root {
        mnt: typed_at(root, offset(&fields::OFF_PATH_MNT)),
        dentry: typed_at(root, offset(&fields::OFF_PATH_DENTRY)),
    }
}

/// How a chain ended. Zero while it goes on.
mod end {
    pub const ROOT: u32 = 1;
    pub const MOUNT: u32 = 2;
    pub const NOWHERE: u32 = 3;
    pub const TOO_LONG: u32 = 4;
    pub const FAULT: u32 = 5;
    pub const RACED: u32 = 6;
}

/// The state of one pass.
#[repr(C)]
struct Pass {
    /// Typed while in the file's own mount, untyped (an address) above it.
    dentry: *const Dentry,
    mnt_root: u64,
    at_root_mount: u64,
    root_dentry: u64,
    /// Mixes every dentry's name and d_seq.
    seen: u64,
    pos: u64,
    scratch: *mut Scratch,
    /// Zero in the second pass: names are not copied.
    copy: u32,
    ended: u32,
}

/// The state of one pass above the file's own mount, where nothing is typed any more.
#[repr(C)]
struct Above {
    dentry: u64,
    /// Address of the struct vfsmount.
    mnt: u64,
    mnt_root: u64,
    root: Root,
    seen: u64,
    pos: u64,
    scratch: *mut Scratch,
    copy: u32,
    ended: u32,
}

#[inline(always)]
fn mix(seen: u64, name: u64, seq: u32) -> u64 {
    (seen.rotate_left(7) ^ name).wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(u64::from(seq))
}

/// Writes `/` and the name in front of `pos`; `None` if there is no room or it cannot be read.
#[inline(always)]
fn prepend(scratch: *mut Scratch, pos: u64, name: u64, len: u64) -> Result<u64, u32> {
    if len > NAME_MAX || pos <= len {
        return Err(end::TOO_LONG);
    }
    let begin = within::<IN_PATH>(pos.wrapping_sub(len));
    // SAFETY: PATH_END and NAME_MAX + 1 more bytes are there; both are masked.
    let failed = unsafe {
        let path = (&raw mut (*scratch).path).cast::<u8>();
        bpf_probe_read_kernel(
            path.add(begin as usize).cast(),
            (within::<NAME_MAX>(len)) as u32,
            name as *const c_void,
        )
    };
    if failed != 0 {
        return Err(end::FAULT);
    }
    let slash = within::<IN_PATH>(begin.wrapping_sub(1));
    put(scratch, slash, b'/');
    Ok(slash)
}

#[inline(always)]
fn put(scratch: *mut Scratch, at: u64, byte: u8) {
    // SAFETY: `at` is masked by the callers.
    unsafe { (&raw mut (*scratch).path).cast::<u8>().add(at as usize).write(byte) };
}

unsafe extern "C" fn up(_turn: u64, pass: *mut Pass) -> i64 {
    // SAFETY: `bpf_loop` passes the context that `chain` owns.
    let pass = unsafe { &mut *pass };
    let dentry = pass.dentry;
    let address = dentry as u64;
    if address == pass.mnt_root {
        pass.ended = if pass.at_root_mount != 0 && address == pass.root_dentry {
            end::ROOT
        } else {
            end::MOUNT
        };
        return 1;
    }
    if pass.at_root_mount != 0 && address == pass.root_dentry {
        pass.ended = end::ROOT;
        return 1;
    }
    let seq: u32 = typed(dentry, &fields::OFF_DENTRY_SEQ);
    let parent: *const Dentry = typed(dentry, &fields::OFF_DENTRY_PARENT);
    if seq & 1 != 0 {
        pass.ended = end::RACED;
        return 1;
    }
    if parent as u64 == address {
        pass.ended = end::NOWHERE;
        return 1;
    }
    let name = member(dentry, &fields::OFF_DENTRY_NAME);
    // KERNEL: struct qstr is { u32 hash; u32 len; } and the pointer (include/linux/dcache.h).
    let bytes: u64 = typed_at(name, 8);
    pass.seen = mix(pass.seen, bytes, seq);
    if pass.copy != 0 {
        let len: u32 = typed_at(name, 4);
        match prepend(pass.scratch, pass.pos, bytes, u64::from(len)) {
            Ok(pos) => pass.pos = pos,
            Err(why) => {
                pass.ended = why;
                return 1;
            }
        }
    }
    pass.dentry = parent;
    0
}

unsafe extern "C" fn up_above(_turn: u64, above: *mut Above) -> i64 {
    // SAFETY: `bpf_loop` passes the context that `chain` owns.
    let above = unsafe { &mut *above };
    if above.dentry == above.root.dentry && above.mnt == above.root.mnt {
        above.ended = end::ROOT;
        return 1;
    }
    match step_above(above) {
        Ok(()) => 0,
        Err(why) => {
            above.ended = why;
            1
        }
    }
}

#[inline(always)]
fn step_above(above: &mut Above) -> Result<(), u32> {
    if above.dentry == above.mnt_root {
        return cross(above);
    }
    let dentry = above.dentry;
    let seq: u32 = at(dentry, &fields::OFF_DENTRY_SEQ)?;
    let parent: u64 = at(dentry, &fields::OFF_DENTRY_PARENT)?;
    if seq & 1 != 0 {
        return Err(end::RACED);
    }
    if parent == dentry {
        return Err(end::NOWHERE);
    }
    let name = dentry.wrapping_add(offset(&fields::OFF_DENTRY_NAME) as u64);
    let bytes: u64 = read(name.wrapping_add(8)).ok_or(end::FAULT)?;
    above.seen = mix(above.seen, bytes, seq);
    if above.copy != 0 {
        let len: u32 = read(name.wrapping_add(4)).ok_or(end::FAULT)?;
        above.pos = prepend(above.scratch, above.pos, bytes, u64::from(len))?;
    }
    above.dentry = parent;
    Ok(())
}

/// From a mount's root to the place that it is mounted on.
#[inline(always)]
fn cross(above: &mut Above) -> Result<(), u32> {
    let mount = above.mnt.wrapping_sub(offset(&fields::OFF_MOUNT_MNT) as u64);
    let parent: u64 = at(mount, &fields::OFF_MOUNT_PARENT)?;
    // KERNEL: the topmost mount of a namespace, and a detached one, is its own parent.
    if parent == mount {
        return Err(end::NOWHERE);
    }
    let point: u64 = at(mount, &fields::OFF_MOUNT_POINT)?;
    above.seen = mix(above.seen, point, parent as u32);
    above.mnt = parent.wrapping_add(offset(&fields::OFF_MOUNT_MNT) as u64);
    above.dentry = point;
    above.mnt_root = at(above.mnt, &fields::OFF_VFSMOUNT_ROOT)?;
    Ok(())
}

#[inline(always)]
fn at<T: Copy>(base: u64, variable: &'static u32) -> Result<T, u32> {
    read(base.wrapping_add(offset(variable) as u64)).ok_or(end::FAULT)
}

/// How a pass ended, where the path begins, and what was seen on the way.
struct Seen {
    ended: u32,
    pos: u64,
    seen: u64,
}

/// One pass from the file to the root.
#[inline(always)]
fn chain(attempt: &Attempt, copy: u32) -> Seen {
    let (root, scratch, mnt) = (attempt.root, attempt.scratch, attempt.mnt);
    let mut pass = Pass {
        dentry: attempt.dentry,
        mnt_root: typed(mnt, &fields::OFF_VFSMOUNT_ROOT),
        at_root_mount: u64::from(mnt as u64 == root.mnt),
        root_dentry: root.dentry,
        seen: 0,
        pos: PATH_END,
        scratch,
        copy,
        ended: 0,
    };
    repeat(limits::MAX_COMPONENTS, up as *const () as *mut c_void, (&raw mut pass).cast());
    let ended = forget(scratch, u64::from(pass.ended)) as u32;
    let pos = forget(scratch, pass.pos);
    let seen = forget(scratch, pass.seen);
    if ended != end::MOUNT {
        return Seen { ended, pos, seen };
    }
    let mut above = Above {
        dentry: pass.mnt_root,
        mnt: mnt as u64,
        mnt_root: pass.mnt_root,
        root,
        seen,
        pos,
        scratch,
        copy,
        ended: 0,
    };
    repeat(limits::MAX_COMPONENTS, up_above as *const () as *mut c_void, (&raw mut above).cast());
    Seen {
        ended: forget(scratch, u64::from(above.ended)) as u32,
        pos: forget(scratch, above.pos),
        seen: forget(scratch, above.seen),
    }
}

/// One attempt: two passes that must agree.
#[repr(C)]
struct Attempt {
    root: Root,
    mnt: *const VfsMount,
    dentry: *const Dentry,
    scratch: *mut Scratch,
    pos: u64,
    ended: u32,
}

unsafe extern "C" fn attempt(_turn: u64, attempt: *mut Attempt) -> i64 {
    // SAFETY: `bpf_loop` passes the context that `path` owns.
    let attempt = unsafe { &mut *attempt };
    let first = chain(attempt, 1);
    let second = chain(attempt, 0);
    // A chain that leads nowhere may have been in motion, too, so it is looked at twice as well.
    let settled =
        first.seen == second.seen && (first.ended != end::ROOT || second.ended == end::ROOT);
    attempt.pos = first.pos;
    attempt.ended = if settled { first.ended } else { end::RACED };
    i64::from(attempt.ended != end::RACED)
}

/// Writes the path of (mnt, dentry) below `root` into `scratch` (`pos`, `len`).
#[inline(always)]
pub fn path(
    scratch: *mut Scratch,
    root: Root,
    mnt: *const VfsMount,
    dentry: *const Dentry,
) -> Result<(), Reason> {
    let mut state = Attempt { root, mnt, dentry, scratch, pos: 0, ended: end::RACED };
    repeat(TRIES, attempt as *const () as *mut c_void, (&raw mut state).cast());
    let pos = forget(scratch, state.pos);
    match forget(scratch, u64::from(state.ended)) as u32 {
        end::ROOT => finish(scratch, pos),
        end::NOWHERE => Err(Reason::NoName),
        end::TOO_LONG => Err(Reason::PathTooLong),
        end::FAULT => Err(Reason::ReadFault),
        end::RACED => Err(Reason::PathRaced),
        _ => Err(Reason::PathTooDeep),
    }
}

#[inline(always)]
fn finish(scratch: *mut Scratch, pos: u64) -> Result<(), Reason> {
    let mut pos = pos;
    if pos == PATH_END {
        pos = PATH_END - 1;
        put(scratch, pos, b'/');
    }
    let len = PATH_END.wrapping_sub(pos);
    if len > u64::from(limits::MAX_PATH) {
        return Err(Reason::PathTooLong);
    }
    // SAFETY: plain fields of the buffer that this task owns.
    unsafe {
        (*scratch).pos = pos;
        (*scratch).len = len;
    }
    Ok(())
}

/// Whether the dentry was unlinked, as d_path sees it: unhashed, and not its own parent.
#[inline(always)]
pub fn is_deleted(dentry: *const Dentry) -> bool {
    // KERNEL: struct hlist_bl_node is { next, pprev }; unhashed means that pprev is null
    // (include/linux/list_bl.h).
    let pprev: u64 = typed_at(member(dentry, &fields::OFF_DENTRY_HASH), 8);
    let parent: u64 = typed(dentry, &fields::OFF_DENTRY_PARENT);
    pprev == 0 && parent != dentry as u64
}
