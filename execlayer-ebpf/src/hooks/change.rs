//! Changing, making, moving and removing names and what is said about files, where a hook knows the mount.

use aya_ebpf::programs::LsmContext;
use execlayer_common::{
    access::{Access, Operation},
    label::Label,
    question::Hook,
};

use crate::{
    hold::call,
    kernel::{Dentry, File, O_APPEND, Path, RENAME_EXCHANGE, VfsMount, fields},
    kread::typed,
    label,
    place::{Change, Kind, Two},
    walk,
};

/// `int path_unlink(const struct path *dir, struct dentry *dentry)`
#[inline(always)]
pub fn unlink(ctx: &LsmContext) -> i32 {
    name(ctx, Access::DELETE, Kind::There)
}

/// `int path_rmdir(const struct path *dir, struct dentry *dentry)`
#[inline(always)]
pub fn rmdir(ctx: &LsmContext) -> i32 {
    name(ctx, Access::RMDIR, Kind::There)
}

/// `int path_mkdir(const struct path *dir, struct dentry *dentry, umode_t mode)`
#[inline(always)]
pub fn mkdir(ctx: &LsmContext) -> i32 {
    name(ctx, Access::MKDIR, Kind::New)
}

/// `int path_symlink(const struct path *dir, struct dentry *dentry, const char *old_name)`
#[inline(always)]
pub fn symlink(ctx: &LsmContext) -> i32 {
    name(ctx, Access::SYMLINK, Kind::New)
}

/// `int path_truncate(const struct path *path)`
#[inline(always)]
pub fn truncate(ctx: &LsmContext) -> i32 {
    // KERNEL: before 6.2 an open with O_TRUNC comes here, too, when it was judged as an open already, for writing
    // (fs/namei.c, `handle_truncate`, 6.1).
    if call::is_opening(label::current()) {
        return 0;
    }
    path(ctx, Access::WRITE)
}

/// `int path_chmod(const struct path *path, umode_t mode)`
#[inline(always)]
pub fn chmod(ctx: &LsmContext) -> i32 {
    path(ctx, Access::CHMOD)
}

/// `int path_chown(const struct path *path, kuid_t uid, kgid_t gid)`
#[inline(always)]
pub fn chown(ctx: &LsmContext) -> i32 {
    path(ctx, Access::CHOWN)
}

/// `int file_truncate(struct file *file)`, from 6.2 on; before, ftruncate is asked about by path.
#[inline(always)]
pub fn file_truncate(ctx: &LsmContext) -> i32 {
    let file: *const File = ctx.arg(0);
    let flags: u32 = typed(file, &fields::OFF_FILE_FLAGS);
    // What was opened to be written was judged so.
    if flags & O_APPEND == 0 {
        return 0;
    }
    let Some(label) = label::of(label::current()) else { return 0 };
    let (mnt, dentry) = walk::place_of(file);
    change(label, Access::WRITE, Kind::There).at(mnt, dentry)
}

/// `int path_link(struct dentry *old_dentry, const struct path *new_dir, struct dentry *new_dentry)`
///
/// KERNEL: both names are in one mount (fs/namei.c, `do_linkat`, 6.1).
#[inline(always)]
pub fn link(ctx: &LsmContext) -> i32 {
    let Some(label) = label::of(label::current()) else { return 0 };
    let old: *const Dentry = ctx.arg(0);
    let dir: *const Path = ctx.arg(1);
    let new: *const Dentry = ctx.arg(2);
    let mnt: *const VfsMount = typed(dir, &fields::OFF_PATH_MNT);
    change(label, Two::Link.of_old(), Kind::There).between(Two::Link, mnt, [old, new])
}

/// `int path_rename(const struct path *old_dir, struct dentry *old_dentry, const struct path *new_dir,
/// struct dentry *new_dentry, unsigned int flags)`
///
/// KERNEL: both names are in one mount (fs/namei.c, `do_renameat2`, 6.1).
#[inline(always)]
pub fn rename(ctx: &LsmContext) -> i32 {
    let Some(label) = label::of(label::current()) else { return 0 };
    let dir: *const Path = ctx.arg(0);
    let old: *const Dentry = ctx.arg(1);
    let new: *const Dentry = ctx.arg(3);
    let flags: u32 = ctx.arg(4);
    let two = if flags & RENAME_EXCHANGE != 0 { Two::Exchange } else { Two::Move };
    let mnt: *const VfsMount = typed(dir, &fields::OFF_PATH_MNT);
    change(label, two.of_old(), Kind::There).between(two, mnt, [old, new])
}

#[inline(always)]
const fn change(label: Label, wanted: Access, kind: Kind) -> Change {
    Change { label, operation: Operation::File, wanted, kind, hook: Hook::PathChange, flags: 0 }
}

/// A hook that is given a directory and a name in it.
#[inline(always)]
fn name(ctx: &LsmContext, wanted: Access, kind: Kind) -> i32 {
    let Some(label) = label::of(label::current()) else { return 0 };
    let dir: *const Path = ctx.arg(0);
    let dentry: *const Dentry = ctx.arg(1);
    let mnt: *const VfsMount = typed(dir, &fields::OFF_PATH_MNT);
    change(label, wanted, kind).at(mnt, dentry)
}

/// A hook that is given a path.
#[inline(always)]
fn path(ctx: &LsmContext, wanted: Access) -> i32 {
    let Some(label) = label::of(label::current()) else { return 0 };
    let path: *const Path = ctx.arg(0);
    let mnt: *const VfsMount = typed(path, &fields::OFF_PATH_MNT);
    let dentry: *const Dentry = typed(path, &fields::OFF_PATH_DENTRY);
    change(label, wanted, Kind::There).at(mnt, dentry)
}
