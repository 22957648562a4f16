//! A process that is known by its number and its start, so that a later one with the same number is
//! not taken for it.

use std::{fs, path::PathBuf};

/// A process that was there once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    pid: u32,
    start: u64,
}

impl Process {
    /// The process that has the number now.
    #[must_use]
    pub fn find(pid: u32) -> Option<Self> {
        start(&fs::read(format!("/proc/{pid}/stat")).ok()?).map(|start| Self { pid, start })
    }

    /// Whether it still is there.
    #[must_use]
    pub fn is_alive(self) -> bool {
        Self::find(self.pid) == Some(self)
    }
}

/// Field 22 of `/proc/<pid>/stat`, unless the process is dead and only waits to be collected. The
/// name before the fields can hold anything, so they are counted from its last parenthesis.
fn start(stat: &[u8]) -> Option<u64> {
    let end = stat.iter().rposition(|&byte| byte == b')')?;
    let fields = std::str::from_utf8(stat.get(end + 1..)?).ok()?;
    let mut fields = fields.split_ascii_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X") { None } else { fields.nth(18)?.parse().ok() }
}

/// Its cgroup, below the root of cgroup2. None if it lies outside of what this process sees, or is gone.
#[must_use]
pub fn cgroup(pid: u32) -> Option<PathBuf> {
    place(&fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?)
}

/// KERNEL: cgroup2 is the line of hierarchy 0; what lies outside of the reader's root begins with `/..`, and a removed one
/// ends so (Documentation/admin-guide/cgroup-v2.rst, `proc_cgroup_show` in kernel/cgroup/cgroup.c, 6.1).
fn place(lines: &str) -> Option<PathBuf> {
    let path = lines.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let is_there = !path.ends_with(" (deleted)") && path.split('/').all(|part| part != "..");
    is_there.then(|| PathBuf::from(path))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Process, place, start};

    #[test]
    fn the_place_of_a_process_is_that_in_cgroup2_and_never_above_the_root() {
        let of = |lines| place(lines);
        let both = "4:pids:/other\n0::/system.slice/a.service\n";
        assert_eq!(of(both).as_deref(), Some(Path::new("system.slice/a.service")));
        assert_eq!(of("0::/\n").as_deref(), Some(Path::new("")));
        assert_eq!(of("0::/../b\n"), None);
        assert_eq!(of("0::/b (deleted)\n"), None);
        assert_eq!(of("4:pids:/other\n"), None);
    }

    #[test]
    fn the_start_is_found_behind_any_name() {
        let fields = "S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20";
        assert_eq!(start(format!("7 (a) b) {fields}").as_bytes()), Some(4711));
        assert_eq!(start(format!("7 (x) {}", fields.replace('S', "Z")).as_bytes()), None);
        assert_eq!(start(b"7 (x"), None);
    }

    #[test]
    fn this_process_is_alive_and_an_ended_one_is_not() {
        assert!(Process::find(std::process::id()).unwrap().is_alive());
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let found = Process::find(child.id()).unwrap();
        assert!(found.is_alive());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!found.is_alive());
    }
}
