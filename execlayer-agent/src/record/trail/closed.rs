//! Segments that are closed: compressed, and removed when the settings say so. Must not touch the one that is written.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, BufRead, BufReader, Write},
    mem,
    os::unix::fs::MetadataExt,
    path::Path,
    thread::{self, JoinHandle},
};

use execlayer_audit::{Hash, TILE, Tile, Tree, segment};
use lz4_flex::frame::{FrameDecoder, FrameEncoder, FrameInfo};

use super::{Settings, files};

const DAY: u64 = 24 * 60 * 60;

/// Segments that are not compressed yet.
#[derive(Debug, Default)]
pub(super) struct Closed {
    plain: Vec<u64>,
    /// One at a time, beside the daemon's loop.
    running: Option<JoinHandle<io::Result<()>>>,
}

/// Closed segments that are to be removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// Records before this number are in them.
    pub before: u64,
    /// Their first numbers.
    segments: Vec<u64>,
}

impl Closed {
    pub(super) fn add(&mut self, first: u64) {
        self.plain.push(first);
    }

    /// Whether all is compressed.
    #[cfg(test)]
    pub(super) fn is_idle(&self) -> bool {
        self.plain.is_empty() && self.running.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Whether one is being compressed, or waits for it.
    pub(super) fn is_busy(&self) -> bool {
        !self.plain.is_empty() || self.running.is_some()
    }

    /// Goes on compressing. An error is that of the last one, which is tried again at the next start.
    pub(super) fn compress(&mut self, folder: &Path) -> io::Result<()> {
        if self.running.as_ref().is_some_and(|running| !running.is_finished()) {
            return Ok(());
        }
        let ended = mem::take(&mut self.running).map(JoinHandle::join);
        if let Some(first) = self.plain.pop() {
            let folder = folder.to_owned();
            self.running = Some(thread::Builder::new().spawn(move || compress(&folder, first))?);
        }
        match ended {
            None => Ok(()),
            Some(Ok(result)) => result,
            Some(Err(_panic)) => Err(io::Error::other("compressing a segment failed")),
        }
    }
}

/// Whole or not at all: until the end the plain file is there. The tiles of its records are made to survive first: once
/// the records are removed, nothing else has their hashes.
fn compress(folder: &Path, first: u64) -> io::Result<()> {
    let records = folder.join(segment::FOLDER);
    let plain = records.join(segment::name(first));
    let beside = records.join(format!("{}.new", segment::compressed_name(first)));
    let frame = FrameInfo::new().content_checksum(true);
    let mut to = FrameEncoder::with_frame_info(frame, files::create(&beside)?);
    let mut from = BufReader::new(File::open(&plain)?);
    let (mut tree, mut tiles, mut line) = (Tree::default(), Vec::new(), Vec::new());
    while from.read_until(b'\n', &mut line)? != 0 {
        to.write_all(&line)?;
        let record = line.strip_suffix(b"\n").unwrap_or(&line);
        tree.append(Hash::of_leaf(record), |tile, hashes| {
            // Those above span more than this segment.
            if tile.level == 0 {
                tiles.push((Tile::full(0, first / TILE + tile.index), Tile::to_bytes(hashes)));
            }
        });
        line.clear();
    }
    let mut file = to.finish().map_err(io::Error::other)?;
    file.flush()?;
    file.sync_all()?;
    for (tile, bytes) in tiles {
        files::keep_tile(folder, tile, &bytes)?;
    }
    fs::rename(&beside, records.join(segment::compressed_name(first)))?;
    File::open(&records)?.sync_all()?;
    fs::remove_file(plain)
}

/// A segment's lines.
pub(super) fn reader(folder: &Path, first: u64) -> io::Result<Box<dyn BufRead>> {
    const BUFFER: usize = 1 << 18;
    let records = folder.join(segment::FOLDER);
    match File::open(records.join(segment::name(first))) {
        Ok(file) => Ok(Box::new(BufReader::with_capacity(BUFFER, file))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let file = File::open(records.join(segment::compressed_name(first)))?;
            Ok(Box::new(BufReader::with_capacity(BUFFER, FrameDecoder::new(file))))
        }
        Err(error) => Err(error),
    }
}

/// Which closed segments, the oldest ones, are older or more than the settings keep. `open` is the first number of the
/// one that is written.
pub(super) fn due(settings: &Settings, open: u64, now: u64) -> io::Result<Option<Due>> {
    if settings.keep_days.is_none() && settings.keep_bytes.is_none() {
        return Ok(None);
    }
    // A crash can leave a segment both plain and compressed.
    let mut found: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
    for entry in fs::read_dir(settings.folder.join(segment::FOLDER))? {
        let entry = entry?;
        let Some(first) = entry.file_name().to_str().and_then(segment::first_of) else { continue };
        if first < open {
            let file = entry.metadata()?;
            let of = found.entry(first).or_default();
            let changed = u64::try_from(file.mtime()).unwrap_or_default();
            *of = (of.0 + file.len(), of.1.max(changed));
        }
    }
    let closed: Vec<_> = found.into_iter().map(|(first, (bytes, at))| (first, bytes, at)).collect();
    let mut total: u64 = closed.iter().map(|(_first, bytes, _at)| bytes).sum();
    let mut segments = Vec::new();
    let mut before = 0;
    for (at, &(first, bytes, changed)) in closed.iter().enumerate() {
        let is_old =
            settings.keep_days.is_some_and(|days| now.saturating_sub(changed) > days * DAY);
        let is_too_much = settings.keep_bytes.is_some_and(|most| total > most);
        if !is_old && !is_too_much {
            break;
        }
        total -= bytes;
        segments.push(first);
        before = closed.get(at + 1).map_or(open, |(next, ..)| *next);
    }
    Ok((!segments.is_empty()).then_some(Due { before, segments }))
}

pub(super) fn remove(folder: &Path, due: &Due) -> io::Result<()> {
    for &first in &due.segments {
        for name in [segment::name(first), segment::compressed_name(first)] {
            match fs::remove_file(folder.join(segment::FOLDER).join(name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
    }
    Ok(())
}
