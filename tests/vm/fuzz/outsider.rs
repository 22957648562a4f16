//! The outsider: changes what names mean, and never gives a secret a name that may be read.

use super::board::Board;
use super::{SECRET, TOP, VISITOR, at, put, secrets};
use anyhow::Result;
use harness::random::Random;
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

const FOLDERS: [&str; 14] = [
    "shut",
    "shut/d0",
    "shut/d1",
    "shut/m",
    "shut/visit",
    "sealed",
    "sealed/m",
    "open",
    "open/d0",
    "open/d1",
    "open/m",
    "open/over",
    "open/visit",
    "open/visit/folder",
];
/// What the two visitors are moved as: a file, and a folder with a file.
pub(super) const VISITORS: [&str; 2] = ["visit/file", "visit/folder"];
/// Between two changes: as many as can be would leave no name to be found.
const PAUSE: Duration = Duration::from_millis(2);

/// Makes everything that is not there.
pub(super) fn prepare() -> Result<()> {
    for folder in FOLDERS {
        fs::create_dir_all(at(folder))?;
        fs::set_permissions(at(folder), fs::Permissions::from_mode(0o777))?;
    }
    refill();
    for (place, name) in [("open/visit/file", "file"), ("open/visit/folder/file", "folder")] {
        put(&at(place), &format!("{VISITOR} {name}\n"))?;
    }
    Ok(())
}

/// Makes secrets and plain files that governed processes removed; what is in the way stays.
fn refill() {
    for path in secrets() {
        if !Path::new(&path).exists() {
            let _ = put(&path, &format!("{SECRET} {path}\n"));
        }
    }
    for folder in ["open", "open/d0", "open/d1"] {
        let _ = fs::create_dir_all(at(folder));
        for number in 0..3 {
            let path = at(&format!("{folder}/s{number}"));
            if !Path::new(&path).exists() {
                let _ = put(&path, "plain\n");
            }
        }
    }
}

/// Changes names until it is told to stop; how many changes there were.
pub(super) fn changes(board: &Board, seed: u64) -> Result<u64> {
    let mut random = Random::new(seed);
    let mut changed = 0;
    while !board.is_over() {
        changed += u64::from(change(*board, &mut random));
        sleep(PAUSE);
    }
    for place in ["shut/m", "sealed/m", "open/m", "open/over"] {
        while umount2(at(place).as_str(), MntFlags::MNT_DETACH).is_ok() {}
    }
    Ok(changed)
}

/// Governed processes change the same names: what fails is left.
fn change(board: Board, random: &mut Random) -> bool {
    match random.below(9) {
        0 => swapped("open/swap", random, &["open/s0", "shut/s0", "sealed/s1", "open/k0.key"]),
        1 => swapped("open/way", random, &["open/d0", "shut/d0", "shut", "sealed", "open/m"]),
        2 => exchanged("shut/d0", "shut/d1"),
        3 => exchanged("open/d0", "open/d1"),
        4 => bound(random, &[("shut/d0", "shut/m"), ("sealed", "shut/m"), ("open/d0", "shut/m")]),
        5 => bound(
            random,
            &[("open/d0", "open/m"), ("open/d1", "open/over"), ("open/d1", "sealed/m")],
        ),
        6 => linked(random),
        7 => visited(board, random.below(VISITORS.len())),
        _ => {
            refill();
            true
        }
    }
}

/// A link that leads to another place from one moment to the next.
fn swapped(name: &str, random: &mut Random, targets: &[&str]) -> bool {
    let Some(target) = random.pick(targets) else { return false };
    let new = at("open/new-link");
    let _ = fs::remove_file(&new);
    symlink(at(target), &new).and_then(|()| fs::rename(&new, at(name))).is_ok()
}

fn exchanged(one: &str, other: &str) -> bool {
    let (one, other) = (at(one), at(other));
    renameat2(AT_FDCWD, one.as_str(), AT_FDCWD, other.as_str(), RenameFlags::RENAME_EXCHANGE)
        .is_ok()
}

/// Mounts a folder at a name that is forbidden at least as much, or takes a mount away.
fn bound(random: &mut Random, ways: &[(&str, &str)]) -> bool {
    let Some((from, to)) = random.pick(ways) else { return false };
    let to = at(to);
    if random.chance(1, 2) {
        return umount2(to.as_str(), MntFlags::MNT_DETACH).is_ok();
    }
    let none = None::<&str>;
    mount(Some(at(from).as_str()), to.as_str(), none, MsFlags::MS_BIND, none).is_ok()
}

/// Another name of a secret, among those that are forbidden alike.
fn linked(random: &mut Random) -> bool {
    let ways =
        [("shut/s0", "shut/d0/l"), ("shut/d1/s1", "shut/l"), ("open/k0.key", "open/d1/l.key")];
    let Some((from, to)) = random.pick(&ways) else { return false };
    let _ = fs::remove_file(at(to));
    fs::hard_link(at(from), at(to)).is_ok()
}

fn visited(board: Board, visitor: usize) -> bool {
    let Some(name) = VISITORS.get(visitor) else { return false };
    let (open, shut) = (format!("{TOP}/open/{name}"), format!("{TOP}/shut/{name}"));
    if board.moves(visitor) % 2 == 1 {
        board.moved(visitor);
        return fs::rename(shut, open).is_ok();
    }
    let moved = fs::rename(open, shut).is_ok();
    if moved {
        board.moved(visitor);
    }
    moved
}
