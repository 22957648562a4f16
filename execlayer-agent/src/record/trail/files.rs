//! Single files of the trail: a segment that grows, tiles, heads. Must not know the tree.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt},
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
    /// Bytes that survive a lost power.
    synced: u64,
    /// A sync failed: what was written since the last good one may not be on the disk, and no later sync says so.
    is_doubtful: bool,
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
        if let Err(error) = File::open(&records).and_then(|folder| folder.sync_all()) {
            // The segment before it goes on: an empty one behind it would say that it is whole.
            fs::remove_file(&path)?;
            return Err(error);
        }
        Ok(Self {
            path,
            file: Some(file),
            first,
            len: 0,
            synced: 0,
            is_doubtful: false,
            began: time::now(),
        })
    }

    /// One that exists, of which `len` bytes are whole records: the rest is cut off.
    pub(super) fn resume(folder: &Path, first: u64, len: u64) -> io::Result<Self> {
        let path = folder.join(segment::FOLDER).join(segment::name(first));
        let file = reopen(&path, len)?;
        let made = file.metadata()?;
        let made = made.created().or_else(|_unknown| made.modified())?;
        let began = made.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        // An earlier daemon's syncs are not known.
        Ok(Self { path, file: Some(file), first, len, synced: 0, is_doubtful: false, began })
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
        self.synced = self.synced.min(self.len);
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
    ///
    /// KERNEL: a failed write-back is reported once, and its pages are clean afterwards (Documentation/filesystems/vfs.rst,
    /// "Handling errors during writeback", 6.1): they are written again before another sync is believed.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(reopen(&self.path, self.len)?),
        };
        if self.is_doubtful {
            write_again(&self.path, self.synced, self.len)?;
        }
        self.is_doubtful = true;
        file.sync_data()?;
        self.is_doubtful = false;
        self.synced = self.len;
        Ok(())
    }
}

/// Writes bytes of a file over themselves.
fn write_again(path: &Path, from: u64, to: u64) -> io::Result<()> {
    let file =
        OpenOptions::new().read(true).write(true).custom_flags(libc::O_NOFOLLOW).open(path)?;
    let mut buffer = vec![0; 1 << 16];
    let mut at = from;
    while at < to {
        let count = usize::try_from(to - at).unwrap_or(usize::MAX).min(buffer.len());
        let bytes = buffer.get_mut(..count).unwrap_or_default();
        file.read_exact_at(bytes, at)?;
        file.write_all_at(bytes, at)?;
        at += count as u64;
    }
    Ok(())
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

/// Makes sure that a full tile is there as it should be, and survives a lost power.
pub(super) fn keep_tile(folder: &Path, tile: Tile, bytes: &[u8]) -> io::Result<()> {
    let path = folder.join(tile.path());
    if fs::read(&path).ok().as_deref() != Some(bytes) {
        write_tile(folder, tile, bytes)?;
    }
    File::open(path)?.sync_all()
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

/// Removes the tiles that were not full where the next ones are written: what a lost power left of them can be anything.
pub(super) fn clear_partial_tiles(folder: &Path, size: u64) {
    for level in 0..8_u8 {
        let index = size.checked_shr(8 * (u32::from(level) + 1)).unwrap_or_default();
        let mut partial = folder.join(Tile::full(level, index).path()).into_os_string();
        partial.push(".p");
        let _absent = fs::remove_dir_all(partial);
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
