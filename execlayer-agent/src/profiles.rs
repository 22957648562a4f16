//! Which agent has which profile, what is in force there, and where its rules come from. Bundles
//! come in verified; nothing else reaches a slot. Must not know files or sockets.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    io,
    rc::Rc,
};

use execlayer_api::{Mode, text};
use execlayer_bundle::{Terms, VerifiedBundle};
use execlayer_common::{
    image::{FLAG_MONITOR, FLAG_SELECTS_CGROUP, FLAG_SELECTS_EXE, H_FLAGS},
    limits,
    provenance::Provenance,
};

use crate::{
    kernel::{self, Gate, Generation, InstallError, Layout},
    overlap::{Selectors, TooLarge},
    passages::{self, Passages},
};

/// The profile that only canaries use.
pub const CANARY: u32 = limits::MAX_PROFILES;
/// Generations of a profile whose rules are still known after they were replaced: events of theirs
/// may still be on their way.
const OLD_GENERATIONS: usize = 4;

/// Why a bundle is not in force.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// All are taken.
    #[error("every profile is in use (the limit is {})", CANARY - 1)]
    Full,
    /// Two policies want the same task.
    #[error("`{subject}` is selected by the policies of `{agent}` and of `{other}`")]
    Overlap {
        /// The new one's agent.
        agent: String,
        /// The agent that has it.
        other: String,
        /// What both select.
        subject: String,
    },
    /// Two policies may want the same task.
    #[error("the selectors of `{agent}` and of `{other}` are too large to be compared")]
    Incomparable {
        /// The new one's agent.
        agent: String,
        /// The other.
        other: String,
    },
    /// The kernel.
    #[error(transparent)]
    Install(#[from] InstallError),
}

/// A policy in force.
#[derive(Debug)]
#[expect(missing_docs, reason = "named as in a bundle's provenance")]
pub struct Installed {
    pub generation: Generation,
    pub provenance: Rc<Provenance>,
    pub digest: String,
    pub mode: Mode,
    pub terms: Terms,
    /// Its words, if [`Profiles::keeps_images`].
    pub image: Option<Rc<[u32]>>,
    selectors: Selectors,
    selects: bool,
}

impl Installed {
    /// Whether it selects tasks by itself, so that some may be waiting to be adopted.
    #[must_use]
    pub fn selects(&self) -> bool {
        self.selects
    }
}

/// Where a bundle is put in force, once it was compared with the others.
#[derive(Debug)]
pub struct Destined {
    profile: u32,
    selectors: Selectors,
}

impl Destined {
    /// The profile.
    #[must_use]
    pub fn profile(&self) -> u32 {
        self.profile
    }
}

/// The ways from policy to policy before, during and after a switch.
struct Ways {
    now: Passages,
    while_changing: Passages,
    next: Passages,
}

fn no_ways(source: io::Error) -> ProfileError {
    InstallError::Step { step: "store where rules lead", source }.into()
}

/// Every policy in force.
#[derive(Debug, Default)]
pub struct Profiles {
    /// Images are kept, for whoever judges by them outside of the kernel.
    pub keeps_images: bool,
    layout: Layout,
    current: BTreeMap<u32, Installed>,
    known: BTreeMap<(u32, u32), Rc<Provenance>>,
    digests: BTreeMap<(u32, u32), String>,
    replaced: VecDeque<(u32, u32)>,
    nameless: BTreeSet<u32>,
}

impl Profiles {
    /// With what the kernel's slots say is used.
    #[must_use]
    pub fn new(layout: Layout) -> Self {
        Self { layout, ..Self::default() }
    }

    /// Finds the profiles whose policy is in its slot, from an earlier daemon, and was not put in
    /// force again. They govern on; no other agent gets them.
    ///
    /// # Errors
    ///
    /// What the kernel said.
    pub fn find_nameless(&mut self, gate: &dyn Gate) -> io::Result<&BTreeSet<u32>> {
        for profile in 1..CANARY {
            if !self.current.contains_key(&profile) && gate.slot(profile)?.is_used() {
                self.nameless.insert(profile);
            }
        }
        Ok(&self.nameless)
    }

    /// Where a bundle would be put in force: in its agent's profile if it has one. `at` asks for a profile.
    ///
    /// # Errors
    ///
    /// A [`ProfileError`], if it would be refused.
    pub fn destined(
        &self,
        bundle: &VerifiedBundle,
        at: Option<u32>,
    ) -> Result<Destined, ProfileError> {
        let agent = &bundle.provenance().agent;
        let profile = self.place(agent, at)?;
        Ok(Destined { profile, selectors: self.compare(agent, bundle.image())? })
    }

    /// Puts a bundle in force where it is destined.
    ///
    /// # Errors
    ///
    /// A [`ProfileError`]; the old policy stays.
    pub fn install(
        &mut self,
        gate: &mut dyn Gate,
        bundle: VerifiedBundle,
        destined: Destined,
    ) -> Result<&Installed, ProfileError> {
        let Destined { profile, selectors } = destined;
        let terms = bundle.terms().clone();
        let (image, provenance, digest) = bundle.into_parts();
        let flags = image.get(H_FLAGS as usize).copied().unwrap_or_default();
        let mode = if flags & FLAG_MONITOR == 0 { Mode::Enforce } else { Mode::Monitor };
        let provenance = Rc::new(provenance);
        let ways = self.ways(gate, profile, &provenance)?;
        gate.set_passages(&ways.while_changing).map_err(no_ways)?;
        let kept = self.keeps_images.then(|| Rc::from(image.as_slice()));
        let generation = kernel::install::install(gate, &mut self.layout, profile, image)
            .inspect_err(|_not_installed| {
                // What could be stored before can be stored now; if not, fewer ways lead on.
                let _fewer = gate.set_passages(&ways.now);
            })?;
        if let Err(error) = gate.set_passages(&ways.next) {
            tracing::warn!("ways to and from `{}` are missing: {error}", provenance.agent);
        }
        self.remember(profile, generation.number(), Rc::clone(&provenance), Some(&digest));
        self.nameless.remove(&profile);
        let selects = flags & (FLAG_SELECTS_CGROUP | FLAG_SELECTS_EXE) != 0;
        let installed = Installed {
            generation,
            provenance,
            digest,
            mode,
            terms,
            image: kept,
            selectors,
            selects,
        };
        if let Some(old) = self.current.insert(profile, installed) {
            self.retire((profile, old.generation.number()));
        }
        self.current.get(&profile).ok_or(ProfileError::Full)
    }

    /// Puts a canary's image in force.
    ///
    /// # Errors
    ///
    /// An [`InstallError`].
    pub fn install_canary(
        &mut self,
        gate: &mut dyn Gate,
        image: Vec<u32>,
        provenance: Provenance,
    ) -> Result<Generation, InstallError> {
        let generation = kernel::install::install(gate, &mut self.layout, CANARY, image)?;
        self.remember(CANARY, generation.number(), Rc::new(provenance), None);
        self.retire((CANARY, generation.number()));
        Ok(generation)
    }

    /// Takes the canary's image out.
    ///
    /// # Errors
    ///
    /// What the kernel said.
    pub fn remove_canary(&mut self, gate: &mut dyn Gate) -> io::Result<()> {
        kernel::install::uninstall(gate, &mut self.layout, CANARY)
    }

    /// The policies in force, by profile.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &Installed)> {
        self.current.iter().map(|(&profile, installed)| (profile, installed))
    }

    /// The profile of an agent.
    #[must_use]
    pub fn of(&self, agent: &str) -> Option<u32> {
        self.iter().find(|(_, installed)| installed.provenance.agent == agent).map(|(n, _)| n)
    }

    /// Where the rules of a generation come from.
    #[must_use]
    pub fn provenance(&self, profile: u32, generation: u32) -> Option<&Rc<Provenance>> {
        self.known.get(&(profile, generation))
    }

    /// Digest of the policy that the profile had in a generation, as far as it is remembered.
    #[must_use]
    pub fn digest(&self, profile: u32, generation: u32) -> Option<&str> {
        self.digests.get(&(profile, generation)).map(String::as_str)
    }

    /// Generation and digest of the policy that the profile has.
    #[must_use]
    pub fn in_force(&self, profile: u32) -> Option<(u32, &str)> {
        let installed = self.current.get(&profile)?;
        Some((installed.generation.number(), &installed.digest))
    }

    /// Name of the agent that has the profile.
    #[must_use]
    pub fn agent(&self, profile: u32) -> Option<&str> {
        self.current.get(&profile).map(|installed| installed.provenance.agent.as_str())
    }

    fn place(&self, agent: &str, at: Option<u32>) -> Result<u32, ProfileError> {
        let free =
            |profile: &u32| !self.current.contains_key(profile) && !self.nameless.contains(profile);
        at.or_else(|| self.of(agent)).or_else(|| (1..CANARY).find(free)).ok_or(ProfileError::Full)
    }

    /// The policies in force, and one in the place of the one that its profile has.
    fn with<'a>(&'a self, other: Option<passages::Policy<'a>>) -> Vec<passages::Policy<'a>> {
        let replaced = other.map(|other| other.profile);
        let current = self.iter().filter(|(profile, _)| Some(*profile) != replaced);
        let current = current.map(|(profile, installed)| passages::Policy {
            profile,
            generation: installed.generation.number(),
            provenance: &installed.provenance,
        });
        current.chain(other).collect()
    }

    /// The ways from policy to policy, when `provenance` is put in force for a profile.
    fn ways(
        &self,
        gate: &dyn Gate,
        profile: u32,
        provenance: &Provenance,
    ) -> Result<Ways, ProfileError> {
        let generation = self.layout.next_generation()?;
        let known = gate.passages().map_err(no_ways)?;
        let new = passages::Policy { profile, generation, provenance };
        let mut now = Passages::between(&self.with(None));
        let mut next = Passages::between(&self.with(Some(new)));
        let mut replaced = None;
        for other in 1..CANARY {
            let slot = gate.slot(other).map_err(no_ways)?;
            if other == profile {
                replaced = slot.is_used().then(|| slot.generation());
            }
            if !slot.is_used() || self.current.contains_key(&other) {
                continue;
            }
            // Policies of an earlier daemon that are not in force again yet lead on as they did; those that never will
            // be lead where they led, but to no newer policy: nobody knows their agents' names.
            now.keep(&known, other, slot.generation(), None);
            if other != profile {
                let closed = self.nameless.contains(&other).then_some(profile);
                next.keep(&known, other, slot.generation(), closed);
            }
        }
        Ok(Ways { while_changing: now.while_changing(&next, profile, replaced), now, next })
    }

    /// Rules that lead nowhere, in words.
    #[must_use]
    pub fn broken_ways(&self) -> Vec<String> {
        passages::broken(&self.with(None))
    }

    fn compare(&self, agent: &str, image: &[u32]) -> Result<Selectors, ProfileError> {
        let incomparable = |other: &str| ProfileError::Incomparable {
            agent: agent.to_owned(),
            other: other.to_owned(),
        };
        let selectors = Selectors::of(image).map_err(|TooLarge| incomparable(agent))?;
        for (_profile, installed) in self.iter() {
            let other = &installed.provenance.agent;
            if other == agent {
                continue;
            }
            let found =
                selectors.overlap(&installed.selectors).map_err(|TooLarge| incomparable(other))?;
            if let Some(overlap) = found {
                let subject = text::printable(overlap.operation, &overlap.subject);
                let (agent, other) = (agent.to_owned(), other.clone());
                return Err(ProfileError::Overlap { agent, other, subject });
            }
        }
        Ok(selectors)
    }

    fn remember(
        &mut self,
        profile: u32,
        generation: u32,
        provenance: Rc<Provenance>,
        digest: Option<&str>,
    ) {
        self.known.insert((profile, generation), provenance);
        self.digests.extend(digest.map(|digest| ((profile, generation), digest.to_owned())));
    }

    fn retire(&mut self, key: (u32, u32)) {
        self.replaced.push_back(key);
        let of_profile = self.replaced.iter().filter(|(profile, _)| *profile == key.0).count();
        if of_profile > OLD_GENERATIONS
            && let Some(at) = self.replaced.iter().position(|(profile, _)| *profile == key.0)
            && let Some(oldest) = self.replaced.remove(at)
        {
            self.known.remove(&oldest);
            self.digests.remove(&oldest);
        }
    }
}
