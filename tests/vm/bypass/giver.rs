//! A process outside of every policy that gives its descriptors to whoever connects.

use super::{TOP, opened};
use anyhow::Result;
use nix::fcntl::OFlag;
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use std::fs;
use std::io::IoSlice;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::thread;

/// Gives these files, each at a socket of its own below the top, as long as this process lives.
pub(super) fn start(files: &[(&str, &str)]) -> Result<()> {
    for (name, path) in files {
        give(name, opened(path, OFlag::O_RDONLY)?)?;
    }
    Ok(())
}

/// Gives one descriptor.
pub(super) fn give(name: &str, given: OwnedFd) -> Result<()> {
    let path = format!("{TOP}/giver-{name}.sock");
    let _ = fs::remove_file(&path);
    let listener = UnixListener::bind(&path)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o777))?;
    thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            let parts = [IoSlice::new(b"x")];
            let descriptors = [given.as_raw_fd()];
            let control = [ControlMessage::ScmRights(&descriptors)];
            // Who has gone away already does not get it.
            let _ = sendmsg::<()>(socket.as_raw_fd(), &parts, &control, MsgFlags::empty(), None);
        }
    });
    Ok(())
}
