//! Steps above a file's own mount, across mounts up to the task's root. Nothing is typed here: every
//! address is read with a helper that may fail.

use core::ffi::c_void;

use execlayer_common::limits;

use super::{end, finish, name::prepend, see};
use crate::{
    kernel::fields,
    kread::{load, offset, read_or_zero},
    scratch::{Above, Scratch},
    world::repeat,
};

#[repr(C)]
struct Pass {
    scratch: *mut Scratch,
}

extern "C" fn up<const COPY: bool>(_turn: u64, pass: *mut Pass) -> i64 {
    // SAFETY: `bpf_loop` passes the context that `climb` owns.
    let scratch = unsafe { (*pass).scratch };
    // SAFETY: this task owns the buffer.
    let above = unsafe { &mut (*scratch).above };
    let dentry = above.dentry;
    if dentry == above.root.dentry && above.mnt == above.root.mnt {
        return finish(scratch, end::ROOT);
    }
    if dentry == above.mnt_root {
        return cross(scratch, above);
    }
    let count = load(dentry, &fields::OFF_DENTRY_SEQ) as u32;
    let parent = load(dentry, &fields::OFF_DENTRY_PARENT);
    if count & 1 != 0 {
        return finish(scratch, end::RACED);
    }
    // What cannot be read is zero: the chain ends at the latest when zero is its own parent.
    if parent == dentry {
        return finish(scratch, end::NOWHERE);
    }
    see(scratch, dentry, count);
    if COPY {
        let name = dentry.wrapping_add(offset(&fields::OFF_DENTRY_NAME));
        let bytes = read_or_zero(name.wrapping_add(8));
        let how = prepend(scratch, bytes, read_or_zero(name) >> 32);
        if how != end::GOES_ON {
            return finish(scratch, how);
        }
    }
    above.dentry = parent;
    0
}

/// From a mount's root to the place that it is mounted on.
#[inline(always)]
fn cross(scratch: *mut Scratch, above: &mut Above) -> i64 {
    let mount = above.mnt.wrapping_sub(offset(&fields::OFF_MOUNT_MNT));
    let parent = load(mount, &fields::OFF_MOUNT_PARENT);
    // KERNEL: the topmost mount of a namespace, and a detached one, is its own parent.
    if parent == mount || parent == 0 {
        return finish(scratch, end::NOWHERE);
    }
    let point = load(mount, &fields::OFF_MOUNT_POINT);
    see(scratch, point, parent as u32);
    above.mnt = parent.wrapping_add(offset(&fields::OFF_MOUNT_MNT));
    above.dentry = point;
    above.mnt_root = load(above.mnt, &fields::OFF_VFSMOUNT_ROOT);
    0
}

/// Goes from a place to the task's root, and writes names if `COPY`.
#[inline(always)]
pub fn climb<const COPY: bool>(scratch: *mut Scratch, from: Above) {
    // SAFETY: this task owns the buffer.
    unsafe { (*scratch).above = from };
    let mut pass = Pass { scratch };
    let up = up::<COPY> as *const () as *mut c_void;
    repeat(limits::MAX_COMPONENTS, up, (&raw mut pass).cast());
}
