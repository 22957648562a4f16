//! Where a process runs: the path of its cgroup, and the container that it names. Must not judge by them.

use std::{
    collections::HashMap,
    fs::{self, File},
    io,
    os::fd::{AsFd, AsRawFd},
    path::{Path, PathBuf},
};

use crate::kernel::folder_by_id;

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

    /// Remembers one that may be gone before anything is read of those in it.
    pub fn note(&mut self, cgroup: u64, path: &Path) {
        if let Some(path) = below(&self.root, path) {
            self.remember(cgroup, path);
        }
    }

    /// The path of a cgroup by its id, in the daemon's view of the tree. None if it was gone before anybody looked.
    pub fn of(&mut self, cgroup: u64) -> Option<&str> {
        if !self.known.contains_key(&cgroup) {
            let path = look(&self.root, cgroup).ok().flatten()?;
            self.remember(cgroup, path);
        }
        self.known.get(&cgroup).map(String::as_str)
    }

    fn remember(&mut self, cgroup: u64, path: String) {
        if self.known.len() >= MAX_KNOWN {
            self.known.clear();
        }
        self.known.insert(cgroup, path);
    }
}

/// By the id and not by a process, which may be gone already. Ids are never used again while the machine runs.
fn look(root: &Path, cgroup: u64) -> io::Result<Option<String>> {
    let folder = folder_by_id(File::open(root)?.as_fd(), cgroup)?;
    let path = fs::read_link(format!("/proc/self/fd/{}", folder.as_raw_fd()))?;
    Ok(below(root, &path))
}

fn below(root: &Path, path: &Path) -> Option<String> {
    path.strip_prefix(root).ok()?.to_str().map(|path| format!("/{path}"))
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
    use std::{fs, os::unix::fs::MetadataExt, path::Path};

    use super::{Places, container};

    #[test]
    fn a_cgroup_is_found_by_its_id_and_remembered_when_it_is_gone() {
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
        let is_cgroup2 = |line: &&str| line.split(' ').nth(2) == Some("cgroup2");
        let Some(root) = mounts.lines().find(is_cgroup2).and_then(|line| line.split(' ').nth(1))
        else {
            println!("not run: there is no cgroup2 file system here");
            return;
        };
        let name = format!("execlayer-place-{}", std::process::id());
        let folder = Path::new(root).join(&name);
        if let Err(error) = fs::create_dir(&folder) {
            println!("not run: no cgroup can be made here: {error}");
            return;
        }
        let id = fs::metadata(&folder).unwrap().ino();
        let mut places = Places::below(root.into());
        let found = places.of(id).map(str::to_owned);
        fs::remove_dir(&folder).unwrap();
        assert_eq!(found, Some(format!("/{name}")));
        assert_eq!(places.of(id), found.as_deref());
        assert_eq!(Places::below(root.into()).of(id), None);
    }

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
