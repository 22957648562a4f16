//! Changing what is said about a file: mode, owner, times, extended attributes, flags.

use super::{HERE, Set, files, opened, pairs, ready, tried};
use crate::attempts::Governed::{Denied, Passes};
use crate::attempts::{Absent, Act, Attempt, Governed};
use crate::framework::Lane;
use crate::raw::{address, address_mut, call, text};
use anyhow::Result;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::libc;
use nix::unistd::{getgid, getuid};
use std::os::fd::AsRawFd;

crate::tests! { bypass_by_attributes => .lanes(&[Lane::Bypass]).limit(290) }

/// Two sets of one test: those in folders, and devices.
pub(crate) const SET: Set = ("bypass-attributes", IN_FOLDERS);
pub(crate) const DEVICES: Set = ("bypass-devices", OF_DEVICES);

const RULE: Governed = Denied("rule");

const IN_FOLDERS: &[Attempt] = pairs! {
    "chmod" "chmod" RULE => chmod;
    "fchmod" "chmod" RULE => fchmod;
    "fchmodat" "chmod" RULE => |folder| chmod_of(&ready(folder, "mode")?);
    "fchmodat2" "chmod" RULE => fchmodat2;
    "chmod of a descriptor's name" "chmod" RULE => chmod_by_descriptor;
    "chmod by 32-bit calls" "chmod" RULE => chmod_i386;
    "chown" "chown" RULE => |folder| owner(libc::SYS_chown, folder);
    "lchown" "chown" RULE => |folder| owner(libc::SYS_lchown, folder);
    "fchown" "chown" RULE => fchown;
    "fchownat by a descriptor" "chown" RULE => fchownat;
    "utimensat" "utime" RULE => |folder| times(&ready(folder, "times")?, 0);
    "utimensat of a link itself" "utime" RULE => |folder| {
        times(&ready(folder, "times")?, libc::AT_SYMLINK_NOFOLLOW)
    };
    "futimens" "utime" RULE => futimens;
    "utimes to now" "utime" RULE => |folder| tried(
        libc::SYS_utimes, [text(&ready(folder, "times")?)?, 0]);
    "utime" "utime" RULE => |folder| tried(
        libc::SYS_utime, [text(&ready(folder, "times")?)?, address(&[1_i64, 1])]);
    "setxattr" "xattr" RULE => |folder| set_attribute(libc::SYS_setxattr, folder);
    "lsetxattr" "xattr" RULE => |folder| set_attribute(libc::SYS_lsetxattr, folder);
    "fsetxattr" "xattr" RULE => fsetxattr;
    "setxattrat" "xattr" RULE => setxattrat;
    "setxattr of capabilities" "xattr" RULE => set_capabilities, by_root;
    "setxattr of an access list" "xattr" RULE => set_access_list;
    "removexattr" "xattr" RULE => |folder| remove_attribute(folder, "user.kept");
    "removexattr of an access list" "xattr" RULE => |folder| {
        remove_attribute(folder, "system.posix_acl_access")
    };
    "FS_IOC_SETFLAGS" "xattr" RULE => set_flags;
    "FS_IOC_FSSETXATTR" "xattr" RULE => set_more_flags;
    "FS_IOC_SETFLAGS by 32-bit calls" "xattr" RULE => set_flags_i386;
};

const OF_DEVICES: &[Attempt] = &[
    Attempt::new("ioctl", Passes, || control(files::DEVICE)),
    Attempt::new("ioctl of a shut device", RULE, || control(files::SHUT_DEVICE)),
    Attempt::new("ioctl by 32-bit calls", Passes, || control_i386(files::DEVICE)),
    Attempt::new("ioctl of a shut device by 32-bit calls", RULE, || {
        control_i386(files::SHUT_DEVICE)
    }),
];

fn bypass_by_attributes() -> Result<()> {
    files::judged(&[SET, DEVICES])
}

fn chmod(folder: &str) -> Act {
    tried(libc::SYS_chmod, [text(&ready(folder, "mode")?)?, 0o644])
}

fn fchmod(folder: &str) -> Act {
    let held = opened(&ready(folder, "mode")?, OFlag::O_RDONLY)?;
    tried(libc::SYS_fchmod, [held.as_raw_fd() as usize, 0o644])
}

fn chmod_of(path: &str) -> Act {
    tried(libc::SYS_fchmodat, [HERE, text(path)?, 0o644])
}

fn fchmodat2(folder: &str) -> Act {
    let held = opened(&ready(folder, "mode")?, OFlag::O_PATH)?;
    let flags = libc::AT_EMPTY_PATH as usize;
    let arguments = [held.as_raw_fd() as usize, text("")?, 0o644, flags];
    known(call(libc::SYS_fchmodat2, arguments), "fchmodat2")
}

fn chmod_by_descriptor(folder: &str) -> Act {
    let held = opened(&ready(folder, "mode")?, OFlag::O_PATH)?;
    chmod_of(&format!("/proc/self/fd/{}", held.as_raw_fd()))
}

fn chmod_i386(folder: &str) -> Act {
    let path = super::low_text(&ready(folder, "mode")?)?;
    super::tried_i386(15, [path, 0o644, 0, 0, 0])
}

fn ids() -> [usize; 2] {
    [getuid().as_raw() as usize, getgid().as_raw() as usize]
}

fn owner(number: libc::c_long, folder: &str) -> Act {
    let [user, group] = ids();
    tried(number, [text(&ready(folder, "owner")?)?, user, group])
}

fn fchown(folder: &str) -> Act {
    let held = opened(&ready(folder, "owner")?, OFlag::O_RDONLY)?;
    let [user, group] = ids();
    tried(libc::SYS_fchown, [held.as_raw_fd() as usize, user, group])
}

fn fchownat(folder: &str) -> Act {
    let held = opened(&ready(folder, "owner")?, OFlag::O_PATH)?;
    let ([user, group], flags) = (ids(), libc::AT_EMPTY_PATH as usize);
    tried(libc::SYS_fchownat, [held.as_raw_fd() as usize, text("")?, user, group, flags])
}

fn times(path: &str, flags: i32) -> Act {
    tried(libc::SYS_utimensat, [HERE, text(path)?, address(&[1_i64, 0, 1, 0]), flags as usize])
}

fn futimens(folder: &str) -> Act {
    let held = opened(&ready(folder, "times")?, OFlag::O_RDONLY)?;
    tried(libc::SYS_utimensat, [held.as_raw_fd() as usize, 0, address(&[1_i64, 0, 1, 0]), 0])
}

fn set_attribute(number: libc::c_long, folder: &str) -> Act {
    let (path, name) = (text(&ready(folder, "attribute")?)?, text("user.kept")?);
    tried(number, [path, name, address(b"x"), 1, 0])
}

fn fsetxattr(folder: &str) -> Act {
    let held = opened(&ready(folder, "attribute")?, OFlag::O_RDONLY)?;
    let name = text("user.kept")?;
    tried(libc::SYS_fsetxattr, [held.as_raw_fd() as usize, name, address(b"x"), 1, 0])
}

fn setxattrat(folder: &str) -> Act {
    const NUMBER: libc::c_long = 463;
    let (path, name) = (text(&ready(folder, "attribute")?)?, text("user.kept")?);
    // struct xattr_args: the value's address, its size and the flags.
    let value = [address(b"x") as u64, 1];
    known(call(NUMBER, [HERE, path, 0, name, address(&value), 16]), "setxattrat")
}

fn set_capabilities(folder: &str) -> Act {
    let (path, name) = (text(&ready(folder, "capabilities")?)?, text("security.capability")?);
    // VFS_CAP_REVISION_2 and no capability.
    let value = [0x0200_0000_u32, 0, 0, 0, 0];
    tried(libc::SYS_setxattr, [path, name, address(&value), size_of_val(&value), 0])
}

fn set_access_list(folder: &str) -> Act {
    let (path, name) = (text(&ready(folder, "list")?)?, text("system.posix_acl_access")?);
    // Version 2; then tag and rights, and the id: owner, user 1, group, mask, others.
    let entry = |tag: u32, rights: u32| tag | rights << 16;
    let none = u32::MAX;
    let list = [
        2,
        entry(1, 6),
        none,
        entry(2, 4),
        1,
        entry(4, 4),
        none,
        entry(16, 4),
        none,
        entry(32, 4),
        none,
    ];
    tried(libc::SYS_setxattr, [path, name, address(&list), size_of_val(&list), 0])
}

/// Who may not set it has the one that was set ungoverned; removing is over and over the same.
fn remove_attribute(folder: &str, attribute: &str) -> Act {
    let path = text(&ready(folder, &format!("without-{attribute}"))?)?;
    let removed = call(libc::SYS_removexattr, [path, text(attribute)?]).map(drop);
    // Nothing to remove is as far as it goes: the question comes before.
    Ok(if removed == Err(Errno::ENODATA) { Ok(()) } else { removed })
}

const GET_FLAGS: usize = 0x8008_6601;
const SET_FLAGS: usize = 0x4008_6602;
const GET_MORE_FLAGS: usize = 0x801c_581f;
const SET_MORE_FLAGS: usize = 0x401c_5820;

fn set_flags(folder: &str) -> Act {
    let held = opened(&ready(folder, "flags")?, OFlag::O_RDONLY)?;
    let (fd, mut flags) = (held.as_raw_fd() as usize, 0_u64);
    call(libc::SYS_ioctl, [fd, GET_FLAGS, address_mut(&mut flags)])?;
    tried(libc::SYS_ioctl, [fd, SET_FLAGS, address(&flags)])
}

fn set_more_flags(folder: &str) -> Act {
    let held = opened(&ready(folder, "flags")?, OFlag::O_RDONLY)?;
    let (fd, mut flags) = (held.as_raw_fd() as usize, [0_u32; 7]);
    call(libc::SYS_ioctl, [fd, GET_MORE_FLAGS, address_mut(&mut flags)])?;
    tried(libc::SYS_ioctl, [fd, SET_MORE_FLAGS, address(&flags)])
}

fn set_flags_i386(folder: &str) -> Act {
    let held = opened(&ready(folder, "flags")?, OFlag::O_RDONLY)?;
    let (fd, mut flags) = (held.as_raw_fd(), 0_u64);
    call(libc::SYS_ioctl, [fd as usize, GET_FLAGS, address_mut(&mut flags)])?;
    let flags = crate::raw::low(&flags.to_le_bytes())?;
    super::tried_i386(54, [fd as u32, 0x4004_6602, flags, 0, 0])
}

const GET_ENTROPY: usize = 0x8004_5200;

fn control(device: &str) -> Act {
    let held = opened(device, OFlag::O_RDONLY)?;
    let mut count = 0_u32;
    tried(libc::SYS_ioctl, [held.as_raw_fd() as usize, GET_ENTROPY, address_mut(&mut count)])
}

fn control_i386(device: &str) -> Act {
    let held = opened(device, OFlag::O_RDONLY)?;
    let count = crate::raw::low(&[0; 4])?;
    super::tried_i386(54, [held.as_raw_fd() as u32, GET_ENTROPY as u32, count, 0, 0])
}

/// Leaves out a call that the kernel does not know.
fn known(result: Result<usize, Errno>, name: &'static str) -> Act {
    match result {
        Err(Errno::ENOSYS) => Err(Absent(name).into()),
        result => Ok(result.map(drop)),
    }
}
