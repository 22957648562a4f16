//! Ways to change a file, its name and what is said about it.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::{
        fd::AsRawFd,
        unix::{
            fs::{OpenOptionsExt, PermissionsExt, symlink},
            net::UnixListener,
        },
    },
};

use nix::{
    fcntl::{AT_FDCWD, AtFlags, FcntlArg, OFlag, fcntl},
    sys::{
        stat::{Mode, UtimensatFlags, utimensat},
        time::TimeSpec,
    },
    unistd::{Gid, Uid, chown, ftruncate, linkat, mkfifo, truncate},
};

use super::super::{Act, Plan, Side, Stop, before};

pub(super) const ACTS: &[Act] = &[
    Act::pair("writing a file", "open", |plan, side| {
        Ok(OpenOptions::new().write(true).open(plan.of(side, "write")).map(drop)?)
    }),
    Act::pair("adding to a file", "open", |plan, side| {
        Ok(OpenOptions::new().append(true).open(plan.of(side, "append")).map(drop)?)
    }),
    Act::pair("emptying a file by its name", "truncate", |plan, side| {
        Ok(truncate(&plan.of(side, "length"), 0)?)
    }),
    Act::pair("emptying a file as it is opened", "open", |plan, side| {
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(OFlag::O_TRUNC.bits());
        Ok(options.open(plan.of(side, "length")).map(drop)?)
    }),
    Act::pair("shortening what may only be added to", "ftruncate", |plan, side| {
        Ok(ftruncate(log(plan, side)?, 1)?)
    }),
    Act::pair("no longer only adding to it", "fcntl", |plan, side| {
        let log = log(plan, side)?;
        Ok(fcntl(&log, FcntlArg::F_SETFL(OFlag::empty())).map(drop)?)
    }),
    Act::pair("making a file", "open", |plan, side| {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        Ok(options.open(plan.of(side, "made")).map(drop)?)
    }),
    Act::pair("making a file without a name", "open", |plan, side| {
        Ok(nameless(plan, side).map(drop)?)
    }),
    Act::pair("giving it a name later", "linkat", |plan, side| {
        let held = before("open", nameless(plan, Side::Open))?;
        let old = format!("/proc/self/fd/{}", held.as_raw_fd());
        let new = plan.of(side, "named-later");
        Ok(linkat(AT_FDCWD, old.as_str(), AT_FDCWD, &new, AtFlags::AT_SYMLINK_FOLLOW)?)
    }),
    Act::pair("deleting a file", "unlink", |plan, side| {
        Ok(fs::remove_file(plan.of(side, "delete"))?)
    }),
    Act::pair("making a folder", "mkdir", |plan, side| {
        Ok(fs::create_dir(plan.of(side, "made-folder"))?)
    }),
    Act::pair("deleting a folder", "rmdir", |plan, side| {
        Ok(fs::remove_dir(plan.of(side, "empty"))?)
    }),
    Act::pair("making a symbolic link", "symlink", |plan, side| {
        Ok(symlink("/", plan.of(side, "made-link"))?)
    }),
    Act::pair("making a fifo", "mknod", |plan, side| {
        Ok(mkfifo(&plan.of(side, "made-fifo"), Mode::S_IRUSR)?)
    }),
    Act::pair("making a socket", "bind", |plan, side| {
        Ok(UnixListener::bind(plan.of(side, "made-socket")).map(drop)?)
    }),
    Act::pair("changing a mode", "chmod", |plan, side| {
        Ok(fs::set_permissions(plan.of(side, "mode"), fs::Permissions::from_mode(0o640))?)
    }),
    Act::pair("changing an owner", "chown", |plan, side| {
        let (user, group) = (Uid::from_raw(0), Gid::from_raw(0));
        Ok(chown(&plan.of(side, "owner"), Some(user), Some(group))?)
    }),
    Act::pair("changing times", "utimensat", |plan, side| {
        let (then, flags) = (TimeSpec::new(1, 0), UtimensatFlags::FollowSymlink);
        Ok(utimensat(AT_FDCWD, &plan.of(side, "times"), &then, &then, flags)?)
    }),
];

fn log(plan: &Plan, side: Side) -> Result<File, Stop> {
    before("open", OpenOptions::new().append(true).open(plan.log(side)))
}

fn nameless(plan: &Plan, side: Side) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).custom_flags(OFlag::O_TMPFILE.bits());
    options.open(plan.of(side, ""))
}
