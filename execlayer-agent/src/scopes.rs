//! Scopes: a cgroup each, whose tasks one agent's policy governs, and what was denied in it. Owns
//! the cgroups below `execlayer.slice` and those that it makes below an owner's; must not know who asks for them.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use execlayer_api::ScopeId;
use execlayer_common::limits;

use crate::{
    kernel::{Gate, events::Observed},
    scopes::tally::Tally,
};

pub mod process;
pub mod tally;

const SLICE: &str = "execlayer.slice";

/// Why a scope cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum ScopeError {
    /// All are taken.
    #[error("every scope is in use (the limit is {})", limits::MAX_SCOPES)]
    Full,
    /// The owner is gone already.
    #[error("process {0}, the owner, is not there")]
    NoOwner(u32),
    /// The owner is where no cgroup can be named.
    #[error("process {0}, the owner, is in no cgroup below the root of cgroup2")]
    NoPlace(u32),
    /// The cgroup.
    #[error("cannot make cgroup `{}`: {source}", path.display())]
    Cgroup {
        /// Where.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The kernel.
    #[error("cannot put the scope in force: {0}")]
    Map(io::Error),
}

/// A cgroup of ours.
#[derive(Clone, Debug)]
pub struct Cgroup {
    /// Its folder.
    pub path: PathBuf,
    /// Its number in the kernel.
    pub id: u64,
}

impl Cgroup {
    /// Makes one.
    ///
    /// # Errors
    ///
    /// If there is one of that name, or it cannot be made.
    pub fn make(root: &Path, name: &str) -> Result<Self, ScopeError> {
        let slice = root.join(SLICE);
        match fs::create_dir(&slice) {
            Err(source) if source.kind() != io::ErrorKind::AlreadyExists => {
                return Err(ScopeError::Cgroup { path: slice.join(name), source });
            }
            _ => {}
        }
        Self::make_in(&slice, name)
    }

    fn make_in(parent: &Path, name: &str) -> Result<Self, ScopeError> {
        let path = parent.join(name);
        let failed = |source| ScopeError::Cgroup { path: path.clone(), source };
        fs::create_dir(&path).map_err(failed)?;
        // KERNEL: the inode number of a cgroup's folder is its id where ino_t has 64 bits
        // (fs/kernfs/inode.c, kernfs_id_ino, 6.1).
        let id = fs::metadata(&path).map_err(failed)?.ino();
        Ok(Self { path, id })
    }

    /// Its name in the selectors' sense: below the cgroup2 root.
    #[must_use]
    pub fn subject(name: &str) -> Vec<u8> {
        format!("/{SLICE}/{name}").into_bytes()
    }

    /// Removes it; false while a task is in it.
    ///
    /// # Errors
    ///
    /// If it cannot be removed for another reason.
    pub fn remove(&self) -> io::Result<bool> {
        match fs::remove_dir(&self.path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

#[derive(Debug)]
struct Scope {
    cgroup: Cgroup,
    profile: u32,
    owner: process::Process,
    sessions: BTreeSet<u64>,
    lost_before: u64,
    tally: Tally,
}

/// Every scope.
#[derive(Debug)]
pub struct Scopes {
    root: PathBuf,
    next: u64,
    open: BTreeMap<ScopeId, Scope>,
    /// Closed, with tasks in them that live on.
    left: Vec<Cgroup>,
    ever: bool,
}

/// What a closed scope leaves.
#[derive(Debug)]
pub struct Closed {
    /// What was denied in it.
    pub tally: Tally,
    /// The profile's losses before it was opened.
    pub lost_before: u64,
    /// The profile.
    pub profile: u32,
}

impl Scopes {
    /// Where the cgroup2 file system is.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// None is open yet; what an earlier daemon left goes when it is empty. `first` begins the
    /// numbers.
    #[must_use]
    pub fn new(cgroup_root: &Path, first: u64) -> Self {
        Self {
            root: cgroup_root.to_owned(),
            next: first,
            open: BTreeMap::new(),
            left: left_behind(&cgroup_root.join(SLICE)),
            ever: false,
        }
    }

    /// Finds what an earlier daemon left elsewhere than in the slice, by what the kernel was told. What is not there
    /// any more is forgotten.
    ///
    /// # Errors
    ///
    /// What the kernel said.
    pub fn find_left(&mut self, gate: &mut dyn Gate) -> io::Result<()> {
        let mut unfound = gate.scopes()?;
        for cgroup in &self.left {
            unfound.remove(&cgroup.id);
        }
        if unfound.is_empty() {
            return Ok(());
        }
        let mut folders = vec![self.root.clone()];
        while let Some(folder) = folders.pop() {
            for Cgroup { path, id } in cgroups_in(&folder) {
                if unfound.remove(&id) {
                    self.left.push(Cgroup { path: path.clone(), id });
                }
                folders.push(path);
            }
        }
        unfound.into_iter().try_for_each(|id| gate.set_scope(id, None))
    }

    /// Opens a scope for a profile, in the slice or below its owner's cgroup.
    ///
    /// # Errors
    ///
    /// A [`ScopeError`]; nothing is left of it.
    pub fn open(
        &mut self,
        gate: &mut dyn Gate,
        profile: u32,
        owner: u32,
        below_owner: bool,
        lost_before: u64,
    ) -> Result<(ScopeId, Cgroup), ScopeError> {
        // One entry stays for the canary.
        if self.open.len() + self.left.len() + 1 >= limits::MAX_SCOPES as usize {
            return Err(ScopeError::Full);
        }
        let below = match below_owner {
            true => {
                let place = process::cgroup(owner).ok_or(ScopeError::NoPlace(owner))?;
                Some(self.root.join(place))
            }
            false => None,
        };
        let owner = process::Process::find(owner).ok_or(ScopeError::NoOwner(owner))?;
        let (id, cgroup) = loop {
            let id = ScopeId(self.next);
            self.next += 1;
            let made = match &below {
                Some(folder) => Cgroup::make_in(folder, &format!("execlayer-run-{id}")),
                None => Cgroup::make(&self.root, &format!("run-{id}")),
            };
            match made {
                Err(ScopeError::Cgroup { source, .. })
                    if source.kind() == io::ErrorKind::AlreadyExists => {}
                made => break (id, made?),
            }
        };
        if let Err(error) = gate.set_scope(cgroup.id, Some(profile)) {
            if let Err(left) = cgroup.remove() {
                tracing::warn!("cannot remove cgroup `{}`: {left}", cgroup.path.display());
            }
            return Err(ScopeError::Map(error));
        }
        let opened = cgroup.clone();
        let sessions = BTreeSet::new();
        let tally = Tally::default();
        self.open.insert(id, Scope { cgroup, profile, owner, sessions, lost_before, tally });
        self.ever = true;
        Ok((id, opened))
    }

    /// Counts an event in the scope that it happened in, if it did in one.
    pub fn observe(&mut self, observed: &Observed) {
        let scope = self.open.values_mut().find(|scope| {
            scope.profile == observed.profile
                && (scope.cgroup.id == observed.cgroup
                    || scope.sessions.contains(&observed.session))
        });
        if let Some(scope) = scope {
            // A task that leaves the cgroup keeps its session.
            scope.sessions.insert(observed.session);
            scope.tally.count(observed);
        }
    }

    /// Closes a scope. Its cgroup goes when it is empty.
    pub fn close(&mut self, gate: &mut dyn Gate, id: ScopeId) -> Option<Closed> {
        let Scope { cgroup, profile, lost_before, tally, .. } = self.open.remove(&id)?;
        self.left.push(cgroup);
        self.sweep(gate);
        Some(Closed { tally, lost_before, profile })
    }

    /// Closes scopes whose owner is gone, and removes cgroups that are empty.
    pub fn tick(&mut self, gate: &mut dyn Gate) {
        let orphans: Vec<ScopeId> = self
            .open
            .iter()
            .filter(|(_id, scope)| !scope.owner.is_alive())
            .map(|(&id, _scope)| id)
            .collect();
        for id in orphans {
            tracing::info!("the owner of scope {id} is gone: it is closed");
            self.close(gate, id);
        }
        self.sweep(gate);
    }

    /// Scopes that are open.
    #[must_use]
    pub fn count(&self) -> usize {
        self.open.len()
    }

    /// Whether one was ever opened.
    #[must_use]
    pub fn was_any(&self) -> bool {
        self.ever
    }

    fn sweep(&mut self, gate: &mut dyn Gate) {
        self.left.retain(|cgroup| match cgroup.remove() {
            Ok(false) => true,
            Ok(true) => {
                // Only now: until it was gone, a task in it that lost its label was governed by it.
                if let Err(error) = gate.set_scope(cgroup.id, None) {
                    tracing::warn!("cannot forget cgroup {}: {error}", cgroup.id);
                }
                false
            }
            Err(error) => {
                tracing::warn!("cannot remove cgroup `{}`: {error}", cgroup.path.display());
                false
            }
        });
    }
}

fn left_behind(slice: &Path) -> Vec<Cgroup> {
    // No slice: nothing was left.
    let is_ours = |cgroup: &Cgroup| {
        let name = cgroup.path.file_name().and_then(OsStr::to_str);
        name.is_some_and(|name| name.starts_with("run-") || name.starts_with("canary-"))
    };
    cgroups_in(slice).filter(is_ours).collect()
}

/// Those right below a cgroup. One that is gone has none.
fn cgroups_in(folder: &Path) -> impl Iterator<Item = Cgroup> + use<> {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    entries.filter_map(|entry| {
        let id = entry.metadata().ok().filter(fs::Metadata::is_dir)?.ino();
        Some(Cgroup { path: entry.path(), id })
    })
}

#[cfg(test)]
mod tests;
