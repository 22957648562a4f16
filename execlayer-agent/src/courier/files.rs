//! What the daemon reads for its child as root: a webhook's secret and the certificates that its
//! server's must come from. Must not read anything that a policy does not name, but the system's
//! certificates.

use std::{os::unix::fs::MetadataExt, path::Path};

use execlayer_common::provenance::DeciderKind;

use super::{Task, line::Errand};
use crate::trust;

const MAX_SECRET: usize = 4_096;
const MAX_CERTIFICATES: usize = 1 << 20;
/// As much as SHA-256 in HMAC is worth half of.
const MIN_SECRET: usize = 16;

/// What the child needs for the task, as a line; or why it cannot be had.
pub(super) fn errand(number: u64, task: Task, system: &Path) -> Result<Vec<u8>, String> {
    let Task { id: _, decider, question, address } = task;
    let (mut secret, mut ca) = (None, None);
    if let DeciderKind::Webhook { url, secret: file, ca: given, .. } = &decider {
        secret = Some(read_secret(Path::new(file))?);
        if url.starts_with("https:") {
            ca = Some(certificates(given.as_deref().map_or(system, Path::new))?);
        }
    }
    let errand = Errand { number, decider, secret, ca, question, address };
    let mut bytes = serde_json::to_vec(&errand)
        .map_err(|error| format!("the question cannot be written down: {error}"))?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn read_secret(path: &Path) -> Result<Vec<u8>, String> {
    let shown = path.display();
    let unreadable = |error| format!("cannot read the secret `{shown}`: {error}");
    let mut file = trust::open_regular(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if metadata.uid() != 0 {
        return Err(format!("the secret `{shown}` is not root's: chown root `{shown}`"));
    }
    if metadata.mode() & 0o077 != 0 {
        return Err(format!("others can reach the secret `{shown}`: chmod 600 `{shown}`"));
    }
    let mut bytes = trust::read_bounded(&mut file, MAX_SECRET).map_err(unreadable)?;
    // An editor's last line end is not part of it.
    let length = bytes.trim_ascii_end().len();
    bytes.truncate(length);
    if bytes.len() < MIN_SECRET {
        return Err(format!("the secret `{shown}` has less than {MIN_SECRET} bytes"));
    }
    Ok(bytes)
}

fn certificates(path: &Path) -> Result<String, String> {
    let problem = |error: &dyn std::fmt::Display| {
        format!("cannot read the certificates `{}`: {error}", path.display())
    };
    // The system's may be a link, and an operator's, too: what they are is public.
    let path = path.canonicalize().map_err(|error| problem(&error))?;
    let mut file = trust::open_regular(&path).map_err(|error| problem(&error))?;
    let metadata = file.metadata().map_err(|error| problem(&error))?;
    // Whoever can write it can be the server.
    if metadata.uid() != 0 || metadata.mode() & 0o022 != 0 {
        return Err(problem(&"it must belong to root, and nobody else may write it"));
    }
    let bytes =
        trust::read_bounded(&mut file, MAX_CERTIFICATES).map_err(|error| problem(&error))?;
    String::from_utf8(bytes).map_err(|error| problem(&error))
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, Permissions},
        os::unix::fs::{PermissionsExt, chown, symlink},
    };

    use super::{certificates, read_secret};

    #[test]
    fn a_secret_that_others_can_reach_is_refused_and_the_note_says_what_to_change() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        fs::write(&file, "0123456789abcdef0123\n").unwrap();
        for (mode, wanted) in
            [(0o600, None), (0o640, Some("chmod 600")), (0o404, Some("chmod 600"))]
        {
            fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
            match (read_secret(&file), wanted) {
                (Ok(bytes), None) => assert_eq!(bytes, b"0123456789abcdef0123"),
                (Err(problem), Some(wanted)) => assert!(problem.contains(wanted), "{problem}"),
                // Tests that do not run as root own nothing that is root's.
                (Err(problem), None) => assert!(problem.contains("chown root"), "{problem}"),
                (Ok(_), Some(_)) => panic!("mode {mode:o} was accepted"),
            }
        }
        fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        let link = folder.path().join("link");
        symlink(&file, &link).unwrap();
        assert!(read_secret(&link).is_err());
        fs::write(&file, "short\n").unwrap();
        assert!(read_secret(&file).is_err());
        if nix::unistd::geteuid().is_root() {
            chown(&file, Some(65_534), None).unwrap();
            assert!(read_secret(&file).unwrap_err().contains("chown root"));
        }
    }

    #[test]
    fn certificates_that_others_can_write_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        fs::write(&file, "-----BEGIN CERTIFICATE-----\n").unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o664)).unwrap();
        assert!(certificates(&file).unwrap_err().contains("nobody else may write"));
        assert!(certificates(&folder.path().join("none")).unwrap_err().contains("none"));
    }
}
