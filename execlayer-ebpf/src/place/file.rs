//! An open file as a place: what is mapped. Must not know at which hook.

use execlayer_common::{
    access::{Access, Operation},
    feature,
};

use super::{Change, is_nowhere, judge_place, returned};
use crate::{
    enforce::ON_FAILURE,
    feature::judge_feature,
    kernel::{File, O_APPEND, fields},
    kread::{UNSET, load, offset, read, variable},
    scratch::{self, Scratch, forget},
    walk,
};

/// See [`execlayer_common::hooks::BACKING_PATH`].
#[unsafe(no_mangle)]
static BACKING_PATH: u32 = UNSET;

impl Change {
    /// Judges what is mapped to be executed; a file that nobody can name is memory, as no file is.
    #[inline(always)]
    pub fn mapped(&self, file: *const File) -> i32 {
        let Some(scratch) = self.prepare() else { return ON_FAILURE };
        let file = forget(scratch, file as u64);
        returned(judge_mapped(scratch, file))
    }

    /// Judges a file that was opened to append only.
    #[inline(always)]
    pub fn appended(&self, file: *const File) -> i32 {
        let Some(scratch) = self.prepare() else { return ON_FAILURE };
        let file = forget(scratch, file as u64);
        returned(judge_appended(scratch, file))
    }
}

/// VERIFIER: a global function, looked at once (see [`crate::judge`]).
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn judge_mapped(scratch: *mut Scratch, file: u64) -> i32 {
    if scratch.is_null() {
        return ON_FAILURE;
    }
    let (mnt, dentry) = place_of(file);
    if file == 0 || is_nowhere(dentry) {
        // SAFETY: this task owns the buffer.
        unsafe {
            (*scratch).event.operation = Operation::Feature as u8;
            (*scratch).event.access = Access::USE.0;
        }
        return judge_feature(scratch, feature::EXECUTABLE_MEMORY.number.into(), 0);
    }
    judge_place(scratch, mnt, dentry)
}

/// VERIFIER: a global function, looked at once (see [`crate::judge`]).
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn judge_appended(scratch: *mut Scratch, file: u64) -> i32 {
    if scratch.is_null() {
        return ON_FAILURE;
    }
    let flags: u32 = read(file.wrapping_add(offset(&fields::OFF_FILE_FLAGS))).unwrap_or(O_APPEND);
    if file == 0 || flags & O_APPEND == 0 {
        scratch::release(scratch);
        return 0;
    }
    let (mnt, dentry) = place_of(file);
    judge_place(scratch, mnt, dentry)
}

/// Where a file lies; that of an overlay, for the file that backs it.
///
/// KERNEL: what is mapped of an overlay's file is the layer's file (fs/overlayfs/file.c, `ovl_mmap`). Since
/// it lies at the layer's own place it knows the overlay's (fs/file_table.c, `struct backing_file`, 6.7);
/// before, it lies at the overlay's.
#[inline(always)]
fn place_of(file: u64) -> (u64, u64) {
    let path = |at: u64| (load(at, &fields::OFF_PATH_MNT), load(at, &fields::OFF_PATH_DENTRY));
    let (mnt, dentry) = path(file.wrapping_add(offset(&fields::OFF_FILE_PATH)));
    if walk::is_layer_at(mnt, dentry) {
        path(file.wrapping_add(u64::from(variable(&BACKING_PATH))))
    } else {
        (mnt, dentry)
    }
}
