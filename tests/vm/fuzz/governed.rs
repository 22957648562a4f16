//! The governed processes: two read by all names that they know, one changes names. Each ends at once
//! when it obtains what it must not.

use super::board::Board;
use super::outsider::VISITORS;
use super::{ROLE, SECRET, TOP, VISITOR, at, secrets};
use crate::raw::{call, forked, text};
use anyhow::{Result, bail, ensure};
use harness::random::Random;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, RenameFlags, open, openat, renameat2};
use nix::libc;
use nix::sys::stat::Mode;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{read, setgid, setuid, write};
use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::symlink;
use std::process::ExitCode;

/// Names that governed processes make.
const MADE: usize = 4;

/// The program as parent of the governed processes, if its first argument says so.
pub(crate) fn role() -> Option<ExitCode> {
    let mut arguments = std::env::args().skip(1);
    if arguments.next()? != ROLE {
        return None;
    }
    let seed: u64 = arguments.next()?.parse().ok()?;
    let count: u64 = arguments.next()?.parse().ok()?;
    let one = |number: u64, act: fn(&mut Random, u64) -> Result<String>| {
        forked(move || match act(&mut Random::new(seed ^ (number << 32)), count) {
            Ok(did) => {
                println!("{did}");
                0
            }
            Err(error) => {
                println!("process {number}: {error:#}");
                1
            }
        })
    };
    let children = [one(1, reads), one(2, reads_as_user), one(3, changes)];
    let ended = children.map(|child| child.and_then(|child| waitpid(child, None)));
    let well = ended.iter().all(|end| matches!(end, Ok(WaitStatus::Exited(_, 0))));
    Some(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn reads_as_user(random: &mut Random, count: u64) -> Result<String> {
    setgid(1000.into())?;
    setuid(1000.into())?;
    reads(random, count)
}

/// Opens and reads; says how often it was let and how often it was denied.
fn reads(random: &mut Random, count: u64) -> Result<String> {
    let board = Board::open()?;
    let (mut got, mut denied) = (0, 0);
    let mut held = Vec::new();
    for _ in 0..count {
        let visitor = random.below(VISITORS.len());
        let moves = board.moves(visitor);
        let name = name(random, visitor);
        match content(random, &name, &mut held) {
            Ok(content) if content.starts_with(SECRET) => bail!("`{name}` was read: {content}"),
            Ok(content) if content.starts_with(VISITOR) => {
                let is_its = content.trim_end().ends_with(["file", "folder"][visitor % 2]);
                if is_its && moves % 2 == 1 && board.moves(visitor) == moves {
                    bail!("`{name}` was read where it may not be: {content}");
                }
                got += 1;
            }
            Ok(_) => got += 1,
            Err(Errno::EACCES) => denied += 1,
            Err(_) => {}
        }
    }
    ensure!(got > 0 && denied > 0, "{got} reads were let, {denied} denied: nothing was tried");
    Ok(format!("{count} reads: {got} let, {denied} denied"))
}

/// A name that may lead to a secret, to a visitor or to something plain.
fn name(random: &mut Random, visitor: usize) -> String {
    let number = random.below(3);
    let made = random.below(MADE);
    match random.below(10) {
        0 => random.pick(&secrets()).cloned().unwrap_or_default(),
        1 => at("open/swap"),
        2 => at(&format!("open/way/s{number}")),
        3 => at(&format!("open/g{made}")),
        4 => at(&format!("open/g{made}/s{number}")),
        5 => at(&format!("open/{}/s{number}", ["d0", "d1", "m", "over"][number])),
        6 => at(&format!("{}/m/s{number}", ["shut", "sealed", "open"][number])),
        7 => at(&format!("open/{}", ["s0", "s1", "s2"][number])),
        _ => {
            let place = if random.chance(1, 2) { "open" } else { "shut" };
            let end = if visitor == 0 { "" } else { "/file" };
            at(&format!("{place}/{}{end}", VISITORS[visitor % 2]))
        }
    }
}

/// What is read by one spelling of a name. Folders and names that were once looked up are held for later.
fn content(random: &mut Random, name: &str, held: &mut Vec<OwnedFd>) -> Result<String, Errno> {
    let below = name.strip_prefix(TOP).unwrap_or(name);
    let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
    let plain = |path: &str| open(path, flags, Mode::empty());
    let opened = match random.below(7) {
        0 => plain(&format!("{TOP}/open/../sealed/./..{below}")),
        1 => plain(&format!("/proc/self/root{name}")),
        2 => plain(&format!("/proc/thread-self/root{TOP}/shut/..{below}")),
        3 => {
            let (folder, file) = name.rsplit_once('/').unwrap_or_default();
            let folder = open(folder, OFlag::O_PATH, Mode::empty())?;
            let opened = openat(&folder, file, flags, Mode::empty());
            held.push(folder);
            opened
        }
        4 => {
            let path = open(name, OFlag::O_PATH, Mode::empty())?;
            let opened = plain(&format!("/proc/self/fd/{}", path.as_raw_fd()));
            held.push(path);
            opened
        }
        5 if !held.is_empty() => {
            let old = held.swap_remove(random.below(held.len()));
            let file = format!("s{}", random.below(3));
            match openat(&old, file.as_str(), flags, Mode::empty()) {
                Err(Errno::ENOTDIR) => plain(&format!("/proc/self/fd/{}", old.as_raw_fd())),
                other => other,
            }
        }
        _ => plain(name),
    }?;
    held.truncate(64);
    let mut buffer = [0; 64];
    let length = read(&opened, &mut buffer)?;
    Ok(String::from_utf8_lossy(buffer.get(..length).unwrap_or_default()).into_owned())
}

/// Changes names; says how many changes were made and how many were denied.
fn changes(random: &mut Random, count: u64) -> Result<String> {
    let (mut made, mut denied) = (0, 0);
    for _ in 0..count {
        match change(random)? {
            Ok(()) => made += 1,
            Err(Errno::EACCES | Errno::EXDEV) => denied += 1,
            Err(_) => {}
        }
    }
    ensure!(made > 0 && denied > 0, "{made} changes were made, {denied} denied: nothing was tried");
    Ok(format!("{count} changes: {made} made, {denied} denied"))
}

fn change(random: &mut Random) -> Result<Result<(), Errno>> {
    let secret = random.pick(&secrets()).cloned().unwrap_or_default();
    let plain = at(&format!("open/s{}", random.below(3)));
    let made = at(&format!("open/g{}", random.below(MADE)));
    let hidden = at(&format!("shut/g{}", random.below(MADE)));
    let folder = |random: &mut Random| at(["open/d0", "open/d1", "shut/d0"][random.below(3)]);
    let exchange = RenameFlags::RENAME_EXCHANGE;
    let renamed = |old: &str, new: &str, flags| renameat2(AT_FDCWD, old, AT_FDCWD, new, flags);
    let std = |result: std::io::Result<()>| {
        result.map_err(|error| error.raw_os_error().map_or(Errno::EIO, Errno::from_raw))
    };
    Ok(match random.below(16) {
        0 => renamed(&secret, &made, RenameFlags::empty()),
        1 => renamed(&secret, &hidden, RenameFlags::empty()),
        2 => renamed(&secret, &plain, exchange),
        3 => std(fs::hard_link(&secret, &made)),
        4 => std(fs::hard_link(&plain, &hidden)),
        5 => std(fs::remove_file(&made).or(Ok(())).and_then(|()| symlink(&secret, &made))),
        6 => unnamed(&at("shut"), &made)?,
        7 => unnamed(&at("open"), &hidden)?,
        8 => std(fs::remove_file(&secret).and_then(|()| fs::write(&secret, "made\n"))),
        9 => renamed(&folder(random), &made, RenameFlags::empty()),
        10 => renamed(&made, &folder(random), RenameFlags::empty()),
        11 => renamed(&at("shut"), &made, RenameFlags::empty()),
        12 => renamed(&folder(random), &folder(random), exchange),
        13 => by_descriptor(&secret, &made, random.chance(1, 2))?,
        14 => renamed(&at("open/g0"), &hidden, exchange),
        _ => std(fs::remove_file(&made)),
    })
}

/// A file without a name gets one.
fn unnamed(folder: &str, name: &str) -> Result<Result<(), Errno>> {
    let flags = OFlag::O_TMPFILE | OFlag::O_WRONLY;
    let file = match open(folder, flags, Mode::from_bits_truncate(0o644)) {
        Ok(file) => file,
        Err(error) => return Ok(Err(error)),
    };
    write(&file, b"made\n")?;
    link(&file, name, false)
}

fn by_descriptor(old: &str, new: &str, by_proc: bool) -> Result<Result<(), Errno>> {
    match open(old, OFlag::O_PATH, Mode::empty()) {
        Ok(file) => link(&file, new, by_proc),
        Err(error) => Ok(Err(error)),
    }
}

fn link(file: &OwnedFd, name: &str, by_proc: bool) -> Result<Result<(), Errno>> {
    const HERE: usize = libc::AT_FDCWD as usize;
    let fd = file.as_raw_fd();
    let (folder, old, flags) = match by_proc {
        true => (HERE, text(&format!("/proc/self/fd/{fd}"))?, libc::AT_SYMLINK_FOLLOW),
        false => (fd as usize, text("")?, libc::AT_EMPTY_PATH),
    };
    let made = call(libc::SYS_linkat, [folder, old, HERE, text(name)?, flags as usize]);
    Ok(made.map(drop))
}
