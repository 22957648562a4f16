//! Making and removing names, by every call that does.

use super::{HERE, Set, at, files, opened, pairs, ready, ready_folder, tried};
use crate::attempts::{Act, Attempt, Governed::Denied};
use crate::raw::{call, text};
use anyhow::Result;
use nix::fcntl::OFlag;
use nix::libc;
use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixListener;

crate::tests! {
    bypass_by_names_made_and_removed => .lanes(&[Lane::Bypass]).limit(290)
}

use crate::framework::Lane;

pub(crate) const SET: Set = ("bypass-made", ATTEMPTS);

const RULE: crate::attempts::Governed = Denied("rule");

const ATTEMPTS: &[Attempt] = pairs! {
    "unlink" "delete" RULE => unlink;
    "unlinkat" "delete" RULE => unlinkat;
    "unlink by /proc/self/root" "delete" RULE => unlink_by_proc;
    "unlink by a descriptor's name" "delete" RULE => unlink_by_descriptor;
    "unlink of a symlink" "delete" RULE => unlink_link;
    "rmdir" "rmdir" RULE => rmdir;
    "unlinkat of a folder" "rmdir" RULE => unlinkat_folder;
    "mkdir" "mkdir" RULE => mkdir;
    "mkdirat" "mkdir" RULE => mkdirat;
    "symlink" "symlink" RULE => symlink;
    "symlinkat" "symlink" RULE => symlinkat;
    "creat" "create" RULE => creat;
    "open with O_CREAT" "create" RULE => open_creating;
    "mknod of a file" "create" RULE => |folder| node(folder, libc::S_IFREG, 0);
    "mknod of a pipe" "create" RULE => |folder| node(folder, libc::S_IFIFO, 0);
    "mknod of a socket" "create" RULE => |folder| node(folder, libc::S_IFSOCK, 0);
    "bind to a path" "create" RULE => bind;
    "mknod of a whiteout" "mknod" RULE => |folder| node(folder, libc::S_IFCHR, 0);
    "mknod of /dev/null" "mknod" RULE => |folder| node(folder, libc::S_IFCHR, 0x103), by_root;
    "mknod of a disk" "mknod" RULE => |folder| node(folder, libc::S_IFBLK, 0x700), by_root;
};

fn bypass_by_names_made_and_removed() -> Result<()> {
    files::judged(&[SET])
}

fn unlink(folder: &str) -> Act {
    let path = ready(folder, "unlinked")?;
    tried(libc::SYS_unlink, [text(&path)?])
}

fn unlinkat(folder: &str) -> Act {
    ready(folder, "unlinked-at")?;
    let above = opened(folder, OFlag::O_PATH)?;
    let name = at(".", "unlinked-at");
    tried(libc::SYS_unlinkat, [above.as_raw_fd() as usize, text(&name)?, 0])
}

fn unlink_by_proc(folder: &str) -> Act {
    let path = ready(folder, "unlinked-by-proc")?;
    tried(libc::SYS_unlink, [text(&format!("/proc/self/root{path}"))?])
}

fn unlink_by_descriptor(folder: &str) -> Act {
    ready(folder, "unlinked-by-descriptor")?;
    let above = opened(folder, OFlag::O_PATH)?;
    let path = at(&format!("/proc/self/fd/{}", above.as_raw_fd()), "unlinked-by-descriptor");
    tried(libc::SYS_unlink, [text(&path)?])
}

fn unlink_link(folder: &str) -> Act {
    let path = at(folder, "unlinked-link");
    if fs::symlink_metadata(&path).is_err() {
        std::os::unix::fs::symlink("/nowhere", &path)?;
    }
    tried(libc::SYS_unlink, [text(&path)?])
}

fn rmdir(folder: &str) -> Act {
    let path = ready_folder(folder, "removed")?;
    tried(libc::SYS_rmdir, [text(&path)?])
}

fn unlinkat_folder(folder: &str) -> Act {
    let path = ready_folder(folder, "removed-at")?;
    tried(libc::SYS_unlinkat, [HERE, text(&path)?, libc::AT_REMOVEDIR as usize])
}

fn mkdir(folder: &str) -> Act {
    let path = at(folder, "made");
    let made = call(libc::SYS_mkdir, [text(&path)?, 0o755]).map(drop);
    if made.is_ok() {
        fs::remove_dir(path)?;
    }
    Ok(made)
}

fn mkdirat(folder: &str) -> Act {
    let above = opened(folder, OFlag::O_RDONLY)?;
    let name = at(".", "made-at");
    let made = call(libc::SYS_mkdirat, [above.as_raw_fd() as usize, text(&name)?, 0o755]).map(drop);
    if made.is_ok() {
        fs::remove_dir(at(folder, "made-at"))?;
    }
    Ok(made)
}

fn symlink(folder: &str) -> Act {
    let path = at(folder, "link");
    removing(&path, call(libc::SYS_symlink, [text("/nowhere")?, text(&path)?]).map(drop))
}

fn symlinkat(folder: &str) -> Act {
    let path = at(folder, "link-at");
    removing(&path, call(libc::SYS_symlinkat, [text("/nowhere")?, HERE, text(&path)?]).map(drop))
}

fn creat(folder: &str) -> Act {
    let path = at(folder, "created");
    removing(&path, call(libc::SYS_creat, [text(&path)?, 0o600]).map(drop))
}

fn open_creating(folder: &str) -> Act {
    let path = at(folder, "created-by-open");
    removing(&path, opened(&path, OFlag::O_RDONLY | OFlag::O_CREAT).map(drop))
}

fn node(folder: &str, kind: libc::mode_t, device: usize) -> Act {
    let path = at(folder, &format!("node-{kind:o}-{device:x}"));
    let mode = (kind | 0o600) as usize;
    removing(&path, call(libc::SYS_mknod, [text(&path)?, mode, device]).map(drop))
}

fn bind(folder: &str) -> Act {
    let path = at(folder, "bound");
    removing(&path, UnixListener::bind(&path).map(drop).map_err(super::number))
}

/// What the act made is removed again.
fn removing(path: &str, made: Result<(), nix::errno::Errno>) -> Act {
    if made.is_ok() {
        fs::remove_file(path)?;
    }
    Ok(made)
}
