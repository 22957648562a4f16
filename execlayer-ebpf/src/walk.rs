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
    kernel::{Dentry, File, Fs, MNT_NS_INTERNAL, SB_NOUSER, SuperBlock, Task, VfsMount, fields},
    kread::{member, offset, read_or_zero, typed, typed_at, within},
    scratch::{IN_PATH, PATH_END, Scratch, forget},
    world::repeat,
};

/// Attempts before a name that keeps changing is given up.
const TRIES: u32 = 4;
/// Longest component. KERNEL: NAME_MAX (include/uapi/linux/limits.h).
const NAME_MAX: u64 = 255;
/// Bytes of a name that lies in its dentry, at least. KERNEL: DNAME_INLINE_LEN is 40 from 6.11 on, 32
/// before (include/linux/dcache.h, 64 bit with SMP).
const INLINE_MAX: u64 = 32;
/// Steps that are written out. Most paths have no more components, and a turn of `bpf_loop` costs half
/// of what it does.
const NEAR: u32 = 8;

/// A task's root directory.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Root {
    pub mnt: u64,
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

/// Where a file lies.
#[inline(always)]
pub fn place_of(file: *const File) -> (*const VfsMount, *const Dentry) {
    let path = member(file, &fields::OFF_FILE_PATH);
    (
        typed_at(path, offset(&fields::OFF_PATH_MNT)),
        typed_at(path, offset(&fields::OFF_PATH_DENTRY)),
    )
}

/// How a pass ended.
mod end {
    pub const GOES_ON: u64 = 0;
    pub const ROOT: u64 = 1;
    pub const MOUNT: u64 = 2;
    pub const NOWHERE: u64 = 3;
    pub const TOO_LONG: u64 = 4;
    pub const FAULT: u64 = 5;
    pub const RACED: u64 = 6;
}

/// Where a pass is in the file's own mount.
#[derive(Clone, Copy)]
#[repr(C)]
struct Pass {
    dentry: *const Dentry,
    ends: Ends,
    scratch: *mut Scratch,
}

/// Where a pass ends, as addresses: the task's root, 0 if that is in another mount, and the mount's own
/// root.
#[derive(Clone, Copy)]
#[repr(C)]
struct Ends {
    root: u64,
    mount: u64,
}

/// Where a pass is above the file's own mount: nothing is typed any more.
#[repr(C)]
struct Above {
    dentry: u64,
    /// Address of the struct vfsmount.
    mnt: u64,
    mnt_root: u64,
    root: Root,
    scratch: *mut Scratch,
    copy: u64,
}

#[inline(always)]
fn mix(seen: u64, dentry: u64, seq: u32) -> u64 {
    (seen.rotate_left(7) ^ dentry).wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(u64::from(seq))
}

/// Writes `/` and the name in front of `pos`; how the walk ends if that cannot be.
#[inline(always)]
fn prepend(scratch: *mut Scratch, name: u64, len: u64) -> u64 {
    // SAFETY: this task owns the buffer.
    let pos = unsafe { (*scratch).pos };
    if len > NAME_MAX || pos <= len {
        return end::TOO_LONG;
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
    let slash = within::<IN_PATH>(begin.wrapping_sub(1));
    put(scratch, slash, b'/');
    // SAFETY: as above.
    unsafe { (*scratch).pos = slash };
    if failed == 0 { end::GOES_ON } else { end::FAULT }
}

#[inline(always)]
fn put(scratch: *mut Scratch, at: u64, byte: u8) {
    // SAFETY: `at` is masked by the callers.
    unsafe { (&raw mut (*scratch).path).cast::<u8>().add(at as usize).write(byte) };
}

/// Notes how the pass ended.
#[inline(always)]
fn finish(scratch: *mut Scratch, how: u64) -> i64 {
    // SAFETY: this task owns the buffer.
    unsafe { (&raw mut (*scratch).ended).write_volatile(how) };
    1
}

/// Notes what the pass saw.
#[inline(always)]
fn see(scratch: *mut Scratch, dentry: u64, seq: u32) {
    // SAFETY: this task owns the buffer.
    unsafe { (*scratch).seen = mix((*scratch).seen, dentry, seq) };
}

/// One step from a dentry to its parent, or how the pass ends. The first pass copies the name.
#[inline(always)]
fn step<const COPY: bool>(
    scratch: *mut Scratch,
    dentry: *const Dentry,
    ends: Ends,
) -> Result<*const Dentry, u64> {
    let address = dentry as u64;
    if address == ends.root {
        return Err(end::ROOT);
    }
    if address == ends.mount {
        return Err(end::MOUNT);
    }
    let seq: u32 = typed(dentry, &fields::OFF_DENTRY_SEQ);
    let parent: *const Dentry = typed(dentry, &fields::OFF_DENTRY_PARENT);
    if parent as u64 == address {
        return Err(end::NOWHERE);
    }
    // VERIFIER: no arithmetic with a pointer, so its address takes the way through memory.
    see(scratch, forget(scratch, address), seq);
    if COPY {
        // The second pass would see another count.
        if seq & 1 != 0 {
            return Err(end::RACED);
        }
        let how = prepend_name(scratch, dentry);
        if how != end::GOES_ON {
            return Err(how);
        }
    }
    Ok(parent)
}

/// Writes `/` and the dentry's name in front of `pos`.
#[inline(always)]
fn prepend_name(scratch: *mut Scratch, dentry: *const Dentry) -> u64 {
    let name = member(dentry, &fields::OFF_DENTRY_NAME);
    // KERNEL: struct qstr is { u32 hash; u32 len; } and the pointer (include/linux/dcache.h).
    let len = u64::from(typed_at::<u32>(name, 4));
    let bytes: u64 = typed_at(name, 8);
    let inline = member(dentry, &fields::OFF_DENTRY_INLINE);
    if bytes != inline as u64 || len > INLINE_MAX {
        return prepend(scratch, bytes, len);
    }
    // SAFETY: this task owns the buffer.
    let pos = unsafe { (*scratch).pos };
    if len >= pos {
        return end::TOO_LONG;
    }
    let begin = within::<IN_PATH>(pos.wrapping_sub(len));
    // SAFETY: offsets are masked, and behind PATH_END there is more room than one name takes.
    unsafe {
        let path = (&raw mut (*scratch).path).cast::<u8>();
        let behind = path.add(within::<IN_PATH>(begin.wrapping_add(len)) as usize).cast::<u64>();
        let to = path.add(begin as usize).cast::<u64>();
        // Whole words are written: the last one reaches into what is behind the name.
        let kept = behind.read_unaligned();
        to.write_unaligned(typed_at(inline, 0));
        if len > 8 {
            to.add(1).write_unaligned(typed_at(inline, 8));
            if len > 16 {
                to.add(2).write_unaligned(typed_at(inline, 16));
                to.add(3).write_unaligned(typed_at(inline, 24));
            }
        }
        behind.write_unaligned(kept);
    }
    let slash = within::<IN_PATH>(begin.wrapping_sub(1));
    put(scratch, slash, b'/');
    // SAFETY: as above.
    unsafe { (*scratch).pos = slash };
    end::GOES_ON
}

extern "C" fn up<const COPY: bool>(_turn: u64, pass: *mut Pass) -> i64 {
    // SAFETY: `bpf_loop` passes the context that `chain` owns.
    let pass = unsafe { &mut *pass };
    match step::<COPY>(pass.scratch, pass.dentry, pass.ends) {
        Ok(parent) => {
            pass.dentry = parent;
            0
        }
        Err(how) => finish(pass.scratch, how),
    }
}

/// The steps in the file's own mount.
#[inline(always)]
fn own_mount<const COPY: bool>(pass: &mut Pass) {
    for _ in 0..NEAR {
        match step::<COPY>(pass.scratch, pass.dentry, pass.ends) {
            Ok(parent) => pass.dentry = parent,
            Err(how) => {
                let _one = finish(pass.scratch, how);
                return;
            }
        }
    }
    repeat(
        limits::MAX_COMPONENTS,
        up::<COPY> as *const () as *mut c_void,
        core::ptr::from_mut(pass).cast(),
    );
}

extern "C" fn up_above(_turn: u64, above: *mut Above) -> i64 {
    // SAFETY: `bpf_loop` passes the context that `chain` owns.
    let above = unsafe { &mut *above };
    let (dentry, scratch) = (above.dentry, above.scratch);
    if dentry == above.root.dentry && above.mnt == above.root.mnt {
        return finish(scratch, end::ROOT);
    }
    if dentry == above.mnt_root {
        return cross(above);
    }
    let seq = load(dentry, &fields::OFF_DENTRY_SEQ) as u32;
    let parent = load(dentry, &fields::OFF_DENTRY_PARENT);
    if seq & 1 != 0 {
        return finish(scratch, end::RACED);
    }
    // What cannot be read is zero: the chain ends at the latest when zero is its own parent.
    if parent == dentry {
        return finish(scratch, end::NOWHERE);
    }
    see(scratch, dentry, seq);
    if above.copy != 0 {
        let name = dentry.wrapping_add(offset(&fields::OFF_DENTRY_NAME) as u64);
        let bytes = read_or_zero(name.wrapping_add(8));
        let len = read_or_zero(name) >> 32;
        let how = prepend(scratch, bytes, len);
        if how != end::GOES_ON {
            return finish(scratch, how);
        }
    }
    above.dentry = parent;
    0
}

/// From a mount's root to the place that it is mounted on.
#[inline(always)]
fn cross(above: &mut Above) -> i64 {
    let mount = above.mnt.wrapping_sub(offset(&fields::OFF_MOUNT_MNT) as u64);
    let parent = load(mount, &fields::OFF_MOUNT_PARENT);
    // KERNEL: the topmost mount of a namespace, and a detached one, is its own parent.
    if parent == mount || parent == 0 {
        return finish(above.scratch, end::NOWHERE);
    }
    let point = load(mount, &fields::OFF_MOUNT_POINT);
    see(above.scratch, point, parent as u32);
    above.mnt = parent.wrapping_add(offset(&fields::OFF_MOUNT_MNT) as u64);
    above.dentry = point;
    above.mnt_root = load(above.mnt, &fields::OFF_VFSMOUNT_ROOT);
    0
}

#[inline(always)]
fn load(base: u64, variable: &'static u32) -> u64 {
    read_or_zero(base.wrapping_add(offset(variable) as u64))
}

/// One pass from the file to the root: how it ended and what it saw. The path begins at `pos`.
#[inline(always)]
fn chain<const COPY: bool>(attempt: &Attempt) -> (u64, u64) {
    let (root, scratch, mnt) = (attempt.root, attempt.scratch, attempt.mnt);
    // SAFETY: this task owns the buffer.
    unsafe {
        (*scratch).ended = end::GOES_ON;
        (*scratch).seen = 0;
    }
    let mount: u64 = typed(mnt, &fields::OFF_VFSMOUNT_ROOT);
    let ends = Ends {
        root: forget(scratch, if mnt as u64 == root.mnt { root.dentry } else { 0 }),
        mount: forget(scratch, mount),
    };
    own_mount::<COPY>(&mut Pass { dentry: attempt.dentry, ends, scratch });
    if ended(scratch) == end::MOUNT {
        // SAFETY: as above.
        unsafe { (*scratch).ended = end::GOES_ON };
        let mut above = Above {
            dentry: ends.mount,
            mnt: forget(scratch, mnt as u64),
            mnt_root: ends.mount,
            root: Root { mnt: forget(scratch, root.mnt), dentry: forget(scratch, root.dentry) },
            scratch,
            copy: u64::from(COPY),
        };
        let up = up_above as *const () as *mut c_void;
        repeat(limits::MAX_COMPONENTS, up, (&raw mut above).cast());
    }
    // SAFETY: as above.
    (ended(scratch), unsafe { (&raw const (*scratch).seen).read_volatile() })
}

#[inline(always)]
fn ended(scratch: *mut Scratch) -> u64 {
    // SAFETY: this task owns the buffer.
    unsafe { (&raw const (*scratch).ended).read_volatile() }
}

/// One attempt: two passes that must agree.
#[repr(C)]
struct Attempt {
    root: Root,
    mnt: *const VfsMount,
    dentry: *const Dentry,
    scratch: *mut Scratch,
}

extern "C" fn attempt(_turn: u64, attempt: *mut Attempt) -> i64 {
    // SAFETY: `bpf_loop` passes the context that `path` owns.
    let attempt = unsafe { &mut *attempt };
    let scratch = attempt.scratch;
    // SAFETY: this task owns the buffer.
    unsafe { (*scratch).pos = PATH_END };
    let (first, seen) = chain::<true>(attempt);
    let (second, seen_again) = chain::<false>(attempt);
    // A chain that leads nowhere may have been in motion, too, so it is looked at twice as well.
    let settled = seen == seen_again && (first != end::ROOT || second == end::ROOT);
    let how = if settled { first } else { end::RACED };
    let _one = finish(scratch, how);
    i64::from(how != end::RACED)
}

/// Writes the path of (mnt, dentry) below `root` into `scratch` (`pos`, `len`).
#[inline(always)]
pub fn path(
    scratch: *mut Scratch,
    root: Root,
    mnt: *const VfsMount,
    dentry: *const Dentry,
) -> Result<(), Reason> {
    let mut state = Attempt { root, mnt, dentry, scratch };
    repeat(TRIES, attempt as *const () as *mut c_void, (&raw mut state).cast());
    match ended(scratch) {
        end::ROOT => measure(scratch),
        end::NOWHERE => Err(Reason::NoName),
        end::TOO_LONG => Err(Reason::PathTooLong),
        end::FAULT => Err(Reason::ReadFault),
        end::RACED => Err(Reason::PathRaced),
        _ => Err(Reason::PathTooDeep),
    }
}

/// Notes the path's length, now that it is whole.
#[inline(always)]
fn measure(scratch: *mut Scratch) -> Result<(), Reason> {
    // SAFETY: plain fields of the buffer that this task owns.
    unsafe {
        if (*scratch).pos == PATH_END {
            (*scratch).pos = PATH_END - 1;
            put(scratch, PATH_END - 1, b'/');
        }
        (*scratch).len = PATH_END.wrapping_sub((*scratch).pos);
        if (*scratch).len > u64::from(limits::MAX_PATH) { Err(Reason::PathTooLong) } else { Ok(()) }
    }
}

/// Whether the file lies in a layer that a file system holds for itself: a private clone of a mount,
/// of a file system that users mount. Overlayfs opens a layer's directories and copies its files up
/// through such a clone (fs/overlayfs/util.c, `ovl_path_open`, 6.1), after the overlay's own file was
/// judged; no task has a descriptor there.
#[inline(always)]
pub fn is_layer(mnt: *const VfsMount, dentry: *const Dentry) -> bool {
    let mount = (mnt as u64).wrapping_sub(offset(&fields::OFF_MOUNT_MNT) as u64);
    if load(mount, &fields::OFF_MOUNT_NS) != MNT_NS_INTERNAL {
        return false;
    }
    let sb: *const SuperBlock = typed(dentry, &fields::OFF_DENTRY_SB);
    let flags: u64 = typed(sb, &fields::OFF_SB_FLAGS);
    flags & SB_NOUSER == 0
}

/// Whether the dentry was unlinked, as d_path sees it: unhashed, and not its own parent.
#[inline(always)]
pub fn is_deleted(dentry: *const Dentry) -> bool {
    // KERNEL: struct hlist_bl_node is { next, pprev }; unhashed means that pprev is null
    // (include/linux/list_bl.h).
    let pprev: u64 = typed_at(member(dentry, &fields::OFF_DENTRY_HASH), 8);
    pprev == 0 && typed::<u64, _>(dentry, &fields::OFF_DENTRY_PARENT) != dentry as u64
}
