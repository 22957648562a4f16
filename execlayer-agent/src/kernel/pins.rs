//! The pins of a service below bpffs: what outlives the daemon. Owns their names and checks that
//! what is found there is of this layout; must not load or attach anything.

use std::{
    collections::BTreeMap,
    fs, io,
    os::{fd::AsFd as _, unix::fs::DirBuilderExt},
    path::{Path, PathBuf},
};

use aya::{maps::MapData, programs::links::FdLink};
use execlayer_common::hooks;

use super::{Holding, sys::RawMap};

/// Why the pins cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PinsError {
    /// Something else lies there, or another version's maps.
    #[error("`{}` is not of this version's layout ({what})", path.display())]
    OtherLayout {
        /// The pin.
        path: PathBuf,
        /// What differs.
        what: &'static str,
    },
    /// The file system refused.
    #[error("cannot use the pins at `{}`", path.display())]
    File {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The kernel refused.
    #[error("cannot open or make the pin `{}`: {message}", path.display())]
    Object {
        /// Where.
        path: PathBuf,
        /// What the kernel said.
        message: String,
    },
}

/// What must agree between a map that is pinned and the one that the programs expect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) map_type: u32,
    pub(super) key_size: u32,
    pub(super) value_size: u32,
    pub(super) max_entries: u32,
    pub(super) flags: u32,
}

/// The folder of the pins.
#[derive(Clone, Debug)]
pub struct Pins {
    root: PathBuf,
}

impl Pins {
    /// The pins below this bpffs; nothing is touched yet.
    #[must_use]
    pub fn below(bpffs: &Path) -> Self {
        Self { root: bpffs.join("execlayer") }
    }

    pub(super) fn map(&self, name: &str) -> PathBuf {
        self.root.join("maps").join(name)
    }

    fn link(&self, name: &str) -> PathBuf {
        self.root.join("links").join(name)
    }

    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.root.join("programs").join(name)
    }

    /// The maps of held calls of the gate that is pinned.
    ///
    /// # Errors
    ///
    /// If they are not there, or cannot be opened.
    pub fn holding(&self) -> Result<Holding, PinsError> {
        let raw = |name| {
            let path = self.map(name);
            let refused = |message: String| PinsError::Object { path: path.clone(), message };
            let map = MapData::from_pin(&path).map_err(|error| refused(error.to_string()))?;
            let info = map.info().map_err(|error| refused(error.to_string()))?;
            let fd = map.fd().as_fd().try_clone_to_owned();
            let fd = fd.map_err(|error| refused(error.to_string()))?;
            Ok(RawMap::new(fd, info.key_size(), info.value_size()))
        };
        Ok(Holding {
            labels: raw(hooks::MAP_LABELS)?,
            questions: raw(hooks::MAP_QUESTIONS)?,
            grants: raw(hooks::MAP_GRANTS)?,
            measure: raw(hooks::MAP_MEASURE)?,
            daemon: raw(hooks::MAP_DAEMON)?,
        })
    }

    /// Whether a gate is pinned: it enforces, whatever the daemon does.
    #[must_use]
    pub fn exist(&self) -> bool {
        fs::read_dir(self.root.join("links")).is_ok_and(|mut entries| entries.next().is_some())
    }

    /// Makes the folders.
    pub(super) fn prepare(&self) -> Result<(), PinsError> {
        for folder in ["maps", "links", "programs"] {
            let path = self.root.join(folder);
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&path)
                .map_err(|source| PinsError::File { path, source })?;
        }
        Ok(())
    }

    /// Checks every pin that is there. SCRATCH may have another size: the programs are told which.
    pub(super) fn check(&self, expected: &BTreeMap<String, Shape>) -> Result<(), PinsError> {
        for path in entries(&self.root)? {
            if !matches!(name(&path), "maps" | "links" | "programs") {
                return Err(PinsError::OtherLayout { path, what: "it is not known here" });
            }
        }
        for path in entries(&self.root.join("maps"))? {
            let Some(expected) = expected.get(name(&path)) else {
                return Err(PinsError::OtherLayout { path, what: "there is no such map" });
            };
            let mut found = shape(&path)?;
            if name(&path) == hooks::MAP_SCRATCH && found.max_entries.is_power_of_two() {
                found.max_entries = expected.max_entries;
            }
            if found != *expected {
                return Err(PinsError::OtherLayout { path, what: "the map has another shape" });
            }
        }
        Ok(())
    }

    /// Entries of the pinned scratch map, if it is pinned.
    pub(super) fn scratch_entries(&self) -> Option<u32> {
        shape(&self.map(hooks::MAP_SCRATCH)).ok().map(|shape| shape.max_entries)
    }

    /// Pins a link in place of the one that has the name, if one has: there is no moment without.
    pub(super) fn replace_link(&self, name: &str, link: FdLink) -> Result<(), PinsError> {
        let path = self.link(name);
        let beside = self.link(&format!("{name}_new"));
        remove(&beside)?;
        let _pinned = link.pin(&beside).map_err(|error| PinsError::Object {
            path: beside.clone(),
            message: error.to_string(),
        })?;
        fs::rename(&beside, &path).map_err(|source| PinsError::File { path, source })
    }

    /// Whether a link of this program is pinned.
    pub(super) fn has_link(&self, name: &str) -> bool {
        self.link(name).exists()
    }

    /// How many links are pinned.
    pub(super) fn links(&self) -> Result<u64, PinsError> {
        Ok(entries(&self.root.join("links"))?.len() as u64)
    }

    /// Detaches what an earlier version attached and this one does not.
    pub(super) fn keep_links(&self, attached: &[&str]) -> Result<(), PinsError> {
        for path in entries(&self.root.join("links"))? {
            if !attached.contains(&name(&path)) {
                remove(&path)?;
                remove(&self.program(name(&path)))?;
            }
        }
        Ok(())
    }

    /// Makes room for a program's pin.
    pub(super) fn forget_program(&self, name: &str) -> Result<(), PinsError> {
        remove(&self.program(name))
    }

    /// Removes every pin, inheritance last: nothing is enforced any more once nobody holds a link.
    ///
    /// # Errors
    ///
    /// The first pin that cannot be removed.
    pub fn remove_all(&self) -> Result<(), PinsError> {
        for (name, _attach) in hooks::PROGRAMS.iter().rev() {
            remove(&self.link(name))?;
        }
        for folder in ["links", "programs", "maps"] {
            let folder = self.root.join(folder);
            for path in entries(&folder)? {
                remove(&path)?;
            }
            if let Err(source) = fs::remove_dir(&folder)
                && source.kind() != io::ErrorKind::NotFound
            {
                return Err(PinsError::File { path: folder, source });
            }
        }
        match fs::remove_dir(&self.root) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(PinsError::File { path: self.root.clone(), source })
            }
            _ => Ok(()),
        }
    }
}

fn shape(path: &Path) -> Result<Shape, PinsError> {
    let refused = |message| PinsError::Object { path: path.to_owned(), message };
    let map = MapData::from_pin(path).map_err(|error| refused(error.to_string()))?;
    let info = map.info().map_err(|error| refused(error.to_string()))?;
    let map_type = info.map_type().map_err(|error| refused(error.to_string()))?;
    Ok(Shape {
        map_type: map_type as u32,
        key_size: info.key_size(),
        value_size: info.value_size(),
        max_entries: info.max_entries(),
        flags: info.map_flags(),
    })
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, PinsError> {
    let failed = |source| PinsError::File { path: folder.to_owned(), source };
    match fs::read_dir(folder) {
        Ok(entries) => entries
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<io::Result<Vec<_>>>()
            .map_err(failed),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(failed(error)),
    }
}

fn name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

fn remove(path: &Path) -> Result<(), PinsError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(PinsError::File { path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}
