//! Control of open files: of devices, and of what chattr(1) sets.

use aya_ebpf::programs::LsmContext;
use execlayer_common::{
    access::{Access, Operation},
    feature as common,
    question::Hook,
};

use crate::{
    feature,
    kernel::{File, Inode, S_IFBLK, S_IFCHR, S_IFMT, SET_INODE_FLAGS, TIOCSTI, fields},
    kread::typed,
    label,
    place::{Change, Kind},
    walk,
};

/// `int file_ioctl(struct file *file, unsigned int cmd, unsigned long arg)`, and `file_ioctl_compat`.
#[inline(always)]
pub fn ioctl(ctx: &LsmContext) -> i32 {
    let Some(label) = label::of(label::current()) else { return 0 };
    let file: *const File = ctx.arg(0);
    let command: u32 = ctx.arg(1);
    if command == TIOCSTI {
        return feature::used(label, &common::TERMINAL_INPUT);
    }
    let (mnt, dentry) = walk::place_of(file);
    let inode: *const Inode = typed(dentry, &fields::OFF_DENTRY_INODE);
    let mode: u16 = typed(inode, &fields::OFF_INODE_MODE);
    let is_device = matches!(mode & S_IFMT, S_IFCHR | S_IFBLK);
    let wanted = if is_device {
        Access::IOCTL
    } else if SET_INODE_FLAGS.contains(&command) {
        Access::XATTR
    } else {
        return 0;
    };
    let device: u32 = typed(inode, &fields::OFF_INODE_RDEV);
    let kind = if is_device && is_terminal(device) { Kind::Received } else { Kind::There };
    Change { label, operation: Operation::File, wanted, kind, hook: Hook::Never, flags: 0 }
        .at(mnt, dentry)
}

/// Whether it is a pseudo terminal. A container's first one lies where nobody in it can name it.
///
/// KERNEL: majors 136 to 143 (Documentation/admin-guide/devices.txt); a dev_t has 20 bits of minor number.
#[inline(always)]
const fn is_terminal(device: u32) -> bool {
    let major = device >> 20;
    136 <= major && major <= 143
}
