//! The time a hook has. An agent that gives up on its hook may let the call pass, so this process ends
//! before that whatever it is doing.

use std::{
    process, thread,
    time::{Duration, Instant},
};

use super::Fault;
use crate::error::Exit;

/// What is kept of the time for the answer itself.
const FOR_THE_ANSWER: Duration = Duration::from_secs(1);

/// When everything has to be over.
#[derive(Debug)]
pub(super) struct Deadline {
    /// When talking to the daemon has to be over, so that this can say so itself.
    talk: Instant,
    /// When waiting for people has to be over.
    wait: Instant,
}

impl Deadline {
    /// Ends the process with the exit code that blocks when `time` is over. Nothing stops it: an answer
    /// that is being written counts only once the process has ended with 0.
    pub(super) fn begin(time: Duration) -> Result<Self, Fault> {
        let (end, kept) = (Instant::now() + time, FOR_THE_ANSWER.min(time / 4));
        let late = move || {
            thread::sleep(time);
            Fault::new(format!("no verdict within {} s", time.as_secs())).print();
            process::exit(i32::from(Exit::Usage as u8));
        };
        thread::Builder::new()
            .spawn(late)
            .map_err(|error| Fault::new(format!("no thread for the deadline: {error}")))?;
        Ok(Self { talk: end - kept / 2, wait: end - kept })
    }

    /// What is left for talking, never nothing.
    pub(super) fn left(&self) -> Result<Duration, Fault> {
        let left = self.talk.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(Fault::new("the daemon did not answer in time")) } else { Ok(left) }
    }

    /// What is left for waiting, if anything.
    pub(super) fn left_to_wait(&self) -> Option<Duration> {
        let left = self.wait.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(left)
    }
}
