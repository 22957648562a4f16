//! A process that is known by its number and its start, so that a later one with the same number is
//! not taken for it.

use std::{fs, io::Read as _, path::PathBuf, str::SplitAsciiWhitespace};

use execlayer_common::limits::MAX_EVENT_ARGV;

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

/// The fields of `/proc/<pid>/stat` from the third one on. The name before them can hold anything, so they are counted
/// from its last parenthesis.
fn fields(stat: &[u8]) -> Option<SplitAsciiWhitespace<'_>> {
    let end = stat.iter().rposition(|&byte| byte == b')')?;
    Some(std::str::from_utf8(stat.get(end + 1..)?).ok()?.split_ascii_whitespace())
}

/// Field 22, unless the process is dead and only waits to be collected.
fn start(stat: &[u8]) -> Option<u64> {
    let mut fields = fields(stat)?;
    let state = fields.next()?;
    if matches!(state, "Z" | "X") { None } else { fields.nth(18)?.parse().ok() }
}

/// What can be seen of a process from outside, as far as it is there and tells.
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "named as in a record")]
pub struct Look {
    pub ppid: u32,
    pub gid: u32,
    /// ns since boot.
    pub start: u64,
    pub comm: Vec<u8>,
    pub exe: Vec<u8>,
    pub cwd: Vec<u8>,
    pub argv: Vec<u8>,
    pub ancestors: Vec<(u32, Vec<u8>)>,
}

/// Processes above that are looked at.
const MOST_ABOVE: usize = 8;
/// Clock ticks a second, as /proc counts (USER_HZ: include/asm-generic/param.h, 6.1).
const TICKS: u64 = 100;

impl Look {
    /// At the process that has the number now. `belongs` says which of those above are of the same tree.
    #[must_use]
    pub fn at(pid: u32, belongs: impl Fn(u32) -> bool) -> Self {
        let file = |name: &str| fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
        let link = |name: &str| {
            let link = fs::read_link(format!("/proc/{pid}/{name}"));
            link.map(|path| path.into_os_string().into_encoded_bytes()).unwrap_or_default()
        };
        let stat = file("stat");
        let mut argv = Vec::new();
        // A process can have a command line of any length.
        if let Ok(file) = fs::File::open(format!("/proc/{pid}/cmdline")) {
            let _unreadable = file.take(MAX_EVENT_ARGV.into()).read_to_end(&mut argv);
        }
        let ppid = parent(&stat).unwrap_or_default();
        let mut ancestors = Vec::new();
        let mut above = ppid;
        while ancestors.len() < MOST_ABOVE && above > 1 && belongs(above) {
            ancestors.push((above, comm(above)));
            let stat = fs::read(format!("/proc/{above}/stat")).unwrap_or_default();
            above = parent(&stat).unwrap_or_default();
        }
        Self {
            ppid,
            gid: gid(&file("status")).unwrap_or_default(),
            start: start(&stat).unwrap_or_default().saturating_mul(1_000_000_000 / TICKS),
            comm: comm(pid),
            exe: link("exe"),
            cwd: link("cwd"),
            argv,
            ancestors,
        }
    }
}

fn comm(pid: u32) -> Vec<u8> {
    let name = fs::read(format!("/proc/{pid}/comm")).unwrap_or_default();
    name.strip_suffix(b"\n").unwrap_or(&name).to_vec()
}

/// Field 4.
fn parent(stat: &[u8]) -> Option<u32> {
    fields(stat)?.nth(1)?.parse().ok()
}

/// The effective one of the line `Gid:` of `/proc/<pid>/status`.
fn gid(status: &[u8]) -> Option<u32> {
    let lines = std::str::from_utf8(status).ok()?.lines();
    let ids = lines.filter_map(|line| line.strip_prefix("Gid:")).next()?;
    ids.split_ascii_whitespace().nth(1)?.parse().ok()
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
    fn what_is_seen_of_a_child_is_what_it_was_started_as() {
        let mut child =
            std::process::Command::new("sleep").arg("60").current_dir("/").spawn().unwrap();
        // Between fork and exec it is still this one.
        while super::comm(child.id()) != b"sleep" {
            std::thread::yield_now();
        }
        let own = std::process::id();
        let look = super::Look::at(child.id(), |pid| pid == own);
        assert_eq!((look.ppid, &look.comm[..], &look.cwd[..]), (own, &b"sleep"[..], &b"/"[..]));
        assert_eq!(look.argv, [&b"sleep\0"[..], b"60\0"].concat());
        assert_eq!(look.ancestors.len(), 1);
        assert_eq!(look.ancestors[0].0, own);
        assert!(look.exe.ends_with(b"sleep") && look.start > 0);
        child.kill().unwrap();
        child.wait().unwrap();
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
