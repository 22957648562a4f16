//! Opening and creating files, and taking back the promise to append only.

use aya_ebpf::programs::LsmContext;
use execlayer_common::{
    access::{Access, Operation},
    event, feature as common,
    question::Hook,
};

use crate::{
    feature,
    gate::{self, Call},
    guard, hold,
    hooks::inode::IO_URING,
    kernel::{
        ANON_INODE_FS_MAGIC, Dentry, F_SETFL, FMODE_CREATED, FMODE_EXEC, FMODE_PATH, FMODE_READ,
        FMODE_WRITE, File, O_APPEND, O_CREAT, O_EXCL, O_TMPFILE, O_TRUNC, S_IFBLK, S_IFCHR, S_IFMT,
        SuperBlock, VfsMount, fields,
    },
    kread::{member, typed, typed_at},
    label,
    place::{Change, Kind},
    walk,
};

/// KERNEL: FMODE_BACKING is one of these (include/linux/fs.h: bit 25 in 6.5, bit 24 in 6.14 and in 6.12.118), and
/// the other means something else. A hint.
const FMODE_MAY_BACK: u32 = 1 << 24 | 1 << 25;

/// `int file_open(struct file *file)`
#[inline(always)]
pub fn open(ctx: &LsmContext) -> i32 {
    let Some(label) = label::of(label::current()) else { return 0 };
    // While there is a late label, everybody looks for one.
    label::settle(label::current());
    let file: *const File = ctx.arg(0);
    let (mnt, dentry) = walk::place_of(file);
    let mode: u32 = typed(file, &fields::OFF_FILE_MODE);
    // Where it is not known so early it is after a name was looked for in vain.
    if mode & FMODE_MAY_BACK != 0 && walk::is_layer(mnt, dentry) {
        return 0;
    }
    let flags: u32 = typed(file, &fields::OFF_FILE_FLAGS);
    let (operation, wanted) = if flags & FMODE_EXEC != 0 {
        (Operation::Exec, Access::EXEC)
    } else {
        (Operation::File, wanted(mode, flags))
    };
    if flags & O_CREAT != 0 && mode & FMODE_CREATED == 0 {
        hold::cancel_made();
    }
    // Restarted, a call that has made the file and must be the one to make it would find it there.
    let is_made = mode & FMODE_CREATED != 0 && flags & O_EXCL != 0;
    let hook = if is_made { Hook::Never } else { Hook::FileOpen };
    gate::opened(&Call { label, operation, wanted, flags: 0, hook }, flags, mnt, dentry)
}

/// `int file_fcntl(struct file *file, unsigned int cmd, unsigned long arg)`
#[inline(always)]
pub fn fcntl(ctx: &LsmContext) -> i32 {
    let command: u32 = ctx.arg(1);
    let new: u64 = ctx.arg(2);
    if command != F_SETFL || new & u64::from(O_APPEND) != 0 {
        return 0;
    }
    let Some(label) = label::of(label::current()) else { return 0 };
    let file: *const File = ctx.arg(0);
    let mode: u32 = typed(file, &fields::OFF_FILE_MODE);
    let flags: u32 = typed(file, &fields::OFF_FILE_FLAGS);
    if flags & O_APPEND == 0 || mode & FMODE_WRITE == 0 {
        return 0;
    }
    // What was opened for append becomes open for write.
    let (operation, wanted, kind) = (Operation::File, Access::WRITE, Kind::There);
    let (mnt, dentry) = walk::place_of(file);
    Change { label, operation, wanted, kind, hook: Hook::Never, flags: 0 }.at(mnt, dentry)
}

/// `int path_mknod(const struct path *dir, struct dentry *dentry, umode_t mode, unsigned int dev)`
///
/// KERNEL: called before a cold look-up knows whether the file exists; the kernel drops the error if
/// it does (fs/namei.c, `lookup_open`, 6.1), so the record is provisional.
#[inline(always)]
pub fn mknod(ctx: &LsmContext) -> i32 {
    let Some(label) = label::of(label::current()) else { return 0 };
    let dir: *const crate::kernel::Path = ctx.arg(0);
    let dentry: *const Dentry = ctx.arg(1);
    let mnt: *const VfsMount = typed(dir, &fields::OFF_PATH_MNT);
    let mode: u16 = ctx.arg(2);
    let is_device = matches!(mode & S_IFMT, S_IFCHR | S_IFBLK);
    let change = Change {
        label,
        operation: Operation::File,
        wanted: if is_device { Access::MKNOD } else { Access::CREATE },
        kind: Kind::New,
        hook: Hook::PathMknod,
        flags: event::EVENT_PROVISIONAL,
    };
    change.at(mnt, dentry)
}

/// `int file_receive(struct file *file)`: a descriptor that comes from another task.
#[inline(always)]
pub fn receive(ctx: &LsmContext) -> i32 {
    let Some(label) = label::of(label::current()) else { return 0 };
    let file: *const File = ctx.arg(0);
    let mode: u32 = typed(file, &fields::OFF_FILE_MODE);
    if mode & FMODE_PATH != 0 {
        return 0;
    }
    let (mnt, dentry) = walk::place_of(file);
    let sb: *const SuperBlock = typed(dentry, &fields::OFF_DENTRY_SB);
    let magic: u64 = typed(sb, &fields::OFF_SB_MAGIC);
    if magic == ANON_INODE_FS_MAGIC {
        let name: u64 = typed_at(member(dentry, &fields::OFF_DENTRY_INLINE), 0);
        return match name {
            IO_URING => feature::used(label, &common::IO_URING),
            name if name & 0xff_ffff == BPF => guard::deny(label, RECEIVED),
            _ => 0,
        };
    }
    let flags: u32 = typed(file, &fields::OFF_FILE_FLAGS);
    // It was emptied, or made, by whoever opened it.
    let wanted = wanted(mode, flags & O_APPEND);
    let (operation, kind, hook) = (Operation::File, Kind::Received, Hook::Never);
    Change { label, operation, wanted, kind, hook, flags: 0 }.at(mnt, dentry)
}

/// Beginnings of the names of maps, programs and links.
const BPF: u64 = 0x66_7062;
/// What the record says.
const RECEIVED: u64 = u64::from_le_bytes(*b"(bpf fd)");

#[inline(always)]
fn wanted(mode: u32, flags: u32) -> Access {
    let mut wanted = 0;
    if mode & FMODE_WRITE != 0 {
        wanted |= if flags & O_APPEND != 0 { Access::APPEND.0 } else { Access::WRITE.0 };
    }
    // Emptying the file is a change anywhere in it, even with a descriptor that only reads or appends.
    if flags & O_TRUNC != 0 {
        wanted |= Access::WRITE.0;
    }
    // A file that has no name yet, in a directory.
    if flags & O_TMPFILE != 0 {
        wanted |= Access::CREATE.0;
    }
    // Neither read nor write (access mode 3) is for ioctl only; it still names the file.
    if mode & FMODE_READ != 0 || wanted == 0 {
        wanted |= Access::READ.0;
    }
    Access(wanted)
}
