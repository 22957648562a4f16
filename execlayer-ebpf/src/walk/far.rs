//! Steps in a file's own mount that [`super::near`] did not take, however many there are.

use core::ffi::c_void;

use execlayer_common::limits;

use super::{end, finish, name, see};
use crate::{
    kernel::{Dentry, fields},
    kread::typed,
    scratch::{Scratch, forget},
    world::repeat,
};

/// Where a pass is. What changes but for the dentry is kept in scratch: `ended`, `pos`, `seen`.
#[repr(C)]
struct Pass {
    dentry: *const Dentry,
    scratch: *mut Scratch,
}

/// Goes from `dentry` to one of the ends, and writes names if `COPY`.
#[inline(always)]
pub fn climb<const COPY: bool>(scratch: *mut Scratch, dentry: *const Dentry) {
    let mut pass = Pass { dentry, scratch };
    let up = up::<COPY> as *const () as *mut c_void;
    repeat(limits::MAX_COMPONENTS, up, (&raw mut pass).cast());
}

extern "C" fn up<const COPY: bool>(_turn: u64, pass: *mut Pass) -> i64 {
    // SAFETY: `bpf_loop` passes the context that `climb` owns.
    let pass = unsafe { &mut *pass };
    let (dentry, scratch) = (pass.dentry, pass.scratch);
    // SAFETY: plain data in the buffer that this task owns.
    let stop = unsafe { (*scratch).stop };
    if dentry as u64 == stop.at {
        return finish(scratch, stop.how);
    }
    let count: u32 = typed(dentry, &fields::OFF_DENTRY_SEQ);
    let parent: *const Dentry = typed(dentry, &fields::OFF_DENTRY_PARENT);
    if count & 1 != 0 {
        return finish(scratch, end::RACED);
    }
    if parent == dentry {
        return finish(scratch, end::NOWHERE);
    }
    // VERIFIER: no arithmetic with a pointer, so its address takes the way through memory.
    see(scratch, forget(scratch, dentry as u64), count);
    if COPY {
        let how = name::prepend_typed(scratch, dentry);
        if how != end::GOES_ON {
            return finish(scratch, how);
        }
    }
    pass.dentry = parent;
    0
}
