//! What is said about a file, where a hook knows no mount: times, attributes, access lists. And inodes that
//! are features.

use aya_ebpf::programs::LsmContext;
use execlayer_common::{
    access::{Access, Operation},
    feature,
    question::Hook,
};

use crate::{
    feature::used,
    kernel::{ATTR_OTHERS, ATTR_TIMES, Dentry, Iattr, Qstr, fields},
    kread::{read, typed, typed_at},
    label,
    place::{Change, Kind},
};

/// `int inode_setattr(struct dentry *dentry, struct iattr *attr)`, as 6.1 has it.
#[inline(always)]
pub fn setattr_2(ctx: &LsmContext) -> i32 {
    setattr(ctx.arg(0), ctx.arg(1))
}

/// `int inode_setattr(struct mnt_idmap *idmap, struct dentry *dentry, struct iattr *attr)`, as 6.12 has it.
#[inline(always)]
pub fn setattr_3(ctx: &LsmContext) -> i32 {
    setattr(ctx.arg(1), ctx.arg(2))
}

#[inline(always)]
fn setattr(dentry: *const Dentry, attr: *const Iattr) -> i32 {
    let valid: u32 = typed(attr, &fields::OFF_IATTR_VALID);
    // Mode, owner and length have hooks of their own, and set times as well.
    if valid & ATTR_TIMES == 0 || valid & ATTR_OTHERS != 0 {
        return 0;
    }
    said(dentry, Access::UTIME)
}

/// `int inode_setxattr(struct mnt_idmap *idmap, struct dentry *dentry, const char *name, ...)`,
/// `inode_removexattr`, `inode_set_acl` and `inode_remove_acl`.
#[inline(always)]
pub fn xattr(ctx: &LsmContext) -> i32 {
    said(ctx.arg(1), Access::XATTR)
}

/// `int inode_file_setattr(struct dentry *dentry, struct file_kattr *fa)`, from 6.17 on.
#[inline(always)]
pub fn flags(ctx: &LsmContext) -> i32 {
    said(ctx.arg(0), Access::XATTR)
}

#[inline(always)]
fn said(dentry: *const Dentry, wanted: Access) -> i32 {
    let Some(label) = label::of(label::current()) else { return 0 };
    let (operation, kind, hook) = (Operation::File, Kind::There, Hook::Never);
    Change { label, operation, wanted, kind, hook, flags: 0 }.everywhere(dentry)
}

/// `int inode_init_security_anon(struct inode *inode, const struct qstr *name, const struct inode *context)`
///
/// KERNEL: io_uring's rings are such inodes on all kernels (io_uring/io_uring.c, `io_uring_get_file`, 6.1);
/// `uring_allowed` came with 6.15.
#[inline(always)]
pub fn anonymous(ctx: &LsmContext) -> i32 {
    let Some(label) = label::of(label::current()) else { return 0 };
    let name: *const Qstr = ctx.arg(1);
    // KERNEL: struct qstr is { u32 hash; u32 len; } and the pointer (include/linux/dcache.h).
    let text: u64 = typed_at(name.cast(), 8);
    if read::<u64>(text) == Some(IO_URING) { used(label, &feature::IO_URING) } else { 0 }
}

/// The beginning of a ring's name.
pub const IO_URING: u64 = u64::from_le_bytes(*b"[io_urin");
