//! Schemathesis, which makes requests of the API's own document, for a test on this host.
//!
//! It comes from PyPI into the cache, by version and digest (`tests/schemathesis.txt`), and is installed nowhere. Must
//! not fail what can go on without it.

use crate::{paths, shell};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

const LIST: &str = "tests/schemathesis.txt";
/// What its compiled parts depend on.
const WHICH: &str = "import sys; print(sys.implementation.cache_tag)";

/// The folder that it can be imported from.
pub(crate) fn ensure() -> Result<PathBuf> {
    if paths::program("python3").is_none() {
        bail!("no python3 here to run it with");
    }
    let list = paths::workspace().join(LIST);
    let text = fs::read_to_string(&list)?;
    let version = text.lines().find_map(|line| line.strip_prefix("schemathesis=="));
    let version = version.and_then(|rest| rest.split(' ').next()).context("no version of it")?;
    let python = shell::output(Command::new("python3").args(["-c", WHICH]))?;
    let all = paths::cache()?.join("schemathesis");
    let folder = all.join(format!("{version}-{}", python.trim()));
    if folder.is_dir() {
        return Ok(folder);
    }
    let scratch = all.join(format!(".{}", std::process::id()));
    let _ = fs::remove_dir_all(&scratch);
    fs::create_dir_all(&all).with_context(|| format!("cannot make `{}`", all.display()))?;
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"])
        .args(["--no-compile", "--only-binary", ":all:", "--require-hashes", "--requirement"])
        .arg(&list)
        .arg("--target")
        .arg(&scratch)
        .env("PIP_ROOT_USER_ACTION", "ignore");
    let made = shell::step("fetching Schemathesis", || shell::run(&mut pip));
    let put = made.and_then(|()| {
        // What another run has made meanwhile is as good.
        if folder.is_dir() {
            return Ok(());
        }
        fs::rename(&scratch, &folder).context("cannot put Schemathesis into the cache")
    });
    let _ = fs::remove_dir_all(&scratch);
    put?;
    Ok(folder)
}
