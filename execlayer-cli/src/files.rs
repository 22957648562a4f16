//! Files: where policies are found, how they are read, and how results are written. Must not know
//! what is in them.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use execlayer_common::limits::MAX_POLICY_BYTES;
use execlayer_policy::source::{LoadError, Loaded, Loader};
use nix::fcntl::OFlag;

use crate::error::{CliError, Exit};

/// Where policies lie on an installed machine, in the order in which they are looked for.
const SYSTEM_FOLDERS: [&str; 2] = ["/etc/execlayer/policies", "/usr/share/execlayer/policies"];
/// Below the folder that the tool is called in.
const LOCAL_FOLDER: &str = "policies";
const POLICY_FILE: &str = "policy.toml";

/// Finds and reads a policy and what it extends.
#[derive(Debug)]
pub(crate) struct PolicyFiles {
    main: PathBuf,
    folders: Vec<PathBuf>,
    is_main_read: bool,
    /// Canonical path and the name under which the file was handed out first.
    known: Vec<(PathBuf, String)>,
}

impl PolicyFiles {
    /// `policy` is a file, a folder with a `policy.toml`, or the name of a policy in `folder` or one
    /// of the usual places.
    pub(crate) fn find(policy: &str, folder: Option<&Path>) -> Result<Self, CliError> {
        let named = folder.map(Path::to_owned).into_iter();
        let places: Vec<PathBuf> = match folder {
            Some(_) => named.collect(),
            None => {
                std::iter::once(LOCAL_FOLDER).chain(SYSTEM_FOLDERS).map(PathBuf::from).collect()
            }
        };
        let main = file_at(Path::new(policy))
            .or_else(|| places.iter().find_map(|place| named_in(place, policy)))
            .ok_or_else(|| {
                let looked: Vec<_> =
                    places.iter().map(|place| format!("`{}`", place.display())).collect();
                CliError::new(Exit::Policy, format!("there is no policy `{policy}`"))
                    .help("name a file, a folder with a `policy.toml`, or a policy's name")
                    .help(format!("names were looked for in {}", looked.join(", ")))
            })?;
        // A policy in `policies/team/name/policy.toml` may extend `team/other` and `other`.
        let above = main.parent().map(Path::ancestors).into_iter().flatten();
        let mut folders: Vec<PathBuf> = match folder {
            Some(folder) => vec![folder.to_owned()],
            None => above.skip(1).take(2).map(Path::to_owned).collect(),
        };
        for folder in &mut folders {
            if folder.as_os_str().is_empty() {
                *folder = PathBuf::from(".");
            }
        }
        if folder.is_none() {
            folders.extend(SYSTEM_FOLDERS.iter().map(PathBuf::from));
        }
        Ok(Self { main, folders, is_main_read: false, known: Vec::new() })
    }

    /// The policy's own file.
    pub(crate) fn main(&self) -> &Path {
        &self.main
    }
}

impl Loader for PolicyFiles {
    fn load(&mut self, name: &str) -> Result<Loaded, LoadError> {
        let path = if self.is_main_read {
            self.folders.iter().find_map(|folder| named_in(folder, name)).ok_or_else(|| {
                let places: Vec<_> = self
                    .folders
                    .iter()
                    .map(|place| place.join(name).display().to_string())
                    .collect();
                LoadError::Missing(places.join("`, `"))
            })?
        } else {
            self.is_main_read = true;
            self.main.clone()
        };
        let shown = path.display().to_string();
        let unreadable = |error: io::Error| LoadError::Unreadable(shown.clone(), error.to_string());
        let real = fs::canonicalize(&path).map_err(unreadable)?;
        let name = match self.known.iter().find(|(known, _)| *known == real) {
            Some((_, name)) => name.clone(),
            None => {
                self.known.push((real, shown.clone()));
                shown.clone()
            }
        };
        let bytes = match read(&path, MAX_POLICY_BYTES) {
            Ok(bytes) => bytes,
            Err(ReadError::TooLarge(size)) => return Err(LoadError::TooLarge(name, size)),
            Err(ReadError::Io(error)) => return Err(unreadable(error)),
        };
        Ok(Loaded { name, bytes })
    }
}

/// The file itself, or the policy in the folder.
fn file_at(path: &Path) -> Option<PathBuf> {
    if path.is_dir() {
        Some(path.join(POLICY_FILE)).filter(|file| file.is_file())
    } else {
        path.is_file().then(|| path.to_owned())
    }
}

fn named_in(folder: &Path, name: &str) -> Option<PathBuf> {
    // A name stays below its folder.
    let name = Path::new(name);
    let normal = |part| matches!(part, std::path::Component::Normal(_));
    if !name.components().all(normal) {
        return None;
    }
    let at = folder.join(name);
    let mut with_ending = at.clone().into_os_string();
    with_ending.push(".toml");
    file_at(&at).or_else(|| file_at(Path::new(&with_ending)))
}

/// Why a file was not read.
#[derive(Debug)]
pub(crate) enum ReadError {
    /// It has more bytes than allowed.
    TooLarge(u64),
    /// It cannot be opened or read, or is no regular file.
    Io(io::Error),
}

/// Reads a regular file of `limit` bytes at most.
pub(crate) fn read(path: &Path, limit: usize) -> Result<Vec<u8>, ReadError> {
    // Opening a pipe without this would wait for its writer.
    let file = OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path);
    read_from(file.map_err(ReadError::Io)?, limit)
}

fn read_from(file: File, limit: usize) -> Result<Vec<u8>, ReadError> {
    let metadata = file.metadata().map_err(ReadError::Io)?;
    if !metadata.is_file() {
        return Err(ReadError::Io(io::Error::other("it is not a regular file")));
    }
    let mut bytes = Vec::new();
    let room = limit as u64 + 1;
    file.take(room).read_to_end(&mut bytes).map_err(ReadError::Io)?;
    if bytes.len() > limit { Err(ReadError::TooLarge(metadata.len())) } else { Ok(bytes) }
}

/// Reads a file that only its owner may know: it must be this user's, and closed to all others.
pub(crate) fn read_private(path: &Path, limit: usize) -> Result<Vec<u8>, CliError> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits()).open(path);
    let file = file.map_err(|error| cannot("read", path, &error))?;
    let metadata = file.metadata().map_err(|error| cannot("read", path, &error))?;
    let user = nix::unistd::geteuid().as_raw();
    let shown = path.display();
    if metadata.uid() != user || metadata.mode() & 0o077 != 0 {
        return Err(CliError::failure(format!(
            "`{shown}` has owner {} and mode {:04o}: others could know what it holds",
            metadata.uid(),
            metadata.mode() & 0o7777
        ))
        .help(format!("make a new key, or: chown {user} '{shown}' && chmod 0600 '{shown}'")));
    }
    read_from(file, limit).map_err(|error| refused(path, limit, &error))
}

/// [`read`], with the failure as a message.
pub(crate) fn read_or_fail(path: &Path, limit: usize) -> Result<Vec<u8>, CliError> {
    read(path, limit).map_err(|error| refused(path, limit, &error))
}

fn refused(path: &Path, limit: usize, error: &ReadError) -> CliError {
    match error {
        ReadError::TooLarge(found) => CliError::failure(format!(
            "`{}` has {found} bytes, and the limit is {limit}",
            path.display()
        )),
        ReadError::Io(error) => cannot("read", path, error),
    }
}

/// Writes a file as a whole: whoever opens it finds the old content or the new one.
pub(crate) fn write_whole(path: &Path, bytes: &[u8], mode: u32) -> Result<(), CliError> {
    let beside = beside(path);
    let result = write_new(&beside, bytes, mode).and_then(|()| fs::rename(&beside, path));
    if result.is_err() {
        // The failure that counts is the one above.
        let _ = fs::remove_file(&beside);
    }
    result.map_err(|error| cannot("write", path, &error))
}

/// Writes a file that must not exist yet. False if it does.
pub(crate) fn write_once(path: &Path, bytes: &[u8], mode: u32) -> Result<bool, CliError> {
    let beside = beside(path);
    // A link, not a rename: it fails if somebody else was faster, and shows a complete file.
    let result = write_new(&beside, bytes, mode).and_then(|()| fs::hard_link(&beside, path));
    // A leftover harms nobody, and the failure that counts is the one above.
    let _ = fs::remove_file(&beside);
    match result {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(cannot("write", path, &error)),
    }
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    PathBuf::from(name)
}

fn write_new(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    // Left by a process of the same number that was killed.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Has the names in a folder outlast a lost power.
pub(crate) fn sync_folder(path: &Path) -> Result<(), CliError> {
    let synced = fs::File::open(path).and_then(|folder| folder.sync_all());
    synced.map_err(|error| cannot("write", path, &error))
}

/// Makes a folder of root's, and refuses one in which others could exchange files.
pub(crate) fn own_folder(path: &Path, mode: u32) -> Result<(), CliError> {
    match fs::DirBuilder::new().recursive(true).mode(mode).create(path) {
        Ok(()) => {}
        Err(error) => return Err(cannot("make", path, &error)),
    }
    let metadata = fs::symlink_metadata(path).map_err(|error| cannot("read", path, &error))?;
    let user = nix::unistd::geteuid().as_raw();
    if !metadata.is_dir() || metadata.uid() != user || metadata.mode() & 0o022 != 0 {
        let shown = path.display();
        return Err(CliError::failure(format!("`{shown}` is not a folder of this user alone"))
            .help(format!("chown {user} '{shown}' && chmod go-w '{shown}'")));
    }
    Ok(())
}

pub(crate) fn cannot(what: &str, path: &Path, error: &io::Error) -> CliError {
    let exit = match error.kind() {
        io::ErrorKind::PermissionDenied if !nix::unistd::geteuid().is_root() => Exit::NeedsRoot,
        _ => Exit::Failure,
    };
    let message = format!("cannot {what} `{}`: {error}", path.display());
    let help = (exit == Exit::NeedsRoot).then(|| "try it as root, with `sudo`".to_owned());
    CliError::new(exit, message).help_if(help)
}

#[cfg(test)]
mod tests;
