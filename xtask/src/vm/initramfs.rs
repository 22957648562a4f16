//! What a guest finds at its first instruction: init, the kernel's modules, our files, the command.

use super::cpio::Cpio;
use super::guest::{GuestSpec, INIT};
use anyhow::{Context, Result};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Writes the archive. The paths below `/guest` are an agreement with the guest's init.
pub(super) fn write(spec: &GuestSpec, archive: &Path) -> Result<()> {
    let mut cpio = Cpio::create(archive)?;
    cpio.symlink("/init", &format!("/guest/files{INIT}"))?;
    cpio.data("/guest/root", spec.root.name().as_bytes())?;
    cpio.data("/guest/command", spec.command.join("\0").as_bytes())?;
    for (at, module) in spec.kernel.modules.iter().enumerate() {
        let name = module.file_name().unwrap_or_default().to_string_lossy();
        cpio.data(&format!("/guest/modules/{at:02}-{name}"), &read(module)?)?;
    }
    for (from, to) in &spec.files {
        add(&mut cpio, from, &format!("/guest/files{to}"))?;
    }
    cpio.finish()
}

/// A file, or a folder with all that is in it.
fn add(cpio: &mut Cpio<impl std::io::Write>, from: &Path, to: &str) -> Result<()> {
    let about = from.metadata().with_context(|| format!("a guest needs `{}`", from.display()))?;
    if about.is_file() {
        let content = read(from)?;
        return match about.permissions().mode() & 0o111 {
            0 => cpio.data(to, &content),
            _ => cpio.program(to, &content),
        };
    }
    let entries =
        fs::read_dir(from).with_context(|| format!("cannot read `{}`", from.display()))?;
    for entry in entries {
        let entry = entry?;
        add(cpio, &entry.path(), &format!("{to}/{}", entry.file_name().to_string_lossy()))?;
    }
    Ok(())
}

fn read(file: &Path) -> Result<Vec<u8>> {
    fs::read(file).with_context(|| format!("a guest needs `{}`", file.display()))
}
