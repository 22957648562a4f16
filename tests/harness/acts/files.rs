//! Opening, creating and executing a file. Must not make a folder outside of the tmpfs.

use std::{
    ffi::CString,
    fs,
    os::unix::{ffi::OsStrExt as _, fs::PermissionsExt as _},
    path::PathBuf,
};

use anyhow::{Context, Result};
use execlayer_common::access::Access;
use nix::{
    errno::Errno,
    fcntl::{OFlag, open},
    sys::stat::{Mode, SFlag, mknod},
    unistd::execve,
};

use super::{Outcome, folder_for, remove};

#[derive(Debug)]
pub(super) struct FileAct {
    path: PathBuf,
    call: Call,
}

#[derive(Clone, Copy, Debug)]
enum Call {
    Open(OFlag),
    /// The only call that creates a file and opens nothing.
    Node,
    Exec,
}

/// What an open or an exec can want.
const ACTS: Access = Access::EXEC
    .union(Access::READ)
    .union(Access::WRITE)
    .union(Access::APPEND)
    .union(Access::CREATE);

impl FileAct {
    pub(super) fn plan(path: PathBuf, wanted: Access) -> Result<Self, &'static str> {
        let has = |bit| wanted.contains(bit);
        if has(Access::WRITE) && has(Access::APPEND) {
            return Err("one open either writes or appends");
        }
        if !ACTS.contains(wanted) {
            return Err("no act stands for changing a name or what is said about a file");
        }
        let call = if wanted == Access::EXEC {
            Call::Exec
        } else if wanted == Access::CREATE {
            Call::Node
        } else {
            let writes = has(Access::WRITE) || has(Access::APPEND);
            let mut flags = match (has(Access::READ), writes) {
                (true, true) => OFlag::O_RDWR,
                (false, true) => OFlag::O_WRONLY,
                _ => OFlag::O_RDONLY,
            };
            flags.set(OFlag::O_APPEND, has(Access::APPEND));
            flags.set(OFlag::O_CREAT | OFlag::O_EXCL, has(Access::CREATE));
            Call::Open(flags | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW)
        };
        Ok(Self { path, call })
    }

    fn creates(&self) -> bool {
        match self.call {
            Call::Node => true,
            Call::Open(flags) => flags.contains(OFlag::O_CREAT),
            Call::Exec => false,
        }
    }

    pub(super) fn set_up(&mut self) -> Result<()> {
        self.clean();
        folder_for(&self.path)?;
        if !self.creates() {
            // Executable and empty: past the gate, the kernel knows no format for it.
            let path = self.path.display();
            fs::write(&self.path, "").with_context(|| format!("cannot make {path}"))?;
            fs::set_permissions(&self.path, fs::Permissions::from_mode(0o777))?;
        }
        Ok(())
    }

    pub(super) fn perform(&self) -> Outcome {
        match self.call {
            Call::Open(flags) => {
                Outcome::of(open(&self.path, flags, Mode::from_bits_truncate(0o666)))
            }
            Call::Node => {
                let mode = Mode::from_bits_truncate(0o666);
                Outcome::of(mknod(&self.path, SFlag::S_IFREG, mode, 0))
            }
            Call::Exec => {
                let path = CString::new(self.path.as_os_str().as_bytes());
                let arguments = [c"act"];
                let none: [&std::ffi::CStr; 0] = [];
                Outcome::of(
                    path.map_or(Err(Errno::EINVAL), |path| execve(&path, &arguments, &none)),
                )
            }
        }
    }

    pub(super) fn clean(&mut self) {
        remove(&self.path);
    }
}
