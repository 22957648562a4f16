//! Verifying: the only way to a [`VerifiedBundle`]. Verify first, then use the very same bytes.

use std::collections::{BTreeMap, BTreeSet};

use ed25519_dalek::Signature;
use execlayer_common::provenance::Provenance;

use crate::{
    content::UnsignedBundle,
    envelope::{self, Opened, PAYLOAD_TYPE},
    error::{BundleError, KeyError},
    key::{KeyId, PublicKey},
    limits, manifest,
};

/// The keys whose bundles are accepted.
#[derive(Clone, Debug, Default)]
pub struct TrustedKeys(BTreeMap<String, PublicKey>);

impl TrustedKeys {
    /// Trusts one more key.
    ///
    /// # Errors
    ///
    /// [`KeyError::Repeated`] or [`KeyError::TooLarge`].
    pub fn add(&mut self, key: PublicKey) -> Result<(), KeyError> {
        let (found, limit) = (self.0.len() + 1, limits::MAX_TRUSTED_KEYS);
        if found > limit {
            return Err(KeyError::TooLarge { what: "trusted keys", found, limit });
        }
        let id = key.id();
        if self.0.contains_key(&id.to_string()) {
            return Err(KeyError::Repeated(id));
        }
        self.0.insert(id.to_string(), key);
        Ok(())
    }

    /// Whether no key is trusted: every bundle is refused.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The keys, by id.
    pub fn iter(&self) -> impl Iterator<Item = &PublicKey> {
        self.0.values()
    }
}

/// A bundle whose signature was checked and whose content is sound. Nothing else makes one:
///
/// ```compile_fail,E0451
/// use execlayer_bundle::VerifiedBundle;
///
/// fn forge(image: Vec<u32>, genuine: VerifiedBundle) -> VerifiedBundle {
///     VerifiedBundle { image, ..genuine }
/// }
/// ```
#[derive(Clone, Debug)]
pub struct VerifiedBundle {
    image: Vec<u32>,
    provenance: Provenance,
    digest: String,
    signers: Vec<KeyId>,
}

impl VerifiedBundle {
    /// The image's words; its generation is still 0.
    #[must_use]
    pub fn image(&self) -> &[u32] {
        &self.image
    }

    /// Where its rules come from; policy, version and agent are here too.
    #[must_use]
    pub fn provenance(&self) -> &Provenance {
        &self.provenance
    }

    /// SHA-256 of what was signed, in hex.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Trusted keys with a valid signature; at least one.
    #[must_use]
    pub fn signers(&self) -> &[KeyId] {
        &self.signers
    }

    /// Image, provenance and digest, for the one who installs them.
    #[must_use]
    pub fn into_parts(self) -> (Vec<u32>, Provenance, String) {
        (self.image, self.provenance, self.digest)
    }
}

/// Verifies a bundle.
///
/// # Errors
///
/// A [`BundleError`] that says why it is refused.
pub fn verify(bytes: &[u8], trusted: &TrustedKeys) -> Result<VerifiedBundle, BundleError> {
    let opened = envelope::open(bytes)?;
    let signers = signers(&opened, trusted)?;
    let digest = manifest::sha256(&opened.payload);
    let UnsignedBundle { image, provenance } = manifest::read(&opened.payload)?;
    Ok(VerifiedBundle { image, provenance, digest, signers })
}

/// The one place that counts signatures.
fn signers(opened: &Opened, trusted: &TrustedKeys) -> Result<Vec<KeyId>, BundleError> {
    let message = envelope::pre_authentication(PAYLOAD_TYPE, &opened.payload);
    let mut named = BTreeSet::new();
    let mut signers = Vec::new();
    for signed in &opened.signatures {
        if !named.insert(&signed.keyid) {
            return Err(BundleError::RepeatedKey(signed.keyid.clone()));
        }
        let Some(key) = trusted.0.get(&signed.keyid) else { continue };
        let bad = BundleError::BadSignature(key.id());
        let Ok(sig) = Signature::from_slice(&signed.sig) else { return Err(bad) };
        if key.key.verify_strict(&message, &sig).is_err() {
            return Err(bad);
        }
        signers.push(key.id());
    }
    match (signers.is_empty(), opened.signatures.first()) {
        (false, _) => Ok(signers),
        (true, Some(first)) => Err(BundleError::UnknownKey(first.keyid.clone())),
        (true, None) => Err(BundleError::EmptySignatures),
    }
}
