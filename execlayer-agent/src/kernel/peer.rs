//! The process behind a unix socket, held so that its number cannot become another's meanwhile. Must not know who it is.

use std::{
    ffi::c_int,
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// KERNEL: include/uapi/asm-generic/socket.h (6.5).
const SO_PEERPIDFD: c_int = 77;

/// A process that is held.
#[derive(Debug)]
pub struct Held(OwnedFd);

/// Whoever connected; `None` on kernels before 6.5, which cannot hold it.
///
/// # Errors
///
/// What the kernel said: it is gone, for instance.
pub fn held(socket: BorrowedFd<'_>) -> io::Result<Option<Held>> {
    let mut number: c_int = -1;
    let mut length = size_of::<c_int>() as libc::socklen_t;
    // SAFETY: both pointers are to live values of the sizes that the call is told, and it keeps neither.
    let done = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            SO_PEERPIDFD,
            (&raw mut number).cast(),
            &raw mut length,
        )
    };
    if done != 0 {
        let error = io::Error::last_os_error();
        return if error.raw_os_error() == Some(libc::ENOPROTOOPT) { Ok(None) } else { Err(error) };
    }
    // SAFETY: the kernel made this descriptor for the caller alone.
    Ok(Some(Held(unsafe { OwnedFd::from_raw_fd(number) })))
}

impl Held {
    /// Whether it is still there: as long as it is, nobody else has its number (pidfd_open(2), "a PID file descriptor
    /// becomes readable when its process terminates").
    #[must_use]
    pub fn is_alive(&self) -> bool {
        let mut fds = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        matches!(poll(&mut fds, PollTimeout::ZERO), Ok(0))
    }
}

#[cfg(test)]
mod tests {
    use std::{
        os::{fd::AsFd as _, unix::net::UnixListener},
        process::Command,
    };

    use super::held;

    #[test]
    fn a_peer_is_held_until_it_ends() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let listener = UnixListener::bind(&path).unwrap();
        let program = "import socket,sys,time\ns=socket.socket(socket.AF_UNIX)\ns.connect(sys.argv[1])\ntime.sleep(60)";
        let child = Command::new("python3").args(["-c", program]).arg(&path).spawn();
        let Ok(mut child) = child else {
            println!("not run here: there is no python3");
            return;
        };
        let (stream, _address) = listener.accept().unwrap();
        let Some(peer) = held(stream.as_fd()).unwrap() else {
            println!("not run here: the kernel is older than 6.5");
            child.kill().unwrap();
            child.wait().unwrap();
            return;
        };
        assert!(peer.is_alive());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!peer.is_alive());
    }
}
