//! What happens in a new process between fork and exec, and nothing else: all of it is unsafe code,
//! since another thread may hold any lock.

use std::{io, os::unix::process::CommandExt, process::Command};

use nix::sys::{prctl, signal::Signal};

/// Has the command killed when the thread that starts it ends.
pub(crate) fn die_with_parent(command: &mut Command) {
    let hook = || prctl::set_pdeathsig(Signal::SIGKILL).map_err(io::Error::from);
    // SAFETY: the hook makes one system call and allocates nothing, takes no lock and touches no
    // memory of the parent's; an errno becomes an `io::Error` without an allocation.
    unsafe {
        command.pre_exec(hook);
    }
}
