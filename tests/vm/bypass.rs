//! Ways around the gate, group by group: what the modules below share. Must not know single ways.
//!
//! Each denied attempt has a twin that differs in what is judged alone: the same act at another name
//! or address, or the same set under a policy that allows it. What can be tried by anybody is tried
//! as root and as a user.

mod address;
pub(crate) mod attributes;
pub(crate) mod code;
pub(crate) mod content;
pub(crate) mod family;
mod files;
mod giver;
pub(crate) mod leave;
pub(crate) mod made;
pub(crate) mod moved;
pub(crate) mod others;
pub(crate) mod own;
pub(crate) mod ring;
pub(crate) mod send;
pub(crate) mod serve;
pub(crate) mod service;

use crate::attempts::{self, Absent, Act, Attempt, Set, User};
use crate::gate::Gate;
use crate::raw;
use anyhow::Result;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::libc;
use nix::sys::stat::{Mode, SFlag, mknod};
use nix::unistd::getuid;
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;

/// Every set of attempts.
pub(crate) const SETS: &[Set] = &[
    made::SET,
    moved::SET,
    attributes::SET,
    attributes::DEVICES,
    content::SET,
    content::LOG,
    content::SENT,
    others::SET,
    others::STAYING,
    leave::SET,
    leave::LICENSED,
    code::SET,
    code::MEMORY,
    code::INHERITED,
    send::SET,
    send::ALIASES,
    serve::SET,
    family::SET,
    service::SET,
    ring::MADE,
    ring::SET,
    own::SET,
];

/// Everything that the attempts need is below it.
const TOP: &str = "/srv/bypass";
/// Where a policy allows what its other folders forbid.
const FREE: &str = "/srv/bypass/free";

/// Attempts that come in pairs: `"name" "folder" expected => act`. The act is given [`FREE`], where it
/// passes, and the folder below [`TOP`], where it ends as expected.
macro_rules! pairs {
    ($($name:literal $folder:literal $governed:expr => $act:expr $(, $by:ident)?;)*) => {
        &[$(
            $crate::attempts::Attempt::new($name, $crate::attempts::Governed::Passes, || {
                $act($crate::bypass::FREE)
            })$(.$by())?,
            $crate::attempts::Attempt::new(
                concat!($name, " in ", $folder),
                $governed,
                || $act(concat!("/srv/bypass/", $folder)),
            )$(.$by())?,
        )*]
    };
}
use pairs;

/// Runs a set as root and as a user; each attempt ends as it says.
fn judge(gate: &Gate, set: Set, policy: &str) -> Result<()> {
    judge_by(gate, set, policy, |attempt| attempt.governed)
}

/// The same under a policy by which the attempts end as `expected` says.
fn judge_by(
    gate: &Gate,
    set: Set,
    policy: &str,
    expected: fn(&Attempt) -> attempts::Governed,
) -> Result<()> {
    attempts::judge_as(gate, set, policy, User::Root, expected)?;
    attempts::judge_as(gate, set, policy, User::Agent, expected)
}

/// Makes a folder that everybody may change.
fn folder(path: &str) -> Result<()> {
    fs::create_dir_all(path)?;
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(0o777))?)
}

/// A name for this user's attempt.
fn at(folder: &str, name: &str) -> String {
    format!("{folder}/{name}-{}", getuid())
}

/// The same, of an empty file. To make it nothing but `create` is wanted.
fn ready(folder: &str, name: &str) -> Result<String> {
    let path = at(folder, name);
    match mknod(path.as_str(), SFlag::S_IFREG, Mode::from_bits_truncate(0o644), 0) {
        Ok(()) | Err(Errno::EEXIST) => Ok(path),
        Err(error) => Err(error.into()),
    }
}

/// The same, of an empty folder.
fn ready_folder(folder: &str, name: &str) -> Result<String> {
    let path = at(folder, name);
    fs::create_dir_all(&path)?;
    Ok(path)
}

fn opened(path: &str, flags: OFlag) -> Result<OwnedFd, Errno> {
    open(path, flags | OFlag::O_CLOEXEC, Mode::from_bits_truncate(0o600))
}

/// The call that counts.
fn tried<const N: usize>(number: libc::c_long, arguments: [usize; N]) -> Act {
    Ok(raw::call(number, arguments).map(drop))
}

/// For file names relative to the working directory.
const HERE: usize = libc::AT_FDCWD as usize;

/// The error of a call that the standard library made.
fn number(error: std::io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::UnknownErrno, Errno::from_raw)
}

/// A call by the entry for 32-bit programs; left out where the kernel has none.
fn tried_i386(number: u32, arguments: [u32; 5]) -> Act {
    const GETPID: u32 = 20;
    if raw::call_i386(GETPID, [0; 5]).is_err() {
        return Err(Absent("32-bit system calls").into());
    }
    Ok(raw::call_i386(number, arguments).map(drop))
}

/// A string for such a call.
fn low_text(text: &str) -> Result<u32> {
    raw::low(&[text.as_bytes(), b"\0"].concat())
}

/// A call by the numbers of x32; left out where the kernel has none.
fn tried_x32<const N: usize>(number: libc::c_long, arguments: [usize; N]) -> Act {
    const X32: libc::c_long = 0x4000_0000;
    if raw::call(X32 | libc::SYS_getpid, []).is_err() {
        return Err(Absent("x32 system calls").into());
    }
    tried(X32 | number, arguments)
}
