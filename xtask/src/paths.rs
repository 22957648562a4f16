//! Where things lie: the checkout, its target folder, and the cache that outlives a checkout.

use anyhow::{Context, Result};
use std::env;
use std::path::{Path, PathBuf};

/// The top of the checkout.
pub(crate) fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

pub(crate) fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), PathBuf::from)
}

/// Downloads and what is made of them. Outside of the checkout: a fresh clone finds it again.
pub(crate) fn cache() -> Result<PathBuf> {
    let base = match env::var_os("XDG_CACHE_HOME") {
        Some(base) if Path::new(&base).is_absolute() => PathBuf::from(base),
        _ => env::home_dir().context("neither HOME nor XDG_CACHE_HOME is set")?.join(".cache"),
    };
    Ok(base.join("execlayer"))
}

/// The first folder of PATH, or of where Debian and cargo put programs, that holds `program`.
pub(crate) fn program(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let cargo_home = env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| env::home_dir().map(|home| home.join(".cargo")));
    env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin", "/usr/bin"].map(PathBuf::from))
        .chain(cargo_home.map(|home| home.join("bin")))
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}
