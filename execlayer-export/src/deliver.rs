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
    read::{ReadError, Tail},
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
    tail: Tail,
    /// The log's folder of records: another one is another log.
    identity: Option<(u64, u64)>,
    sink: Box<dyn Sink>,
    counts: Arc<Counts>,
    /// Records of the next batch, at most.
    most: usize,
    failures: u32,
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
        let failed = |source| BeginError::State {
            name: settings.name.clone(),
            folder: states.to_owned(),
            source,
        };
        let cursor = match Cursor::load(states, &settings.name).map_err(failed)? {
            Some(cursor) => cursor,
            None => {
                let next = match settings.begin {
                    Begin::Oldest => 0,
                    Begin::Now => signed_size(log),
                };
                let cursor = Cursor::begin(states, &settings.name, next);
                cursor.store().map_err(failed)?;
                cursor
            }
        };
        let tail = Tail::from(log, cursor.state.next);
        Ok(Self {
            settings,
            log: log.to_owned(),
            cursor,
            tail,
            identity: None,
            sink,
            counts,
            most: MOST,
            failures: 0,
        })
    }

    /// Sends what comes next.
    pub fn turn(&mut self) -> Turn {
        match self.try_turn() {
            Ok(turn) => {
                if self.failures > 0 && turn == Turn::Moved {
                    tracing::info!("sink `{}` takes records again", self.settings.name);
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
        self.recognise()?;
        let chunk = match self.tail.read(self.most, BYTES) {
            Err(ReadError::Shorter { .. }) => {
                self.compare()?;
                return Ok(Turn::Moved);
            }
            read => read.map_err(|error| error.to_string())?,
        };
        let signed = signed_size(&self.log);
        if chunk.removed > 0 {
            tracing::warn!(
                "sink `{}`: {} records were removed before they were sent",
                self.settings.name,
                chunk.removed
            );
            self.cursor.state.lost += chunk.removed;
        }
        let numbered = || (chunk.first..).zip(&chunk.records);
        let items: Vec<_> = chunk
            .records
            .iter()
            .map(|line| item(line))
            .filter(|item| self.is_wanted(item))
            .collect();
        match self.send(&items) {
            Ok(()) => {}
            Err(Trouble::Refused(why)) if chunk.records.len() > 1 => {
                // Which of them it is, smaller batches show.
                self.most = chunk.records.len().div_ceil(2);
                self.tail = Tail::from(&self.log, chunk.first);
                tracing::debug!("sink `{}`: {why}", self.settings.name);
                return Ok(Turn::Moved);
            }
            Err(Trouble::Refused(why)) => {
                tracing::warn!(
                    "sink `{}` does not have record {}: {why}",
                    self.settings.name,
                    chunk.first
                );
                self.cursor.state.refused += 1;
            }
            Err(Trouble::Later(why)) => {
                self.tail = Tail::from(&self.log, self.cursor.state.next);
                return Err(why);
            }
        }
        if chunk.records.is_empty() && chunk.removed == 0 {
            return Ok(Turn::Idle);
        }
        self.most = MOST;
        self.counts.sent(&self.settings.name, items.len() as u64);
        let state = &mut self.cursor.state;
        state.next = self.tail.next();
        if let Some((seq, line)) = numbered().last() {
            state.last = Some(Mark::of(seq, line));
        }
        if let Some((seq, line)) = numbered().take_while(|(seq, _line)| *seq < signed).last() {
            state.signed = Some(Mark::of(seq, line));
        }
        self.cursor.store().map_err(|error| format!("cannot store how far it is: {error}"))?;
        Ok(Turn::Moved)
    }

    fn send(&mut self, items: &[Item]) -> Result<(), Trouble> {
        if items.is_empty() { Ok(()) } else { self.sink.send(items) }
    }

    fn is_wanted(&self, item: &Item) -> bool {
        let Some(wanted) = &self.settings.verdicts else { return true };
        let verdict = item.fields.get("verdict").and_then(Value::as_str);
        verdict.is_none_or(|verdict| wanted.iter().any(|wanted| wanted.name() == verdict))
    }

    /// Looks whether the log is the one that it was.
    fn recognise(&mut self) -> Result<(), String> {
        let folder = self.log.join(segment::FOLDER);
        let metadata = fs::metadata(&folder);
        let metadata =
            metadata.map_err(|error| format!("cannot read `{}`: {error}", folder.display()))?;
        let identity = Some((metadata.dev(), metadata.ino()));
        if identity != self.identity {
            self.compare()?;
            self.identity = identity;
        }
        Ok(())
    }

    fn compare(&mut self) -> Result<(), String> {
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
        self.tail = Tail::from(&self.log, self.cursor.state.next);
        Ok(())
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

/// How many records the newest signed head covers; nobody checks its signature here.
#[must_use]
pub fn signed_size(log: &Path) -> u64 {
    head(log).map_or(0, |(size, _note)| size)
}

/// The newest signed head: its size, and its text.
#[must_use]
pub fn head(log: &Path) -> Option<(u64, String)> {
    let note = fs::read_to_string(log.join(segment::CHECKPOINT)).ok()?;
    Some((note.lines().nth(1)?.parse().ok()?, note))
}

#[cfg(test)]
mod tests;
