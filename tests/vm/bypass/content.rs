//! Reading and changing content: by descriptors with other rights, by length, by handles, and by what a
//! process outside of the policy hands over.

use super::{FREE, HERE, Set, TOP, at, files, opened, pairs, ready, tried};
use crate::attempts::Governed::{Denied, Fails, Passes};
use crate::attempts::{Absent, Act, Attempt, Governed, NOT_RECEIVED};
use crate::framework::Lane;
use crate::raw::{address, address_mut, call, map, text};
use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::libc;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
use std::fs;
use std::io::IoSliceMut;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

crate::tests! { bypass_of_content => .lanes(&[Lane::Bypass, Lane::Overlay]).limit(290) }

pub(crate) const SET: Set = ("bypass-content", IN_FOLDERS);
pub(crate) const LOG: Set = ("bypass-log", OF_THE_LOG);
pub(crate) const SENT: Set = ("bypass-sent", BY_OTHERS);

const RULE: Governed = Denied("rule");
const UNLISTED: Governed = Denied("unlisted");

const IN_FOLDERS: &[Attempt] = pairs! {
    "truncate" "write" RULE => |folder| tried(
        libc::SYS_truncate, [text(&ready(folder, "length")?)?, 0]);
    "truncate by 32-bit calls" "write" RULE => |folder| {
        super::tried_i386(92, [super::low_text(&ready(folder, "length")?)?, 0, 0, 0, 0])
    };
    "truncate by /proc/self/fd" "write" RULE => truncate_by_descriptor;
    "open with O_TRUNC" "write" RULE => |folder| {
        open(&ready(folder, "length")?, OFlag::O_RDONLY | OFlag::O_TRUNC)
    };
    "open to copy into" "write" RULE => copied_into;
    "open to write by 32-bit calls" "write" RULE => |folder| {
        super::tried_i386(5, [super::low_text(&ready(folder, "length")?)?, 1, 0, 0, 0])
    };
    "a descriptor opened again to write" "write" RULE => |folder| {
        again(&ready(folder, "length")?, OFlag::O_RDONLY, OFlag::O_RDWR)
    };
    "acct" "write" RULE => accounted, by_root;
    "a descriptor for the name opened again" "secret" RULE => |folder| {
        again(&ready(folder, "read")?, OFlag::O_PATH, OFlag::O_RDONLY)
    };
    "a file by its folder's descriptor" "secret" RULE => by_folder;
    "openat2 below a root of its own" "secret" RULE => |folder| beneath(folder, RESOLVE_IN_ROOT);
    "openat2 beneath" "secret" RULE => |folder| beneath(folder, RESOLVE_BENEATH);
    "open by 32-bit calls" "secret" RULE => |folder| {
        super::tried_i386(5, [super::low_text(&ready(folder, "read")?)?, 0, 0, 0, 0])
    };
    "open by x32 calls" "secret" RULE => |folder| {
        super::tried_x32(2, [text(&ready(folder, "read")?)?, 0, 0])
    };
    "a file by its handle" "secret" RULE => by_handle, by_root;
    "a file under another comm" "secret" RULE => as_package_manager;
};

const OF_THE_LOG: &[Attempt] = &[
    Attempt::new("append", Passes, || open(files::LOG, APPENDING)),
    Attempt::new("append with O_TRUNC", UNLISTED, || open(files::LOG, APPENDING | OFlag::O_TRUNC)),
    Attempt::new("truncate of the log", UNLISTED, || {
        tried(libc::SYS_truncate, [text(files::LOG)?, 7])
    }),
    Attempt::new("ftruncate", Passes, || shortened(&ready(FREE, "log")?)),
    Attempt::new("ftruncate of the log", UNLISTED, || shortened(files::LOG)),
    Attempt::new("fallocate", Passes, || hollowed(&ready(FREE, "log")?)),
    // Known limits: nothing is asked there that would not be asked at each write.
    Attempt::new("fallocate of the log", Passes, || hollowed(files::LOG)),
    Attempt::new("a shared mapping", Passes, || mapped(&ready(FREE, "log")?, 3)),
    Attempt::new("a shared mapping of the log", UNLISTED, || mapped(files::LOG, 3)),
    Attempt::new("a shared mapping changed", Passes, || remapped(&ready(FREE, "log")?)),
    Attempt::new("a shared mapping of the log changed", UNLISTED, || remapped(files::LOG)),
    Attempt::new("a shared mapping to read", Passes, || mapped(files::LOG, 1)),
    Attempt::new("RWF_NOAPPEND", Passes, || overwritten(&ready(FREE, "log")?)),
    Attempt::new("RWF_NOAPPEND in the log", Passes, || overwritten(files::LOG)),
    Attempt::new("append by another descriptor's name", UNLISTED, || {
        again(files::LOG, APPENDING, OFlag::O_WRONLY)
    }),
    Attempt::new("a file without a name", Passes, || nameless(FREE)),
    Attempt::new("a file without a name where none may be made", Denied("rule"), || {
        nameless("/srv/bypass/create")
    }),
];

const BY_OTHERS: &[Attempt] = &[
    Attempt::new("a descriptor received", Passes, || received("free")),
    Attempt::new("a descriptor of the secret received", Fails(NOT_RECEIVED, "rule"), || {
        received("secret")
    }),
    Attempt::new("a descriptor for names received", Passes, || received("place")),
    Attempt::new("a descriptor of a device received", Passes, || received("null")),
];

const APPENDING: OFlag = OFlag::O_WRONLY.union(OFlag::O_APPEND);
const RESOLVE_BENEATH: u64 = 8;
const RESOLVE_IN_ROOT: u64 = 16;

fn bypass_of_content() -> Result<()> {
    super::giver::start(&[
        ("free", &given("free")?),
        ("secret", &given("secret")?),
        ("place", FREE),
        ("null", "/dev/null"),
    ])?;
    files::judged(&[SET, LOG, SENT])
}

/// A file that the giver opens.
fn given(folder: &str) -> Result<String> {
    let path = format!("{TOP}/{folder}/given");
    super::folder(&format!("{TOP}/{folder}"))?;
    fs::write(&path, "given\n")?;
    Ok(path)
}

fn open(path: &str, flags: OFlag) -> Act {
    Ok(opened(path, flags).map(drop))
}

fn again(path: &str, first: OFlag, second: OFlag) -> Act {
    let held = opened(path, first)?;
    open(&format!("/proc/self/fd/{}", held.as_raw_fd()), second)
}

fn truncate_by_descriptor(folder: &str) -> Act {
    let held = opened(&ready(folder, "length")?, OFlag::O_PATH)?;
    tried(libc::SYS_truncate, [text(&format!("/proc/self/fd/{}", held.as_raw_fd()))?, 0])
}

fn copied_into(folder: &str) -> Act {
    let from = opened(&ready(FREE, "copied")?, OFlag::O_RDONLY)?;
    let to = match opened(&ready(folder, "copy")?, OFlag::O_WRONLY) {
        Ok(to) => to,
        Err(error) => return Ok(Err(error)),
    };
    let [from, to] = [from.as_raw_fd() as usize, to.as_raw_fd() as usize];
    tried(libc::SYS_copy_file_range, [from, 0, to, 0, 16, 0])
}

/// KERNEL: from 6.17 on the kernel opens the file once more through a mount of its own, where nothing has a
/// name (kernel/acct.c, `acct_on`), so that it is denied everywhere.
fn accounted(folder: &str) -> Act {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let mut numbers = release.split('.').map(|number| number.parse::<u32>().unwrap_or(0));
    if (numbers.next(), numbers.next()) >= (Some(6), Some(17)) {
        return Err(Absent("acct by the name that is given").into());
    }
    let result = call(libc::SYS_acct, [text(&ready(folder, "accounts")?)?]).map(drop);
    if result == Err(Errno::ENOSYS) {
        return Err(Absent("acct").into());
    }
    if result.is_ok() {
        call(libc::SYS_acct, [0])?;
    }
    Ok(result)
}

fn by_folder(folder: &str) -> Act {
    ready(folder, "read")?;
    let above = opened(folder, OFlag::O_PATH)?;
    tried(libc::SYS_openat, [above.as_raw_fd() as usize, text(&at(".", "read"))?, 0])
}

fn beneath(folder: &str, resolve: u64) -> Act {
    let path = ready(folder, "read")?;
    let top = opened(TOP, OFlag::O_PATH)?;
    let inner = path.trim_start_matches(TOP);
    let inner = if resolve == RESOLVE_BENEATH { inner.trim_start_matches('/') } else { inner };
    let how = [0, 0, resolve];
    tried(libc::SYS_openat2, [top.as_raw_fd() as usize, text(inner)?, address(&how), 24])
}

fn by_handle(folder: &str) -> Act {
    // struct file_handle: the size of what follows, its type, and what follows.
    let (mut handle, mut mount) = ([0_u32; 34], 0_i32);
    handle[0] = 128;
    let path = text(&ready(folder, "read")?)?;
    let place = [HERE, path, address_mut(&mut handle), address_mut(&mut mount), 0];
    if call(libc::SYS_name_to_handle_at, place) == Err(Errno::EOPNOTSUPP) {
        return Err(Absent("handles on this file system").into());
    }
    let top = opened(TOP, OFlag::O_RDONLY)?;
    tried(libc::SYS_open_by_handle_at, [top.as_raw_fd() as usize, address(&handle), 0])
}

fn as_package_manager(folder: &str) -> Act {
    call(libc::SYS_prctl, [libc::PR_SET_NAME as usize, text("apt-get")?])?;
    open(&ready(folder, "read")?, OFlag::O_RDONLY)
}

fn shortened(path: &str) -> Act {
    let held = opened(path, APPENDING)?;
    tried(libc::SYS_ftruncate, [held.as_raw_fd() as usize, 7])
}

/// Its first byte becomes zero.
fn hollowed(path: &str) -> Act {
    let held = opened(path, APPENDING)?;
    let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
    tried(libc::SYS_fallocate, [held.as_raw_fd() as usize, mode as usize, 0, 1])
}

fn mapped(path: &str, protection: i32) -> Act {
    let held = opened(path, OFlag::O_RDWR | OFlag::O_APPEND)?;
    Ok(map(4096, protection, libc::MAP_SHARED, held.as_raw_fd()).map(drop))
}

fn remapped(path: &str) -> Act {
    let held = opened(path, OFlag::O_RDWR | OFlag::O_APPEND)?;
    let at = map(4096, libc::PROT_READ, libc::MAP_SHARED, held.as_raw_fd())?;
    tried(libc::SYS_mprotect, [at, 4096, (libc::PROT_READ | libc::PROT_WRITE) as usize])
}

fn overwritten(path: &str) -> Act {
    const RWF_NOAPPEND: usize = 0x20;
    let held = opened(path, APPENDING)?;
    let part = [address(b"A"), 1];
    let written = [held.as_raw_fd() as usize, address(&part), 1, 0, 0, RWF_NOAPPEND];
    match call(libc::SYS_pwritev2, written) {
        Err(Errno::EOPNOTSUPP) => Err(Absent("RWF_NOAPPEND").into()),
        result => Ok(result.map(drop)),
    }
}

/// A file that gets its name by `linkat`; until then it lies in its folder.
fn nameless(folder: &str) -> Act {
    let flags = OFlag::O_WRONLY | OFlag::O_TMPFILE;
    let held = match opened(folder, flags) {
        Ok(held) => held,
        Err(Errno::EOPNOTSUPP) => return Err(Absent("O_TMPFILE").into()),
        Err(error) => return Ok(Err(error)),
    };
    let new = at(folder, "named-later");
    let _ = fs::remove_file(&new);
    let old = text(&format!("/proc/self/fd/{}", held.as_raw_fd()))?;
    let flags = libc::AT_SYMLINK_FOLLOW as usize;
    let linked = call(libc::SYS_linkat, [HERE, old, HERE, text(&new)?, flags]);
    if linked.is_ok() {
        fs::remove_file(new)?;
    }
    Ok(linked.map(drop))
}

/// Asks the giver for a descriptor, which it can send.
pub(super) fn received(name: &str) -> Act {
    let arrived = arrived(name)?.context("the giver sent nothing")?;
    Ok(if arrived { Ok(()) } else { Err(NOT_RECEIVED) })
}

/// Whether a descriptor came with what the giver sent, if it could send it.
pub(super) fn arrived(name: &str) -> Result<Option<bool>> {
    let socket = UnixStream::connect(format!("{TOP}/giver-{name}.sock"))?;
    let mut byte = [0];
    let mut parts = [IoSliceMut::new(&mut byte)];
    let mut space = nix::cmsg_space!(i32);
    let message =
        recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut space), MsgFlags::empty())?;
    if message.bytes == 0 {
        return Ok(None);
    }
    // The kernel says that something was left out.
    if message.flags.contains(MsgFlags::MSG_CTRUNC) {
        return Ok(Some(false));
    }
    for control in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(descriptors) = control
            && !descriptors.is_empty()
        {
            return Ok(Some(true));
        }
    }
    Ok(Some(false))
}
