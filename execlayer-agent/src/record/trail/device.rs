//! The device's key: made once, kept in the state directory. Must not sign anything itself.

use std::{
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::Path,
};

use execlayer_api::places;
use execlayer_audit::Signer;
use zeroize::Zeroizing;

use crate::{record::time, store, trust};

const RANDOM: &str = "/dev/urandom";
const HOST_NAME: &str = "/proc/sys/kernel/hostname";
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
/// Longer than any file of a key.
const MAX_KEY: usize = 1024;

/// Who signs.
#[derive(Debug)]
pub(super) struct Device {
    pub(super) signer: Signer,
}

/// What was wrong with the key that was there.
pub(super) type Lost = Option<String>;

impl Device {
    /// The device's key; a new one if there is none. One that cannot be read is set aside.
    pub(super) fn load(state_dir: &Path) -> io::Result<(Self, Lost)> {
        let path = state_dir.join(places::AUDIT_KEY);
        let lost = match read(&path) {
            Ok(Some(signer)) => return Ok((Self { signer }, None)),
            Ok(None) => None,
            Err(problem) => {
                let aside = format!("{}.set-aside-{}", places::AUDIT_KEY, time::now());
                fs::rename(&path, state_dir.join(&aside))?;
                Some(format!("the device's key was set aside to `{aside}`: {problem}"))
            }
        };
        let signer = make()?;
        let text = signer.to_secret_text();
        store::write_whole(state_dir, places::AUDIT_KEY, text.as_bytes())?;
        Ok((Self { signer }, lost))
    }

    /// A name for another log of this device.
    pub(super) fn new_origin(&self) -> io::Result<String> {
        let number = u32::from_ne_bytes(random()?);
        Ok(format!("{}/{number:08x}", self.signer.public().name()))
    }
}

fn read(path: &Path) -> Result<Option<Signer>, String> {
    let mut file = match trust::open_regular(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(|error| error.to_string())?,
    };
    if file.metadata().map_err(|error| error.to_string())?.mode() & 0o077 != 0 {
        return Err("others than its owner may use it".to_owned());
    }
    let bytes = trust::read_bounded(&mut file, MAX_KEY).map(Zeroizing::new);
    let bytes = bytes.map_err(|error| error.to_string())?;
    let text = core::str::from_utf8(&bytes).map_err(|error| error.to_string())?;
    Signer::parse(text).map(Some).map_err(|error| error.to_string())
}

/// Fields of every record: which machine, and which of its boots.
pub(super) fn whence() -> String {
    let read = |path: &str| {
        let text = fs::read_to_string(path).unwrap_or_default();
        serde_json::Value::from(text.trim()).to_string()
    };
    format!("\"host\":{},\"boot\":{},", read(HOST_NAME), read(BOOT_ID))
}

fn make() -> io::Result<Signer> {
    let seed = Zeroizing::new(random()?);
    // A name of a note's key has no spaces and no `+`; a host name has neither by any standard.
    let host = fs::read_to_string(HOST_NAME).unwrap_or_default();
    let host = host.trim().replace(|letter: char| !letter.is_ascii_graphic() || letter == '+', "-");
    let host = if host.is_empty() { "localhost" } else { &host };
    Signer::from_random(&seed, &format!("{host}/execlayer")).map_err(io::Error::other)
}

fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    File::open(RANDOM)?.read_exact(&mut bytes)?;
    Ok(bytes)
}
