//! Single files of the trail: a segment that grows, tiles, heads. Must not know the tree.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use execlayer_audit::{Tile, segment};

use crate::{record::time, store};

/// Folders: the owner writes, the group reads.
const FOLDER: u32 = 0o750;
const FILE: u32 = 0o640;

/// A file of records, with a known number of good bytes.
#[derive(Debug)]
pub(super) struct Segment {
    path: PathBuf,
    /// None after a failure: then it is opened anew.
    file: Option<File>,
    first: u64,
    len: u64,
    began: u64,
}

impl Segment {
    /// A new one, whose first record has the number `first`.
    pub(super) fn begin(folder: &Path, first: u64) -> io::Result<Self> {
        let records = folder.join(segment::FOLDER);
        let path = records.join(segment::name(first));
        let file = OpenOptions::new()
            .append(true)
            .create_new(true)
            .mode(FILE)
            .custom_flags(libc::O_NOFOLLOW)
            .open(&path)?;
        File::open(&records)?.sync_all()?;
        Ok(Self { path, file: Some(file), first, len: 0, began: time::now() })
    }

    /// One that exists, of which `len` bytes are whole records: the rest is cut off.
    pub(super) fn resume(folder: &Path, first: u64, len: u64) -> io::Result<Self> {
        let path = folder.join(segment::FOLDER).join(segment::name(first));
        let file = reopen(&path, len)?;
        let made = file.metadata()?;
        let made = made.created().or_else(|_unknown| made.modified())?;
        let began = made.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        Ok(Self { path, file: Some(file), first, len, began })
    }

    pub(super) const fn first(&self) -> u64 {
        self.first
    }

    pub(super) const fn len(&self) -> u64 {
        self.len
    }

    /// The second in which it was begun.
    pub(super) const fn began(&self) -> u64 {
        self.began
    }

    /// All of it, or nothing.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(reopen(&self.path, self.len)?),
        };
        let written = file.write_all(bytes);
        if written.is_ok() {
            self.len += bytes.len() as u64;
        } else if file.set_len(self.len).is_err() {
            self.file = None;
        }
        written
    }

    /// The last bytes were not written after all.
    pub(super) fn take_back(&mut self, bytes: u64) {
        self.len = self.len.saturating_sub(bytes);
        if self.file.as_ref().is_some_and(|file| file.set_len(self.len).is_err()) {
            self.file = None;
        }
    }

    /// As after a failure.
    #[cfg(test)]
    pub(super) fn forget_file(&mut self) {
        self.file = None;
    }

    /// What was written survives a lost power.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        self.file.as_ref().map_or(Ok(()), File::sync_data)
    }
}

/// Opens a file of which `len` bytes are good, and cuts off the rest.
fn reopen(path: &Path, len: u64) -> io::Result<File> {
    let file = OpenOptions::new().append(true).custom_flags(libc::O_NOFOLLOW).open(path)?;
    if file.metadata()?.len() < len {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "records that were written are gone from it",
        ));
    }
    file.set_len(len)?;
    Ok(file)
}

/// A file of the trail, made anew.
pub(super) fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(FILE)
        .custom_flags(libc::O_NOFOLLOW)
        .open(path)
}

pub(super) fn make_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(FOLDER).create(path)
}

/// Writes a tile. It can be computed again, so it is not made durable.
pub(super) fn write_tile(folder: &Path, tile: Tile, bytes: &[u8]) -> io::Result<()> {
    let path = folder.join(tile.path());
    if let Some(parent) = path.parent() {
        make_folder(parent)?;
    }
    create(&path)?.write_all(bytes)
}

/// Removes a tile that is not full, and its folder once that is empty.
pub(super) fn remove_tile(folder: &Path, tile: Tile) {
    let path = folder.join(tile.path());
    let removed = fs::remove_file(&path);
    if let (Ok(()), Some(parent)) = (removed, path.parent()) {
        // It has others in it, or is gone: both are well.
        let _kept = fs::remove_dir(parent);
    }
}

/// Writes a signed head: whole and durable, or not at all.
pub(super) fn write_head(folder: &Path, name: &Path, note: &str) -> io::Result<()> {
    let path = folder.join(name);
    let (Some(parent), Some(name)) =
        (path.parent(), path.file_name().and_then(|name| name.to_str()))
    else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    store::write_whole_as(parent, name, note.as_bytes(), FILE)
}
