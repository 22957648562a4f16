//! Ways to change what names mean, which no policy can allow.

use std::fs::File;

use nix::{
    errno::Errno,
    mount::{MntFlags, MsFlags, mount, umount2},
    sched::{CloneFlags, setns, unshare},
    unistd::{chroot, gethostname, sethostname},
};

use super::super::{Act, Plan, Side, Stop, before};

pub(super) const ACTS: &[Act] = &[
    Act::lone("another user namespace", "unshare", |_, _| Ok(unshare(CloneFlags::CLONE_NEWUSER)?)),
    Act::lone("another user and mount namespace", "unshare", |_, _| {
        Ok(unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS)?)
    }),
    Act::lone("another mount namespace", "unshare", |_, _| Ok(unshare(CloneFlags::CLONE_NEWNS)?))
        .by(Errno::EPERM),
    Act::lone("another network", "unshare", |_, _| Ok(unshare(CloneFlags::CLONE_NEWNET)?))
        .by(Errno::EPERM),
    Act::lone("entering a namespace", "setns", |_, _| {
        let held = before("open", File::open("/proc/self/ns/uts"))?;
        Ok(setns(held, CloneFlags::CLONE_NEWUTS)?)
    })
    .by(Errno::EPERM),
    Act::lone("a bind mount", "mount", |plan, _| {
        let (from, to, none) = (plan.of(Side::Shut, ""), plan.at("place"), None::<&str>);
        mount(Some(&from), &to, none, MsFlags::MS_BIND, none)?;
        undone(plan)
    })
    .by(Errno::EPERM),
    Act::lone("a file system of its own", "mount", |plan, _| {
        let (kind, to, none) = (Some("tmpfs"), plan.at("place"), None::<&str>);
        mount(kind, &to, kind, MsFlags::empty(), none)?;
        undone(plan)
    })
    .by(Errno::EPERM),
    Act::lone("another root", "chroot", |plan, _| Ok(chroot(&plan.of(Side::Open, ""))?)),
    Act::lone("the machine's name", "sethostname", |_, _| {
        // The same as before.
        let name = before("gethostname", gethostname())?;
        Ok(sethostname(name)?)
    })
    .by(Errno::EPERM),
];

/// Nothing stopped the mount.
fn undone(plan: &Plan) -> Result<(), Stop> {
    before("umount", umount2(&plan.at("place"), MntFlags::MNT_DETACH))
}
