//! The drop-in directory: what is put there is put in force, and what is refused changes nothing and is shown.
//! Must not judge a file: the daemon's one door does.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    thread,
};

use execlayer_bundle::{Kind, kind};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use tokio::sync::mpsc;

use crate::trust;

/// Files that are looked at.
const MAX_FILES: usize = 1_024;

/// Which content of a file was taken: device, inode, size and time of the last change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp(u64, u64, u64, i64, i64);

/// What was found in the directory, and what became of it.
#[derive(Debug, Default)]
pub struct Dropped {
    seen: BTreeMap<PathBuf, (Stamp, Option<String>)>,
    unreadable: Option<String>,
}

impl Dropped {
    /// Files that are new or changed: roots first, then orders, then policies, by name. Files that are gone are
    /// forgotten.
    pub fn look(&mut self, folder: &Path) -> Vec<PathBuf> {
        self.unreadable = None;
        let stamps = match stamps(folder) {
            Ok(stamps) => stamps,
            Err(error) => {
                self.unreadable = Some(format!("`{}`: {error}", folder.display()));
                return Vec::new();
            }
        };
        self.seen.retain(|path, _| stamps.contains_key(path));
        let mut new: Vec<(u8, PathBuf)> = Vec::new();
        for (path, stamp) in stamps {
            if self.seen.get(&path).is_some_and(|(seen, _)| *seen == stamp) {
                continue;
            }
            let place = match trust::bundle(&path).ok().and_then(|bytes| kind(&bytes).ok()) {
                Some(Kind::Root) => 0,
                Some(Kind::Rollback) => 1,
                Some(Kind::Policy) | None => 2,
            };
            self.seen.insert(path.clone(), (stamp, None));
            new.push((place, path));
        }
        new.sort();
        new.into_iter().map(|(_place, path)| path).collect()
    }

    /// What became of one: why it was refused, or nothing.
    pub fn note(&mut self, path: &Path, refused: Option<String>) {
        if let Some((_stamp, why)) = self.seen.get_mut(path) {
            *why = refused;
        }
    }

    /// Has what was refused looked at once more.
    pub fn forget_refused(&mut self) {
        self.seen.retain(|_path, (_stamp, why)| why.is_none());
    }

    /// What is wrong, if anything.
    #[must_use]
    pub fn problems(&self) -> Option<String> {
        let refused = self.seen.iter().filter_map(|(path, (_stamp, why))| {
            why.as_ref().map(|why| format!("`{}`: {why}", path.display()))
        });
        let all: Vec<String> = self.unreadable.iter().cloned().chain(refused).collect();
        if all.is_empty() { None } else { Some(all.join("; ")) }
    }
}

/// The visible regular files of the directory. One that is not there is empty.
fn stamps(folder: &Path) -> io::Result<BTreeMap<PathBuf, Stamp>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        entries => entries?,
    };
    let mut stamps = BTreeMap::new();
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().as_encoded_bytes();
        // Editors and package managers write beside a file under such names.
        if name.starts_with(b".") || name.ends_with(b"~") || name.ends_with(b".new") {
            continue;
        }
        let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
        if metadata.is_dir() {
            continue;
        }
        if stamps.len() == MAX_FILES {
            return Err(io::Error::other(format!("more than {MAX_FILES} files")));
        }
        let (device, inode, size) = (metadata.dev(), metadata.ino(), metadata.size());
        let stamp = Stamp(device, inode, size, metadata.mtime(), metadata.mtime_nsec());
        stamps.insert(path, stamp);
    }
    Ok(stamps)
}

/// Tells that something in a directory has changed.
#[derive(Debug)]
pub struct Watch(mpsc::Receiver<()>);

impl Watch {
    /// Watches from now on. A directory that is not there is not watched: a signal has the daemon look again.
    ///
    /// # Errors
    ///
    /// What the kernel said.
    pub fn on(folder: &Path) -> io::Result<Self> {
        let (sender, receiver) = mpsc::channel(1);
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC)?;
        let changes = AddWatchFlags::IN_CLOSE_WRITE
            | AddWatchFlags::IN_MOVED_TO
            | AddWatchFlags::IN_MOVED_FROM
            | AddWatchFlags::IN_DELETE
            | AddWatchFlags::IN_MOVE_SELF
            | AddWatchFlags::IN_ONLYDIR;
        inotify.add_watch(folder, changes)?;
        thread::Builder::new().name("dropped".to_owned()).spawn(move || {
            // What comes while a change waits to be taken is found with it.
            while let Ok(events) = inotify.read_events() {
                let gone = AddWatchFlags::IN_IGNORED | AddWatchFlags::IN_MOVE_SELF;
                let ends = events.iter().any(|event| event.mask.intersects(gone));
                if sender.blocking_send(()).is_err() || ends {
                    return;
                }
            }
        })?;
        Ok(Self(receiver))
    }

    /// Whether the directory is still there and watched.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !self.0.is_closed()
    }

    /// Waits for a change; `None` if nothing is watched any more.
    pub async fn changed(&mut self) -> Option<()> {
        self.0.recv().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_new_or_changed_is_looked_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let mut dropped = Dropped::default();
        assert!(dropped.look(&at("nowhere")).is_empty() && dropped.problems().is_none());
        let payload = |kind: Kind| format!("{{\"payloadType\":\"{}\"}}", kind.payload_type());
        fs::write(at("a.bundle"), payload(Kind::Policy)).unwrap();
        fs::write(at("b.order"), payload(Kind::Rollback)).unwrap();
        fs::write(at("c.root"), payload(Kind::Root)).unwrap();
        fs::write(at("d"), "neither").unwrap();
        for hidden in [".x.bundle", "a.bundle~", "a.new"] {
            fs::write(at(hidden), "half").unwrap();
        }
        fs::create_dir(at("folder")).unwrap();
        let found = dropped.look(folder.path());
        assert_eq!(found, [at("c.root"), at("b.order"), at("a.bundle"), at("d")]);
        assert!(dropped.look(folder.path()).is_empty());
        dropped.note(&at("d"), Some("it is no envelope".to_owned()));
        assert!(dropped.problems().unwrap().contains("no envelope"));
        fs::write(at("d"), "something else").unwrap();
        assert_eq!(dropped.look(folder.path()), [at("d")]);
        assert!(dropped.problems().is_none(), "it is another file now");
        dropped.note(&at("d"), Some("it is no envelope".to_owned()));
        fs::remove_file(at("d")).unwrap();
        assert!(dropped.look(folder.path()).is_empty() && dropped.problems().is_none());
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_change_is_told_and_a_folder_that_is_gone_ends_it() {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("inside");
        assert!(Watch::on(&inside).is_err());
        fs::create_dir(&inside).unwrap();
        let mut watch = Watch::on(&inside).unwrap();
        fs::write(inside.join("a"), "b").unwrap();
        assert_eq!(watch.changed().await, Some(()));
        fs::remove_file(inside.join("a")).unwrap();
        fs::remove_dir(&inside).unwrap();
        while watch.changed().await.is_some() {}
    }
}
