//! Programs that take what `execlayer-export` gives, for tests on this host.
//!
//! Debian's packages are unpacked into the cache, and nothing is installed: no script of a package
//! runs, and what is kept is started by tests only. Must not fail what can go on without them.

use super::archive::Archive;
use crate::{paths, shell};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The older of the releases that tests run on: its programs run on the newer one too.
const RELEASE: &str = "bookworm";
/// The programs, and the libraries of theirs that a plain Debian has not.
const PACKAGES: &[&str] = &["rsyslog", "libestr0", "libfastjson4", "prometheus"];
/// Goes up when what is kept of the packages changes.
const RECIPE: &str = "1";
/// Weight without use in a test: services, documents, pages for browsers.
const DROPPED: &[&str] =
    &["etc", "lib", "var", "usr/share", "usr/lib/systemd", "usr/lib/tmpfiles.d"];
const LIST: &str = "packages.txt";

/// Consumers in the cache.
pub(crate) struct Consumers {
    /// The top of the unpacked tree.
    pub(crate) folder: PathBuf,
    /// Packages with their versions.
    pub(crate) packages: Vec<String>,
}

impl Consumers {
    fn cached(folder: &Path) -> Option<Self> {
        let list = fs::read_to_string(folder.join(LIST)).ok()?;
        Some(Self {
            folder: folder.to_owned(),
            packages: list.lines().map(str::to_owned).collect(),
        })
    }
}

/// The consumers, from the cache or from the archive.
pub(crate) fn ensure(archive: &mut Archive) -> Result<Consumers> {
    let all = paths::cache()?.join("consumers");
    let folder = all.join(format!("{RELEASE}-{RECIPE}"));
    if let Some(cached) = Consumers::cached(&folder) {
        return Ok(cached);
    }
    for program in ["apt-get", "dpkg-deb"] {
        if paths::program(program).is_none() {
            bail!("no {program} here to fetch {} with", PACKAGES.join(", "));
        }
    }
    let scratch = all.join(format!(".{}", std::process::id()));
    let _ = fs::remove_dir_all(&scratch);
    fs::create_dir_all(&scratch).with_context(|| format!("cannot make `{}`", scratch.display()))?;
    let made = shell::step("fetching consumers of exports (rsyslog, prometheus)", || {
        fetch(archive, &scratch)
    });
    let put = made.and_then(|tree| {
        // Older recipes, and what another run has made meanwhile.
        let _ = fs::remove_dir_all(&folder);
        fs::rename(tree, &folder).context("cannot put the consumers into the cache")
    });
    fs::remove_dir_all(&scratch)?;
    put?;
    Consumers::cached(&folder).context("the consumers just kept cannot be read back")
}

/// A tree with the programs, each of which has run once.
fn fetch(archive: &mut Archive, scratch: &Path) -> Result<PathBuf> {
    let packages: Vec<String> = PACKAGES.iter().map(|name| format!("{name}/{RELEASE}")).collect();
    archive.download(&packages, scratch)?;
    let tree = scratch.join("tree");
    let (mut list, mut bytes) = (Vec::new(), 0);
    for entry in fs::read_dir(scratch)? {
        let file = entry?.path();
        if file.extension().is_none_or(|extension| extension != "deb") {
            continue;
        }
        shell::output(Command::new("dpkg-deb").arg("-x").arg(&file).arg(&tree))?;
        bytes += fs::metadata(&file)?.len();
        list.push(file.file_stem().unwrap_or_default().to_string_lossy().replace("%3a", ":"));
    }
    for dropped in DROPPED {
        let _ = fs::remove_dir_all(tree.join(dropped));
    }
    list.sort();
    for (program, argument) in
        [("sbin/rsyslogd", "-v"), ("bin/promtool", "--version"), ("bin/prometheus", "--version")]
    {
        let mut command = Command::new(tree.join("usr").join(program));
        shell::output(command.arg(argument).env("LD_LIBRARY_PATH", libraries(&tree)))?;
    }
    let kept = size(&tree)?;
    eprintln!("    {}: {} fetched, {} kept", list.join(", "), megabytes(bytes), megabytes(kept));
    fs::write(tree.join(LIST), list.join("\n") + "\n")?;
    Ok(tree)
}

fn libraries(tree: &Path) -> PathBuf {
    tree.join("usr/lib/x86_64-linux-gnu")
}

fn size(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += if metadata.is_dir() { size(&entry.path())? } else { metadata.len() };
    }
    Ok(bytes)
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}
