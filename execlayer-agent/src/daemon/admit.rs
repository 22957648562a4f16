//! What may be put in force here and now: who signed it, under which terms, and what was in force before. Must not
//! touch the kernel.

use std::{fs, io};

use execlayer_api::{ErrorCode, Failure, Ordered, RootInForce, places};
use execlayer_bundle::{
    BundleError, Here, Kind, Terms, TermsError, VerifiedBundle, order, root, verify, verify_again,
};

use super::{Daemon, failure};
use crate::{
    marks::{Edition, Refusal},
    record::time,
    state::Concern,
    store,
    trust::{self, Keyring, Places},
};

/// A bundle that may be put in force.
pub(super) struct Admitted {
    pub(super) bundle: VerifiedBundle,
    /// Only the machine's own key signed it: whoever has that may replace it by anything.
    is_local: bool,
}

/// What was kept for a switch.
pub(super) struct Kept {
    profile: u32,
    before: Option<Vec<u8>>,
    /// Agent and policy, if there is a mark to settle.
    mark: Option<(String, String)>,
}

impl Daemon {
    /// Verifies a bundle that somebody wants to put in force.
    pub(super) fn admit(&mut self, bytes: &[u8]) -> Result<Admitted, Failure> {
        let admitted = self.verified(bytes)?;
        let bundle = &admitted.bundle;
        let terms = bundle.terms();
        self.judge_terms(terms).map_err(|error| not_now(&error))?;
        if !admitted.is_local {
            let provenance = bundle.provenance();
            self.marks
                .judge(&provenance.agent, &provenance.policy, &edition(bundle))
                .map_err(|error| not_again(&error))?;
            self.marks.saw(terms.issued);
        }
        Ok(admitted)
    }

    /// Puts a bundle in force that was kept. That its time is over is shown, and so is that whoever signed it may do so
    /// no more; neither changes anything. Comes back with the latter.
    pub(super) fn put_in_force_again(
        &mut self,
        bytes: &[u8],
        profile: u32,
    ) -> Result<Option<String>, Failure> {
        let (Admitted { bundle, is_local }, doubt) = match self.verified(bytes) {
            Ok(admitted) => (admitted, None),
            Err(refused) => {
                let bundle = self.verified_before(bytes).ok_or_else(|| refused.clone())?;
                (Admitted { bundle, is_local: false }, Some(refused.message))
            }
        };
        match self.judge_terms(bundle.terms()) {
            Ok(()) | Err(TermsError::Expired(..) | TermsError::TooEarly(..)) => {}
            Err(error) => return Err(not_now(&error)),
        }
        let provenance = bundle.provenance();
        let (agent, policy) = (provenance.agent.clone(), provenance.policy.clone());
        if !is_local {
            let edition = edition(&bundle);
            self.marks.judge_kept(&agent, &policy, &edition).map_err(|error| not_again(&error))?;
            self.marks.restored(&agent, &policy, edition);
        }
        let destined = self.destined(&bundle, Some(profile))?;
        self.switch(bundle, destined)?;
        if !is_local {
            self.write_marks();
        }
        Ok(doubt)
    }

    /// The bundle, if it was verified when it came into force: a mark names what was signed. A key that is trusted no
    /// more takes no policy away, also not with the next boot.
    fn verified_before(&self, bytes: &[u8]) -> Option<VerifiedBundle> {
        let claims = execlayer_bundle::unverified_claims(bytes).ok()?;
        let (agent, policy) = (&claims.provenance.agent, &claims.provenance.policy);
        let is_known = self.marks.knows(agent, policy, &claims.digest);
        if is_known { verify_again(bytes, &claims.digest).ok() } else { None }
    }

    /// Keeps the bundle for a restart, and marks its version, before it comes into force.
    pub(super) fn keep(
        &mut self,
        admitted: &Admitted,
        profile: u32,
        bytes: &[u8],
    ) -> Result<Kept, Failure> {
        let state_dir = self.options.state_dir.clone();
        let cannot = |error: io::Error| {
            let message = format!("it cannot be kept, and so it is not put in force: {error}");
            failure(ErrorCode::Internal, message)
        };
        let before = store::get(&state_dir, profile).map_err(cannot)?;
        let mut mark = None;
        if !admitted.is_local {
            let provenance = admitted.bundle.provenance();
            let (agent, policy) = (provenance.agent.clone(), provenance.policy.clone());
            self.marks.begin(&agent, &policy, edition(&admitted.bundle));
            if let Err(error) = self.marks.write(&state_dir) {
                self.marks.undo(&agent, &policy);
                return Err(cannot(error));
            }
            mark = Some((agent, policy));
        }
        let kept = Kept { profile, before, mark };
        if let Err(error) = store::put(&state_dir, profile, bytes) {
            self.settle_kept(&kept, false);
            return Err(cannot(error));
        }
        Ok(kept)
    }

    /// The switch came about, or did not: then what was kept before is kept again.
    pub(super) fn settle_kept(&mut self, kept: &Kept, is_in_force: bool) {
        if !is_in_force {
            let state_dir = &self.options.state_dir;
            let back = match &kept.before {
                Some(before) => store::put(state_dir, kept.profile, before),
                None => store::remove(state_dir, kept.profile),
            };
            if let Err(error) = back
                && error.kind() != io::ErrorKind::NotFound
            {
                let reason = format!("a bundle that is not in force is kept: {error}");
                self.health.raise(Concern::StoredBundles, reason);
            }
        }
        if let Some((agent, policy)) = &kept.mark {
            if is_in_force {
                self.marks.done(agent, policy);
            } else {
                self.marks.undo(agent, policy);
            }
            self.write_marks();
        }
    }

    /// Replaces the root by the next one.
    pub(super) fn replace_root(&mut self, bytes: &[u8]) -> Result<RootInForce, Failure> {
        let current = trust::root(self.places())
            .map_err(|problem| failure(ErrorCode::BundleRefused, problem))?;
        let new = root::verify(bytes, current.as_ref()).map_err(|error| self.refused(&error))?;
        let state_dir = self.options.state_dir.clone();
        store::write_whole(&state_dir, places::ROOT_IN_FORCE, bytes).map_err(|error| {
            failure(ErrorCode::Internal, format!("the root cannot be kept: {error}"))
        })?;
        self.marks.saw(new.root().issued);
        self.write_marks();
        let (version, digest) = (new.root().version, new.digest().to_owned());
        tracing::info!("root version {version} says from now on who may sign what");
        Ok(RootInForce { version, digest })
    }

    /// Whether what a file claims to want is so already: then it is not looked at again, and needs no
    /// verification.
    pub(super) fn is_so_already(&self, bytes: &[u8]) -> bool {
        match execlayer_bundle::kind(bytes) {
            Ok(Kind::Policy) => execlayer_bundle::unverified_claims(bytes).is_ok_and(|claims| {
                self.profiles.iter().any(|(_, known)| known.digest == claims.digest)
            }),
            Ok(Kind::Root) => {
                let current = trust::root(self.places()).ok().flatten();
                let current = current.map_or(0, |root| root.root().version);
                root::unverified(bytes).is_ok_and(|root| root.version <= current)
            }
            Ok(Kind::Rollback) => order::unverified(bytes).is_ok_and(|order| {
                self.marks.newest_of(&order.agent, &order.policy) == Some(order.to)
            }),
            Err(_) => false,
        }
    }

    /// Lets an older version of a policy come into force, as it is ordered.
    pub(super) fn go_back(&mut self, bytes: &[u8]) -> Result<Ordered, Failure> {
        let ring = self.keyring();
        let verified = order::verify(bytes, &ring.keys).map_err(|error| self.refused(&error))?;
        let order = verified.order();
        let marks = self.marks.clone();
        self.marks.go_back(order).map_err(|error| not_again(&error))?;
        if let Err(error) = self.marks.write(&self.options.state_dir) {
            self.marks = marks;
            let message = format!("the order cannot be kept, and is not followed: {error}");
            return Err(failure(ErrorCode::Internal, message));
        }
        let (agent, policy) = (order.agent.clone(), order.policy.clone());
        tracing::info!("policy `{policy}` of `{agent}` may go back to version {}", order.to);
        Ok(Ordered { agent, policy, from: order.from, to: order.to })
    }

    /// Shows which policies in force are so although their time is over.
    pub(super) fn look_for_expired(&mut self) {
        let here = self.marks.newest(time::now());
        let expired: Vec<String> = self
            .profiles
            .iter()
            .filter(|(_profile, installed)| {
                installed.terms.not_after.is_some_and(|last| here > last)
            })
            .map(|(_profile, installed)| {
                let provenance = &installed.provenance;
                format!("`{}` of `{}`", provenance.policy, provenance.agent)
            })
            .collect();
        if expired.is_empty() {
            self.health.clear(Concern::Expired);
        } else {
            let reason = format!(
                "the time of these policies is over; they govern on: {}",
                expired.join(", ")
            );
            self.health.raise(Concern::Expired, reason);
        }
    }

    /// Why a bundle is refused, with what would help.
    pub(super) fn refused(&self, error: &BundleError) -> Failure {
        let mut failure = failure(ErrorCode::BundleRefused, error.to_string());
        if matches!(error, BundleError::UnknownKey(_)) {
            let has_root = matches!(trust::root(self.places()), Ok(Some(_)) | Err(_));
            failure.help = Some(if has_root {
                "the root names who may sign what: `execlayer inspect` shows it".to_owned()
            } else {
                format!("put the signer's public key into `{}`", self.options.keys_dir.display())
            });
        }
        failure
    }

    fn verified(&mut self, bytes: &[u8]) -> Result<Admitted, Failure> {
        let ring = self.keyring();
        let bundle = verify(bytes, &ring.keys).map_err(|error| self.refused(&error))?;
        let is_local = bundle.signers().iter().all(|key| ring.local == Some(*key));
        Ok(Admitted { bundle, is_local })
    }

    fn keyring(&mut self) -> Keyring {
        let ring = trust::keys(self.places());
        match ring.refused.as_slice() {
            [] => self.health.clear(Concern::Keys),
            keys => self.health.raise(Concern::Keys, format!("keys left out: {}", keys.join("; "))),
        }
        ring
    }

    fn places(&self) -> Places<'_> {
        let options = &self.options;
        Places { keys_dir: &options.keys_dir, root: &options.root, state_dir: &options.state_dir }
    }

    fn judge_terms(&self, terms: &Terms) -> Result<(), TermsError> {
        let machine = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let (now, agent) = (self.marks.newest(time::now()), release());
        terms.judge(&Here { now, agent, machine: machine.trim_end() })
    }

    fn write_marks(&mut self) {
        match self.marks.write(&self.options.state_dir) {
            Ok(()) => {}
            Err(error) => {
                let reason = format!("the newest versions cannot be kept: {error}");
                self.health.raise(Concern::Marks, reason);
            }
        }
    }
}

fn edition(bundle: &VerifiedBundle) -> Edition {
    Edition { version: bundle.provenance().version, digest: bundle.digest().to_owned() }
}

fn not_now(error: &TermsError) -> Failure {
    failure(ErrorCode::BundleRefused, error.to_string())
}

fn not_again(error: &Refusal) -> Failure {
    let mut refused = failure(ErrorCode::BundleRefused, error.to_string());
    refused.help = match error {
        Refusal::Older { .. } => {
            Some("going back needs a signed order: execlayer order".to_owned())
        }
        Refusal::Changed(_) | Refusal::Order { .. } => None,
    };
    refused
}

/// This daemon's version.
fn release() -> [u32; 3] {
    let mut numbers =
        env!("CARGO_PKG_VERSION").split('.').map(|number| number.parse().unwrap_or(0));
    std::array::from_fn(|_place| numbers.next().unwrap_or(0))
}
