//! A program under a policy: starting it in a scope's cgroup, passing signals on to it, and waiting
//! for its end. Must not know policies nor the daemon.

use std::{
    ffi::OsString,
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{Child, Command, ExitStatus},
    time::Duration,
};

use nix::{
    sys::{
        signal::{SigSet, Signal, kill},
        signalfd::{SfdFlags, SignalFd},
    },
    unistd::Pid,
};

use crate::{
    error::{CliError, Exit},
    files,
};

/// Signals that are meant for the program and not for the tool.
const FORWARDED: [Signal; 8] = [
    Signal::SIGTERM,
    Signal::SIGINT,
    Signal::SIGHUP,
    Signal::SIGQUIT,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGALRM,
    Signal::SIGWINCH,
];

/// How long a program may take to end after SIGTERM. A service manager waits longer.
const GRACE: Duration = Duration::from_secs(20);

/// Signals held back from the moment on at which a program could miss them.
#[derive(Debug)]
pub(crate) struct Signals(SignalFd);

impl Signals {
    /// Holds them back. Children inherit that: see [`release`].
    pub(crate) fn hold() -> Result<Self, CliError> {
        let set = held();
        set.thread_block()
            .and_then(|()| SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC))
            .map(Self)
            .map_err(|error| CliError::failure(format!("signals cannot be held: {error}")))
    }

    /// Waits for the end of `child`, and passes signals on to it until then. Whoever is in `cgroup` some time after
    /// SIGTERM is ended.
    pub(crate) fn wait(
        &self,
        child: &mut Child,
        cgroup: Option<&Path>,
    ) -> Result<ExitStatus, CliError> {
        let lost = |error| CliError::failure(format!("the program is lost: {error}"));
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap_or(0));
        loop {
            if let Some(status) = child.try_wait().map_err(lost)? {
                return Ok(status);
            }
            let Some(info) = self.0.read_signal().map_err(|error| lost(error.into()))? else {
                continue;
            };
            let signal = i32::try_from(info.ssi_signo).ok().and_then(|n| Signal::try_from(n).ok());
            match signal {
                Some(Signal::SIGCHLD) | None => {}
                // KERNEL: si_code above 0 is the kernel's own (include/uapi/asm-generic/siginfo.h):
                // a terminal sends to its whole foreground group, so the program has it already.
                Some(_) if info.ssi_code > 0 => {}
                Some(Signal::SIGTERM) if cgroup.is_some() => {
                    let _ended_already = kill(pid, Signal::SIGTERM);
                    let cgroup = cgroup.map(Path::to_owned);
                    std::thread::spawn(move || {
                        std::thread::sleep(GRACE);
                        // If it cannot be done, nobody is left, or the next SIGTERM tries again.
                        cgroup.map(|cgroup| end_all(&cgroup))
                    });
                }
                // It may have ended in between: the next turn finds out.
                Some(signal) => drop(kill(pid, signal)),
            }
        }
    }
}

/// Ends everything in the cgroup (KERNEL: `cgroup.kill`, Documentation/admin-guide/cgroup-v2.rst, 5.14).
pub(crate) fn end_all(cgroup: &Path) -> Result<(), CliError> {
    let file = cgroup.join("cgroup.kill");
    std::fs::write(&file, "1").map_err(|error| files::cannot("write", &file, &error))
}

fn held() -> SigSet {
    FORWARDED.into_iter().chain([Signal::SIGCHLD]).collect()
}

/// Undoes [`Signals::hold`] in a child, before it turns into the program.
pub(crate) fn release() -> nix::Result<()> {
    held().thread_unblock()
}

/// Who the program runs as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) home: OsString,
}

/// Starts `command` in the cgroup. A helper, this same executable, enters it and turns into the
/// command: what is governed from its first moment on is the command.
pub(crate) fn start(
    cgroup: &Path,
    user: Option<&User>,
    command: &[OsString],
) -> Result<Child, CliError> {
    let mut helper = helper(cgroup, user, command)?;
    helper.spawn().map_err(|error| CliError::failure(format!("the program did not start: {error}")))
}

/// That helper's command line.
pub(crate) fn helper(
    cgroup: &Path,
    user: Option<&User>,
    command: &[OsString],
) -> Result<Command, CliError> {
    let own = std::env::current_exe()
        .map_err(|error| CliError::failure(format!("own executable not found: {error}")))?;
    let mut helper = Command::new(own);
    helper.arg("scope-exec").arg("--cgroup").arg(cgroup);
    if let Some(user) = user {
        helper.arg("--user").arg(&user.name);
        helper.arg("--uid").arg(user.uid.to_string()).arg("--gid").arg(user.gid.to_string());
        helper.env("USER", &user.name).env("LOGNAME", &user.name).env("HOME", &user.home);
    }
    helper.arg("--").args(command);
    Ok(helper)
}

/// The exit code that says how the program ended.
pub(crate) fn exit_code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(Exit::Run as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_program_becomes_the_exit_code_that_a_shell_gives() {
        assert_eq!(exit_code(ExitStatus::from_raw(0)), 0);
        assert_eq!(exit_code(ExitStatus::from_raw(7 << 8)), 7);
        assert_eq!(exit_code(ExitStatus::from_raw(9)), 137);
        assert_eq!(exit_code(ExitStatus::from_raw(15 | 0x80)), 143);
    }
}
