//! One sink's work: what the log has that it has not sent yet is sent, in order, and marked once it is taken. Whatever
//! goes wrong is tried again and counted; nothing is skipped but what the other side will not have. Must not keep anybody
//! waiting but its own sink.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use execlayer_audit::{
    read::{Chunk, ReadError, Tail},
    segment,
};
use serde_json::Value;

use crate::{
    counts::Counts,
    cursor::{Cursor, Found, Mark},
    settings::{Begin, Settings},
    sink::{Item, Sink, Trouble},
};

/// Records of a batch, and bytes.
const MOST: usize = 500;
const BYTES: usize = 512 << 10;
/// Between two looks at a log that has nothing new.
const PAUSE: Duration = Duration::from_millis(500);
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Records in a row that were refused, after which each next one is tried twice, with a pause: it may be all of them.
const DOUBTS: u32 = 3;

/// Why a sink cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum BeginError {
    /// Its state.
    #[error("cannot use the state of sink `{name}` in `{}`: {source}", folder.display())]
    State {
        /// The sink.
        name: String,
        /// Where its state is.
        folder: PathBuf,
        /// What is wrong.
        source: io::Error,
    },
    /// The log, where a sink is to begin at its end.
    #[error("cannot tell where sink `{name}` begins: {problem}")]
    Log {
        /// The sink.
        name: String,
        /// What is wrong.
        problem: String,
    },
}

/// What a turn came to, and how long to wait before the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Something was sent or marked: there may be more.
    Moved,
    /// There is nothing to send.
    Idle,
    /// It did not work.
    Failed,
}

/// A sink at work.
pub struct Delivery {
    settings: Settings,
    log: PathBuf,
    cursor: Cursor,
    /// The cursor is ahead of what is on the disk.
    is_unstored: bool,
    tail: Tail,
    /// The log's folder of records: another one is another log.
    identity: Option<(u64, u64)>,
    sink: Box<dyn Sink>,
    counts: Arc<Counts>,
    /// Records of the next batch, at most.
    most: usize,
    failures: u32,
    /// Records in a row that were refused, and the one that is tried once more.
    refusals: u32,
    doubted: Option<u64>,
}

impl Delivery {
    /// Goes on where the sink was.
    ///
    /// # Errors
    ///
    /// A [`BeginError`]. A state that is damaged is none to begin with: an operator decides what is sent again.
    pub fn begin(
        settings: Settings,
        (log, states): (&Path, &Path),
        sink: Box<dyn Sink>,
        counts: Arc<Counts>,
    ) -> Result<Self, BeginError> {
        let name = settings.name.clone();
        let failed =
            |source| BeginError::State { name: name.clone(), folder: states.to_owned(), source };
        let cursor = match Cursor::load(states, &settings.name).map_err(failed)? {
            Some(cursor) => cursor,
            None => {
                let mut cursor = Cursor::begin(states, &settings.name, 0);
                if settings.begin == Begin::Now {
                    let at_end = end_of(log)
                        .map_err(|problem| BeginError::Log { name: name.clone(), problem })?;
                    cursor.state.next = at_end.as_ref().map_or(0, |mark| mark.seq + 1);
                    (cursor.state.last, cursor.state.signed) = (at_end.clone(), at_end);
                }
                cursor.store().map_err(failed)?;
                cursor
            }
        };
        let tail = Tail::from(log, cursor.state.next);
        Ok(Self {
            settings,
            log: log.to_owned(),
            cursor,
            is_unstored: false,
            tail,
            identity: None,
            sink,
            counts,
            most: MOST,
            failures: 0,
            refusals: 0,
            doubted: None,
        })
    }

    /// Sends what comes next.
    pub fn turn(&mut self) -> Turn {
        match self.try_turn() {
            // It may be the receiver that is wrong: the next pause is longer.
            Ok(turn) if self.refusals > DOUBTS => {
                self.tell(Some("it refuses one record after another".to_owned()));
                turn
            }
            Ok(turn) => {
                if self.failures > 0 {
                    tracing::info!("sink `{}` works again", self.settings.name);
                    self.failures = 0;
                }
                self.tell(None);
                turn
            }
            Err(problem) => {
                if self.failures == 0 {
                    tracing::warn!("sink `{}`: {problem}; it is tried again", self.settings.name);
                }
                self.failures = self.failures.saturating_add(1);
                self.tell(Some(problem));
                Turn::Failed
            }
        }
    }

    /// How long to wait after a turn.
    #[must_use]
    pub fn pause(&self, turn: Turn) -> Duration {
        match turn {
            Turn::Moved => Duration::ZERO,
            Turn::Idle => PAUSE,
            Turn::Failed => {
                let doubled = 1_u32 << self.failures.saturating_sub(1).min(10);
                FIRST_PAUSE.saturating_mul(doubled).min(LONGEST_PAUSE)
            }
        }
    }

    fn try_turn(&mut self) -> Result<Turn, String> {
        self.store()?;
        self.recognise()?;
        let before = self.tail.clone();
        let chunk = match self.tail.read(self.most, BYTES) {
            Err(ReadError::Shorter { size }) => {
                return match self.compare()? {
                    Found::Same => Err(format!("the log has {size} records only")),
                    Found::Shortened | Found::Another => Ok(Turn::Moved),
                };
            }
            Err(ReadError::Cut { .. }) => return self.compare().map(|_found| Turn::Moved),
            read => read.map_err(|error| error.to_string())?,
        };
        let items: Vec<_> = chunk
            .records
            .iter()
            .map(|line| item(line))
            .filter(|item| self.is_wanted(item))
            .collect();
        let refused = match self.send(&items) {
            Ok(()) => 0,
            Err(Trouble::Refused(why)) => match self.refused(&chunk, &why) {
                Ok(true) => 1,
                again => {
                    self.tail = before;
                    return again.map(|_smaller| Turn::Moved);
                }
            },
            Err(Trouble::Later(why)) => {
                self.tail = before;
                return Err(why);
            }
        };
        if refused == 0 {
            // What was refused is behind it; more at once may be, too.
            self.most = (self.most * 2).min(MOST);
        }
        if refused == 0 && !items.is_empty() {
            (self.refusals, self.doubted) = (0, None);
        }
        self.mark(&chunk, refused)?;
        self.counts.sent(&self.settings.name, items.len() as u64 - refused);
        let is_idle = chunk.records.is_empty() && chunk.removed == 0;
        Ok(if is_idle { Turn::Idle } else { Turn::Moved })
    }

    fn send(&mut self, items: &[Item]) -> Result<(), Trouble> {
        if items.is_empty() { Ok(()) } else { self.sink.send(items) }
    }

    /// What becomes of a batch that is refused: `true` if its one record is passed over, `false` if a smaller one is to be
    /// tried.
    fn refused(&mut self, chunk: &Chunk, why: &str) -> Result<bool, String> {
        if chunk.records.len() > 1 {
            // Which of them it is, smaller batches show.
            self.most = chunk.records.len().div_ceil(2);
            tracing::debug!("sink `{}`: {why}", self.settings.name);
            return Ok(false);
        }
        if self.refusals >= DOUBTS && self.doubted != Some(chunk.first) {
            self.doubted = Some(chunk.first);
            return Err(why.to_owned());
        }
        self.refusals = self.refusals.saturating_add(1);
        let name = &self.settings.name;
        tracing::warn!("sink `{name}` does not have record {}: {why}", chunk.first);
        Ok(true)
    }

    /// Notes what was taken, or passed over.
    fn mark(&mut self, chunk: &Chunk, refused: u64) -> Result<(), String> {
        let signed = head(&self.log)?.map_or(0, |(size, _note)| size);
        let state = &mut self.cursor.state;
        let before = state.clone();
        if chunk.removed > 0 {
            let (name, removed) = (&self.settings.name, chunk.removed);
            tracing::warn!("sink `{name}`: {removed} records were removed before they were sent");
        }
        state.lost += chunk.removed;
        state.refused += refused;
        state.next = self.tail.next();
        let numbered = || (chunk.first..).zip(&chunk.records);
        if let Some((seq, line)) = numbered().last() {
            state.last = Some(Mark::of(seq, line));
        }
        let covered = numbered().take_while(|(seq, _line)| *seq < signed).last();
        if let Some((seq, line)) = covered {
            state.signed = Some(Mark::of(seq, line));
        }
        // It may have been covered since.
        if state.last.as_ref().is_some_and(|last| last.seq < signed) {
            state.signed.clone_from(&state.last);
        }
        self.is_unstored |= *state != before;
        self.store()
    }

    fn store(&mut self) -> Result<(), String> {
        if self.is_unstored {
            let stored = self.cursor.store();
            stored.map_err(|error| format!("cannot store how far it is: {error}"))?;
            self.is_unstored = false;
        }
        Ok(())
    }

    fn is_wanted(&self, item: &Item) -> bool {
        let Some(wanted) = &self.settings.verdicts else { return true };
        let verdict = item.fields.get("verdict").and_then(Value::as_str);
        verdict.is_none_or(|verdict| wanted.iter().any(|wanted| wanted.name() == verdict))
    }

    /// Looks whether the log is the one that it was.
    fn recognise(&mut self) -> Result<(), String> {
        let identity = identity(&self.log)?;
        if Some(identity) != self.identity {
            self.compare()?;
            self.identity = Some(identity);
        }
        Ok(())
    }

    fn compare(&mut self) -> Result<Found, String> {
        let before = self.cursor.state.next;
        let found = self.cursor.compare(&self.log).map_err(|error| error.to_string())?;
        let name = &self.settings.name;
        match found {
            Found::Same => {}
            Found::Shortened => tracing::warn!(
                "sink `{name}`: the log lost its end after record {}: what comes now is sent",
                self.cursor.state.next
            ),
            Found::Another => tracing::warn!(
                "sink `{name}`: this is another log than the one of which {before} records were \
                 sent: it is sent from its beginning"
            ),
        }
        if found != Found::Same {
            self.is_unstored = true;
            self.tail = Tail::from(&self.log, self.cursor.state.next);
        }
        Ok(found)
    }

    fn tell(&self, trouble: Option<String>) {
        let state = &self.cursor.state;
        self.counts.tell(&self.settings.name, state.next, (state.lost, state.refused), trouble);
    }
}

fn item(line: &[u8]) -> Item {
    // What is no object has nothing that could be mapped, and is sent all the same.
    let fields = serde_json::from_slice(line).unwrap_or_default();
    Item { line: line.to_vec(), fields }
}

/// Which folder of records it is: another log is in another one.
///
/// # Errors
///
/// If it cannot be looked at, for people.
pub fn identity(log: &Path) -> Result<(u64, u64), String> {
    let folder = log.join(segment::FOLDER);
    let metadata = fs::metadata(&folder);
    let metadata =
        metadata.map_err(|error| format!("cannot read `{}`: {error}", folder.display()))?;
    Ok((metadata.dev(), metadata.ino()))
}

/// The newest signed head: its size, and its text. None if there is none yet. Nobody checks its signature here.
///
/// # Errors
///
/// If it cannot be read, for people.
pub fn head(log: &Path) -> Result<Option<(u64, String)>, String> {
    let path = log.join(segment::CHECKPOINT);
    let note = match fs::read_to_string(&path) {
        Ok(note) => note,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("cannot read `{}`: {error}", path.display())),
    };
    let size = note.lines().nth(1).and_then(|size| size.parse().ok());
    let size = size.ok_or_else(|| format!("`{}` is no signed head", path.display()))?;
    Ok(Some((size, note)))
}

/// The last record that the newest head covers.
fn end_of(log: &Path) -> Result<Option<Mark>, String> {
    let Some((size, _note)) = head(log)? else { return Ok(None) };
    let Some(seq) = size.checked_sub(1) else { return Ok(None) };
    let chunk = Tail::from(log, seq).read(1, 1).map_err(|error| error.to_string())?;
    let record = chunk.records.first().filter(|_record| chunk.removed == 0);
    let record = record.ok_or_else(|| format!("record {seq} is not there"))?;
    Ok(Some(Mark::of(seq, record)))
}

#[cfg(test)]
mod tests;
