//! Ways to act through a process that is not governed: the one that made the yard.

use std::{fs::File, io::IoSliceMut, os::unix::fs::OpenOptionsExt};

use nix::{
    errno::Errno,
    fcntl::OFlag,
    sys::{
        ptrace,
        signal::{Signal, kill},
        uio::{RemoteIoVec, process_vm_readv},
    },
    unistd::Pid,
};

use super::super::{Act, Plan, Side, Stop};

pub(super) const ACTS: &[Act] = &[
    Act::lone("tracing another process", "ptrace", |plan, _| {
        // It does not stop, and is let go as this process ends.
        Ok(ptrace::seize(Pid::from_raw(plan.outsider), ptrace::Options::empty())?)
    }),
    Act::lone("reading its memory", "process_vm_readv", |plan, _| {
        let mut byte = [0];
        let ours = &mut [IoSliceMut::new(&mut byte)];
        let theirs = [RemoteIoVec { base: plan.byte, len: 1 }];
        Ok(process_vm_readv(Pid::from_raw(plan.outsider), ours, &theirs).map(drop)?)
    })
    .by(Errno::EPERM),
    Act::lone("its memory as a file", "open", |plan, _| of_it(plan, "mem")),
    Act::lone("its environment", "open", |plan, _| of_it(plan, "environ")),
    Act::lone("its maps", "open", |plan, _| of_it(plan, "maps")),
    Act::lone("the machine by its root", "open", |plan, _| of_it(plan, "root/proc")),
    Act::lone("its working directory", "open", |plan, _| of_it(plan, "cwd/")),
    Act::lone("its descriptors", "open", |plan, _| of_it(plan, "fd/0")),
    Act::lone("its namespace", "open", |plan, _| of_it(plan, "ns/mnt")),
    Act::pair("a signal to the daemon", "kill", |plan, side| {
        let to = match side {
            Side::Open => plan.outsider,
            Side::Shut => plan.daemon,
        };
        // Ignored unless somebody waits for it.
        Ok(kill(Pid::from_raw(to), Signal::SIGURG)?)
    }),
];

fn of_it(plan: &Plan, name: &str) -> Result<(), Stop> {
    let path = format!("/proc/{}/{name}", plan.outsider);
    // Its input may be a pipe that nobody writes to.
    let flags = OFlag::O_NONBLOCK.bits();
    Ok(File::options().read(true).custom_flags(flags).open(path).map(drop)?)
}
