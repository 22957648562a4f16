//! Where a process runs: the path of its cgroup, and the container that it names. Read from files of the kernel that no
//! process can hold up. Must not judge by them.

use std::{collections::HashMap, fs, os::unix::fs::MetadataExt, path::PathBuf};

/// Cgroups that are remembered.
const MAX_KNOWN: usize = 1_024;
/// Hex digits of a container's id.
const ID: usize = 64;

/// Paths of cgroups by their ids.
#[derive(Debug)]
pub struct Places {
    root: PathBuf,
    known: HashMap<u64, String>,
}

impl Places {
    /// Below the mount of the cgroup2 file system.
    #[must_use]
    pub fn below(root: PathBuf) -> Self {
        Self { root, known: HashMap::new() }
    }

    /// The path of the cgroup that a process is in, if it is still there and still in it.
    pub fn of(&mut self, cgroup: u64, process: u32) -> Option<&str> {
        if self.known.len() >= MAX_KNOWN && !self.known.contains_key(&cgroup) {
            self.known.clear();
        }
        // What is gone now may have others in it later: only what was found is remembered.
        if !self.known.contains_key(&cgroup) {
            self.known.insert(cgroup, look(&self.root, cgroup, process)?);
        }
        self.known.get(&cgroup).map(String::as_str)
    }
}

/// KERNEL: a cgroup's id is its directory's inode number on 64-bit machines (include/linux/kernfs.h, `kernfs_ino`, 6.1).
fn look(root: &std::path::Path, cgroup: u64, process: u32) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{process}/cgroup")).ok()?;
    let path = text.lines().find_map(|line| line.strip_prefix("0::"))?;
    let is_it =
        fs::metadata(root.join(path.strip_prefix('/')?)).is_ok_and(|found| found.ino() == cgroup);
    is_it.then(|| path.to_owned())
}

/// The container's id in a cgroup's path: 64 hex digits, as docker, podman, containerd and CRI-O have them there.
#[must_use]
pub fn container(path: &str) -> Option<&str> {
    let of_component = |name: &str| {
        let stem = name.strip_suffix(".scope").unwrap_or(name);
        let begin = stem.len().checked_sub(ID)?;
        let id = name.get(begin..stem.len())?;
        let is_bounded = begin == 0 || name.get(..begin)?.ends_with(['-', ':']);
        (is_bounded && id.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .then_some((begin, stem.len()))
    };
    path.rsplit('/')
        .find_map(|name| of_component(name).and_then(|(begin, end)| name.get(begin..end)))
}

#[cfg(test)]
mod tests {
    use super::container;

    #[test]
    fn a_container_is_known_by_the_name_of_its_cgroup() {
        let id = "0123456789abcdef".repeat(4);
        for path in [
            format!("/docker/{id}"),
            format!("/system.slice/docker-{id}.scope"),
            format!("/machine.slice/libpod-{id}.scope/container"),
            format!("/kubepods.slice/pod1.slice/cri-containerd-{id}.scope"),
            format!("/kubepods-pod1.slice:cri-containerd:{id}"),
        ] {
            assert_eq!(container(&path), Some(&*id), "{path}");
        }
        for path in ["/", "/user.slice/a.scope", &format!("/x{id}"), &format!("/{}", &id[1..])] {
            assert_eq!(container(path), None, "{path}");
        }
    }
}
