//! Signed heads of the log, to where root of this machine cannot change them: the newest one, now and then. Must not
//! send records, nor sign.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    counts::Counts,
    cursor::{Cursor, Mark},
    deliver::{BeginError, Turn, head},
    settings::Settings,
    sink::{Sink, Trouble},
};

/// Between two looks at the newest head, and after a failure.
const PAUSE: Duration = Duration::from_secs(1);
const AFTER_FAILURE: Duration = Duration::from_secs(10);

/// A sink of heads at work.
pub struct Publication {
    settings: Settings,
    log: PathBuf,
    /// `next` is the size of the head that was sent last, and `last` the mark of its text.
    cursor: Cursor,
    sink: Box<dyn Sink>,
    counts: Arc<Counts>,
    sent_at: Option<Instant>,
    is_failing: bool,
}

impl Publication {
    /// Goes on behind the head that was sent last.
    ///
    /// # Errors
    ///
    /// A [`BeginError`].
    pub fn begin(
        settings: Settings,
        (log, states): (&Path, &Path),
        sink: Box<dyn Sink>,
        counts: Arc<Counts>,
    ) -> Result<Self, BeginError> {
        let loaded = Cursor::load(states, &settings.name).map_err(|source| BeginError::State {
            name: settings.name.clone(),
            folder: states.to_owned(),
            source,
        })?;
        let cursor = loaded.unwrap_or_else(|| Cursor::begin(states, &settings.name, 0));
        let log = log.to_owned();
        Ok(Self { settings, log, cursor, sink, counts, sent_at: None, is_failing: false })
    }

    /// Sends the newest head, if it is another one and the time has come.
    pub fn turn(&mut self) -> Turn {
        let turn = self.try_turn();
        let trouble = match turn {
            Ok(_turn) => None,
            Err(ref problem) => {
                if !self.is_failing {
                    tracing::warn!("sink `{}`: {problem}; it is tried again", self.settings.name);
                }
                Some(problem.clone())
            }
        };
        self.is_failing = trouble.is_some();
        let state = &self.cursor.state;
        self.counts.tell(&self.settings.name, state.next, (state.lost, state.refused), trouble);
        turn.unwrap_or(Turn::Failed)
    }

    /// How long to wait after a turn.
    #[must_use]
    pub const fn pause(turn: Turn) -> Duration {
        match turn {
            Turn::Moved | Turn::Idle => PAUSE,
            Turn::Failed => AFTER_FAILURE,
        }
    }

    fn try_turn(&mut self) -> Result<Turn, String> {
        let every = Duration::from_secs(self.settings.every);
        if self.sent_at.is_some_and(|moment| moment.elapsed() < every) {
            return Ok(Turn::Idle);
        }
        let Some((size, note)) = head(&self.log)? else { return Ok(Turn::Idle) };
        // Also of the same size it may be another log's.
        let mark = Some(Mark::of(size, note.as_bytes()));
        if mark == self.cursor.state.last {
            return Ok(Turn::Idle);
        }
        match self.sink.send_head(size, &note) {
            Ok(()) => self.counts.sent(&self.settings.name, 1),
            // The next one may be taken.
            Err(Trouble::Refused(why)) => {
                self.cursor.state.refused += 1;
                tracing::warn!("sink `{}` does not have a head: {why}", self.settings.name);
            }
            Err(Trouble::Later(why)) => return Err(why),
        }
        self.sent_at = Some(Instant::now());
        (self.cursor.state.next, self.cursor.state.last) = (size, mark);
        self.cursor.store().map_err(|error| format!("cannot store how far it is: {error}"))?;
        Ok(Turn::Moved)
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, sync::Arc};

    use super::{Counts, Publication, Turn};
    use crate::{
        settings::{Begin, Format, Settings, Target},
        sink,
    };

    fn begin(log: &std::path::Path, heads: &std::path::Path, every: u64) -> Publication {
        let settings = Settings {
            name: "heads".into(),
            target: Target::File(heads.to_owned()),
            format: Format::Checkpoint,
            verdicts: None,
            begin: Begin::Oldest,
            every,
        };
        let sink = sink::of(&settings);
        Publication::begin(settings, (log, log), sink, Arc::new(Counts::default())).unwrap()
    }

    #[test]
    fn each_new_head_is_sent_once_and_not_more_often_than_wanted() {
        let (log, heads) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let sign = |size: u64| {
            fs::write(log.path().join("checkpoint"), format!("origin\n{size}\nroot\n\nsigned\n"))
                .unwrap();
        };
        let there = || fs::read_dir(heads.path()).unwrap().count();
        let mut often = begin(log.path(), heads.path(), 0);
        assert_eq!(often.turn(), Turn::Idle, "there is none");
        sign(3);
        assert_eq!((often.turn(), often.turn(), there()), (Turn::Moved, Turn::Idle, 1));
        let mut seldom = begin(log.path(), heads.path(), 3_600);
        assert_eq!(seldom.turn(), Turn::Idle, "it was sent before this one was started");
        sign(5);
        assert_eq!((seldom.turn(), there()), (Turn::Moved, 2));
        sign(9);
        assert_eq!((seldom.turn(), there()), (Turn::Idle, 2));
        fs::remove_dir_all(heads.path()).unwrap();
        fs::write(heads.path(), "in the way").unwrap();
        assert_eq!(often.turn(), Turn::Failed);
        fs::remove_file(heads.path()).unwrap();
    }
}
