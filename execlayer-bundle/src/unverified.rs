//! What a bundle says about itself, for a person who looks at it. Must never lead to enforcement:
//! nothing here was verified.

use execlayer_common::provenance::Provenance;

use crate::{
    content::UnsignedBundle, envelope, error::BundleError, kind::Kind, manifest, terms::Terms,
};

/// What a bundle claims. Anybody can write this.
#[derive(Clone, Debug)]
pub struct UnverifiedClaims {
    /// What it says of its rules.
    pub provenance: Provenance,
    /// Where and when it wants to be put in force.
    pub terms: Terms,
    /// The image's words.
    pub image: Vec<u32>,
    /// SHA-256 of what is said to be signed, in hex.
    pub digest: String,
    /// The keys that are said to have signed.
    pub key_ids: Vec<String>,
}

/// Reads what a bundle claims.
///
/// # Errors
///
/// A [`BundleError`] if it could not be read at all; signatures are not looked at.
pub fn unverified_claims(bytes: &[u8]) -> Result<UnverifiedClaims, BundleError> {
    let opened = envelope::open(bytes, Kind::Policy)?;
    let digest = manifest::sha256(&opened.payload);
    let UnsignedBundle { image, provenance, terms } = manifest::read(&opened.payload)?;
    let key_ids = opened.signatures.into_iter().map(|signed| signed.keyid).collect();
    Ok(UnverifiedClaims { provenance, terms, image, digest, key_ids })
}
