//! What the attempts find below `/srv/names`, made before anything is governed.

use anyhow::{Context, Result, ensure};
use nix::mount::{MsFlags, mount};
use std::env::set_current_dir;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};

const TOP: &str = "/srv/names";

/// A path too long for one system call: a folder, folders in it that all have names of `width`
/// letters, and a file in the last one so that the path has `length` bytes.
#[derive(Debug)]
pub(super) struct Steps {
    folder: &'static str,
    count: usize,
    width: usize,
    length: usize,
}

pub(super) const LONG: Steps =
    Steps { folder: "/srv/names/l", count: 20, width: 200, length: 4_095 };
pub(super) const TOO_LONG: Steps = Steps { length: 4_096, ..LONG };
/// `/srv/names/d`, the folders and the file: `count` and 4 components.
pub(super) const DEEP: Steps =
    Steps { folder: "/srv/names/d", count: 196, width: 1, length: 12 + 196 * 2 + 2 };
pub(super) const TOO_DEEP: Steps = Steps { count: 296, length: 12 + 296 * 2 + 2, ..DEEP };

impl Steps {
    pub(super) fn enter(&self) -> Result<()> {
        set_current_dir(self.folder)?;
        let step = "s".repeat(self.width);
        (0..self.count).try_for_each(|_| set_current_dir(&step)).context("a step is missing")
    }

    pub(super) fn file(&self) -> String {
        let above = self.folder.len() + self.count * (self.width + 1) + 1;
        "f".repeat(self.length - above)
    }

    fn make(&self) -> Result<()> {
        fs::create_dir_all(self.folder)?;
        set_current_dir(self.folder)?;
        let step = "s".repeat(self.width);
        for _ in 0..self.count {
            match fs::create_dir(&step) {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error.into()),
                _ => set_current_dir(&step)?,
            }
        }
        fs::write(self.file(), "")?;
        Ok(set_current_dir("/")?)
    }
}

pub(super) fn all() -> Result<()> {
    let at = |name: &str| format!("{TOP}/{name}");
    for folder in ["sub", "bin", "vault", "window", "hall", "shut-window", "mounted"] {
        fs::create_dir_all(at(folder))?;
    }
    let odd = [b"/srv/names/odd\n\xfe", b"/srv/names/odd\n\xff"];
    for name in odd {
        fs::write(std::ffi::OsStr::from_bytes(name), "")?;
    }
    for name in ["allowed", "forbidden", "log", "sub/allowed", "vault/file", "hall/file"] {
        fs::write(at(name), "content")?;
    }
    for (name, to) in [
        ("link-to-allowed", "allowed"),
        ("link-to-forbidden", "forbidden"),
        ("link-to-program", "bin/allowed"),
        ("link-to-forbidden-program", "bin/forbidden"),
    ] {
        symlink(at(to), at(name))?;
    }
    let none = None::<&str>;
    for (from, to) in [("vault", "window"), ("hall", "shut-window")] {
        mount(Some(at(from).as_str()), at(to).as_str(), none, MsFlags::MS_BIND, none)?;
    }
    for steps in [LONG, TOO_LONG, DEEP, TOO_DEEP] {
        steps.make()?;
    }
    programs()
}

fn programs() -> Result<()> {
    const LOADER: &str = match cfg!(target_arch = "aarch64") {
        true => "/lib/ld-linux-aarch64.so.1",
        false => "/lib64/ld-linux-x86-64.so.2",
    };
    let program = |name: &str, bytes: &[u8]| -> Result<()> {
        let path = format!("{TOP}/{name}");
        fs::write(&path, bytes)?;
        Ok(fs::set_permissions(path, fs::Permissions::from_mode(0o755))?)
    };
    let any = fs::read("/usr/bin/true")?;
    let shell = fs::read("/usr/bin/dash")?;
    let loader = fs::read(LOADER)?;
    for name in ["bin/allowed", "bin/forbidden"] {
        program(name, &any)?;
    }
    for name in ["bin/sh", "bin/forbidden-sh"] {
        program(name, &shell)?;
    }
    program("bin/middle", b"#!/srv/names/bin/sh\n")?;
    program("bin/script", b"#!/srv/names/bin/middle\n")?;
    program("bin/middle-of-forbidden", b"#!/srv/names/bin/forbidden-sh\n")?;
    program("bin/script-of-forbidden", b"#!/srv/names/bin/middle-of-forbidden\n")?;
    let place = any.windows(LOADER.len()).position(|bytes| bytes == LOADER.as_bytes());
    let place = place.context("`true` names no loader")?;
    for (name, own) in [("loads", "ld-permitted.so"), ("loads-forbidden", "ld-forbidden.so")] {
        program(own, &loader)?;
        // As long as the name that it replaces.
        let slashes = "/".repeat(LOADER.len().saturating_sub(TOP.len() + own.len()));
        let path = format!("{TOP}{slashes}{own}");
        ensure!(path.len() == LOADER.len() && !slashes.is_empty(), "no room for `{own}`");
        let mut with_own = any.clone();
        with_own.splice(place..place + path.len(), path.into_bytes());
        program(&format!("bin/{name}"), &with_own)?;
    }
    Ok(())
}
