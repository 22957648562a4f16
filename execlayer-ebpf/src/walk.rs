//! From (mount, dentry) to the absolute path below the task's root, written into scratch. Owns how a
//! name is obtained and proved; must not know what it is for.
//!
//! The walk follows d_parent from the file to the task's root and writes names from the end of the
//! buffer to its front. It is exact: every dentry's d_seq is read before its name and parent, and a
//! second pass over the same chain must meet the same dentries with the same counts, so at the moment
//! between the passes all of them were in place at once. A rename changes d_seq of what it
//! moves (fs/dcache.c, `__d_move`, 6.1). A chain that ends anywhere but at the task's root
//! is no name: detached mount, outside of the root, anonymous inode.

mod above;
mod far;
mod name;
pub mod near;

use core::ffi::c_void;

use execlayer_common::{limits, reason::Reason};

use crate::{
    kernel::{Dentry, File, Fs, MNT_NS_INTERNAL, SB_NOUSER, SuperBlock, Task, VfsMount, fields},
    kread::{load, member, offset, typed, typed_at},
    scratch::{Above, PATH_END, Root, Scratch, Stop, forget},
    world::repeat,
};

/// Attempts before a name that keeps changing is given up.
const TRIES: u32 = 4;

/// The root of `task`.
#[inline(always)]
pub fn root_of(task: *const Task) -> Root {
    let fs: *const Fs = typed(task, &fields::OFF_TASK_FS);
    let root = member(fs, &fields::OFF_FS_ROOT);
    Root { mnt: typed(root, &fields::OFF_PATH_MNT), dentry: typed(root, &fields::OFF_PATH_DENTRY) }
}

/// A task's working directory, as addresses.
#[inline(always)]
pub fn directory_of(task: *const Task) -> Root {
    let fs: *const Fs = typed(task, &fields::OFF_TASK_FS);
    let pwd = member(fs, &fields::OFF_FS_PWD);
    Root { mnt: typed(pwd, &fields::OFF_PATH_MNT), dentry: typed(pwd, &fields::OFF_PATH_DENTRY) }
}

/// Where a file lies.
#[inline(always)]
pub fn place_of(file: *const File) -> (*const VfsMount, *const Dentry) {
    let path = member(file, &fields::OFF_FILE_PATH);
    (typed(path, &fields::OFF_PATH_MNT), typed(path, &fields::OFF_PATH_DENTRY))
}

/// How a pass ended.
pub mod end {
    pub const GOES_ON: u64 = 0;
    pub const ROOT: u64 = 1;
    pub const MOUNT: u64 = 2;
    pub const NOWHERE: u64 = 3;
    pub const TOO_LONG: u64 = 4;
    pub const FAULT: u64 = 5;
    pub const RACED: u64 = 6;
    /// Where the steps in the own mount end.
    pub const STOP: u64 = 7;
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
fn see(scratch: *mut Scratch, dentry: u64, count: u32) {
    // SAFETY: this task owns the buffer.
    unsafe {
        let seen = ((*scratch).seen ^ dentry).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (*scratch).seen = seen.rotate_left(29).wrapping_add(u64::from(count));
    }
}

#[inline(always)]
fn ended(scratch: *mut Scratch) -> u64 {
    // SAFETY: this task owns the buffer.
    unsafe { (&raw const (*scratch).ended).read_volatile() }
}

/// Begins a stretch whose steps are seen with [`see`].
#[inline(always)]
fn begin(scratch: *mut Scratch) {
    // SAFETY: this task owns the buffer.
    unsafe {
        (&raw mut (*scratch).ended).write_volatile(end::GOES_ON);
        (&raw mut (*scratch).seen).write_volatile(0);
    }
}

/// How a stretch ended, and what it saw.
#[inline(always)]
fn report(scratch: *mut Scratch) -> (u64, u64) {
    // SAFETY: this task owns the buffer.
    (ended(scratch), unsafe { (&raw const (*scratch).seen).read_volatile() })
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
    let how = passes(attempt);
    let _one = finish(attempt.scratch, how);
    i64::from(how != end::RACED)
}

/// Both passes over all stretches: in the file's own mount the steps that are written out and those that
/// are not, then above it.
#[inline(always)]
fn passes(attempt: &Attempt) -> u64 {
    let (root, scratch, mnt) = (attempt.root, attempt.scratch, attempt.mnt);
    // SAFETY: this task owns the buffer.
    unsafe { (&raw mut (*scratch).pos).write_volatile(PATH_END) };
    // A file that is in the root's mount and not below the root ends nowhere, above the mount.
    let stop = if mnt as u64 == root.mnt {
        Stop { at: root.dentry, how: end::ROOT }
    } else {
        Stop { at: typed(mnt, &fields::OFF_VFSMOUNT_ROOT), how: end::MOUNT }
    };
    // SAFETY: as above. VERIFIER: through memory, it is one path from here on.
    let stop = unsafe {
        (&raw mut (*scratch).stop).write_volatile(stop);
        (&raw mut (*scratch).stop).read_volatile()
    };
    let (mut near, mut next) = (near::Near::new(), attempt.dentry);
    let prepend = |_number, dentry| name::prepend_typed(scratch, dentry);
    let mut how = near.climb(&mut next, stop.at, prepend);
    let mut same = true;
    // VERIFIER: that there is nothing far is known on the ways that end near.
    let far = how == end::GOES_ON;
    if how == end::STOP {
        how = stop.how;
    }
    if far || how == end::MOUNT {
        (how, same) = Stretches { scratch, next, mnt, root, far }.passes();
    }
    // A chain that leads nowhere may have been in motion, too, so it is looked at twice as well.
    if same && near.is_unchanged() { how } else { end::RACED }
}

/// What is beyond the steps that are written out.
struct Stretches {
    scratch: *mut Scratch,
    next: *const Dentry,
    mnt: *const VfsMount,
    root: Root,
    /// Whether there is more in the file's own mount.
    far: bool,
}

impl Stretches {
    /// Both passes: how they ended, and whether they saw the same.
    #[inline(always)]
    fn passes(&self) -> (u64, bool) {
        let (first, seen) = self.pass::<true>();
        let (second, again) = self.pass::<false>();
        (first, seen == again && (first != end::ROOT || second == end::ROOT))
    }

    #[inline(always)]
    fn pass<const COPY: bool>(&self) -> (u64, u64) {
        let scratch = self.scratch;
        begin(scratch);
        if self.far {
            far::climb::<COPY>(scratch, self.next);
        } else {
            let _one = finish(scratch, end::MOUNT);
        }
        if ended(scratch) == end::MOUNT {
            // SAFETY: this task owns the buffer.
            unsafe { (&raw mut (*scratch).ended).write_volatile(end::GOES_ON) };
            let mnt = forget(scratch, self.mnt as u64);
            // SAFETY: as above.
            let mnt_root = unsafe { (*scratch).stop.at };
            let root = Root {
                mnt: forget(scratch, self.root.mnt),
                dentry: forget(scratch, self.root.dentry),
            };
            above::climb::<COPY>(scratch, Above { dentry: mnt_root, mnt, mnt_root, root });
        }
        report(scratch)
    }
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
    named(scratch)
}

/// What the last attempt came to.
#[inline(always)]
fn named(scratch: *mut Scratch) -> Result<(), Reason> {
    match ended(scratch) {
        end::ROOT => measure(scratch),
        end::NOWHERE => Err(Reason::NoName),
        end::TOO_LONG => Err(Reason::PathTooLong),
        end::FAULT => Err(Reason::ReadFault),
        end::RACED => Err(Reason::PathRaced),
        _ => Err(Reason::PathTooDeep),
    }
}

#[repr(C)]
struct AttemptAt {
    from: Above,
    scratch: *mut Scratch,
}

extern "C" fn attempt_at(_turn: u64, attempt: *mut AttemptAt) -> i64 {
    // SAFETY: `bpf_loop` passes the context that `path_at` owns.
    let attempt = unsafe { &*attempt };
    let scratch = attempt.scratch;
    // SAFETY: this task owns the buffer.
    unsafe { (&raw mut (*scratch).pos).write_volatile(PATH_END) };
    let (first, seen) = pass_at::<true>(scratch, attempt.from);
    let (second, again) = pass_at::<false>(scratch, attempt.from);
    let is_same = seen == again && (first != end::ROOT || second == end::ROOT);
    let how = if is_same { first } else { end::RACED };
    let _one = finish(scratch, how);
    i64::from(how != end::RACED)
}

#[inline(always)]
fn pass_at<const COPY: bool>(scratch: *mut Scratch, from: Above) -> (u64, u64) {
    begin(scratch);
    above::climb::<COPY>(scratch, from);
    report(scratch)
}

/// [`path`] of what is known by addresses only: the same walk, and slower.
#[inline(always)]
pub fn path_at(scratch: *mut Scratch, root: Root, mnt: u64, dentry: u64) -> Result<(), Reason> {
    let mnt_root = load(mnt, &fields::OFF_VFSMOUNT_ROOT);
    let from = Above { dentry, mnt, mnt_root, root };
    let mut state = AttemptAt { from, scratch };
    repeat(TRIES, attempt_at as *const () as *mut c_void, (&raw mut state).cast());
    named(scratch)
}

/// Notes the path's length, now that it is whole.
#[inline(always)]
fn measure(scratch: *mut Scratch) -> Result<(), Reason> {
    // SAFETY: plain fields of the buffer that this task owns.
    unsafe {
        if (*scratch).pos == PATH_END {
            (*scratch).pos = PATH_END - 1;
            name::put(scratch, PATH_END - 1, b'/');
        }
        (*scratch).len = PATH_END.wrapping_sub((*scratch).pos);
        if (*scratch).len > u64::from(limits::MAX_PATH) { Err(Reason::PathTooLong) } else { Ok(()) }
    }
}

/// Whether the file lies in a layer that a file system holds for itself: a private clone of a mount,
/// of a file system that users mount. Overlayfs opens a layer's directories and files and copies its files
/// up through such a clone (fs/overlayfs/util.c, `ovl_path_open`, 6.1; fs/backing-file.c,
/// `backing_file_open`, 6.12), after the overlay's own file was judged; no task has a descriptor there.
#[inline(always)]
pub fn is_layer(mnt: *const VfsMount, dentry: *const Dentry) -> bool {
    is_private(mnt as u64) && {
        let sb: *const SuperBlock = typed(dentry, &fields::OFF_DENTRY_SB);
        typed::<u64, _>(sb, &fields::OFF_SB_FLAGS) & SB_NOUSER == 0
    }
}

/// The same of addresses.
#[inline(always)]
pub fn is_layer_at(mnt: u64, dentry: u64) -> bool {
    is_private(mnt) && {
        let sb = load(dentry, &fields::OFF_DENTRY_SB);
        load(sb, &fields::OFF_SB_FLAGS) & SB_NOUSER == 0
    }
}

#[inline(always)]
fn is_private(mnt: u64) -> bool {
    let mount = mnt.wrapping_sub(offset(&fields::OFF_MOUNT_MNT));
    load(mount, &fields::OFF_MOUNT_NS) == MNT_NS_INTERNAL
}

/// Whether the dentry was unlinked, as d_path sees it: unhashed, and not its own parent.
#[inline(always)]
pub fn is_deleted(dentry: *const Dentry) -> bool {
    // KERNEL: struct hlist_bl_node is { next, pprev }; unhashed means that pprev is null
    // (include/linux/list_bl.h).
    let pprev: u64 = typed_at(member(dentry, &fields::OFF_DENTRY_HASH), 8);
    pprev == 0 && typed::<u64, _>(dentry, &fields::OFF_DENTRY_PARENT) != dentry as u64
}
