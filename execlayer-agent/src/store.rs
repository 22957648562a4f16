//! The bundles of a service, kept so that a restart puts them in force again in the same profiles.
//! They are verified again when they are read. Must not know what is in them.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use execlayer_api::places;

use crate::{profiles::CANARY, trust};

/// Keeps the bundle of a profile. Whole or not at all.
///
/// # Errors
///
/// If it cannot be written; the old one stays.
pub fn put(state_dir: &Path, profile: u32, bundle: &[u8]) -> io::Result<()> {
    let folder = state_dir.join(places::KEPT_BUNDLES);
    match DirBuilder::new().mode(0o700).create(&folder) {
        // Also this name is to survive a lost power.
        Ok(()) => fs::File::open(state_dir)?.sync_all()?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    write_whole(&folder, &name(profile), bundle)
}

/// The bundle of a profile, if one is kept.
///
/// # Errors
///
/// If it cannot be read.
pub fn get(state_dir: &Path, profile: u32) -> io::Result<Option<Vec<u8>>> {
    match trust::bundle(&state_dir.join(places::KEPT_BUNDLES).join(name(profile))) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        bundle => bundle.map(Some),
    }
}

/// Keeps none for the profile any more.
///
/// # Errors
///
/// If it cannot be removed.
pub fn remove(state_dir: &Path, profile: u32) -> io::Result<()> {
    fs::remove_file(state_dir.join(places::KEPT_BUNDLES).join(name(profile)))
}

fn name(profile: u32) -> String {
    format!("{profile}.bundle")
}

/// A file to be locked, which nobody else can open: whoever can may lock it, too.
///
/// # Errors
///
/// If it cannot be made.
pub fn lock_file(path: &Path) -> io::Result<fs::File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600).custom_flags(libc::O_NOFOLLOW);
    let file = options.open(path)?;
    // One that was there may have been made otherwise.
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    Ok(file)
}

/// Writes a file of the daemon's, for root only: whole and on the disk, or not at all.
///
/// # Errors
///
/// If it cannot be written; the old one stays.
pub fn write_whole(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    write_whole_as(folder, name, bytes, 0o600)
}

/// The same, with another mode.
///
/// # Errors
///
/// If it cannot be written; the old one stays.
pub fn write_whole_as(folder: &Path, name: &str, bytes: &[u8], mode: u32) -> io::Result<()> {
    let path = folder.join(name);
    let beside = path.with_extension("new");
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, &path)?;
    fs::File::open(folder)?.sync_all()
}

/// The bundles that are kept, by profile.
///
/// # Errors
///
/// If the folder cannot be read.
pub fn list(state_dir: &Path) -> io::Result<Vec<(u32, PathBuf)>> {
    let entries = match fs::read_dir(state_dir.join(places::KEPT_BUNDLES)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let number = path.file_stem().and_then(|stem| stem.to_str()).and_then(|s| s.parse().ok());
        if let Some(profile) = number
            && path.extension().is_some_and(|extension| extension == "bundle")
            && (1..CANARY).contains(&profile)
        {
            found.push((profile, path));
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{list, put};

    #[test]
    fn a_bundle_is_replaced_whole_and_listed_by_its_profile() {
        let state = tempfile::tempdir().unwrap();
        assert!(list(state.path()).unwrap().is_empty());
        put(state.path(), 12, b"one").unwrap();
        put(state.path(), 3, b"two").unwrap();
        put(state.path(), 12, b"three").unwrap();
        let folder = state.path().join("profiles");
        fs::write(folder.join("64.bundle"), b"the canary's").unwrap();
        fs::write(folder.join("4.new"), b"cut short").unwrap();
        fs::write(folder.join("x.bundle"), b"no number").unwrap();
        let found = list(state.path()).unwrap();
        assert_eq!(found.iter().map(|(profile, _)| *profile).collect::<Vec<_>>(), [3, 12]);
        assert_eq!(fs::read(&found[1].1).unwrap(), b"three");
    }
}
