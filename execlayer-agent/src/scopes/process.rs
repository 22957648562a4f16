//! A process that is known by its number and its start, so that a later one with the same number is
//! not taken for it.

use std::fs;

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

#[cfg(test)]
mod tests {
    use super::{Process, start};

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
