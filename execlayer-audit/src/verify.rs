//! What can be said of a log's files with nothing but the device's public key. Is given records, leaves of tiles and
//! signed heads in the order of their numbers; must not read files.

use crate::{
    checkpoint::{Checkpoint, CheckpointError},
    hash::Hash,
    note::LogKey,
    segment,
    tree::Tree,
};

/// Something that should not be. Numbers are those of records; ranges are without their end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Finding {
    /// A head that this device did not sign like this.
    #[error("`{whence}` does not count: {error}")]
    Head {
        /// Its file.
        whence: String,
        /// Why.
        error: CheckpointError,
    },
    /// A head of another log of this device.
    #[error("`{whence}` is of another log of this device, `{origin}`")]
    OtherLog {
        /// Its file.
        whence: String,
        /// That log.
        origin: String,
    },
    /// No signed head at all.
    #[error(
        "no checkpoint of this device counts: nothing shows that the records are those that were written"
    )]
    NoHead,
    /// Without it nothing tells where the log ends.
    #[error("there is no newest checkpoint: records at the end may be missing")]
    NoNewest,
    /// Records that are not there, and were.
    #[error("{} missing", range("is", "are", *from, *to))]
    Missing {
        /// The first.
        from: u64,
        /// After the last.
        to: u64,
    },
    /// Records that are not those that were written.
    #[error("{} changed", range("was", "were", *from, *to))]
    Altered {
        /// The first.
        from: u64,
        /// After the last.
        to: u64,
    },
    /// A line that stands where it does not belong.
    #[error("before record {before} stands {}", stray(*seq))]
    Stray {
        /// Its number, if it is a record.
        seq: Option<u64>,
        /// The record that should stand there.
        before: u64,
    },
    /// Records that do not make the signed root; which ones, nothing tells.
    #[error(
        "`{whence}` does not fit: records were changed, removed or put in between {from} and {to}, and with them the \
         tiles, which would tell which ones"
    )]
    Rewritten {
        /// The first head that does not fit.
        whence: String,
        /// Up to here an earlier head fits.
        from: u64,
        /// Its size.
        to: u64,
    },
    /// A file that cannot be read to its end.
    #[error("`{whence}` is damaged behind record {behind}: {problem}")]
    Unreadable {
        /// The file.
        whence: String,
        /// The first record that was not read.
        behind: u64,
        /// Why.
        problem: String,
    },
    /// Records that no head can prove, because something before them is missing, and with it the tiles.
    #[error("{} not proved: records before them are missing, and with them the tiles", range("is", "are", *from, *to))]
    Unproved {
        /// The first.
        from: u64,
        /// After the last that a head should prove.
        to: u64,
    },
    /// Tiles that are not those of the records, which fit.
    #[error("tiles of {} changed; the records themselves fit what was signed", range("was", "were", *from, *to))]
    Tiles {
        /// The first record whose leaf is another.
        from: u64,
        /// After the last.
        to: u64,
    },
    /// The last line has no end.
    #[error("the last line is cut off: record {seq} was not written whole")]
    Torn {
        /// Which it would have been.
        seq: u64,
    },
}

fn range(one: &str, more: &str, from: u64, to: u64) -> String {
    let count = to.saturating_sub(from);
    if count == 1 {
        format!("record {from} {one}")
    } else {
        format!("records {from} to {} ({count}) {more}", to.saturating_sub(1))
    }
}

fn stray(seq: Option<u64>) -> String {
    match seq {
        Some(seq) => format!("record {seq}: it was moved, repeated or put in"),
        None => "a line that is no record".to_owned(),
    }
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The log, if a head counts.
    pub origin: Option<String>,
    /// Records before this number were removed by the daemon itself, as its settings ask.
    pub removed: u64,
    /// After the last record.
    pub end: u64,
    /// Size of the largest head that fits: what lies below is proved.
    pub proved: u64,
    /// What should not be. Empty: everything below [`Report::proved`] is as it was written.
    pub findings: Vec<Finding>,
}

/// A walk over a log.
#[derive(Debug)]
pub struct Verification {
    /// Heads that count, with where they are from, by size.
    heads: Vec<(Checkpoint, String)>,
    origin: Option<String>,
    next: u64,
    /// By the tiles' leaves, where there are any.
    by_tiles: Tree,
    /// By the records themselves, where there are any.
    by_records: Tree,
    /// Records whose hash is not the tile's since the last head: one of both was changed.
    differing: Vec<u64>,
    is_rewritten: bool,
    /// Records that say that those before a number were removed: (their own number, the first that is left).
    removals: Vec<(u64, u64)>,
    /// Size of the newest head.
    newest: u64,
    proved: u64,
    findings: Vec<Finding>,
}

impl Verification {
    /// Of a log with these signed heads: (where each is from, its text). The log's newest is from
    /// [`segment::CHECKPOINT`].
    #[must_use]
    pub fn new(heads: &[(String, String)], key: &LogKey) -> Self {
        let mut findings = Vec::new();
        let mut counted: Vec<(Checkpoint, String)> = Vec::new();
        let mut origin: Option<String> = None;
        for (whence, note) in heads {
            match Checkpoint::open(note, key) {
                Ok(head) if origin.as_ref().is_none_or(|origin| *origin == head.origin) => {
                    origin.get_or_insert_with(|| head.origin.clone());
                    counted.push((head, whence.clone()));
                }
                Ok(head) => {
                    findings
                        .push(Finding::OtherLog { whence: whence.clone(), origin: head.origin });
                }
                Err(error) => findings.push(Finding::Head { whence: whence.clone(), error }),
            }
        }
        if !heads.iter().any(|(whence, _note)| whence == segment::CHECKPOINT) {
            findings.push(Finding::NoNewest);
        }
        if counted.is_empty() {
            findings.push(Finding::NoHead);
        }
        let newest = counted.iter().map(|(head, _whence)| head.size).max().unwrap_or_default();
        counted.sort_by_key(|(head, _whence)| core::cmp::Reverse(head.size));
        let mut walk = Self {
            heads: counted,
            origin,
            next: 0,
            by_tiles: Tree::default(),
            by_records: Tree::default(),
            differing: Vec::new(),
            is_rewritten: false,
            removals: Vec::new(),
            newest,
            proved: 0,
            findings,
        };
        walk.meet_heads();
        walk
    }

    /// The number of the next record.
    #[must_use]
    pub const fn next(&self) -> u64 {
        self.next
    }

    /// A line of a segment. `leaf` gives a record's hash by the tiles, if there is one.
    pub fn line(&mut self, line: &[u8], leaf: &mut impl FnMut(u64) -> Option<Hash>) {
        match segment::seq_of(line) {
            Some(seq) if seq >= self.next => {
                self.missing(seq, leaf);
                self.take(Some(Hash::of_leaf(line)), leaf(seq));
            }
            seq => self.findings.push(Finding::Stray { seq, before: self.next }),
        }
    }

    /// Record `seq` says that the daemon removed those before number `first`, as its settings ask. It counts if it is
    /// proved: the daemon signs a head before it removes anything.
    pub fn removal(&mut self, seq: u64, first: u64) {
        self.removals.push((seq, first));
    }

    /// A file ends before its end.
    pub fn unreadable(&mut self, whence: &str, problem: &str) {
        let (whence, problem) = (whence.to_owned(), problem.to_owned());
        self.findings.push(Finding::Unreadable { whence, behind: self.next, problem });
    }

    /// There is no record before number `until`.
    pub fn missing(&mut self, until: u64, leaf: &mut impl FnMut(u64) -> Option<Hash>) {
        if until <= self.next {
            return;
        }
        self.findings.push(Finding::Missing { from: self.next, to: until });
        while self.next < until {
            let Some(hash) = leaf(self.next) else {
                // Nothing takes their place, so no head from here on can fit.
                self.is_rewritten = true;
                self.next = until;
                return;
            };
            self.take(None, Some(hash));
        }
    }

    /// The last segment ends in the middle of a line.
    pub fn torn(&mut self) {
        self.findings.push(Finding::Torn { seq: self.next });
    }

    /// Nothing follows. `leaf` as in [`Verification::line`].
    #[must_use]
    pub fn finish(mut self, leaf: &mut impl FnMut(u64) -> Option<Hash>) -> Report {
        let end = self.next;
        if let Some(size) = self.heads.first().map(|(head, _whence)| head.size) {
            self.missing(size, leaf);
        }
        if !self.differing.is_empty() {
            // Behind every head: the tiles are all that speaks against these records.
            let differing = core::mem::take(&mut self.differing);
            self.report(&differing, |from, to| Finding::Altered { from, to });
        }
        let is_rewritten = |finding: &Finding| matches!(finding, Finding::Rewritten { .. });
        let to = self.newest.min(end);
        if self.proved < to && !self.findings.iter().any(is_rewritten) {
            self.findings.push(Finding::Unproved { from: self.proved, to });
        }
        let proved = self.removals.iter().filter(|(seq, _first)| *seq < self.proved);
        let removed = proved.map(|(_seq, first)| *first).max().unwrap_or_default();
        self.findings.retain(
            |finding| !matches!(finding, Finding::Missing { from: 0, to } if *to <= removed),
        );
        Report { origin: self.origin, removed, end, proved: self.proved, findings: self.findings }
    }

    fn take(&mut self, record: Option<Hash>, tile: Option<Hash>) {
        let Some(first) = tile.or(record) else { return };
        self.by_tiles.append(first, |_tile, _hashes| {});
        self.by_records.append(record.unwrap_or(first), |_tile, _hashes| {});
        if record.is_some() && tile.is_some() && record != tile {
            self.differing.push(self.next);
        }
        self.next += 1;
        self.meet_heads();
    }

    fn meet_heads(&mut self) {
        while let Some((head, whence)) = self.heads.pop_if(|(head, _whence)| head.size <= self.next)
        {
            if self.is_rewritten {
                continue;
            }
            let differing = core::mem::take(&mut self.differing);
            if self.by_tiles.root() == head.root {
                self.by_records = self.by_tiles.clone();
                self.report(&differing, |from, to| Finding::Altered { from, to });
            } else if self.by_records.root() == head.root {
                self.by_tiles = self.by_records.clone();
                self.report(&differing, |from, to| Finding::Tiles { from, to });
            } else {
                self.is_rewritten = true;
                self.findings.push(Finding::Rewritten { whence, from: self.proved, to: head.size });
                continue;
            }
            self.proved = head.size;
        }
    }

    fn report(&mut self, numbers: &[u64], finding: impl Fn(u64, u64) -> Finding) {
        for run in numbers.chunk_by(|one, next| one + 1 == *next) {
            if let (Some(first), Some(last)) = (run.first(), run.last()) {
                self.findings.push(finding(*first, last + 1));
            }
        }
    }
}

#[cfg(test)]
mod tests;
