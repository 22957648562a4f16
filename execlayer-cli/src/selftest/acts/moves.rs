//! Ways to give a file another name, under which more would be allowed.

use std::{fs, os::fd::AsRawFd, path::PathBuf};

use nix::{
    errno::Errno,
    fcntl::{AT_FDCWD, AtFlags, OFlag, open},
    sys::stat::Mode,
    unistd::linkat,
};

use super::super::{Act, Plan, Side, before};

pub(super) const ACTS: &[Act] = &[
    Act::pair("moving a secret to where it may be read", "rename", |plan, side| {
        Ok(fs::rename(plan.secret(side, "move"), free(plan, side, "moved"))?)
    })
    .by(Errno::EXDEV),
    Act::pair("moving a folder of secrets", "rename", |plan, side| {
        Ok(fs::rename(plan.secret(side, "folder"), free(plan, side, "moved-folder"))?)
    })
    .by(Errno::EXDEV),
    Act::pair("another link of a secret", "link", |plan, side| {
        Ok(fs::hard_link(plan.secret(side, "link"), free(plan, side, "linked"))?)
    })
    .by(Errno::EXDEV),
    Act::pair("another link of a secret, by a descriptor", "linkat", |plan, side| {
        let path = plan.secret(side, "link");
        let held = before("open", open(&path, OFlag::O_PATH, Mode::empty()))?;
        let (old, new) = (format!("/proc/self/fd/{}", held.as_raw_fd()), free(plan, side, "held"));
        Ok(linkat(AT_FDCWD, old.as_str(), AT_FDCWD, &new, AtFlags::AT_SYMLINK_FOLLOW)?)
    })
    .by(Errno::EXDEV),
    Act::pair("another link of what may only be added to", "link", |plan, side| {
        Ok(fs::hard_link(plan.log(side), free(plan, side, "linked-log"))?)
    }),
    Act::pair("moving a file out", "rename", |plan, side| {
        Ok(fs::rename(plan.of(side, "out"), free(plan, side, "moved-out"))?)
    }),
    Act::pair("replacing a file", "rename", |plan, side| {
        let new = plan.of(Side::Open, &format!("replacing-{}", side.name()));
        Ok(fs::rename(new, plan.of(side, "replaced"))?)
    }),
    Act::pair("linking a file in", "link", |plan, side| {
        Ok(fs::hard_link(plan.of(Side::Open, "link"), plan.of(side, "linked-in"))?)
    }),
];

/// A name that is free, where everything is allowed.
fn free(plan: &Plan, side: Side, name: &str) -> PathBuf {
    plan.of(Side::Open, &format!("{name}-{}", side.name()))
}
