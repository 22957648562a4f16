//! What a governed task may not do to the gate itself, whatever its policy says.

use aya_ebpf::programs::LsmContext;

use crate::{
    guard,
    kernel::{Dentry, Inode, fields},
    kread::typed,
    label,
};

/// What the records say.
const BPF: u64 = u64::from_le_bytes(*b"(bpf(2))");
const UNLINK: u64 = u64::from_le_bytes(*b"(unlink)");
const RENAME: u64 = u64::from_le_bytes(*b"(rename)");

/// `int bpf(int cmd, union bpf_attr *attr, unsigned int size)`, and a fourth argument from 6.15 on.
#[inline(always)]
pub fn bpf(_ctx: &LsmContext) -> i32 {
    match label::of(label::current()) {
        Some(label) => guard::deny(label, BPF),
        None => 0,
    }
}

/// `int inode_unlink(struct inode *dir, struct dentry *dentry)`, and `inode_rmdir`.
#[inline(always)]
pub fn unlink(ctx: &LsmContext) -> i32 {
    let Some(label) = label::of(label::current()) else { return 0 };
    if is_gates(ctx.arg(0), ctx.arg(1)) { guard::deny(label, UNLINK) } else { 0 }
}

/// `int inode_rename(struct inode *old_dir, struct dentry *old_dentry, struct inode *new_dir, struct
/// dentry *new_dentry)`
#[inline(always)]
pub fn rename(ctx: &LsmContext) -> i32 {
    let Some(label) = label::of(label::current()) else { return 0 };
    let is_gates = is_gates(ctx.arg(0), ctx.arg(1)) || is_gates(ctx.arg(2), ctx.arg(3));
    if is_gates { guard::deny(label, RENAME) } else { 0 }
}

/// Whether a name in a directory is of the gate: one of its pins, in its run directory, or that directory.
#[inline(always)]
fn is_gates(dir: *const Inode, dentry: *const Dentry) -> bool {
    if guard::is_on_bpffs(dentry) || guard::is_run_directory(dir) {
        return true;
    }
    guard::is_run_directory(typed(dentry, &fields::OFF_DENTRY_INODE))
}
