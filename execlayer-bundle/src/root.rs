//! The root: who may sign what, and how many of them it takes. Signed itself, by those who may change it.
//!
//! A device gets its first root from whoever sets it up; that one must be signed by as many of its own root
//! keys as it says. From then on version n is replaced by version n + 1 only, signed by as many root keys of
//! *both*, so that neither a lost key nor a new one changes anything alone.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{
    envelope::{self, within},
    error::BundleError,
    key::{KeyId, PublicKey},
    kind::Kind,
    limits, manifest,
    signatures::{Keys, signers},
};

/// Version of the root's format.
pub const FORMAT: u32 = 1;
/// Stands for every policy or every agent.
pub const ANY: &str = "*";

/// Who may sign what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Root {
    /// [`FORMAT`].
    pub format: u32,
    /// Counts from 1.
    pub version: u64,
    /// When it was signed, in seconds since 1970, as the signer says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issued: Option<u64>,
    /// Every key that is named below: the line of its file.
    pub keys: Vec<String>,
    /// Who may replace the root.
    pub root: Quorum,
    /// Who may sign policies, and orders to go back.
    pub roles: Vec<Role>,
    /// Whether a key that the machine made for itself may sign everything there, as `execlayer run` does.
    #[serde(default)]
    pub local: bool,
}

/// So many of these.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quorum {
    /// Ids of keys.
    pub keys: Vec<String>,
    /// How many of them must sign.
    pub threshold: u32,
}

/// So many of these for policies of that name of that agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Role {
    /// The policy's name, or [`ANY`].
    pub policy: String,
    /// The agent's name, or [`ANY`].
    pub agent: String,
    /// Ids of keys.
    pub keys: Vec<String>,
    /// How many of them must sign.
    pub threshold: u32,
}

impl Role {
    pub(crate) fn is_of(&self, policy: &str, agent: &str) -> bool {
        let is_of = |role: &str, name: &str| role == ANY || role == name;
        is_of(&self.policy, policy) && is_of(&self.agent, agent)
    }

    /// How many of these keys are among its own.
    pub(crate) fn count(&self, signers: &[KeyId]) -> usize {
        count(&self.keys, signers)
    }
}

fn count(keys: &[String], signers: &[KeyId]) -> usize {
    signers.iter().filter(|key| keys.contains(&key.to_string())).count()
}

/// Whether so many of these keys can sign.
fn check(what: &str, keys: &[String], threshold: u32, known: &Keys) -> Result<(), BundleError> {
    let refused = |why: String| Err(BundleError::Root(format!("{what}: {why}")));
    let mut seen = BTreeSet::new();
    for id in keys {
        if !known.contains_key(id) {
            return refused(format!("key `{id}` is not among its keys"));
        }
        if !seen.insert(id) {
            return refused(format!("key `{id}` is named twice"));
        }
    }
    if threshold == 0 || threshold as usize > keys.len() {
        return refused(format!("{threshold} of {} keys cannot be asked for", keys.len()));
    }
    Ok(())
}

impl Root {
    /// The keys by their ids, if everything in the root agrees.
    ///
    /// # Errors
    ///
    /// [`BundleError::Root`] or [`BundleError::TooLarge`].
    pub(crate) fn check(&self) -> Result<Keys, BundleError> {
        if self.format != FORMAT {
            return Err(BundleError::Format(self.format.into()));
        }
        if self.version == 0 {
            return Err(BundleError::Root("versions count from 1".to_owned()));
        }
        within("keys of the root", self.keys.len(), limits::MAX_TRUSTED_KEYS)?;
        within("roles of the root", self.roles.len(), limits::MAX_ROLES)?;
        let mut keys = Keys::new();
        for line in &self.keys {
            let key = PublicKey::parse(line)
                .map_err(|error| BundleError::Root(format!("one of its keys: {error}")))?;
            let id = key.id().to_string();
            if keys.insert(id.clone(), key).is_some() {
                return Err(BundleError::Root(format!("key `{id}` is there twice")));
            }
        }
        check("the root itself", &self.root.keys, self.root.threshold, &keys)?;
        for role in &self.roles {
            within("bytes of a name", role.policy.len(), limits::MAX_NAME_BYTES)?;
            within("bytes of a name", role.agent.len(), limits::MAX_NAME_BYTES)?;
            let what = format!("policy `{}` of agent `{}`", role.policy, role.agent);
            check(&what, &role.keys, role.threshold, &keys)?;
        }
        Ok(keys)
    }
}

/// A root whose signatures were checked. Only [`verify`] makes one.
#[derive(Clone, Debug)]
pub struct VerifiedRoot {
    root: Root,
    keys: Keys,
    digest: String,
}

impl VerifiedRoot {
    /// What it says.
    #[must_use]
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// SHA-256 of what was signed, in hex.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    pub(crate) fn keys(&self) -> &Keys {
        &self.keys
    }
}

/// Verifies a root: the first one of a device, or the one that follows `current`.
///
/// # Errors
///
/// A [`BundleError`] that says why it is refused.
pub fn verify(bytes: &[u8], current: Option<&VerifiedRoot>) -> Result<VerifiedRoot, BundleError> {
    within("bytes of the root", bytes.len(), limits::MAX_ROOT_BYTES)?;
    let opened = envelope::open(bytes, Kind::Root)?;
    if let Some(current) = current {
        let signers = signers(&opened, &current.keys)?;
        enough(&current.root.root, &signers, "by the root that is replaced")?;
    }
    let root = read(&opened.payload)?;
    let keys = root.check()?;
    let signers = signers(&opened, &keys)?;
    enough(&root.root, &signers, "by the new root itself")?;
    if let Some(current) = current
        && current.root.version.checked_add(1) != Some(root.version)
    {
        let (current, found) = (current.root.version, root.version);
        return Err(BundleError::RootVersion { current, found });
    }
    Ok(VerifiedRoot { root, keys, digest: manifest::sha256(&opened.payload) })
}

/// What a root claims, for a person who looks at it, and for the one who signs it.
///
/// # Errors
///
/// A [`BundleError`] if it could not be read at all; signatures are not looked at.
pub fn unverified(bytes: &[u8]) -> Result<Root, BundleError> {
    let root = read(&envelope::open(bytes, Kind::Root)?.payload)?;
    root.check()?;
    Ok(root)
}

fn read(payload: &[u8]) -> Result<Root, BundleError> {
    serde_json::from_slice(payload).map_err(|error| BundleError::Manifest(error.to_string()))
}

fn enough(quorum: &Quorum, signers: &[KeyId], what: &str) -> Result<(), BundleError> {
    let found = count(&quorum.keys, signers);
    if found >= quorum.threshold as usize {
        return Ok(());
    }
    Err(BundleError::Threshold { what: what.to_owned(), found, needed: quorum.threshold })
}
