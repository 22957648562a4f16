//! The acts that are measured, each as short as a program makes it. Must not know what judges them.

use super::{PROGRAM, ROLE, least};
use crate::raw::{call, forked, map};
use anyhow::{Result, bail, ensure};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::libc;
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, connect, socket};
use nix::sys::stat::{Mode, SFlag, mknod, stat};
use nix::sys::wait::waitpid;
use nix::unistd::{close, getpid, unlink};
use serde_json::{Value, json};
use std::fs;
use std::os::fd::AsRawFd;
use std::process::Command;

/// Three components, as in a source tree.
pub(super) const FILE: &str = "/workspace/a/x.rs";
const OTHER: &str = "/workspace/a/y.rs";
const NEW: &str = "/workspace/a/new";
/// A file that may be executed.
const LIBRARY: &str = PROGRAM;
/// Nobody listens there: the connection is refused at once.
pub(super) const PORT: u16 = 9;

/// Instructions of each act.
pub(super) fn all() -> Result<Value> {
    let library = open(LIBRARY, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())?;
    let fd = library.as_raw_fd();
    Ok(json!({
        "open": least(2_000, open_and_close)?,
        "stat": least(2_000, || Ok(stat(FILE).map(drop)?))?,
        "exec": least(40, execute)?,
        "fork": least(100, fork)?,
        "connect": least(500, connect_refused)?,
        "mknod+unlink": least(500, make_and_remove)?,
        "rename": least(500, rename)?,
        "mmap": least(1_000, || map_and_unmap(fd))?,
        "kill": least(1_000, || Ok(kill(getpid(), Signal::SIGURG)?))?,
    }))
}

fn open_and_close() -> Result<()> {
    // Dropped, it would be looked at once more with fcntl: a check of this build, not of a program.
    Ok(close(open(FILE, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())?)?)
}

/// A static program that ends at once: its start opens nothing.
fn execute() -> Result<()> {
    let status = Command::new(PROGRAM).args([ROLE, "nothing"]).status()?;
    ensure!(status.success(), "{status}");
    Ok(())
}

fn fork() -> Result<()> {
    waitpid(forked(|| 0)?, None)?;
    Ok(())
}

fn connect_refused() -> Result<()> {
    let socket = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    match connect(socket.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, PORT)) {
        Err(Errno::ECONNREFUSED) => Ok(close(socket)?),
        other => bail!("connecting to a closed port: {other:?}"),
    }
}

fn make_and_remove() -> Result<()> {
    mknod(NEW, SFlag::S_IFREG, Mode::from_bits_truncate(0o600), 0)?;
    Ok(unlink(NEW)?)
}

/// There and back.
fn rename() -> Result<()> {
    fs::rename(FILE, OTHER)?;
    Ok(fs::rename(OTHER, FILE)?)
}

fn map_and_unmap(fd: i32) -> Result<()> {
    let at = map(4096, libc::PROT_READ | libc::PROT_EXEC, libc::MAP_PRIVATE, fd)?;
    call(libc::SYS_munmap, [at, 4096])?;
    Ok(())
}
