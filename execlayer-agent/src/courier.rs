//! Asks deciders that need the outside world, through a child that has no privileges. This side is
//! root's: it reads secrets, bounds every wait, and starts the child. Must not open a connection,
//! resolve a name or run a program other than the daemon's own.

mod child;
mod circuit;
mod command;
mod files;
#[doc(hidden)]
pub mod foreign;
mod host;
mod line;
mod running;
mod signature;
mod webhook;

use std::{
    collections::{BTreeMap, VecDeque},
    ffi::OsString,
    future,
    net::IpAddr,
    path::PathBuf,
    process,
    time::{Duration, Instant},
};

use execlayer_common::provenance::DeciderKind;
use execlayer_export::http::CERTIFICATES;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use child::run_child;
use running::Running;

/// Tasks at once, whoever has them.
pub const MAX_TASKS: usize = 256;

/// What the child is told to be by, as its first argument.
const WORD: &str = "courier-child";
/// The executable that runs, even if another one has its name by now.
const SELF: &str = "/proc/self/exe";
/// How long the way to the child and back may take, beyond what the task itself may.
const SLACK: Duration = Duration::from_secs(5);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Something to ask a decider.
#[derive(Clone, Debug)]
pub struct Task {
    /// Comes back in the reply.
    pub id: u64,
    /// Who is asked.
    pub decider: DeciderKind,
    /// What is asked.
    pub question: Value,
    /// The address that a call would connect to, if it is one.
    pub address: Option<IpAddr>,
}

/// What a decider says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    /// Yes.
    Allow,
    /// No.
    Deny,
    /// It does not know, or could not be asked.
    Unknown,
}

/// What came of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The task's.
    pub id: u64,
    /// The answer.
    pub answer: Answer,
    /// Who said it or what failed, for people: one line. What comes from outside has at most 200
    /// bytes of it, all printable.
    pub note: String,
}

/// How the child is started, and where the system's certificates are.
#[derive(Clone, Debug)]
struct Settings {
    program: PathBuf,
    arguments: Vec<OsString>,
    certificates: PathBuf,
    slack: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            program: SELF.into(),
            arguments: vec![WORD.into(), process::id().to_string().into()],
            certificates: CERTIFICATES.into(),
            slack: SLACK,
        }
    }
}

/// A task without a reply.
#[derive(Debug)]
struct Open {
    id: u64,
    until: Instant,
}

/// The daemon's half. Everything happens in [`Courier::next`].
#[derive(Debug, Default)]
pub struct Courier {
    settings: Settings,
    /// Tasks get numbers of their own: an id may come twice.
    last: u64,
    waiting: VecDeque<(u64, Task)>,
    open: BTreeMap<u64, Open>,
    replies: VecDeque<Reply>,
    running: Option<Running>,
    /// Children in a row that ended before they had replied.
    deaths: u32,
    not_before: Option<Instant>,
}

impl Courier {
    /// A courier without a child yet: the first task brings it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a task. Never waits. Exactly one reply comes of it.
    pub fn send(&mut self, task: Task) {
        let Some(longest) = line::longest(&task.decider) else {
            return self.refuse(&task, "this decider is not asked outside of the daemon");
        };
        if self.open.len() >= MAX_TASKS {
            return self.refuse(&task, "too many deciders are being asked at once");
        }
        self.last = self.last.wrapping_add(1);
        let until = Instant::now() + longest + self.settings.slack;
        self.open.insert(self.last, Open { id: task.id, until });
        self.waiting.push_back((self.last, task));
    }

    /// The next reply. Nothing is lost if the future is dropped before it is ready.
    pub async fn next(&mut self) -> Reply {
        loop {
            self.give_up();
            self.hand_over();
            if let Some(reply) = self.replies.pop_front() {
                return reply;
            }
            let until = self.open.values().map(|open| open.until).min();
            let expiry = async {
                match until {
                    Some(until) => tokio::time::sleep_until(until.into()).await,
                    None => future::pending().await,
                }
            };
            let Some(running) = &mut self.running else {
                // Without a child nothing is open: what was, has failed.
                expiry.await;
                continue;
            };
            let exchanged = tokio::select! {
                exchanged = running.exchange() => exchanged,
                () = expiry => continue,
            };
            match exchanged {
                Ok(lines) => lines.into_iter().for_each(|said| {
                    self.deaths = 0;
                    // It may have come under somebody's control: what it says is looked at again.
                    self.finish(said.number, said.answer, line::note(&said.note));
                }),
                Err(error) => self.lose_child(&format!("the courier ended: {error}")),
            }
        }
    }

    fn refuse(&mut self, task: &Task, note: &str) {
        let reply = Reply { id: task.id, answer: Answer::Unknown, note: note.to_owned() };
        self.replies.push_back(reply);
    }

    /// A number that is not open is one that was given up.
    fn finish(&mut self, number: u64, answer: Answer, note: String) {
        if let Some(open) = self.open.remove(&number) {
            self.replies.push_back(Reply { id: open.id, answer, note });
        }
    }

    /// A child that keeps a task beyond its time is stopped or worse.
    fn give_up(&mut self) {
        let now = Instant::now();
        if self.open.values().any(|open| open.until <= now) {
            self.lose_child("the courier did not reply in time");
        }
    }

    fn hand_over(&mut self) {
        while !self.waiting.is_empty() {
            if let Err(problem) = self.start() {
                return self.lose_child(&problem);
            }
            let Some(running) = &mut self.running else { return };
            if running.is_writing() {
                return;
            }
            let Some((number, task)) = self.waiting.pop_front() else { return };
            match files::errand(number, task, &self.settings.certificates) {
                Ok(errand) => running.write(&errand),
                Err(problem) => self.finish(number, Answer::Unknown, problem),
            }
        }
    }

    fn start(&mut self) -> Result<(), String> {
        if self.running.is_some() {
            return Ok(());
        }
        if self.not_before.is_some_and(|moment| Instant::now() < moment) {
            return Err("the courier ended, and is started again in a moment".to_owned());
        }
        let running = Running::start(&self.settings.program, &self.settings.arguments);
        self.running = Some(running.map_err(|error| format!("cannot start the courier: {error}"))?);
        Ok(())
    }

    /// Every task fails; the next one brings a new child, after a while if this happens often.
    fn lose_child(&mut self, note: &str) {
        let was_tried = self.running.take().is_some();
        let is_pausing = self.not_before.is_some_and(|moment| Instant::now() < moment);
        if was_tried || !is_pausing {
            let pause = FIRST_PAUSE.saturating_mul(1 << self.deaths.min(10)).min(LONGEST_PAUSE);
            self.not_before = Some(Instant::now() + pause);
            self.deaths = self.deaths.saturating_add(1);
        }
        self.waiting.clear();
        while let Some((number, _open)) = self.open.first_key_value() {
            self.finish(*number, Answer::Unknown, note.to_owned());
        }
    }
}

#[cfg(test)]
mod server;
#[cfg(test)]
mod tests;
