//! Files: lines at the end of one, and signed heads as files of a folder. A file is opened for each batch, so that it can
//! be moved away at any time. Must not remove anything.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use execlayer_audit::Hash;

use super::{Item, Sink, Trouble, lines, no_heads};
use crate::settings::Format;

const MODE: u32 = 0o640;
const FOLDER: u32 = 0o750;

/// Lines of a file.
#[derive(Debug)]
pub(super) struct Lines {
    path: PathBuf,
    format: Format,
}

impl Lines {
    pub(super) fn new(path: &Path, format: Format) -> Self {
        Self { path: path.to_owned(), format }
    }

    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        // A pipe is nothing to wait for: it forgets what nobody reads, and takes half of a batch.
        let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true).mode(MODE).custom_flags(flags);
        let mut file = options.open(&self.path)?;
        let before = file.metadata()?;
        if !before.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
        }
        let mut last = [b'\n'];
        if let Some(at) = before.len().checked_sub(1) {
            file.read_exact_at(&mut last, at)?;
        }
        // Half of a line, of a process that was killed: it comes again.
        let mend: &[u8] = if last == *b"\n" { b"" } else { b"\n" };
        let written = file.write_all(&[mend, bytes].concat()).and_then(|()| file.sync_data());
        if written.is_err() {
            file.set_len(before.len())?;
        }
        written
    }
}

impl Sink for Lines {
    fn send(&mut self, items: &[Item]) -> Result<(), Trouble> {
        let written = self.append(&lines(self.format, items));
        written.map_err(|error| Trouble::of(&self.path.display().to_string(), &error))
    }

    fn send_head(&mut self, _size: u64, _note: &str) -> Result<(), Trouble> {
        Err(no_heads())
    }
}

/// A folder of signed heads, a file each.
#[derive(Debug)]
pub struct Heads {
    folder: PathBuf,
}

impl Heads {
    pub(super) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// Never over one that is there. Another one of the same size is another log's, or a forgery: both are kept.
    fn put(&self, size: u64, note: &str) -> io::Result<()> {
        let mut path = self.folder.join(format!("{size:020}.checkpoint"));
        let new = self.folder.join(format!(".{size:020}.new"));
        match fs::read(&path) {
            Ok(there) if there == note.as_bytes() => return Ok(()),
            Ok(_other) => {
                let Hash([a, b, c, d, ..]) = Hash::of_leaf(note.as_bytes());
                let mark = format!("{a:02x}{b:02x}{c:02x}{d:02x}");
                let name = path.display().to_string();
                tracing::warn!("`{name}` is another head of as many records: see both");
                path = self.folder.join(format!("{size:020}-{mark}.checkpoint"));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        match DirBuilder::new().mode(FOLDER).create(&self.folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(MODE)
            .custom_flags(libc::O_NOFOLLOW)
            .open(&new)?;
        file.write_all(note.as_bytes())?;
        file.sync_all()?;
        fs::rename(new, path)
    }
}

impl Sink for Heads {
    fn send(&mut self, _items: &[Item]) -> Result<(), Trouble> {
        Err(Trouble::Refused("records are not sent this way".to_owned()))
    }

    fn send_head(&mut self, size: u64, note: &str) -> Result<(), Trouble> {
        let put = self.put(size, note);
        put.map_err(|error| Trouble::of(&self.folder.display().to_string(), &error))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{Heads, Lines, Sink};
    use crate::{settings::Format, sink::tests::item};

    #[test]
    fn lines_are_added_also_after_the_file_was_moved_away() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.jsonl");
        let mut lines = Lines::new(&path, Format::Records);
        lines.send(&[item(0), item(1)]).unwrap();
        fs::rename(&path, folder.path().join("out.jsonl.1")).unwrap();
        lines.send(&[item(2)]).unwrap();
        let moved = fs::read_to_string(folder.path().join("out.jsonl.1")).unwrap();
        assert_eq!(
            (moved.lines().count(), fs::read_to_string(&path).unwrap().lines().count()),
            (2, 1)
        );
        assert_eq!(fs::read(&path).unwrap().strip_suffix(b"\n"), Some(&*item(2).line));
    }

    #[test]
    fn half_a_line_of_one_that_was_killed_does_not_take_the_next_one_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.jsonl");
        fs::write(&path, "{\"seq\":0,\"ho").unwrap();
        Lines::new(&path, Format::Records).send(&[item(0)]).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!((lines.len(), lines[1].as_bytes()), (2, &*item(0).line));
    }

    #[test]
    fn what_is_no_file_is_refused_and_a_link_is_not_followed() {
        let mut lines = Lines::new("/dev/null".as_ref(), Format::Cef);
        let trouble = lines.send(&[item(0)]).unwrap_err().to_string();
        assert!(trouble.contains("/dev/null") && trouble.contains("regular"), "{trouble}");
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(folder.path().join("other"), &link).unwrap();
        assert!(Lines::new(&link, Format::Cef).send(&[item(0)]).is_err());
        assert!(!folder.path().join("other").exists());
    }

    #[test]
    fn a_head_has_a_file_and_no_other_takes_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let mut heads = Heads::new(folder.path());
        heads.send_head(256, "first\n").unwrap();
        heads.send_head(256, "first\n").unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        heads.send_head(256, "other\n").unwrap();
        let path = folder.path().join("00000000000000000256.checkpoint");
        assert_eq!(fs::read_to_string(path).unwrap(), "first\n");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "both are kept");
        let below = folder.path().join("heads");
        Heads::new(&below).send_head(1, "").unwrap();
        assert_eq!(fs::read_dir(&below).unwrap().count(), 1, "its folder is made");
        assert!(Heads::new(&folder.path().join("no/where")).send_head(1, "").is_err());
    }
}
