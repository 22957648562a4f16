//! Connecting. Nothing needs to answer at an address: the gate is asked before a packet leaves.

use std::{
    fs,
    os::fd::{AsRawFd as _, OwnedFd},
    os::unix::ffi::OsStrExt as _,
    path::Path,
};

use anyhow::{Context, Result};
use execlayer_common::{limits, subject::ABSTRACT};
use nix::{
    errno::Errno,
    sys::socket::{
        AddressFamily, Backlog, SockFlag, SockType, SockaddrIn, SockaddrIn6, UnixAddr, bind,
        connect, listen, setsockopt, socket, sockopt,
    },
};

use super::{Outcome, folder_for, path, remove};

#[derive(Debug)]
pub(super) struct InetAct {
    kind: SockType,
    to: std::net::SocketAddr,
}

impl InetAct {
    pub(super) fn plan(subject: &[u8]) -> Result<Self, &'static str> {
        let Some((&[protocol, family], rest)) = subject.split_first_chunk() else {
            return Err("these bytes are no destination");
        };
        let kind = match protocol {
            b't' => SockType::Stream,
            b'u' => SockType::Datagram,
            _ => return Err("the protocol is neither TCP nor UDP"),
        };
        let Some((address, port)) = rest.split_last_chunk() else {
            return Err("these bytes are no destination");
        };
        let port = u16::from_be_bytes(*port);
        let to = match (family, <[u8; 4]>::try_from(address), <[u8; 16]>::try_from(address)) {
            (b'4', Ok(v4), _) => (v4, port).into(),
            (b'6', _, Ok(v6)) => (v6, port).into(),
            _ => return Err("these bytes are no destination"),
        };
        Ok(Self { kind, to })
    }

    pub(super) fn perform(&self) -> Outcome {
        let family = if self.to.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        Outcome::of(socket(family, self.kind, flags, None).and_then(|socket| {
            // Without it the kernel itself says EACCES to a broadcast address.
            setsockopt(&socket, sockopt::Broadcast, &true)?;
            match self.to {
                std::net::SocketAddr::V4(v4) => connect(socket.as_raw_fd(), &SockaddrIn::from(v4)),
                std::net::SocketAddr::V6(v6) => connect(socket.as_raw_fd(), &SockaddrIn6::from(v6)),
            }
        }))
    }
}

#[derive(Debug)]
pub(super) struct UnixAct {
    name: Vec<u8>,
    listener: Option<OwnedFd>,
}

impl UnixAct {
    pub(super) fn plan(subject: &[u8]) -> Result<Self, &'static str> {
        // A path needs its NUL, an abstract name the one before it.
        if subject.len() >= limits::MAX_UNIX_NAME as usize {
            return Err("no socket has so long a name");
        }
        match subject {
            [ABSTRACT] => return Err("no socket has an empty name"),
            [ABSTRACT, ..] => {}
            _ => drop(path(subject)?),
        }
        Ok(Self { name: subject.to_vec(), listener: None })
    }

    fn address(&self) -> Result<UnixAddr, Errno> {
        match self.name.as_slice() {
            [ABSTRACT, name @ ..] => UnixAddr::new_abstract(name),
            name => UnixAddr::new(name),
        }
    }

    fn path(&self) -> Option<&Path> {
        let is_path = self.name.first() != Some(&ABSTRACT);
        is_path.then(|| Path::new(std::ffi::OsStr::from_bytes(&self.name)))
    }

    pub(super) fn set_up(&mut self) -> Result<()> {
        use std::os::unix::fs::PermissionsExt as _;
        self.clean();
        if let Some(path) = self.path() {
            folder_for(path)?;
        }
        let socket = self.socket(SockFlag::SOCK_CLOEXEC)?;
        bind(socket.as_raw_fd(), &self.address()?).context("cannot bind the socket")?;
        listen(&socket, Backlog::new(16)?).context("cannot listen")?;
        if let Some(path) = self.path() {
            fs::set_permissions(path, fs::Permissions::from_mode(0o777))?;
        }
        self.listener = Some(socket);
        Ok(())
    }

    fn socket(&self, flags: SockFlag) -> Result<OwnedFd, Errno> {
        socket(AddressFamily::Unix, SockType::Stream, flags, None)
    }

    pub(super) fn perform(&self) -> Outcome {
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let connected = self.socket(flags).and_then(|socket| {
            let address = self.address()?;
            connect(socket.as_raw_fd(), &address)
        });
        Outcome::of(connected)
    }

    pub(super) fn clean(&mut self) {
        self.listener = None;
        if let Some(path) = self.path() {
            remove(path);
        }
    }
}
