//! The one place that looks at signatures. Verify first, then use the very same bytes.

use std::collections::{BTreeMap, BTreeSet};

use ed25519_dalek::Signature;

use crate::{
    envelope::{self, Opened},
    error::BundleError,
    key::{KeyId, PublicKey},
    kind::kind,
    trust::TrustedKeys,
};

/// Public keys by their ids.
pub(crate) type Keys = BTreeMap<String, PublicKey>;

/// The keys among `known` that signed, each once, in the order of the signatures. Signatures of others are
/// passed over.
pub(crate) fn signers(opened: &Opened, known: &Keys) -> Result<Vec<KeyId>, BundleError> {
    let message = envelope::pre_authentication(opened.kind.payload_type(), &opened.payload);
    let mut named = BTreeSet::new();
    let mut signers = Vec::new();
    for signed in &opened.signatures {
        if !named.insert(&signed.keyid) {
            return Err(BundleError::RepeatedKey(signed.keyid.clone()));
        }
        let Some(key) = known.get(&signed.keyid) else { continue };
        if !fits(key, &message, &signed.sig) {
            return Err(BundleError::BadSignature(key.id()));
        }
        signers.push(key.id());
    }
    Ok(signers)
}

/// Those among the trusted keys that signed; at least one.
pub(crate) fn trusted_signers(
    opened: &Opened,
    trusted: &TrustedKeys,
) -> Result<Vec<KeyId>, BundleError> {
    let signers = signers(opened, trusted.keys())?;
    match opened.signatures.first() {
        None => Err(BundleError::EmptySignatures),
        Some(first) if signers.is_empty() => Err(BundleError::UnknownKey(first.keyid.clone())),
        Some(_first) => Ok(signers),
    }
}

/// Strict: points of small order and numbers that are not reduced fit nothing.
pub(crate) fn fits(key: &PublicKey, message: &[u8], sig: &[u8]) -> bool {
    Signature::from_slice(sig).is_ok_and(|sig| key.key.verify_strict(message, &sig).is_ok())
}

/// Which of the keys signed a file, whatever it holds; a signature of theirs that does not fit refuses it. What
/// may be done with the file is for the function of its kind to say.
///
/// # Errors
///
/// A [`BundleError`].
pub fn signed_by(bytes: &[u8], keys: &TrustedKeys) -> Result<Vec<KeyId>, BundleError> {
    signers(&envelope::open(bytes, kind(bytes)?)?, keys.keys())
}
