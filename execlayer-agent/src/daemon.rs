//! What the daemon holds while it runs, and what each thing that happens does to it: a record of
//! the kernel, a call of the tool, a tick of the clock. Must not wait for anything; `pipeline` does.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use execlayer_api::{
    Canary, ErrorCode, Failure, Hello, Installed, Outcome, Profile, Program, Request, Response,
    Scope, ScopeId, Status,
};
use execlayer_common::hooks::{self, Attach};

use crate::{
    control::Call,
    kernel::{
        Gate,
        events::{self, Observed},
    },
    options::Options,
    profiles::{ProfileError, Profiles},
    record::{Log, line, time},
    scopes::{ScopeError, Scopes},
    state::{Concern, Health},
    store, trust,
};

/// Release of this daemon.
pub const RELEASE: &str = env!("CARGO_PKG_VERSION");
/// Passes of adoption after which something makes new tasks faster than they are found.
const MAX_ADOPTIONS: usize = 64;
/// Ticks that an ephemeral daemon waits for its first scope.
const FIRST_SCOPE: u32 = 60;
/// Ticks for which a loss is a reason to be degraded. The counters show it for ever.
const LOSS_SHOWN: u64 = 600;

/// The daemon.
pub struct Daemon {
    options: Options,
    gate: Box<dyn Gate>,
    profiles: Profiles,
    scopes: Scopes,
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
        let mut daemon = Self {
            options,
            gate,
            profiles,
            scopes,
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
        };
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

    /// Puts the bundles in force again that a service had before.
    pub fn restore(&mut self) {
        let kept = match store::list(&self.options.state_dir) {
            Ok(kept) => kept,
            Err(error) => {
                let reason = format!("cannot read the stored bundles: {error}");
                return self.health.raise(Concern::StoredBundles, reason);
            }
        };
        let mut failures = Vec::new();
        for (profile, path) in kept {
            let name = path.display().to_string();
            let bytes = read_bundle(&path);
            match bytes.and_then(|bytes| self.put_in_force(&bytes, Some(profile))) {
                Ok(_installed) => tracing::info!("`{name}` is in force again"),
                Err(failure) if failure.message.contains(&name) => failures.push(failure.message),
                Err(failure) => failures.push(format!("`{name}`: {}", failure.message)),
            }
        }
        if !failures.is_empty() {
            let reason = format!("stored bundles are not in force: {}", failures.join("; "));
            self.health.raise(Concern::StoredBundles, reason);
        }
        match self.profiles.find_nameless(self.gate.as_ref()) {
            Ok(nameless) if nameless.is_empty() => {}
            Ok(nameless) => {
                let reason = format!("policies without a stored bundle govern on: {nameless:?}");
                self.health.raise(Concern::NamelessPolicies, reason);
            }
            Err(error) => {
                self.health.raise(Concern::Maps, format!("cannot read the slots: {error}"));
            }
        }
    }

    /// Puts a bundle in force that the command line names.
    ///
    /// # Errors
    ///
    /// Why it is refused.
    pub fn put_named_in_force(&mut self, path: &Path) -> Result<(), String> {
        let bytes = read_bundle(path).map_err(|failure| failure.message)?;
        self.put_in_force(&bytes, None).map(|_installed| ()).map_err(|failure| failure.message)
    }

    /// Loading and trying are done.
    pub fn up(&mut self) {
        self.health.up();
        tracing::info!("the gate stands on kernel {}", self.kernel);
    }

    /// One record of the kernel.
    pub fn observe(&mut self, bytes: &[u8]) {
        match events::decode(bytes) {
            Ok(observed) => {
                self.scopes.observe(&observed);
                let known = self.profiles.provenance(observed.profile, observed.generation);
                let line = line::event(&observed, known.map(AsRef::as_ref), self.offset);
                self.write(line);
            }
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
        self.settle();
    }

    /// The log's file was moved away.
    pub fn reopen_log(&mut self) {
        self.settle();
        self.log.reopen();
    }

    /// Answers a call.
    pub fn answer(&mut self, call: Call) {
        let Call { pid, request, reply } = call;
        let response = match self.refusal(pid) {
            Some(failure) => Response::Error(failure),
            None => match self.handle(request) {
                Ok(outcome) => Response::Done(outcome),
                Err(failure) => Response::Error(failure),
            },
        };
        // A client that does not wait for its answer gets none.
        drop(reply.send(response));
    }

    fn refusal(&self, pid: i32) -> Option<Failure> {
        match self.gate.is_governed(pid) {
            Ok(false) => None,
            Ok(true) => {
                tracing::warn!("the governed process {pid} tried to use the control socket");
                Some(failure(ErrorCode::Forbidden, "a governed process may not use this socket"))
            }
            Err(error) => {
                let message = format!("cannot tell whether the caller is governed: {error}");
                Some(failure(ErrorCode::Internal, message))
            }
        }
    }

    fn handle(&mut self, request: Request) -> Result<Outcome, Failure> {
        if self.stopping && !matches!(request, Request::Status {} | Request::Hello {}) {
            return Err(failure(ErrorCode::Unavailable, "the daemon is stopping"));
        }
        match request {
            Request::Hello {} => Ok(Outcome::Hello(Hello {
                release: RELEASE.to_owned(),
                pid: std::process::id(),
                ephemeral: self.options.ephemeral,
                state: self.health.state(),
            })),
            Request::Install { path } => self.install(&PathBuf::from(path)).map(Outcome::Installed),
            Request::OpenScope { agent, owner_pid } => self.open_scope(&agent, owner_pid),
            Request::CloseScope { id } => self.close_scope(id),
            Request::Status {} => Ok(Outcome::Status(Box::new(self.status()))),
            Request::Stop { force } => {
                if !self.options.ephemeral && !force {
                    let mut refused =
                        failure(ErrorCode::NotEphemeral, "this daemon runs as a service");
                    refused.help = Some("with force it ends, and nothing is enforced".into());
                    return Err(refused);
                }
                self.stop();
                Ok(Outcome::Stopping {})
            }
        }
    }

    fn install(&mut self, path: &Path) -> Result<Installed, Failure> {
        let bytes = read_bundle(path)?;
        let installed = self.put_in_force(&bytes, None)?;
        if !self.options.ephemeral
            && let Err(error) = store::put(&self.options.state_dir, installed.profile, &bytes)
        {
            let reason =
                format!("`{}` will not be in force after a restart: {error}", installed.agent);
            self.health.raise(Concern::StoredBundles, reason);
        }
        Ok(installed)
    }

    fn put_in_force(&mut self, bytes: &[u8], at: Option<u32>) -> Result<Installed, Failure> {
        let ring = trust::keys(&self.options.keys_dir, &self.options.state_dir);
        match ring.refused.as_slice() {
            [] => self.health.clear(Concern::Keys),
            keys => self.health.raise(Concern::Keys, format!("keys left out: {}", keys.join("; "))),
        }
        let bundle = execlayer_bundle::verify(bytes, &ring.keys).map_err(|error| {
            let mut failure = failure(ErrorCode::BundleRefused, error.to_string());
            if matches!(error, execlayer_bundle::BundleError::UnknownKey(_)) {
                failure.help = Some(format!(
                    "put the signer's public key into `{}`",
                    self.options.keys_dir.display()
                ));
            }
            failure
        })?;
        let installed = self.profiles.install(self.gate.as_mut(), bundle, at).map_err(|error| {
            if let ProfileError::Install(crate::kernel::InstallError::Torn { .. }) = error {
                self.health.raise(Concern::TornPolicy, error.to_string());
            }
            profile_failure(&error)
        })?;
        let (selects, answer) = (installed.selects(), described(installed));
        if selects {
            self.adopt();
        }
        crate::kernel::return_free_memory();
        tracing::info!(
            "policy `{}` version {} is in force for agent `{}` (generation {})",
            answer.policy,
            answer.version,
            answer.agent,
            answer.generation
        );
        Ok(answer)
    }

    /// Labels tasks that already are where a policy selects, until a pass finds none.
    fn adopt(&mut self) {
        let mut passes = || -> io::Result<bool> {
            let mut before = total(&self.gate.governed()?);
            for _ in 0..MAX_ADOPTIONS {
                self.gate.adopt_once()?;
                let after = total(&self.gate.governed()?);
                if after <= before {
                    return Ok(true);
                }
                before = after;
            }
            Ok(false)
        };
        match passes() {
            Ok(true) => self.health.clear(Concern::Adoption),
            Ok(false) => {
                let reason = "tasks that a policy selects appear faster than they are adopted";
                self.health.raise(Concern::Adoption, reason.to_owned());
            }
            Err(error) => {
                self.health.raise(Concern::Adoption, format!("cannot adopt tasks: {error}"));
            }
        }
    }

    fn open_scope(&mut self, agent: &str, owner: u32) -> Result<Outcome, Failure> {
        let Some(profile) = self.profiles.of(agent) else {
            let message = format!("no policy of agent `{agent}` is installed");
            return Err(failure(ErrorCode::UnknownAgent, message));
        };
        let lost = self.gate.lost(profile).unwrap_or_default();
        let opened = self.scopes.open(self.gate.as_mut(), profile, owner, lost);
        let (id, cgroup) = opened.map_err(|error| {
            let code = match error {
                ScopeError::Full => ErrorCode::Limit,
                ScopeError::NoOwner(_) => ErrorCode::BadRequest,
                ScopeError::Cgroup { .. } | ScopeError::Map(_) => ErrorCode::Internal,
            };
            failure(code, error.to_string())
        })?;
        Ok(Outcome::Scope(Scope { id, cgroup: cgroup.to_string_lossy().into_owned() }))
    }

    fn close_scope(&mut self, id: ScopeId) -> Result<Outcome, Failure> {
        let Some(closed) = self.scopes.close(self.gate.as_mut(), id) else {
            return Err(failure(ErrorCode::UnknownScope, format!("there is no scope {id}")));
        };
        let lost = self.gate.lost(closed.profile).unwrap_or_default();
        let lost = lost.saturating_sub(closed.lost_before);
        let names = |profile, generation| self.profiles.provenance(profile, generation);
        Ok(Outcome::Summary(closed.tally.summary(names, lost)))
    }

    fn status(&mut self) -> Status {
        let governed = self.gate.governed().unwrap_or_else(|error| {
            self.health.raise(Concern::Maps, format!("cannot count governed tasks: {error}"));
            BTreeMap::new()
        });
        self.count_losses();
        let profiles = self.profiles.iter().map(|(number, installed)| Profile {
            number,
            agent: installed.provenance.agent.clone(),
            policy: installed.provenance.policy.clone(),
            version: installed.provenance.version,
            generation: installed.generation.number(),
            digest: installed.digest.clone(),
            mode: installed.mode,
            rules: u32::try_from(installed.provenance.rules.len()).unwrap_or(u32::MAX),
            image_bytes: installed.generation.image_bytes(),
            table_bytes: installed.generation.table_bytes(),
            governed_tasks: governed.get(&number).copied().unwrap_or_default(),
            lost_events: self.lost.get(&number).copied().unwrap_or_default(),
        });
        Status {
            profiles: profiles.collect(),
            release: RELEASE.to_owned(),
            pid: std::process::id(),
            started: self.started,
            ephemeral: self.options.ephemeral,
            state: self.health.state(),
            degraded: self.health.reasons(),
            kernel: self.kernel.clone(),
            programs: programs(),
            scopes: u32::try_from(self.scopes.count()).unwrap_or(u32::MAX),
            unknown_events: self.unknown_events,
            canary: self.canary.clone(),
            events: self.log.name(),
        }
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
        let Ok(observed) = events::decode(bytes) else { return Ok(None) };
        let known = profiles.provenance(observed.profile, observed.generation);
        let line = line::event(&observed, known.map(AsRef::as_ref), self.offset)?;
        self.log.write(&line)?;
        Ok(Some(observed))
    }
}

fn programs() -> Vec<Program> {
    let hook = |attach: &Attach| match attach {
        Attach::Lsm(hook) => (*hook).to_owned(),
        Attach::TaskIterator => "task iterator, on demand".to_owned(),
    };
    // A daemon that runs has attached all of them: anything else is a refusal to start.
    let all = hooks::PROGRAMS.iter();
    all.map(|(name, attach)| Program {
        name: (*name).to_owned(),
        hook: hook(attach),
        attached: true,
    })
    .collect()
}

fn read_bundle(path: &Path) -> Result<Vec<u8>, Failure> {
    let refused = |message: String| failure(ErrorCode::BundleRefused, message);
    if !path.is_absolute() {
        return Err(refused("the bundle's path is not absolute".to_owned()));
    }
    trust::bundle(path).map_err(|error| refused(format!("`{}`: {error}", path.display())))
}

fn described(installed: &crate::profiles::Installed) -> Installed {
    Installed {
        profile: installed.generation.profile(),
        agent: installed.provenance.agent.clone(),
        policy: installed.provenance.policy.clone(),
        version: installed.provenance.version,
        generation: installed.generation.number(),
        digest: installed.digest.clone(),
    }
}

fn profile_failure(error: &ProfileError) -> Failure {
    let code = match error {
        ProfileError::Full => ErrorCode::Limit,
        ProfileError::Overlap { .. } | ProfileError::Incomparable { .. } => ErrorCode::Overlap,
        ProfileError::Install(_) => ErrorCode::Internal,
    };
    let mut message = error.to_string();
    if let ProfileError::Install(
        crate::kernel::InstallError::Step { source, .. }
        | crate::kernel::InstallError::Torn { source, .. },
    ) = error
    {
        message = format!("{message}: {source}");
    }
    failure(code, message)
}

fn failure(code: ErrorCode, message: impl Into<String>) -> Failure {
    Failure { code, message: message.into(), help: None }
}

fn total(governed: &BTreeMap<u32, u64>) -> u64 {
    governed.values().sum()
}

#[cfg(test)]
mod tests;
