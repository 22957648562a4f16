//! The audit trail's files: records go to segments, their hashes to tiles, and now and then the tree's head is signed.
//! Owns the writing; a failure is a value that the caller makes visible, and what could not be written is counted and
//! was never part of the tree. Must not know what is in a record.
//!
//! Order on the disk: records, then tiles, then the head. A head never names records that a lost power could take.

mod accounts;
mod closed;
mod device;
mod files;
mod open;

use std::{
    collections::BTreeMap,
    fs::File,
    io, mem,
    path::{Path, PathBuf},
};

use execlayer_api::places;
use execlayer_audit::{Checkpoint, Hash, TILE, Tile, Tree, segment};

use crate::{record::time, store};
use accounts::Accounts;
pub use accounts::{Account, Weight};
use closed::Closed;
pub use closed::Due;
use device::Device;
use files::Segment;
pub use open::{Found, TrailError, open};

/// Records are gathered to this size before they are written.
const GATHER: usize = 64 << 10;
/// Seconds after which a segment that has records is closed.
const SEGMENT_AGE: u64 = 24 * 60 * 60;

/// When records are made to survive a lost power.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Sync {
    /// Before anything else is done
    Record,
    /// Every second
    Interval,
    /// When the log's head is signed
    Checkpoint,
}

impl Sync {
    /// As it is written on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Record => "record",
            Self::Interval => "interval",
            Self::Checkpoint => "checkpoint",
        }
    }
}

/// What becomes of calls that must be recorded while records cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Unwritten {
    /// They are judged as always; the records that are missing are counted
    Count,
    /// They are denied: those that a policy asks about, and all of a policy that records everything
    Deny,
}

/// How a trail is kept.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where its files are.
    pub folder: PathBuf,
    /// Where the device's key and a copy of the newest head are.
    pub state_dir: PathBuf,
    /// When records are made to survive.
    pub sync: Sync,
    /// Seconds between two signed heads, if there is something new.
    pub checkpoint: u64,
    /// Bytes after which a segment is closed.
    pub segment: u64,
    /// Days after which a closed segment is removed.
    pub keep_days: Option<u64>,
    /// Bytes of closed segments beyond which the oldest are removed.
    pub keep_bytes: Option<u64>,
}

/// An audit trail that is being written.
#[derive(Debug)]
pub struct Trail {
    settings: Settings,
    device: Device,
    /// What each record says of the machine: fields of JSON, with a comma behind each.
    whence: String,
    origin: String,
    tree: Tree,
    segment: Segment,
    /// Of the folder.
    #[expect(dead_code, reason = "it is held, not used")]
    lock: File,
    /// Whole lines; where each ends, and what it accounts for.
    gathered: Vec<u8>,
    ends: Vec<(usize, Option<Weight>)>,
    /// Tiles that are full and not on the disk yet.
    tiles: Vec<(Tile, Vec<u8>)>,
    /// Size of the newest signed head, and the second since boot in which it was signed: no clock that is set puts it off.
    signed: u64,
    signed_at: u64,
    is_unsynced: bool,
    /// The last records could not be written, or those that were not made to survive.
    is_unwritable: bool,
    is_unsyncable: bool,
    closed: Closed,
    /// Which of the kernel's events are in records.
    accounts: Accounts,
    /// By profile: events of the kernel whose records could not be written. Without one: records of the daemon's own.
    unwritten: BTreeMap<Option<u32>, u64>,
    unwritten_in_all: u64,
}

impl Trail {
    /// Gathers a record, one JSON object of bytes, and gives it its number. Whether enough was gathered to be written;
    /// the rest waits for [`Trail::flush`].
    ///
    /// # Errors
    ///
    /// If what was gathered cannot be written: it is counted and gone.
    pub fn append(&mut self, record: &[u8], weight: Option<Weight>) -> io::Result<bool> {
        let is_closing = self.next().is_multiple_of(TILE) && self.is_segment_done();
        let closed =
            if is_closing { self.flush().and_then(|_any| self.close_segment()) } else { Ok(()) };
        let begin = segment::begin(self.next()) + &self.whence;
        let fields = record.strip_prefix(b"{").unwrap_or(record);
        if begin.len() + fields.len() > segment::MAX_RECORD {
            self.count_unwritten(weight);
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "a record has more than 65,535 bytes",
            ));
        }
        self.gathered.extend_from_slice(begin.as_bytes());
        self.gathered.extend_from_slice(fields);
        self.gathered.push(b'\n');
        self.ends.push((self.gathered.len(), weight));
        // The record stands, in the segment that there is.
        closed?;
        if self.gathered.len() >= GATHER { self.flush() } else { Ok(false) }
    }

    /// Writes what was gathered; whether there was something to write.
    ///
    /// # Errors
    ///
    /// If it cannot be written: it is counted and gone.
    pub fn flush(&mut self) -> io::Result<bool> {
        let (gathered, ends) = (mem::take(&mut self.gathered), mem::take(&mut self.ends));
        if ends.is_empty() {
            return Ok(false);
        }
        let written = self.put(&gathered);
        self.is_unwritable = written.is_err();
        if let Err(error) = written {
            ends.iter().for_each(|&(_end, weight)| self.count_unwritten(weight));
            return Err(error);
        }
        let mut begin = 0;
        for &(end, weight) in &ends {
            // Without its newline.
            let line = gathered.get(begin..end.saturating_sub(1)).unwrap_or_default();
            let tiles = &mut self.tiles;
            self.tree.append(Hash::of_leaf(line), |tile, hashes| {
                tiles.push((tile, Tile::to_bytes(hashes)))
            });
            begin = end;
            weight.into_iter().for_each(|weight| self.accounts.add(weight));
        }
        self.is_unsynced = self.settings.sync != Sync::Record;
        self.write_tiles()?;
        Ok(true)
    }

    /// Every second: what the settings ask for by then.
    ///
    /// # Errors
    ///
    /// If the disk fails. It is tried again.
    pub fn tick(&mut self) -> io::Result<bool> {
        let was_written = self.flush()?;
        if self.settings.sync == Sync::Interval {
            self.make_durable()?;
        }
        if self.signed != self.tree.size()
            && time::seconds_since_boot().saturating_sub(self.signed_at) >= self.settings.checkpoint
        {
            self.checkpoint()?;
        }
        Ok(was_written)
    }

    /// Writes what there is, and signs the tree's head.
    ///
    /// # Errors
    ///
    /// If the disk fails.
    pub fn checkpoint(&mut self) -> io::Result<()> {
        self.flush()?;
        self.make_durable()?;
        self.write_tiles()?;
        let before = self.signed;
        for (tile, hashes) in self.tree.partials() {
            files::write_tile(&self.settings.folder, tile, &Tile::to_bytes(hashes))?;
        }
        let note = self.head()?;
        // The copy first: a log that is shorter than it says was cut.
        store::write_whole(&self.settings.state_dir, places::AUDIT_HEAD, note.as_bytes())?;
        self.accounts.store(&self.settings.state_dir, self.tree.size())?;
        files::write_head(&self.settings.folder, Path::new(segment::CHECKPOINT), &note)?;
        self.signed = self.tree.size();
        self.signed_at = time::seconds_since_boot();
        Tile::partials(before)
            .filter(|tile| !Tile::partials(self.signed).any(|kept| kept == *tile))
            .for_each(|tile| files::remove_tile(&self.settings.folder, tile));
        Ok(())
    }

    /// From now on records are about events of this loaded gate; whether those before were, too. If not, nothing is
    /// accounted for. Kept with the next checkpoint.
    pub fn begin_accounts(&mut self, instance: u64) -> bool {
        self.accounts.begin(instance)
    }

    /// What is accounted for of a profile by records that are in the log.
    #[must_use]
    pub fn account(&self, profile: u32) -> Account {
        self.accounts.of(profile)
    }

    /// Takes everything up to these for accounted for.
    pub fn set_account(&mut self, profile: u32, account: Account) {
        self.accounts.set(profile, account);
    }

    /// Events of a profile whose records could not be written, since this was last asked; without a profile, records
    /// of the daemon's own.
    pub fn take_unwritten(&mut self, profile: Option<u32>) -> u64 {
        self.unwritten.remove(&profile).unwrap_or_default()
    }

    /// Every second, after [`Trail::tick`]: compresses what was closed, and says which closed segments are to go. They do
    /// once [`Trail::remove`] is called: the record that says so comes first.
    ///
    /// # Errors
    ///
    /// If the disk fails. It is tried again.
    pub fn tend_closed(&mut self) -> io::Result<Option<Due>> {
        self.closed.compress(&self.settings.folder)?;
        if self.closed.is_busy() {
            return Ok(None);
        }
        closed::due(&self.settings, self.segment.first(), time::now())
    }

    /// Removes closed segments. Their heads and tiles stay: they prove the rest.
    ///
    /// # Errors
    ///
    /// If one cannot be removed.
    pub fn remove(&mut self, due: &Due) -> io::Result<()> {
        self.checkpoint()?;
        closed::remove(&self.settings.folder, due)
    }

    /// Whether records get to the disk no more. A head that cannot be signed, or a file that cannot be compressed, is
    /// another matter.
    #[must_use]
    pub const fn is_failing(&self) -> bool {
        self.is_unwritable || self.is_unsyncable
    }

    /// Records that could not be written.
    #[must_use]
    pub const fn unwritten(&self) -> u64 {
        self.unwritten_in_all
    }

    /// Records in the log.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.tree.size()
    }

    /// How many of them the newest signed head covers.
    #[must_use]
    pub const fn signed(&self) -> u64 {
        self.signed
    }

    /// The log's name in its heads.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// As after a failure: the file of records is opened anew.
    #[cfg(test)]
    pub(crate) fn forget_file(&mut self) {
        self.segment.forget_file();
    }

    /// How it is named to people.
    #[must_use]
    pub fn name(&self) -> String {
        self.settings.folder.display().to_string()
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.segment.write(bytes)?;
        if self.settings.sync != Sync::Record {
            return Ok(());
        }
        // What may be lost with the power was not written, whatever write said.
        self.segment.sync().inspect_err(|_error| self.segment.take_back(bytes.len() as u64))
    }

    /// The number of the next record.
    fn next(&self) -> u64 {
        self.tree.size() + self.ends.len() as u64
    }

    fn is_segment_done(&self) -> bool {
        let len = self.segment.len() + self.gathered.len() as u64;
        let age = time::now().saturating_sub(self.segment.began());
        self.next() != self.segment.first() && (len >= self.settings.segment || age >= SEGMENT_AGE)
    }

    /// Signs the head behind the segment's last record, for good, and begins another segment.
    fn close_segment(&mut self) -> io::Result<()> {
        self.checkpoint()?;
        let name = segment::checkpoint_name(self.segment.first());
        files::write_head(
            &self.settings.folder,
            &Path::new(segment::FOLDER).join(name),
            &self.head()?,
        )?;
        let closed = self.segment.first();
        self.segment = Segment::begin(&self.settings.folder, self.tree.size())?;
        self.closed.add(closed);
        Ok(())
    }

    fn head(&self) -> io::Result<String> {
        let head = Checkpoint {
            origin: self.origin.clone(),
            size: self.tree.size(),
            root: self.tree.root(),
        };
        self.device.signer.sign(&head).map_err(io::Error::other)
    }

    fn make_durable(&mut self) -> io::Result<()> {
        if self.is_unsynced {
            let synced = self.segment.sync();
            self.is_unsyncable = synced.is_err();
            synced?;
            self.is_unsynced = false;
        }
        Ok(())
    }

    fn write_tiles(&mut self) -> io::Result<()> {
        while let Some((tile, bytes)) = self.tiles.first() {
            files::write_tile(&self.settings.folder, *tile, bytes)?;
            self.tiles.remove(0);
        }
        Ok(())
    }

    fn count_unwritten(&mut self, weight: Option<Weight>) {
        let events = weight.map_or(1, |weight| weight.events);
        *self.unwritten.entry(weight.map(|weight| weight.profile)).or_default() += events;
        self.unwritten_in_all += 1;
    }
}

#[cfg(test)]
mod tests;
