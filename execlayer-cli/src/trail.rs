//! The audit trail's files, read: its records in their order, its signed heads, the leaves in its tiles. Must not
//! conclude anything from them; `execlayer_audit::verify` does.

use std::{
    fs,
    io::{self, BufRead},
    path::{Path, PathBuf},
};

use execlayer_audit::{Hash, LogKey, TILE, Tile, read, segment};

use crate::{
    error::{CliError, Exit},
    files,
};

pub(crate) mod filter;

use filter::{Filter, Record};

/// An audit trail's folder.
#[derive(Debug)]
pub(crate) struct Log {
    folder: PathBuf,
}

/// A line of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line<'a> {
    /// With its newline taken away.
    Whole(&'a [u8]),
    /// The last one, if it has none.
    Torn,
}

impl Log {
    /// The one in a folder.
    pub(crate) fn at(folder: &Path) -> Result<Self, CliError> {
        match fs::read_dir(folder.join(segment::FOLDER)) {
            Ok(_entries) => Ok(Self { folder: folder.to_owned() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(CliError::failure(format!("there is no audit trail in `{}`", folder.display()))
                    .help("name its folder: the daemon's option --audit says where it is"))
            }
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(CliError::new(
                Exit::NeedsRoot,
                format!("`{}` is closed to you", folder.display()),
            )
            .help("try it with sudo")),
            Err(error) => Err(files::cannot("read", folder, &error)),
        }
    }

    /// Its own idea of its key.
    pub(crate) fn own_key(&self) -> Result<LogKey, CliError> {
        read_key(&self.folder.join(segment::PUBLIC_KEY))
    }

    /// Its signed heads, each with its file's name: the newest first, then those of closed segments.
    pub(crate) fn heads(&self) -> Result<Vec<(String, String)>, CliError> {
        let mut heads = Vec::new();
        let newest = self.folder.join(segment::CHECKPOINT);
        if newest.exists() {
            heads.push((segment::CHECKPOINT.to_owned(), read_head(&newest)?));
        }
        for first in self.numbers(segment::closed_of)? {
            let name = segment::checkpoint_name(first);
            let path = self.folder.join(segment::FOLDER).join(&name);
            heads.push((format!("{}/{name}", segment::FOLDER), read_head(&path)?));
        }
        Ok(heads)
    }

    /// First numbers of its segments, in order.
    pub(crate) fn segments(&self) -> Result<Vec<u64>, CliError> {
        self.numbers(segment::first_of)
    }

    fn numbers(&self, of: impl Fn(&str) -> Option<u64>) -> Result<Vec<u64>, CliError> {
        read::numbers(&self.folder, of)
            .map_err(|error| files::cannot("read", &self.folder.join(segment::FOLDER), &error))
    }

    /// Files beside the records that are no part of the log.
    pub(crate) fn strangers(&self) -> Result<Vec<String>, CliError> {
        let records = self.folder.join(segment::FOLDER);
        let failed = |error| files::cannot("read", &records, &error);
        let mut found = Vec::new();
        for entry in fs::read_dir(&records).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name().to_string_lossy().into_owned();
            // A daemon is writing it, or was killed while it did.
            let part = name.strip_suffix(".new").unwrap_or(&name);
            let head = part.strip_suffix(".checkpoint").unwrap_or(part);
            let is_part = [part, head]
                .iter()
                .any(|name| segment::first_of(name).or(segment::closed_of(name)).is_some());
            let is_new_head =
                name.ends_with(".new") && segment::first_of(&format!("{head}.jsonl")).is_some();
            if !is_part && !is_new_head {
                found.push(name);
            }
        }
        found.sort();
        Ok(found)
    }

    /// The lines of a segment, from one of its bytes on; where the last whole one ends.
    pub(crate) fn lines(
        &self,
        first: u64,
        from: u64,
        mut each: impl FnMut(Line<'_>) -> Result<(), CliError>,
    ) -> Result<u64, CliError> {
        let (path, mut reader) = match read::open(&self.folder, first, from) {
            // A record that the daemon could not write whole was cut off.
            Err((_path, error)) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(from),
            opened => opened.map_err(|(path, error)| files::cannot("read", &path, &error))?,
        };
        let failed = |error| files::cannot("read", &path, &error);
        let (mut line, mut end) = (Vec::new(), from);
        while reader.read_until(b'\n', &mut line).map_err(failed)? != 0 {
            match line.strip_suffix(b"\n") {
                Some(whole) => {
                    each(Line::Whole(whole))?;
                    end += line.len() as u64;
                }
                None => each(Line::Torn)?,
            }
            line.clear();
        }
        Ok(end)
    }

    /// Every record that a filter lets through, in order.
    pub(crate) fn wanted(
        &self,
        filter: &Filter,
        mut each: impl FnMut(&Record<'_>) -> Result<(), CliError>,
    ) -> Result<(), CliError> {
        let sieve = filter.sieve();
        for first in self.segments()? {
            self.lines(first, 0, |line| {
                let Line::Whole(bytes) = line else { return Ok(()) };
                sieve.take(bytes)?.map_or(Ok(()), |record| each(&record))
            })?;
        }
        Ok(())
    }

    /// One record.
    pub(crate) fn record(&self, seq: u64) -> Result<Vec<u8>, CliError> {
        let first = self.segments()?.into_iter().rfind(|&first| first <= seq);
        let mut found = None;
        if let Some(first) = first {
            self.lines(first, 0, |line| {
                if let Line::Whole(record) = line
                    && segment::seq_of(record) == Some(seq)
                {
                    found = Some(record.to_vec());
                }
                Ok(())
            })?;
        }
        found.ok_or_else(|| {
            CliError::failure(format!("record {seq} is not in `{}`", self.folder.display()))
        })
    }

    /// The leaves in its tiles.
    pub(crate) fn leaves(&self) -> Leaves<'_> {
        Leaves { log: self, index: None, hashes: Vec::new() }
    }

    /// A tile's hashes: of the file that there is, if that has at least as many.
    pub(crate) fn tile(&self, tile: Tile) -> io::Result<Vec<Hash>> {
        let read = |tile: Tile| {
            let bytes = fs::read(self.folder.join(tile.path()))?;
            tile.hashes_of(&bytes).ok_or(io::Error::from(io::ErrorKind::InvalidData))
        };
        match read(tile) {
            Err(_absent) if !tile.is_full() => {
                let mut hashes = read(Tile::full(tile.level, tile.index))?;
                hashes.truncate(usize::from(tile.width));
                Ok(hashes)
            }
            hashes => hashes,
        }
    }
}

/// The leaves in a log's tiles, one tile at a time.
#[derive(Debug)]
pub(crate) struct Leaves<'a> {
    log: &'a Log,
    index: Option<u64>,
    hashes: Vec<Hash>,
}

impl Leaves<'_> {
    /// A record's hash, if a tile has it.
    pub(crate) fn of(&mut self, seq: u64) -> Option<Hash> {
        let index = seq / TILE;
        if self.index != Some(index) {
            self.index = Some(index);
            self.hashes = self.widest(index);
        }
        self.hashes.get((seq % TILE) as usize).copied()
    }

    /// The largest tile of level 0 that there is at a place; damaged ones are none.
    fn widest(&self, index: u64) -> Vec<Hash> {
        let full = Tile::full(0, index);
        if let Ok(hashes) = self.log.tile(full) {
            return hashes;
        }
        let mut folder = self.log.folder.join(full.path()).into_os_string();
        folder.push(".p");
        let names = fs::read_dir(folder).into_iter().flatten().flatten();
        let widths = names.filter_map(|entry| entry.file_name().to_str()?.parse::<u16>().ok());
        let widest = widths.filter(|width| u64::from(*width) < TILE).max();
        let tile = widest.map(|width| Tile { level: 0, index, width });
        tile.and_then(|tile| self.log.tile(tile).ok()).unwrap_or_default()
    }
}

/// Reads a log's public key.
pub(crate) fn read_key(path: &Path) -> Result<LogKey, CliError> {
    let text = read_text(path)?;
    LogKey::parse(&text).map_err(|error| {
        CliError::failure(format!("`{}` cannot be used: {error}", path.display()))
            .help("a device's public key is `log.pub` in the folder of its audit trail")
    })
}

/// A head's file. What is no text in it makes it none that counts.
fn read_head(path: &Path) -> Result<String, CliError> {
    let bytes = fs::read(path).map_err(|error| files::cannot("read", path, &error))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Reads a file of text.
pub(crate) fn read_text(path: &Path) -> Result<String, CliError> {
    fs::read_to_string(path).map_err(|error| files::cannot("read", path, &error))
}
