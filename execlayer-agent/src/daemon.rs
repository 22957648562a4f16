//! What the daemon holds while it runs, and what each thing that happens does to it: a record of
//! the kernel, a call of the tool, a tick of the clock. Must not wait for anything; `pipeline` does.

mod accounts;
mod admit;
mod answer;
mod calls;
pub mod held;
mod in_force;

use std::{collections::BTreeSet, io, path::PathBuf};

use accounts::Accounts;
use execlayer_api::{Canary, ErrorCode, Failure};
use execlayer_common::question::daemon as words;

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
    record::{
        Trail,
        event::{Known, event},
        line,
        place::Places,
        redact::Redaction,
        repeats::{Repeat, Repeats},
        time,
        trail::{Found, Unwritten, Weight},
    },
    resolve::Budgets,
    scopes::Scopes,
    state::{Concern, Health},
    tools::Tools,
};

/// Who does what nobody asked for.
const DAEMON: &str = "execlayerd";
/// Ticks that an ephemeral daemon waits for its first scope.
const FIRST_SCOPE: u32 = 60;

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
    tools: Tools,
    /// Profiles without room for another question.
    full: BTreeSet<u32>,
    trail: Trail,
    accounts: Accounts,
    repeats: Repeats,
    /// Of calls of tools, which the kernel does not count.
    call_repeats: Repeats,
    places: Places,
    /// What must be recorded is denied.
    is_unrecorded: bool,
    redaction: Redaction,
    health: Health,
    /// What the trail says that fails.
    recorded: BTreeSet<Concern>,
    kernel: String,
    started: u64,
    canary: Option<Canary>,
    offset: u64,
    unknown_events: u64,
    idle_ticks: u32,
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
        (trail, found): (Trail, Found),
        kernel: String,
    ) -> Self {
        let (marks, lost) = Marks::read(&options.state_dir);
        let redaction = Redaction::with(&options.redact);
        let cgroups = scopes.root().to_owned();
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
            tools: Tools::new(time::now()),
            full: BTreeSet::new(),
            trail,
            accounts: Accounts::default(),
            repeats: Repeats::default(),
            call_repeats: Repeats::default(),
            places: Places::below(cgroups),
            is_unrecorded: false,
            redaction,
            health: Health::default(),
            recorded: BTreeSet::new(),
            kernel,
            started: time::now(),
            canary: None,
            offset: 0,
            unknown_events: 0,
            idle_ticks: 0,
            stopping: false,
            stopped_by: None,
        };
        if let Some(problem) = lost {
            daemon.health.raise(Concern::Marks, format!("the newest versions are lost: {problem}"));
        }
        daemon.set_clock();
        daemon.begin_accounts();
        daemon.write_of_trail(&found);
        daemon
    }

    /// The parts that the canary needs, and everything else of the daemon for its events.
    pub fn parts_for_canary(&mut self) -> (&mut dyn Gate, &mut Profiles, CanaryWitness<'_>) {
        let witness = CanaryWitness {
            trail: &mut self.trail,
            offset: self.offset,
            redaction: &self.redaction,
        };
        (self.gate.as_mut(), &mut self.profiles, witness)
    }

    /// The canary came through.
    pub fn canary_passed(&mut self, acts: Vec<String>) {
        self.write_of_state("tried", &acts);
        self.canary = Some(Canary { passed: true, time: time::now(), acts });
    }

    /// The gate cannot be put up.
    pub fn failed(&mut self, why: String) {
        self.write_of_state("failed", &[why]);
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
                self.accounts.take(observed.profile, bytes.len());
                if self.repeats.is_written_out(&observed) {
                    self.write_event(&observed, None);
                }
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
        self.tell_taken();
        let flushed = self.trail.flush();
        self.note_trail(flushed);
    }

    /// Every second.
    pub fn tick(&mut self) {
        self.tick_questions();
        self.tick_calls();
        self.scopes.tick(self.gate.as_mut());
        self.settle();
        self.tick_accounts();
        let ticked = self.trail.tick();
        self.note_trail(ticked);
        self.tend_closed();
        self.write_concerns();
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
        self.end_calls();
        let by = self.stopped_by.clone().unwrap_or_else(|| DAEMON.to_owned());
        self.write_of_state("stopped", &[by]);
        self.sign_trail();
    }

    /// Nothing is enforced any more.
    pub fn taken_down(&mut self) {
        let by = self.stopped_by.take();
        self.end_accounts();
        self.write_of_gate("down", by.as_deref().unwrap_or(DAEMON));
        self.sign_trail();
        tracing::info!("the gate is taken down: nothing is enforced");
    }

    /// The group that may ask how the daemon is does not exist.
    pub fn lacks_group(&mut self, name: &str) {
        let reason = format!("there is no group `{name}`: only root can read the audit trail");
        self.health.raise(Concern::TrailGroup, reason);
    }

    /// Where a service looks for signed files.
    #[must_use]
    pub fn bundles_dir(&self) -> Option<PathBuf> {
        (!self.options.ephemeral).then(|| self.options.bundles_dir.clone())
    }

    fn write_event(&mut self, observed: &Observed, repeat: Option<&Repeat>) {
        let (profile, generation) = (observed.profile, observed.generation);
        let known = Known {
            provenance: self.profiles.provenance(profile, generation).map(AsRef::as_ref),
            digest: self.profiles.digest(profile, generation),
            cgroup: self.places.of(observed.cgroup),
            offset: self.offset,
            redaction: &self.redaction,
        };
        let line = event(observed, repeat, known);
        let events = repeat.map_or(1, |repeat| repeat.count);
        // The kernel has counted none of what a tool asked.
        let is_kernels = observed.tool.is_none();
        self.write(line, is_kernels.then_some(Weight { profile, events, of_ring: false }));
    }

    fn write_of_gate(&mut self, what: &'static str, by: &str) {
        self.write(line::gate(what, by, now()), None);
        self.settle();
    }

    fn write_of_state(&mut self, what: &'static str, reasons: &[String]) {
        self.write(line::state(what, reasons, now()), None);
        self.settle();
    }

    /// What fails now, if other things do than before. Why they do may change with every second.
    fn write_concerns(&mut self) {
        // On a disk that is almost full it comes and goes, and `lost` records say what came of it.
        let concerns = self.health.concerns_but(Concern::Trail);
        if concerns.keys().eq(&self.recorded) {
            return;
        }
        let reasons: Vec<_> = concerns.values().cloned().collect();
        let what = if reasons.is_empty() { "mended" } else { "degraded" };
        let recorded = concerns.into_keys().collect();
        let before = self.trail.unwritten();
        self.write_of_state(what, &reasons);
        // What was not written is said again.
        if self.trail.unwritten() == before {
            self.recorded = recorded;
        }
    }

    fn write_of_trail(&mut self, found: &Found) {
        if let Some(problem) = &found.set_aside {
            let reason = format!("the audit trail was set aside, and another begun: {problem}");
            self.health.raise(Concern::TrailSetAside, reason);
        }
        self.write(line::trail(found, self.options.audit_sync, now()), None);
    }

    /// Removes what the settings keep no longer, after saying so.
    fn tend_closed(&mut self) {
        let due = self.trail.tend_closed();
        if let Ok(Some(due)) = &due {
            self.write(line::removed(due.before, now()), None);
            let removed = self.trail.remove(due);
            self.note_trail(removed.map(|()| true));
        }
        self.note_trail(due.map(|_due| false));
    }

    /// Nothing is written for a while, or ever.
    fn sign_trail(&mut self) {
        self.write_repeats(u64::MAX);
        let signed = self.trail.checkpoint().map(|()| true);
        self.note_trail(signed);
    }

    fn write(&mut self, line: Result<Vec<u8>, serde_json::Error>, weight: Option<Weight>) {
        let line = line.map_err(io::Error::from);
        let written = line.and_then(|line| self.trail.append(&line, weight));
        self.note_trail(written);
    }

    fn note_trail(&mut self, written: io::Result<bool>) {
        match written {
            Ok(true) => {
                self.health.clear(Concern::Trail);
            }
            Ok(false) => {}
            Err(error) => {
                let (name, count) = (self.trail.name(), self.trail.unwritten());
                let reason =
                    format!("cannot write to `{name}` ({count} records are missing): {error}");
                self.health.raise(Concern::Trail, reason);
            }
        }
        self.tell_unrecorded();
    }

    /// Says to the kernel whether what must be recorded is denied.
    fn tell_unrecorded(&mut self) {
        let is_denied = self.trail.is_failing() && self.options.audit_failure == Unwritten::Deny;
        if self.is_unrecorded == is_denied {
            return;
        }
        match self.gate.holding().tell(words::UNRECORDED, u64::from(is_denied)) {
            Ok(()) => self.is_unrecorded = is_denied,
            Err(error) => {
                let reason = format!("cannot say what must be recorded: {error}");
                self.health.raise(Concern::Maps, reason);
            }
        }
    }
}

/// Nanoseconds since 1970.
fn now() -> u64 {
    time::now().saturating_mul(1_000_000_000)
}

/// Writes down what the canary does, apart from the parts that it uses.
#[derive(Debug)]
pub struct CanaryWitness<'a> {
    trail: &'a mut Trail,
    offset: u64,
    redaction: &'a Redaction,
}

impl CanaryWitness<'_> {
    /// One record of the kernel while the canary runs.
    ///
    /// # Errors
    ///
    /// If it cannot be written down.
    pub fn observe(&mut self, bytes: &[u8], profiles: &Profiles) -> io::Result<Option<Observed>> {
        let Ok(Record::Observed(observed)) = events::decode(bytes) else { return Ok(None) };
        let (profile, generation) = (observed.profile, observed.generation);
        let known = Known {
            provenance: profiles.provenance(profile, generation).map(AsRef::as_ref),
            digest: profiles.digest(profile, generation),
            cgroup: None,
            offset: self.offset,
            redaction: self.redaction,
        };
        let line = event(&observed, None, known)?;
        self.trail.append(&line, Some(Weight { profile, events: 1, of_ring: false }))?;
        Ok(Some(*observed))
    }
}

fn failure(code: ErrorCode, message: impl Into<String>) -> Failure {
    Failure { code, message: message.into(), help: None }
}

#[cfg(test)]
mod tests;
