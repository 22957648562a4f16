//! Keys in files: making, reading and trusting them. Must not know what is signed with them.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use execlayer_api::places;
use execlayer_bundle::{
    KeyError, PrivateKey, PublicKey, SignedBundle, TrustedKeys, UnsignedBundle,
    limits::{MAX_KEY_FILE_BYTES, MAX_ROOT_BYTES},
    root::{self, VerifiedRoot},
    sign,
};
use zeroize::Zeroizing;

use crate::{error::CliError, files, locked, passphrase};

/// Makes a key from the kernel's random numbers.
pub(crate) fn make(comment: &str) -> Result<PrivateKey, CliError> {
    // Unlike urandom it waits, early after boot, until the kernel has enough to go on.
    let source = Path::new("/dev/random");
    let mut random = Zeroizing::new([0; 32]);
    File::open(source)
        .and_then(|mut file| file.read_exact(random.as_mut()))
        .map_err(|error| files::cannot("read", source, &error))?;
    Ok(PrivateKey::from_random(random, comment))
}

/// Reads a private key's file, which must be closed to all but its owner.
pub(crate) fn read_private(path: &Path) -> Result<PrivateKey, CliError> {
    let bytes = Zeroizing::new(files::read_private(path, MAX_KEY_FILE_BYTES)?);
    let text = std::str::from_utf8(&bytes).unwrap_or_default();
    let shown = format!("`{}`", path.display());
    if locked::is_pem(text) {
        return locked::open(text, &shown, || passphrase::of(&shown));
    }
    PrivateKey::parse(text)
        .map_err(|error| CliError::failure(format!("{shown} is refused: {error}")))
}

/// The public half of a key, from the file of either.
pub(crate) fn read_either(path: &Path) -> Result<PublicKey, CliError> {
    match path.extension().is_some_and(|ending| ending == "key") {
        true => read_private(path).map(|key| key.public()),
        false => read_public(path),
    }
}

/// Reads a public key's file.
pub(crate) fn read_public(path: &Path) -> Result<PublicKey, CliError> {
    let bytes = files::read_or_fail(path, MAX_KEY_FILE_BYTES)?;
    let text = String::from_utf8_lossy(&bytes);
    PublicKey::parse(&text)
        .map_err(|error| CliError::failure(format!("`{}` is refused: {error}", path.display())))
}

/// The id of the key in a line as it stands in a public key's file.
pub(crate) fn id_of_line(line: &str) -> Option<String> {
    PublicKey::parse(line).ok().map(|key| key.id().to_string())
}

pub(crate) fn sign(bundle: &UnsignedBundle, key: &PrivateKey) -> Result<SignedBundle, CliError> {
    sign::sign(bundle, key).map_err(|error| CliError::failure(error.to_string()))
}

/// The key of this machine, with which `run` signs. Made on first use; never leaves `state_dir`.
pub(crate) fn local(state_dir: &Path) -> Result<PrivateKey, CliError> {
    files::own_folder(state_dir, 0o700)?;
    let path = state_dir.join(places::LOCAL_KEY);
    if !path.exists() {
        let key = make("local key of this machine")?;
        // Somebody may have been faster: then theirs is the key.
        files::write_once(&path, key.to_secret_text().as_bytes(), 0o600)?;
    }
    let key = read_private(&path)?;
    let public = state_dir.join(places::LOCAL_PUBLIC);
    let text = key.public().to_text();
    if fs::read(&public).ok().as_deref() != Some(text.as_bytes()) {
        files::write_whole(&public, text.as_bytes(), 0o644)?;
        // A daemon keeps what the key signs: after a lost power the key is there, too.
        files::sync_folder(state_dir)?;
    }
    Ok(key)
}

/// The files in which trusted keys stand: `named`, each a file or a folder, or the usual places.
pub(crate) fn trusted_files(named: &[PathBuf]) -> Result<Vec<PathBuf>, CliError> {
    let usual =
        [PathBuf::from(places::KEYS_DIR), Path::new(places::STATE_DIR).join(places::LOCAL_PUBLIC)];
    let mut found = Vec::new();
    for place in if named.is_empty() { &usual[..] } else { named } {
        match fs::read_dir(place) {
            Ok(entries) => {
                for entry in entries {
                    let path = entry.map_err(|error| files::cannot("read", place, &error))?.path();
                    if path.extension().is_some_and(|ending| ending == "pub") {
                        found.push(path);
                    }
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => found.push(place.clone()),
            // The usual places need not be there, and what only root may see is root's.
            Err(_) if named.is_empty() => {
                if place.is_file() {
                    found.push(place.clone());
                }
            }
            Err(error) => return Err(files::cannot("read", place, &error)),
        }
    }
    found.sort();
    Ok(found)
}

/// Whom a daemon would trust: the keys in those files, or where none is named what the machine's root says, if it
/// has one.
pub(crate) fn trusted(named: &[PathBuf]) -> Result<TrustedKeys, CliError> {
    if named.is_empty()
        && let Some(root) = machines_root()?
    {
        let mut keys = TrustedKeys::of_root(&root);
        let local = Path::new(places::STATE_DIR).join(places::LOCAL_PUBLIC);
        if root.root().local && local.is_file() {
            add(&mut keys, &local)?;
        }
        return Ok(keys);
    }
    let mut keys = TrustedKeys::default();
    for path in trusted_files(named)? {
        add(&mut keys, &path)?;
    }
    Ok(keys)
}

fn add(keys: &mut TrustedKeys, path: &Path) -> Result<(), CliError> {
    match keys.add(read_public(path)?) {
        // One key in two files is no harm.
        Ok(()) | Err(KeyError::Repeated(_)) => Ok(()),
        Err(error) => Err(CliError::failure(format!("`{}`: {error}", path.display()))),
    }
}

/// The root of this machine, as far as the caller may see it.
fn machines_root() -> Result<Option<VerifiedRoot>, CliError> {
    let kept = Path::new(places::STATE_DIR).join(places::ROOT_IN_FORCE);
    for path in [kept.as_path(), Path::new(places::ROOT)] {
        if path.is_file() {
            let bytes = files::read_or_fail(path, MAX_ROOT_BYTES)?;
            return root::verify(&bytes, None).map(Some).map_err(|error| {
                CliError::failure(format!("`{}` is refused: {error}", path.display()))
            });
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_local_key_is_made_once_and_closed_to_others() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        let first = local(&state).unwrap().id();
        assert_eq!(local(&state).unwrap().id(), first);
        let mode = |name| fs::metadata(state.join(name)).unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode(places::LOCAL_KEY), 0o600);
        assert_eq!(fs::metadata(&state).unwrap().permissions().mode() & 0o7777, 0o700);
        assert_eq!(read_public(&state.join(places::LOCAL_PUBLIC)).unwrap().id(), first);
        assert_eq!(fs::read_dir(&state).unwrap().count(), 2, "something was left behind");
    }

    #[test]
    fn a_private_key_that_others_can_read_or_exchange_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        local(&state).unwrap();
        let path = state.join(places::LOCAL_KEY);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(read_private(&path).is_err());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let link = state.join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(read_private(&link).is_err());
        assert!(read_private(&path).is_ok());
        fs::set_permissions(&state, fs::Permissions::from_mode(0o777)).unwrap();
        assert!(local(&state).is_err());
    }

    #[test]
    fn a_lost_public_half_is_written_again() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        let id = local(&state).unwrap().id();
        fs::write(state.join(places::LOCAL_PUBLIC), "other").unwrap();
        local(&state).unwrap();
        assert_eq!(read_public(&state.join(places::LOCAL_PUBLIC)).unwrap().id(), id);
    }
}
