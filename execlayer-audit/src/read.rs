//! Files of records, read while they are written and compressed: which there are, their bytes, and the records from one
//! number on. Must not take a record apart, nor wait for one.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use lz4_flex::frame::FrameDecoder;

use crate::segment;

/// Bytes that are read at once.
const BUFFER: usize = 1 << 18;

/// First numbers of a log's segments, in order.
///
/// # Errors
///
/// If the folder of records cannot be read.
pub fn segments(folder: &Path) -> io::Result<Vec<u64>> {
    numbers(folder, segment::first_of)
}

/// The numbers that names of files beside the records have, in order.
///
/// # Errors
///
/// If the folder of records cannot be read.
pub fn numbers(folder: &Path, of: impl Fn(&str) -> Option<u64>) -> io::Result<Vec<u64>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder.join(segment::FOLDER))? {
        found.extend(entry?.file_name().to_str().and_then(&of));
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// A segment's file, and its bytes from one on, uncompressed. It may become compressed at any moment.
///
/// # Errors
///
/// The file, and why it cannot be read: `UnexpectedEof` if it ends before that byte.
pub fn open(
    folder: &Path,
    first: u64,
    from: u64,
) -> Result<(PathBuf, Box<dyn BufRead>), (PathBuf, io::Error)> {
    let records = folder.join(segment::FOLDER);
    let plain = records.join(segment::name(first));
    match File::open(&plain) {
        Ok(mut file) => {
            return match seek(&mut file, from) {
                Ok(()) => Ok((plain, Box::new(BufReader::with_capacity(BUFFER, file)))),
                Err(error) => Err((plain, error)),
            };
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err((plain, error)),
    }
    let path = records.join(segment::compressed_name(first));
    let opened = File::open(&path).and_then(|file| {
        let mut reader = FrameDecoder::new(file);
        io::copy(&mut reader.by_ref().take(from), &mut io::sink())?;
        Ok(reader)
    });
    match opened {
        Ok(reader) => Ok((path, Box::new(BufReader::with_capacity(BUFFER, reader)))),
        Err(error) => Err((path, error)),
    }
}

fn seek(file: &mut File, from: u64) -> io::Result<()> {
    if from > file.metadata()?.len() {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it is shorter than it was"));
    }
    file.seek(SeekFrom::Start(from)).map(|_from| ())
}

/// Why the next records cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// A file.
    #[error("cannot read `{}`: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A record has another number than the one that it should have.
    #[error("`{}` has no record {expected} where it should be: see `execlayer audit verify`", path.display())]
    Order {
        /// The file.
        path: PathBuf,
        /// The number.
        expected: u64,
    },
    /// A file does not have any more what was read of it. The next reading begins with the file's beginning.
    #[error("`{}` is not what it was any more", path.display())]
    Cut {
        /// Which.
        path: PathBuf,
    },
    /// The log ends before the record that comes next: it is another one, or lost its end with the power.
    #[error("the log has {size} records only")]
    Shorter {
        /// How many it has.
        size: u64,
    },
}

/// Records of a log, in order.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Chunk {
    /// How many are not there any more between those read before and these.
    pub removed: u64,
    /// Number of the first.
    pub first: u64,
    /// Without their newlines.
    pub records: Vec<Vec<u8>>,
}

/// Where a record begins.
#[derive(Clone, Copy, Debug)]
struct Place {
    segment: u64,
    byte: u64,
    seq: u64,
}

impl Place {
    /// Whether it is another one than a file's beginning.
    const fn is_known(self) -> bool {
        self.byte > 0
    }
}

/// A place in a log: the records behind it come next.
#[derive(Clone, Debug)]
pub struct Tail {
    folder: PathBuf,
    next: u64,
    /// Of the next record, if it is known.
    place: Option<Place>,
}

impl Tail {
    /// The records of a log from one number on.
    #[must_use]
    pub fn from(folder: &Path, next: u64) -> Self {
        Self { folder: folder.to_owned(), next, place: None }
    }

    /// The number of the record that comes next.
    #[must_use]
    pub const fn next(&self) -> u64 {
        self.next
    }

    /// The next records: at most `most`, and no more once they have `bytes`. None if there are none yet.
    ///
    /// # Errors
    ///
    /// A [`ReadError`]. The place stays the same.
    pub fn read(&mut self, most: usize, bytes: usize) -> Result<Chunk, ReadError> {
        // A later segment in this list says that those before it are whole.
        let segments = self.segments()?;
        let mut chunk = Chunk { first: self.next, ..Chunk::default() };
        let (mut next, mut place) = (self.next, self.place);
        for (index, &first) in segments.iter().enumerate() {
            let later = segments.get(index + 1).copied();
            if later.is_some_and(|later| later <= next) {
                continue;
            }
            if first > next {
                // Those read before end here: what is missing belongs to the next chunk.
                if !chunk.records.is_empty() {
                    break;
                }
                // A file that changes its name while a folder is read may be in no list.
                if self.segments()? != segments {
                    return Ok(chunk);
                }
                chunk.removed += first - next;
                (next, chunk.first) = (first, first);
            }
            let begin = Place { segment: first, byte: 0, seq: first };
            let mut at = place.filter(|place| place.segment == first).unwrap_or(begin);
            let was_known = at.is_known();
            let is_full = match self.take(&mut at, next, (most, bytes), &mut chunk) {
                // What is before it is good; what is wrong comes next.
                Err(_error) if !chunk.records.is_empty() => true,
                // A daemon that could not write all of a record has cut it off: others may have its place.
                Err(ReadError::Order { path, .. } | ReadError::Cut { path }) if was_known => {
                    self.place = None;
                    return Err(ReadError::Cut { path });
                }
                taken => taken?,
            };
            place = Some(at);
            if at.seq < next && later.is_none() {
                return Err(ReadError::Shorter { size: at.seq });
            }
            next = next.max(at.seq);
            if is_full {
                break;
            }
        }
        if segments.is_empty() && next > 0 {
            return Err(ReadError::Shorter { size: 0 });
        }
        (self.next, self.place) = (next, place);
        Ok(chunk)
    }

    fn segments(&self) -> Result<Vec<u64>, ReadError> {
        let failed = |source| ReadError::File { path: self.folder.join(segment::FOLDER), source };
        segments(&self.folder).map_err(failed)
    }

    /// Takes records of one segment, from `next` on; whether no more are wanted.
    fn take(
        &self,
        at: &mut Place,
        next: u64,
        (most, bytes): (usize, usize),
        chunk: &mut Chunk,
    ) -> Result<bool, ReadError> {
        let (path, mut reader) =
            open(&self.folder, at.segment, at.byte).map_err(|(path, source)| {
                match source.kind() == io::ErrorKind::UnexpectedEof {
                    true => ReadError::Cut { path },
                    false => ReadError::File { path, source },
                }
            })?;
        let mut size: usize = chunk.records.iter().map(Vec::len).sum();
        let mut line = Vec::new();
        loop {
            if chunk.records.len() >= most || size >= bytes {
                return Ok(true);
            }
            line.clear();
            let read = reader.read_until(b'\n', &mut line);
            let read = read.map_err(|source| ReadError::File { path: path.clone(), source })?;
            // Without a newline it is being written.
            let Some(record) = line.strip_suffix(b"\n") else { return Ok(false) };
            if segment::seq_of(record) != Some(at.seq) {
                return Err(ReadError::Order { path, expected: at.seq });
            }
            if at.seq >= next {
                size += record.len();
                chunk.records.push(record.to_vec());
            }
            at.byte += read as u64;
            at.seq += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use lz4_flex::frame::FrameEncoder;

    use super::{Chunk, ReadError, Tail};
    use crate::segment;

    fn lines(from: u64, to: u64) -> String {
        (from..to).map(|seq| segment::begin(seq) + "\"a\":1}\n").collect()
    }

    fn put(folder: &Path, first: u64, text: &str) {
        fs::create_dir_all(folder.join(segment::FOLDER)).unwrap();
        fs::write(folder.join(segment::FOLDER).join(segment::name(first)), text).unwrap();
    }

    fn compress(folder: &Path, first: u64) {
        let records = folder.join(segment::FOLDER);
        let plain = records.join(segment::name(first));
        let file = fs::File::create(records.join(segment::compressed_name(first))).unwrap();
        let mut encoder = FrameEncoder::new(file);
        std::io::copy(&mut fs::File::open(&plain).unwrap(), &mut encoder).unwrap();
        encoder.finish().unwrap();
        fs::remove_file(plain).unwrap();
    }

    fn numbers(chunk: &Chunk) -> (u64, u64, usize) {
        let seqs: Vec<_> = chunk.records.iter().filter_map(|line| segment::seq_of(line)).collect();
        assert!((chunk.first..).zip(&seqs).all(|(wanted, seq)| wanted == *seq), "{seqs:?}");
        (chunk.removed, chunk.first, seqs.len())
    }

    #[test]
    fn every_record_comes_once_over_files_that_grow_close_and_are_compressed() {
        let folder = tempfile::tempdir().unwrap();
        let mut tail = Tail::from(folder.path(), 0);
        assert!(tail.read(10, 1 << 20).is_err(), "there is no log");
        put(folder.path(), 0, "");
        assert_eq!(numbers(&tail.read(10, 1 << 20).unwrap()), (0, 0, 0));
        put(folder.path(), 0, &(lines(0, 3) + "{\"seq\":3,"));
        assert_eq!(numbers(&tail.read(2, 1 << 20).unwrap()), (0, 0, 2));
        assert_eq!(numbers(&tail.read(10, 1 << 20).unwrap()), (0, 2, 1));
        assert_eq!(numbers(&tail.read(10, 1 << 20).unwrap()), (0, 3, 0));
        put(folder.path(), 0, &lines(0, 256));
        compress(folder.path(), 0);
        put(folder.path(), 256, &lines(256, 300));
        assert_eq!(numbers(&tail.read(100, 1 << 20).unwrap()), (0, 3, 100));
        // Bytes bound it, too, and never keep it from going on.
        assert_eq!(numbers(&tail.read(100, 1).unwrap()), (0, 103, 1));
        assert_eq!(numbers(&tail.read(1_000, 1 << 20).unwrap()), (0, 104, 196));
        assert_eq!(tail.next(), 300);
    }

    #[test]
    fn a_file_whose_end_was_cut_off_is_read_again_from_its_beginning() {
        let folder = tempfile::tempdir().unwrap();
        put(folder.path(), 0, &lines(0, 10));
        let mut tail = Tail::from(folder.path(), 0);
        assert_eq!(numbers(&tail.read(100, 1 << 20).unwrap()), (0, 0, 10));
        // Two of them were no records after all.
        put(folder.path(), 0, &lines(0, 8));
        assert!(matches!(tail.read(100, 1 << 20), Err(ReadError::Cut { .. })));
        assert!(matches!(tail.read(100, 1 << 20), Err(ReadError::Shorter { size: 8 })));
        let other = format!("{}\"longer\":\"than before\"}}\n", segment::begin(8));
        put(folder.path(), 0, &(lines(0, 8) + &other + &lines(9, 20)));
        let chunk = tail.read(100, 1 << 20).unwrap();
        assert_eq!(numbers(&chunk), (0, 10, 10));
    }

    #[test]
    fn what_was_removed_is_counted_and_what_is_no_log_is_said() {
        let folder = tempfile::tempdir().unwrap();
        for (from, to) in [(256, 512), (768, 800)] {
            put(folder.path(), from, &lines(from, to));
        }
        let mut tail = Tail::from(folder.path(), 10);
        assert_eq!(numbers(&tail.read(1_000, 1 << 20).unwrap()), (246, 256, 256));
        assert_eq!(numbers(&tail.read(1_000, 1 << 20).unwrap()), (256, 768, 32));
        let mut tail = Tail::from(folder.path(), 801);
        assert!(matches!(tail.read(1, 1), Err(ReadError::Shorter { size: 800 })));
        put(folder.path(), 768, &(lines(768, 780) + &lines(781, 800)));
        let mut tail = Tail::from(folder.path(), 770);
        assert_eq!(numbers(&tail.read(100, 1 << 20).unwrap()), (0, 770, 10), "up to the wrong one");
        assert!(matches!(tail.read(100, 1 << 20), Err(ReadError::Cut { .. })));
        assert!(matches!(tail.read(100, 1 << 20), Err(ReadError::Order { expected: 780, .. })));
        assert_eq!(tail.next(), 780);
    }
}
