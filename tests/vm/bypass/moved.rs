//! Moving and linking: a file keeps what its names forbid, and each name is asked about.

use super::{FREE, HERE, Set, at, files, opened, ready};
use crate::attempts::Governed::{Denied, Fails, Passes};
use crate::attempts::{Absent, Act, Attempt, Governed};
use crate::framework::Lane;
use crate::raw::{call, text};
use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::libc;
use std::fs;
use std::os::fd::AsRawFd;

crate::tests! {
    bypass_by_moving_and_linking => .lanes(&[Lane::Bypass, Lane::Overlay]).limit(290)
}

pub(crate) const SET: Set = ("bypass-moved", ATTEMPTS);

const RULE: Governed = Denied("rule");
const MORE: Governed = Fails(Errno::EXDEV, "grants-more");

/// From and to are folders below the top.
const ATTEMPTS: &[Attempt] = &[
    case("move", Passes, || moved("free", "free")),
    case("move out of rename", RULE, || moved("rename", "free")),
    case("move into rename", RULE, || moved("free", "rename")),
    case("move out of delete", RULE, || moved("delete", "free")),
    case("move into delete", Passes, || moved("free", "delete")),
    case("move into create", RULE, || moved("free", "create")),
    case("move to where less is allowed", Passes, || moved("free", "secret")),
    case("move to where as much is allowed", Passes, || moved("secret", "secret")),
    case("move to where more is allowed", MORE, || moved("secret", "free")),
    case("move by folders' descriptors", Passes, || moved_by_descriptors("free", "free")),
    case("move by descriptors out of rename", RULE, || moved_by_descriptors("rename", "free")),
    case("move by descriptors to more", MORE, || moved_by_descriptors("secret", "free")),
    case("replace", Passes, || replaced("free", "free")),
    case("replace in delete", RULE, || replaced("free", "delete")),
    case("replace in rename", RULE, || replaced("free", "rename")),
    case("exchange", Passes, || exchanged("free", "free")),
    case("exchange with delete", RULE, || exchanged("free", "delete")),
    case("exchange from delete", RULE, || exchanged("delete", "free")),
    case("exchange with create", RULE, || exchanged("free", "create")),
    case("exchange with rename", RULE, || exchanged("rename", "free")),
    case("exchange with more", MORE, || exchanged("free", "secret")),
    case("exchange from less", MORE, || exchanged("secret", "free")),
    case("move with RENAME_NOREPLACE", Passes, || unreplacing("free", "free")),
    case("move with RENAME_NOREPLACE into rename", RULE, || unreplacing("free", "rename")),
    case("move with RENAME_NOREPLACE to more", MORE, || unreplacing("secret", "free")),
    case("move leaving a whiteout", Passes, || whitened("free")).by_root(),
    case("move leaving a whiteout in rename", RULE, || whitened("rename")).by_root(),
    case("move of a folder", Passes, || folder_moved("free", "free")),
    case("move of a folder out of rename", RULE, || folder_moved("rename", "free")),
    case("move of a folder to more", MORE, || folder_moved("secret", "free")),
    case("move of a folder to less", MORE, || folder_moved("free", "secret")),
    case("move of a folder above", MORE, || above_moved("house", "secret")),
    case("move of a folder above nothing", Passes, || above_moved("hut", "nothing")),
    case("exchange of folders", Passes, || folders_exchanged("free", "free")),
    case("exchange of folders for more", MORE, || folders_exchanged("free", "secret")),
    case("link", Passes, || linked("free", "free")),
    case("link out of link", RULE, || linked("link", "free")),
    case("link into link", RULE, || linked("free", "link")),
    case("link into create", RULE, || linked("free", "create")),
    case("link to where less is allowed", Passes, || linked("free", "secret")),
    case("link to where as much is allowed", Passes, || linked("secret", "secret")),
    case("link to where more is allowed", MORE, || linked("secret", "free")),
    case("link to where it may be written", MORE, || linked("write", "free")),
    case("link to where its mode may be changed", MORE, || linked("chmod", "free")),
    case("link to where it may be deleted", Passes, || linked("delete", "free")),
    case("link of the log", MORE, || link(files::LOG, &at(FREE, "log-linked"), 0)).by_root(),
    case("link of a descriptor", Passes, || linked_by_proc("free", "free")),
    case("link of a descriptor for more", MORE, || linked_by_proc("secret", "free")),
    case("link by AT_EMPTY_PATH", Passes, || linked_by_descriptor("free", "free")).by_root(),
    case("link by AT_EMPTY_PATH for more", MORE, || linked_by_descriptor("secret", "free"))
        .by_root(),
];

const fn case(name: &'static str, governed: Governed, act: fn() -> Act) -> Attempt {
    Attempt::new(name, governed, act)
}

fn bypass_by_moving_and_linking() -> Result<()> {
    files::judged(&[SET])
}

/// A file in one folder, and a name in the other that is free.
fn pair(from: &str, to: &str, name: &str) -> Result<(String, String)> {
    let old = ready(&below(from), &format!("{name}-old-{from}-{to}"))?;
    Ok((old, at(&below(to), &format!("{name}-new-{from}-{to}"))))
}

fn below(folder: &str) -> String {
    format!("{}/{folder}", super::TOP)
}

fn rename(old: &str, new: &str, flags: libc::c_uint) -> Result<Result<usize, Errno>> {
    Ok(call(libc::SYS_renameat2, [HERE, text(old)?, HERE, text(new)?, flags as usize]))
}

/// Ends the file at its new name, if it came there. Who may not delete it leaves it.
fn ended(result: Result<usize, Errno>, new: &str) -> Act {
    if result.is_ok() {
        let _ = fs::remove_file(new);
    }
    Ok(result.map(drop))
}

fn moved(from: &str, to: &str) -> Act {
    let (old, new) = pair(from, to, "moved")?;
    ended(call(libc::SYS_rename, [text(&old)?, text(&new)?]), &new)
}

fn moved_by_descriptors(from: &str, to: &str) -> Act {
    let (_, new) = pair(from, to, "moved-at")?;
    let old = at(".", &format!("moved-at-old-{from}-{to}"));
    let above = opened(&below(from), OFlag::O_PATH)?;
    let below = opened(&below(to), OFlag::O_PATH)?;
    let name = new.rsplit_once('/').context("no folder")?.1;
    let [above, below] = [&above, &below].map(|folder| folder.as_raw_fd() as usize);
    ended(call(libc::SYS_renameat, [above, text(&old)?, below, text(name)?]), &new)
}

fn replaced(from: &str, to: &str) -> Act {
    let (old, new) = pair(from, to, "replacing")?;
    ready(&below(to), &format!("replacing-new-{from}-{to}"))?;
    let result = call(libc::SYS_rename, [text(&old)?, text(&new)?]);
    Ok(result.map(drop))
}

fn exchanged(from: &str, to: &str) -> Act {
    let (old, new) = pair(from, to, "exchanged")?;
    ready(&below(to), &format!("exchanged-new-{from}-{to}"))?;
    Ok(rename(&old, &new, libc::RENAME_EXCHANGE)?.map(drop))
}

fn unreplacing(from: &str, to: &str) -> Act {
    let (old, new) = pair(from, to, "unreplacing")?;
    ended(rename(&old, &new, libc::RENAME_NOREPLACE)?, &new)
}

fn whitened(folder: &str) -> Act {
    let (old, new) = pair(folder, "free", "whitened")?;
    let result = rename(&old, &new, libc::RENAME_WHITEOUT)?;
    if result == Err(Errno::EINVAL) {
        return Err(Absent("whiteouts").into());
    }
    if result.is_ok() {
        fs::remove_file(&old)?;
    }
    ended(result, &new)
}

fn folder_moved(from: &str, to: &str) -> Act {
    let old = super::ready_folder(&below(from), &format!("folder-{from}-{to}"))?;
    let new = at(&below(to), &format!("folder-moved-{from}-{to}"));
    let result = rename(&old, &new, 0)?;
    if result.is_ok() {
        fs::remove_dir(new)?;
    }
    Ok(result.map(drop))
}

/// The folder itself is judged alike at both names, what may be in it is not.
fn above_moved(folder: &str, inner: &str) -> Act {
    let old = at(super::TOP, folder);
    let new = at(super::TOP, &format!("{folder}s"));
    fs::create_dir_all(format!("{old}/{inner}"))?;
    let result = rename(&old, &new, 0)?;
    if result.is_ok() {
        fs::remove_dir_all(new)?;
    }
    Ok(result.map(drop))
}

fn folders_exchanged(one: &str, other: &str) -> Act {
    let one = super::ready_folder(&below(one), "folder-exchanged")?;
    let other = super::ready_folder(&below(other), "other-folder-exchanged")?;
    Ok(rename(&one, &other, libc::RENAME_EXCHANGE)?.map(drop))
}

fn link(old: &str, new: &str, flags: i32) -> Act {
    let _ = fs::remove_file(new);
    ended(call(libc::SYS_linkat, [HERE, text(old)?, HERE, text(new)?, flags as usize]), new)
}

fn linked(from: &str, to: &str) -> Act {
    let (old, new) = pair(from, to, "linked")?;
    link(&old, &new, 0)
}

fn linked_by_proc(from: &str, to: &str) -> Act {
    let (old, new) = pair(from, to, "linked-by-proc")?;
    let held = opened(&old, OFlag::O_PATH)?;
    link(&format!("/proc/self/fd/{}", held.as_raw_fd()), &new, libc::AT_SYMLINK_FOLLOW)
}

fn linked_by_descriptor(from: &str, to: &str) -> Act {
    let (old, new) = pair(from, to, "linked-by-descriptor")?;
    let held = opened(&old, OFlag::O_PATH)?;
    let flags = libc::AT_EMPTY_PATH as usize;
    let linked =
        call(libc::SYS_linkat, [held.as_raw_fd() as usize, text("")?, HERE, text(&new)?, flags]);
    ended(linked, &new)
}
