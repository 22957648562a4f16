//! Up to where a sink has sent the log, on the disk: what was taken is marked only afterwards, so nothing is skipped, and
//! what is sent twice is what a crash left unmarked. Must not send.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use execlayer_audit::{
    Hash,
    read::{ReadError, Tail},
};
use serde::{Deserialize, Serialize};

/// What is known of a record that was sent: its number and its hash as a leaf.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The record's number.
    pub seq: u64,
    /// SHA-256 of it as a leaf (RFC 6962, section 2.1), in base64.
    pub leaf: String,
}

impl Mark {
    /// Of a record.
    #[must_use]
    pub fn of(seq: u64, record: &[u8]) -> Self {
        Self { seq, leaf: Hash::of_leaf(record).to_base64() }
    }
}

/// What a sink has done, as it is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct State {
    /// Number of the next record.
    pub next: u64,
    /// The record before it.
    pub last: Option<Mark>,
    /// The last record sent that a signed head covered by then: no lost power takes it out of the log.
    pub signed: Option<Mark>,
    /// Records that were removed before they could be sent.
    pub lost: u64,
    /// Records that the other side would not have.
    pub refused: u64,
}

/// A sink's state on the disk.
#[derive(Debug)]
pub struct Cursor {
    path: PathBuf,
    /// What it says.
    pub state: State,
}

/// How the log has gone on since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// It is the same.
    Same,
    /// It ends earlier, or has other records at its end: those since the last head are sent again.
    Shortened,
    /// It is another one, which is sent from its beginning.
    Another,
}

impl Cursor {
    /// What is stored of a sink with this name, if anything is.
    ///
    /// # Errors
    ///
    /// If it cannot be read, or means nothing.
    pub fn load(folder: &Path, name: &str) -> io::Result<Option<Self>> {
        let path = folder.join(format!("{name}.json"));
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(Self { state: serde_json::from_slice(&bytes)?, path })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// One that begins at a record.
    #[must_use]
    pub fn begin(folder: &Path, name: &str, next: u64) -> Self {
        let state = State { next, ..State::default() };
        Self { path: folder.join(format!("{name}.json")), state }
    }

    /// Stores it: whole and durable, or as it was.
    ///
    /// # Errors
    ///
    /// If it cannot be stored.
    pub fn store(&self) -> io::Result<()> {
        let new = self.path.with_extension("new");
        let mut file = File::create(&new)?;
        file.write_all(&serde_json::to_vec(&self.state)?)?;
        file.sync_all()?;
        fs::rename(&new, &self.path)?;
        match self.path.parent() {
            Some(folder) => File::open(folder)?.sync_all(),
            None => Ok(()),
        }
    }

    /// Compares with the log that is there now, and goes back if it has changed.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    pub fn compare(&mut self, log: &Path) -> Result<Found, ReadError> {
        let is_there =
            |mark: &Option<Mark>| mark.as_ref().map_or(Ok(true), |mark| is_in(log, mark));
        if is_there(&self.state.last)? {
            return Ok(Found::Same);
        }
        if self.state.signed.is_some() && is_there(&self.state.signed)? {
            self.state.last = self.state.signed.clone();
            self.state.next = self.state.signed.as_ref().map_or(0, |mark| mark.seq + 1);
            return Ok(Found::Shortened);
        }
        self.state =
            State { lost: self.state.lost, refused: self.state.refused, ..State::default() };
        Ok(Found::Another)
    }
}

/// Whether a record is in the log as it was, or was removed since with what is older.
fn is_in(log: &Path, mark: &Mark) -> Result<bool, ReadError> {
    match Tail::from(log, mark.seq).read(1, 1) {
        Ok(chunk) => {
            let is_same = chunk.records.first().map(|record| Mark::of(mark.seq, record));
            Ok(chunk.removed > 0 || is_same.as_ref() == Some(mark))
        }
        Err(ReadError::Shorter { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use execlayer_audit::segment;

    use super::{Cursor, Found, Mark};

    fn line(seq: u64, text: &str) -> String {
        format!("{}\"a\":\"{text}\"}}", segment::begin(seq))
    }

    fn put(folder: &Path, first: u64, lines: &[&str]) {
        let records = folder.join(segment::FOLDER);
        fs::create_dir_all(&records).unwrap();
        let text: String = (first..).zip(lines).map(|(seq, a)| line(seq, a) + "\n").collect();
        fs::write(records.join(segment::name(first)), text).unwrap();
    }

    fn at(folder: &Path, last: (u64, &str), signed: (u64, &str)) -> Cursor {
        let mark = |(seq, text): (u64, &str)| Some(Mark::of(seq, line(seq, text).as_bytes()));
        let mut cursor = Cursor::begin(folder, "a", last.0 + 1);
        (cursor.state.last, cursor.state.signed) = (mark(last), mark(signed));
        cursor
    }

    #[test]
    fn what_was_stored_comes_back_and_what_is_damaged_is_no_state() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Cursor::load(folder.path(), "a").unwrap().is_none());
        let mut cursor = at(folder.path(), (4, "x"), (2, "y"));
        (cursor.state.lost, cursor.state.refused) = (7, 8);
        cursor.store().unwrap();
        assert_eq!(Cursor::load(folder.path(), "a").unwrap().unwrap().state, cursor.state);
        fs::write(folder.path().join("a.json"), "{\"next\":").unwrap();
        assert!(Cursor::load(folder.path(), "a").is_err());
    }

    #[test]
    fn a_log_that_lost_its_end_or_was_replaced_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path();
        put(log, 0, &["a", "b", "c", "d"]);
        let mut same = at(log, (3, "d"), (1, "b"));
        assert_eq!(same.compare(log).unwrap(), Found::Same);
        assert_eq!(same.state.next, 4);
        for lines in [&["a", "b", "c"][..], &["a", "b", "c", "other", "e"]] {
            put(log, 0, lines);
            let mut cursor = at(log, (3, "d"), (1, "b"));
            assert_eq!(cursor.compare(log).unwrap(), Found::Shortened);
            assert_eq!(cursor.state.next, 2);
        }
        for lines in [&["z"][..], &["z", "y", "x", "w", "v"]] {
            put(log, 0, lines);
            let mut cursor = at(log, (3, "d"), (1, "b"));
            cursor.state.lost = 5;
            assert_eq!(cursor.compare(log).unwrap(), Found::Another);
            assert_eq!((cursor.state.next, cursor.state.lost), (0, 5));
        }
        fs::remove_dir_all(log.join(segment::FOLDER)).unwrap();
        put(log, 256, &["much", "later"]);
        let mut cursor = at(log, (3, "d"), (1, "b"));
        assert_eq!(cursor.compare(log).unwrap(), Found::Same, "what is older was removed");
    }
}
