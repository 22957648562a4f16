//! Measuring a file that is executed: its SHA-256 as the kernel computes it, where nobody can write to it.
//! Must not judge: the gate's own program, which runs behind this one, compares.

use core::ffi::c_void;

use aya_ebpf::{helpers::generated::bpf_ima_file_hash, programs::LsmContext};
use execlayer_common::question::Calls;

use crate::{
    kernel::{Bprm, ELF_MAGIC, FUSE_SUPER_MAGIC, File, HASH_ALGO_SHA256, SuperBlock, fields},
    kread::typed,
    label,
    maps::{CALLS, MEASURE},
    walk,
};

/// Bytes of a digest.
const DIGEST: u32 = 32;

/// `int bprm_check_security(struct linux_binprm *bprm)`, before the gate's own program.
///
/// KERNEL: needs CONFIG_IMA and SHA-256 as its hash (security/integrity/ima/ima_main.c,
/// `ima_file_hash`, 6.1); sleeps.
#[inline(always)]
pub fn run(ctx: &LsmContext) -> i32 {
    let task = label::current();
    if label::of(task).is_none() {
        return 0;
    }
    let tid: u32 = typed(task, &fields::OFF_TASK_PID);
    // SAFETY: a table whose elements are freed after a grace period.
    if unsafe { MEASURE.get(tid) }.is_none() {
        return 0;
    }
    let Some(calls) = CALLS.get_ptr_mut(task as u64) else { return 0 };
    let bprm: *const Bprm = ctx.arg(0);
    let file: *const File = typed(bprm, &fields::OFF_BPRM_FILE);
    if file.is_null() {
        return 0;
    }
    let mut digest = [0_u64; 4];
    // SAFETY: VERIFIER: a BTF-typed file; the destination has as many bytes as it is told.
    let algorithm = unsafe {
        bpf_ima_file_hash(file.cast_mut().cast(), (&raw mut digest).cast::<c_void>(), DIGEST)
    };
    // SAFETY: a live map value; only this task writes its own.
    unsafe {
        (*calls).fresh = digest;
        (*calls).is_fresh = u64::from(algorithm == HASH_ALGO_SHA256);
    }
    0
}

/// Whether the digest of a file says what runs: a script's interpreter opens it again by its name, and a file
/// system in user space shows to each what it likes.
#[inline(always)]
pub fn is_measurable(file: *const File, first: u32) -> bool {
    let (_mnt, dentry) = walk::place_of(file);
    let sb: *const SuperBlock = typed(dentry, &fields::OFF_DENTRY_SB);
    let magic: u64 = typed(sb, &fields::OFF_SB_MAGIC);
    first == ELF_MAGIC && magic != FUSE_SUPER_MAGIC
}

/// Takes the digest of the file that is checked now for that question's; whether there is one.
///
/// # Safety
///
/// `calls` is a live map value of this task.
#[inline(always)]
pub(super) unsafe fn keep(calls: *mut Calls, question: u64) -> bool {
    // SAFETY: the caller's promise.
    unsafe {
        let is_fresh = (*calls).is_fresh != 0;
        (*calls).is_fresh = 0;
        (*calls).measured = question;
        (*calls).digest = (*calls).fresh;
        is_fresh
    }
}

/// Whether the file that is checked now is not the one that was measured for that question. False if none
/// was.
///
/// # Safety
///
/// `calls` is a live map value of this task.
#[inline(always)]
pub(super) unsafe fn has_changed(calls: *mut Calls, question: u64) -> bool {
    // SAFETY: the caller's promise.
    unsafe {
        if (*calls).measured != question {
            return false;
        }
        let is_fresh = (*calls).is_fresh != 0;
        (*calls).is_fresh = 0;
        !is_fresh || (*calls).fresh != (*calls).digest
    }
}
