//! Which keys are trusted, and how files that come from outside are opened. Must not know what is
//! in a bundle.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use execlayer_api::places;
use execlayer_bundle::{PublicKey, TrustedKeys, limits};

/// Keys, and what is wrong with files that should be keys: those are left out.
#[derive(Debug, Default)]
pub struct Keyring {
    /// The keys.
    pub keys: TrustedKeys,
    /// What is wrong.
    pub refused: Vec<String>,
}

/// Reads every `*.pub` of `keys_dir` and the public half of the local key.
#[must_use]
pub fn keys(keys_dir: &Path, state_dir: &Path) -> Keyring {
    let mut ring = Keyring::default();
    let mut paths: Vec<PathBuf> = match fs::read_dir(keys_dir) {
        Ok(entries) => entries
            .filter_map(|entry| entry.ok().map(|entry| entry.path()))
            .filter(|path| path.extension().is_some_and(|extension| extension == "pub"))
            .collect(),
        Err(error) => {
            if error.kind() != io::ErrorKind::NotFound {
                ring.refused.push(format!("`{}`: {error}", keys_dir.display()));
            }
            Vec::new()
        }
    };
    paths.sort();
    paths.push(state_dir.join(places::LOCAL_PUBLIC));
    for path in paths {
        if let Err(problem) = add(&mut ring.keys, &path) {
            ring.refused.push(format!("`{}`: {problem}", path.display()));
        }
    }
    ring
}

fn add(keys: &mut TrustedKeys, path: &Path) -> Result<(), String> {
    let mut file = match open_regular(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        opened => opened.map_err(|error| error.to_string())?,
    };
    let metadata = file.metadata().map_err(|error| error.to_string())?;
    // Whoever can write a key can sign a policy.
    if metadata.uid() != 0 || metadata.mode() & 0o022 != 0 {
        return Err("it must belong to root, and nobody else may write it".to_owned());
    }
    let text = read_bounded(&mut file, limits::MAX_KEY_FILE_BYTES)
        .map_err(|error| error.to_string())
        .and_then(|bytes| String::from_utf8(bytes).map_err(|error| error.to_string()))?;
    let key = PublicKey::parse(&text).map_err(|error| error.to_string())?;
    match keys.add(key) {
        // One key in two files is no harm.
        Err(execlayer_bundle::KeyError::Repeated(_)) | Ok(()) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
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

    use super::{bundle, keys};

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
        let ring = keys(folder.path(), folder.path());
        assert!(ring.keys.is_empty());
        assert_eq!(ring.refused.len(), 1, "{:?}", ring.refused);
        assert!(ring.refused[0].contains("broken.pub"));
    }

    #[test]
    fn folders_that_are_not_there_hold_no_keys_and_are_no_failure() {
        let folder = tempfile::tempdir().unwrap();
        let ring = keys(&folder.path().join("none"), &folder.path().join("none"));
        assert!(ring.keys.is_empty() && ring.refused.is_empty());
    }
}
