//! What the daemon holds while it runs, and what each thing that happens does to it: a record of
//! the kernel, a call of the tool, a tick of the clock. Must not wait for anything; `pipeline` does.

mod admit;
mod answer;
pub mod held;
mod in_force;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::PathBuf,
};

use execlayer_api::{Canary, ErrorCode, Failure};

use crate::{
    courier::Task,
    defer::Deferred,
    denials::Denials,
    dropped::Dropped,
    grants::Grants,
    kernel::{
        Gate,
        events::{self, Observed, Record},
    },
    marks::Marks,
    options::Options,
    profiles::Profiles,
    record::{Log, line, time},
    resolve::Budgets,
    scopes::Scopes,
    state::{Concern, Health},
};

/// Who does what nobody asked for.
const DAEMON: &str = "execlayerd";
/// Ticks that an ephemeral daemon waits for its first scope.
const FIRST_SCOPE: u32 = 60;
/// Ticks for which a loss is a reason to be degraded. The counters show it for ever.
const LOSS_SHOWN: u64 = 600;

/// The daemon.
pub struct Daemon {
    options: Options,
    marks: Marks,
    dropped: Dropped,
    gate: Box<dyn Gate>,
    profiles: Profiles,
    scopes: Scopes,
    deferred: Deferred,
    errands: Vec<Task>,
    budgets: Budgets,
    grants: Grants,
    denials: Denials,
    /// Profiles without room for another question.
    full: BTreeSet<u32>,
    log: Log,
    health: Health,
    kernel: String,
    started: u64,
    canary: Option<Canary>,
    offset: u64,
    lost: BTreeMap<u32, u64>,
    unknown_events: u64,
    idle_ticks: u32,
    ticks_since_loss: u64,
    stopping: bool,
    /// Who asked for it.
    stopped_by: Option<String>,
}

impl Daemon {
    /// A daemon over a gate that is up.
    #[must_use]
    pub fn new(
        options: Options,
        gate: Box<dyn Gate>,
        profiles: Profiles,
        scopes: Scopes,
        log: Log,
        kernel: String,
    ) -> Self {
        let (marks, lost) = Marks::read(&options.state_dir);
        let mut daemon = Self {
            options,
            marks,
            dropped: Dropped::default(),
            gate,
            profiles,
            scopes,
            deferred: Deferred::default(),
            errands: Vec::new(),
            budgets: Budgets::default(),
            grants: Grants::default(),
            denials: Denials::default(),
            full: BTreeSet::new(),
            log,
            health: Health::default(),
            kernel,
            started: time::now(),
            canary: None,
            offset: 0,
            lost: BTreeMap::new(),
            unknown_events: 0,
            idle_ticks: 0,
            ticks_since_loss: 0,
            stopping: false,
            stopped_by: None,
        };
        if let Some(problem) = lost {
            daemon.health.raise(Concern::Marks, format!("the newest versions are lost: {problem}"));
        }
        daemon.set_clock();
        daemon
    }

    /// The parts that the canary needs, and everything else of the daemon for its events.
    pub fn parts_for_canary(&mut self) -> (&mut dyn Gate, &mut Profiles, CanaryWitness<'_>) {
        let witness = CanaryWitness { log: &mut self.log, offset: self.offset };
        (self.gate.as_mut(), &mut self.profiles, witness)
    }

    /// The canary came through.
    pub fn canary_passed(&mut self, acts: Vec<String>) {
        self.canary = Some(Canary { passed: true, time: time::now(), acts });
    }

    /// Loading and trying are done.
    pub fn up(&mut self) {
        self.health.up();
        self.begin_questions();
        self.write_of_gate("up", DAEMON);
        tracing::info!("the gate stands on kernel {}", self.kernel);
    }

    /// One record of the kernel.
    pub fn observe(&mut self, bytes: &[u8]) {
        match events::decode(bytes) {
            Ok(Record::Observed(observed)) => {
                if observed.asked.is_none_or(|asked| !asked.is_held) {
                    self.scopes.observe(&observed);
                }
                let known = self.profiles.provenance(observed.profile, observed.generation);
                let known = known.map(AsRef::as_ref);
                self.denials.observe(&observed, known, self.offset);
                let line = line::event(&observed, known, self.offset);
                self.write(line);
                self.take_question(*observed);
            }
            Ok(Record::Cancelled(id, tgid)) => self.take_cancellation(id, tgid),
            Ok(Record::Measured(id, digest)) => self.take_digest(id, digest),
            Err(error) => {
                self.unknown_events += 1;
                let reason = format!("the kernel wrote records that are not known here: {error}");
                self.health.raise(Concern::UnknownEvents, reason);
            }
        }
    }

    /// After the last record of a burst.
    pub fn settle(&mut self) {
        let flushed = self.log.flush();
        self.note_log(flushed);
    }

    /// Every second.
    pub fn tick(&mut self) {
        self.tick_questions();
        self.scopes.tick(self.gate.as_mut());
        self.ticks_since_loss += 1;
        self.count_losses();
        if self.ticks_since_loss > LOSS_SHOWN {
            self.health.clear(Concern::LostEvents);
        }
        self.settle();
        if self.scopes.was_any() || !self.options.ephemeral {
            self.idle_ticks = 0;
        } else {
            self.idle_ticks += 1;
        }
    }

    /// Now and then: the wall clock may have been set.
    pub fn set_clock(&mut self) {
        let set = time::boot_to_real().map_err(io::Error::from).and_then(|offset| {
            self.offset = offset;
            self.gate.set_clock(offset)
        });
        if let Err(error) = set {
            self.health.raise(Concern::Maps, format!("cannot set the clock: {error}"));
        }
        self.look_for_expired();
    }

    /// Whether it is time to end.
    #[must_use]
    pub fn is_done(&mut self) -> bool {
        if self.stopping {
            return true;
        }
        if !self.options.ephemeral || self.scopes.count() != 0 {
            return false;
        }
        if !self.scopes.was_any() {
            return self.idle_ticks >= FIRST_SCOPE;
        }
        match self.gate.governed() {
            Ok(governed) => governed.is_empty(),
            Err(error) => {
                self.health.raise(Concern::Maps, format!("cannot count governed tasks: {error}"));
                false
            }
        }
    }

    /// Nothing new is taken.
    pub fn stop(&mut self) {
        self.stopping = true;
        self.health.stop();
        self.end_questions();
        self.settle();
    }

    /// Nothing is enforced any more.
    pub fn taken_down(&mut self) {
        let by = self.stopped_by.take();
        self.write_of_gate("down", by.as_deref().unwrap_or(DAEMON));
        tracing::info!("the gate is taken down: nothing is enforced");
    }

    /// Where a service looks for signed files.
    #[must_use]
    pub fn bundles_dir(&self) -> Option<PathBuf> {
        (!self.options.ephemeral).then(|| self.options.bundles_dir.clone())
    }

    /// The log's file was moved away.
    pub fn reopen_log(&mut self) {
        self.settle();
        self.log.reopen();
    }

    fn count_losses(&mut self) {
        for profile in 0..=execlayer_common::limits::MAX_PROFILES {
            let in_all = match self.gate.lost(profile) {
                Ok(lost) => lost,
                Err(error) => {
                    let reason = format!("cannot read the counters of lost events: {error}");
                    return self.health.raise(Concern::Maps, reason);
                }
            };
            let before = self.lost.insert(profile, in_all).unwrap_or_default();
            if in_all > before {
                let agent = self.profiles.agent(profile);
                let now = time::now().saturating_mul(1_000_000_000);
                let line = line::lost(profile, agent, in_all - before, in_all, now);
                self.write(line);
                let reason = "events were lost in the kernel: the event log says how many";
                self.health.raise(Concern::LostEvents, reason.to_owned());
                self.ticks_since_loss = 0;
            }
        }
    }

    fn write_of_gate(&mut self, what: &'static str, by: &str) {
        self.write(line::gate(what, by, time::now().saturating_mul(1_000_000_000)));
        self.settle();
    }

    fn write(&mut self, line: Result<Vec<u8>, serde_json::Error>) {
        let written = line.map_err(io::Error::from).and_then(|line| self.log.write(&line));
        self.note_log(written);
    }

    fn note_log(&mut self, written: io::Result<bool>) {
        match written {
            Ok(true) => self.health.clear(Concern::EventLog),
            Ok(false) => {}
            Err(error) => {
                let (name, count) = (self.log.name(), self.log.unwritten());
                let reason =
                    format!("cannot write to `{name}` ({count} lines are missing): {error}");
                self.health.raise(Concern::EventLog, reason);
            }
        }
    }
}

/// Writes down what the canary does, apart from the parts that it uses.
#[derive(Debug)]
pub struct CanaryWitness<'a> {
    log: &'a mut Log,
    offset: u64,
}

impl CanaryWitness<'_> {
    /// One record of the kernel while the canary runs.
    ///
    /// # Errors
    ///
    /// If it cannot be written down.
    pub fn observe(&mut self, bytes: &[u8], profiles: &Profiles) -> io::Result<Option<Observed>> {
        let Ok(Record::Observed(observed)) = events::decode(bytes) else { return Ok(None) };
        let known = profiles.provenance(observed.profile, observed.generation);
        let line = line::event(&observed, known.map(AsRef::as_ref), self.offset)?;
        self.log.write(&line)?;
        Ok(Some(*observed))
    }
}

fn failure(code: ErrorCode, message: impl Into<String>) -> Failure {
    Failure { code, message: message.into(), help: None }
}

#[cfg(test)]
mod tests;
