//! The event log's file. Owns opening and writing; a failure is a value that the caller makes
//! visible, and the log is tried again with the next line.

use std::{
    fs::{DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// Lines are gathered to this size before they are written.
const GATHER: usize = 64 << 10;

/// Where events are written.
#[derive(Debug)]
pub struct Log {
    target: Target,
    gathered: Vec<u8>,
    lines: u64,
    unwritten: u64,
}

#[derive(Debug)]
enum Target {
    Standard,
    File { path: PathBuf, file: Option<File> },
}

impl Log {
    /// A log at `path`, or on standard output if that is `-`. It is opened with the first line.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        let target = if path.as_os_str() == "-" {
            Target::Standard
        } else {
            Target::File { path: path.to_owned(), file: None }
        };
        Self { target, gathered: Vec::new(), lines: 0, unwritten: 0 }
    }

    /// Opens the file now, so that a wrong path is seen at the start.
    ///
    /// # Errors
    ///
    /// If it cannot be opened.
    pub fn open(&mut self) -> io::Result<()> {
        if let Target::File { path, file } = &mut self.target {
            *file = Some(open(path)?);
        }
        Ok(())
    }

    /// Closes the file; the next line opens it again. For whoever has moved it away.
    pub fn reopen(&mut self) {
        if let Target::File { file, .. } = &mut self.target {
            *file = None;
        }
    }

    /// Gathers a line; whether enough was gathered to be written. The rest waits for [`Log::flush`].
    ///
    /// # Errors
    ///
    /// If what was gathered cannot be written: it is counted as unwritten and gone.
    pub fn write(&mut self, line: &[u8]) -> io::Result<bool> {
        self.gathered.extend_from_slice(line);
        self.lines += 1;
        if self.gathered.len() >= GATHER { self.flush() } else { Ok(false) }
    }

    /// Writes what was gathered; whether there was something to write.
    ///
    /// # Errors
    ///
    /// If it cannot be written: it is counted as unwritten and gone.
    pub fn flush(&mut self) -> io::Result<bool> {
        if self.gathered.is_empty() {
            return Ok(false);
        }
        let done = write_all(&mut self.target, &self.gathered);
        if done.is_err() {
            self.unwritten += self.lines;
        }
        self.lines = 0;
        self.gathered.clear();
        self.gathered.shrink_to(GATHER);
        done.map(|()| true)
    }

    /// Lines that could not be written.
    #[must_use]
    pub fn unwritten(&self) -> u64 {
        self.unwritten
    }

    /// How it is named to people.
    #[must_use]
    pub fn name(&self) -> String {
        match &self.target {
            Target::Standard => "-".to_owned(),
            Target::File { path, .. } => path.display().to_string(),
        }
    }
}

fn write_all(target: &mut Target, bytes: &[u8]) -> io::Result<()> {
    match target {
        Target::Standard => {
            let mut out = io::stdout().lock();
            out.write_all(bytes)?;
            out.flush()
        }
        Target::File { path, file } => {
            let open_file = match file {
                Some(open_file) => open_file,
                None => file.insert(open(path)?),
            };
            let done = open_file.write_all(bytes);
            if done.is_err() {
                *file = None;
            }
            done
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o750).create(folder)?;
    }
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o640)
        .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC)
        .open(path)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::Log;

    #[test]
    fn lines_are_appended_and_survive_a_reopening() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/events.jsonl");
        let mut log = Log::at(&path);
        log.write(b"one\n").unwrap();
        assert!(!path.exists(), "gathered, not written");
        log.flush().unwrap();
        fs::rename(&path, folder.path().join("old")).unwrap();
        log.reopen();
        log.write(b"two\n").unwrap();
        log.flush().unwrap();
        assert_eq!(fs::read(folder.path().join("old")).unwrap(), b"one\n");
        assert_eq!(fs::read(&path).unwrap(), b"two\n");
        assert_eq!(log.unwritten(), 0);
    }

    #[test]
    fn what_cannot_be_written_is_counted_and_the_log_recovers() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events");
        fs::create_dir(&path).unwrap();
        let mut log = Log::at(&path);
        log.write(b"one\n").unwrap();
        log.write(b"two\n").unwrap();
        assert!(log.flush().is_err());
        assert_eq!(log.unwritten(), 2);
        fs::remove_dir(&path).unwrap();
        log.write(b"three\n").unwrap();
        log.flush().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"three\n");
        assert_eq!(log.unwritten(), 2);
    }

    #[test]
    fn a_symbolic_link_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (target, path) = (folder.path().join("target"), folder.path().join("events"));
        std::os::unix::fs::symlink(&target, &path).unwrap();
        let mut log = Log::at(&path);
        assert!(log.open().is_err());
        assert!(!target.exists());
    }
}
