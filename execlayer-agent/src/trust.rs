//! Which keys are trusted, and how files that come from outside are opened. Must not know what is
//! in a bundle.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use execlayer_api::places;
use execlayer_bundle::{
    KeyId, PublicKey, TrustedKeys, limits,
    root::{self, VerifiedRoot},
};

/// Keys, and what is wrong with files that should be keys: those are left out.
#[derive(Debug, Default)]
pub struct Keyring {
    /// The keys.
    pub keys: TrustedKeys,
    /// The key that the machine made for itself.
    pub local: Option<KeyId>,
    /// What is wrong.
    pub refused: Vec<String>,
}

/// Where the daemon looks for whom it trusts.
#[derive(Clone, Copy, Debug)]
pub struct Places<'a> {
    /// Folder of public keys.
    pub keys_dir: &'a Path,
    /// File of the first root.
    pub root: &'a Path,
    /// The state directory: the root in force, and the local key.
    pub state_dir: &'a Path,
}

/// Whom the daemon trusts. With a root, whom it names, and the local key if it says so; without one, every
/// `*.pub` of `keys_dir` and the local key. A root that cannot be read leaves nobody.
#[must_use]
pub fn keys(places: Places<'_>) -> Keyring {
    let mut ring = Keyring::default();
    let local = places.state_dir.join(places::LOCAL_PUBLIC);
    match root(places) {
        Ok(Some(root)) => {
            ring.keys = TrustedKeys::of_root(&root);
            if root.root().local {
                ring.add_local(&local);
            }
        }
        Ok(None) => {
            for path in ring.files(places.keys_dir) {
                ring.add(&path);
            }
            ring.add_local(&local);
        }
        Err(problem) => ring.refused.push(problem),
    }
    ring
}

/// The root in force, or the first one.
///
/// # Errors
///
/// What is wrong with the file that is there. Another one does not count instead of it: it may be older.
pub fn root(places: Places<'_>) -> Result<Option<VerifiedRoot>, String> {
    for path in [&places.state_dir.join(places::ROOT_IN_FORCE), places.root] {
        match owned(path, limits::MAX_ROOT_BYTES) {
            Ok(None) => {}
            Ok(Some(bytes)) => {
                return root::verify(&bytes, None)
                    .map(Some)
                    .map_err(|error| format!("`{}`: {error}", path.display()));
            }
            Err(problem) => return Err(format!("`{}`: {problem}", path.display())),
        }
    }
    Ok(None)
}

impl Keyring {
    fn files(&mut self, keys_dir: &Path) -> Vec<PathBuf> {
        let mut paths: Vec<PathBuf> = match fs::read_dir(keys_dir) {
            Ok(entries) => entries
                .filter_map(|entry| entry.ok().map(|entry| entry.path()))
                .filter(|path| path.extension().is_some_and(|extension| extension == "pub"))
                .collect(),
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    self.refused.push(format!("`{}`: {error}", keys_dir.display()));
                }
                Vec::new()
            }
        };
        paths.sort();
        paths
    }

    fn add(&mut self, path: &Path) -> Option<KeyId> {
        add(&mut self.keys, path).unwrap_or_else(|problem| {
            self.refused.push(format!("`{}`: {problem}", path.display()));
            None
        })
    }

    fn add_local(&mut self, path: &Path) {
        self.local = self.add(path);
    }
}

fn add(keys: &mut TrustedKeys, path: &Path) -> Result<Option<KeyId>, String> {
    let Some(bytes) = owned(path, limits::MAX_KEY_FILE_BYTES)? else { return Ok(None) };
    let text = String::from_utf8(bytes).map_err(|error| error.to_string())?;
    let key = PublicKey::parse(&text).map_err(|error| error.to_string())?;
    let id = key.id();
    match keys.add(key) {
        // One key in two files is no harm.
        Err(execlayer_bundle::KeyError::Repeated(_)) | Ok(()) => Ok(Some(id)),
        Err(error) => Err(error.to_string()),
    }
}

/// Reads a file that only root may write, if it is there: whoever can write it can sign a policy.
fn owned(path: &Path, limit: usize) -> Result<Option<Vec<u8>>, String> {
    let mut file = match open_regular(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(|error| error.to_string())?,
    };
    let metadata = file.metadata().map_err(|error| error.to_string())?;
    if metadata.uid() != 0 || metadata.mode() & 0o022 != 0 {
        return Err("it must belong to root, and nobody else may write it".to_owned());
    }
    read_bounded(&mut file, limit).map(Some).map_err(|error| error.to_string())
}

/// Reads a bundle's file, never more than a bundle may have.
///
/// # Errors
///
/// If it is no regular file, too large, or cannot be read.
pub fn bundle(path: &Path) -> io::Result<Vec<u8>> {
    read_bounded(&mut open_regular(path)?, limits::MAX_BUNDLE_BYTES)
}

/// Opens a regular file without following a link in its last component, and without waiting if it
/// turns out to be a pipe.
pub(crate) fn open_regular(path: &Path) -> io::Result<File> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"))
    }
}

/// Reads a file that must not be larger than this.
pub(crate) fn read_bounded(file: &mut File, limit: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let allowed = u64::try_from(limit).unwrap_or(u64::MAX);
    file.take(allowed.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() > limit {
        let message = format!("more than {limit} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use std::path::Path;

    use super::{Places, bundle, keys};

    fn places(folder: &Path) -> Places<'_> {
        Places { keys_dir: folder, root: Path::new("/nowhere/root.json"), state_dir: folder }
    }

    #[test]
    fn a_pipe_a_link_and_a_folder_are_no_bundle() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&file, b"x").unwrap();
        symlink(&file, &link).unwrap();
        let pipe = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        assert_eq!(bundle(&file).unwrap(), b"x");
        for path in [&link, &pipe, &folder.path().to_owned(), &folder.path().join("none")] {
            assert!(bundle(path).is_err(), "{}", path.display());
        }
    }

    #[test]
    fn a_key_that_cannot_be_used_is_left_out_and_named() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("broken.pub"), b"no key").unwrap();
        fs::write(folder.path().join("ignored.txt"), b"no key").unwrap();
        let ring = keys(places(folder.path()));
        assert!(ring.keys.is_empty());
        assert_eq!(ring.refused.len(), 1, "{:?}", ring.refused);
        assert!(ring.refused[0].contains("broken.pub"));
    }

    #[test]
    fn folders_that_are_not_there_hold_no_keys_and_are_no_failure() {
        let folder = tempfile::tempdir().unwrap();
        let ring = keys(places(&folder.path().join("none")));
        assert!(ring.keys.is_empty() && ring.refused.is_empty());
    }
}
