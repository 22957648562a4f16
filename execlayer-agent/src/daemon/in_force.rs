//! Verify and install, for the daemon: a file to a policy in force, and the tasks that it selects.
//! Everything that a bundle's bytes can cause happens here; must not know who sent them.

use std::path::{Path, PathBuf};

use execlayer_api::{ErrorCode, Failure, Installed, Outcome};
use execlayer_bundle::{Kind, VerifiedBundle};

use super::{Daemon, failure, now};
use crate::{
    kernel::{InstallError, Pass},
    passages,
    profiles::{self, Destined, ProfileError},
    record::{line, time},
    state::Concern,
    store, trust,
};

/// Passes of adoption after which something makes new tasks faster than they are found.
const MAX_ADOPTIONS: usize = 64;

impl Daemon {
    /// Puts the bundles in force again that a service had before.
    pub fn restore(&mut self) {
        let kept = match store::list(&self.options.state_dir) {
            Ok(kept) => kept,
            Err(error) => {
                let reason = format!("cannot read the stored bundles: {error}");
                return self.health.raise(Concern::StoredBundles, reason);
            }
        };
        let (mut failures, mut doubts) = (Vec::new(), Vec::new());
        let mut kept: Vec<_> = kept
            .into_iter()
            .map(|(profile, path)| Some((profile, read_bundle(&path), path)))
            .collect();
        for at in in_order(&kept) {
            let Some((profile, bytes, path)) = kept.get_mut(at).and_then(Option::take) else {
                continue;
            };
            let name = path.display().to_string();
            match bytes.and_then(|bytes| self.put_in_force_again(&bytes, profile)) {
                Ok(doubt) => {
                    tracing::info!("`{name}` is in force again");
                    doubts.extend(doubt.map(|doubt| format!("`{name}`: {doubt}")));
                }
                Err(failure) if failure.message.contains(&name) => failures.push(failure.message),
                Err(failure) => failures.push(format!("`{name}`: {}", failure.message)),
            }
        }
        let said =
            [("are not in force", failures), ("would not be taken now; they govern on", doubts)]
                .into_iter()
                .filter(|(_what, bundles)| !bundles.is_empty())
                .map(|(what, bundles)| format!("stored bundles {what}: {}", bundles.join("; ")))
                .collect::<Vec<_>>();
        if !said.is_empty() {
            self.health.raise(Concern::StoredBundles, said.join("; "));
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
        self.install(path).map(|_done| ()).map_err(|failure| failure.message)
    }

    /// Takes what is new in a service's drop-in directory. What is refused changes nothing, and is shown.
    pub fn take_dropped(&mut self) {
        if self.options.ephemeral || self.stopping {
            return;
        }
        let folder = self.options.bundles_dir.clone();
        loop {
            let new = self.dropped.look(&folder);
            if new.is_empty() {
                break;
            }
            for path in new {
                let taken = self.take_one(&path);
                let is_new_trust =
                    matches!(taken, Ok(Some(Outcome::RootInForce(_) | Outcome::Ordered(_))));
                let refused = taken.err().map(|failure| failure.message);
                if let Some(why) = &refused {
                    tracing::warn!("`{}` is not put in force: {why}", path.display());
                }
                self.dropped.note(&path, refused);
                if is_new_trust {
                    // What was refused may be signed by the right ones now, or new enough.
                    self.dropped.forget_refused();
                }
            }
        }
        match self.dropped.problems() {
            Some(problems) => {
                let reason = format!("files that are not put in force: {problems}");
                self.health.raise(Concern::Dropped, reason);
            }
            None => self.health.clear(Concern::Dropped),
        }
    }

    /// Takes a file of the drop-in directory, unless that was done before.
    fn take_one(&mut self, path: &Path) -> Result<Option<Outcome>, Failure> {
        let bytes = read_bundle(path)?;
        if self.is_so_already(&bytes) { Ok(None) } else { self.take(&bytes).map(Some) }
    }

    pub(super) fn install(&mut self, path: &Path) -> Result<Outcome, Failure> {
        self.take(&read_bundle(path)?)
    }

    /// The one door for what is signed.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<Outcome, Failure> {
        match execlayer_bundle::kind(bytes).map_err(|error| self.refused(&error))? {
            Kind::Policy => self.put_in_force(bytes).map(Outcome::Installed),
            Kind::Root => self.replace_root(bytes).map(Outcome::RootInForce),
            Kind::Rollback => self.go_back(bytes).map(Outcome::Ordered),
        }
    }

    /// Puts a bundle in force. A service keeps it, and its mark, before the switch: whenever the power goes,
    /// either the old or the new one is there afterwards, whole.
    fn put_in_force(&mut self, bytes: &[u8]) -> Result<Installed, Failure> {
        let admitted = self.admit(bytes)?;
        let destined = self.destined(&admitted.bundle, None)?;
        if self.options.ephemeral {
            return self.switch(admitted.bundle, destined);
        }
        let kept = self.keep(&admitted, destined.profile(), bytes)?;
        let switched = self.switch(admitted.bundle, destined);
        self.settle_kept(&kept, switched.is_ok());
        switched
    }

    pub(super) fn destined(
        &self,
        bundle: &VerifiedBundle,
        at: Option<u32>,
    ) -> Result<Destined, Failure> {
        self.profiles.destined(bundle, at).map_err(|error| profile_failure(&error))
    }

    /// The switch itself, and what follows from it.
    pub(super) fn switch(
        &mut self,
        bundle: VerifiedBundle,
        destined: Destined,
    ) -> Result<Installed, Failure> {
        let signers: Vec<_> = bundle.signers().iter().map(ToString::to_string).collect();
        let installed =
            self.profiles.install(self.gate.as_mut(), bundle, destined).map_err(|error| {
                if let ProfileError::Install(InstallError::Torn { .. }) = error {
                    self.health.raise(Concern::TornPolicy, error.to_string());
                }
                profile_failure(&error)
            })?;
        let (selects, answer) = (installed.selects(), described(installed));
        if selects {
            self.adopt();
        }
        match self.profiles.broken_ways() {
            broken if broken.is_empty() => self.health.clear(Concern::Ways),
            broken => {
                let reason = format!("programs that cannot be executed: {}", broken.join("; "));
                self.health.raise(Concern::Ways, reason);
            }
        }
        self.write(line::policy(&answer, &signers, now()), None);
        // Answers about the policy's rules go with it, before anybody is judged anew.
        self.sweep_grants(time::boot());
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
        let mut last = Pass::default();
        for _ in 0..MAX_ADOPTIONS {
            match self.gate.adopt_once() {
                Ok(pass) if pass == Pass::default() => {
                    self.health.clear(Concern::Adoption);
                    return;
                }
                Ok(pass) => last = pass,
                Err(error) => {
                    self.health.raise(Concern::Adoption, format!("cannot adopt tasks: {error}"));
                    return;
                }
            }
        }
        let reason = match last.failed {
            0 => "tasks that a policy selects appear faster than they are adopted".to_owned(),
            failed => format!("{failed} tasks that a policy may select cannot be adopted"),
        };
        self.health.raise(Concern::Adoption, reason);
    }
}

/// A kept bundle: its profile, its bytes, and where it lies.
type Kept = (u32, Result<Vec<u8>, Failure>, PathBuf);

/// Those first that others lead to, so that there is no moment without the way. They are verified when they are put
/// in force: a wrong claim spoils the order, and nothing else.
fn in_order(kept: &[Option<Kept>]) -> Vec<usize> {
    let claimed = |kept: &Option<Kept>| {
        let (_profile, bytes, _path) = kept.as_ref()?;
        Some(execlayer_bundle::unverified_claims(bytes.as_ref().ok()?).ok()?.provenance)
    };
    let claims: Vec<_> = kept.iter().map(claimed).collect();
    passages::order(&claims.iter().map(Option::as_ref).collect::<Vec<_>>())
}

fn read_bundle(path: &Path) -> Result<Vec<u8>, Failure> {
    let refused = |message: String| failure(ErrorCode::BundleRefused, message);
    if !path.is_absolute() {
        return Err(refused("the bundle's path is not absolute".to_owned()));
    }
    trust::bundle(path).map_err(|error| refused(format!("`{}`: {error}", path.display())))
}

fn described(installed: &profiles::Installed) -> Installed {
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
        InstallError::Step { source, .. } | InstallError::Torn { source, .. },
    ) = error
    {
        message = format!("{message}: {source}");
    }
    failure(code, message)
}
