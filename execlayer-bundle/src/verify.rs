//! Verifying: the only way to a [`VerifiedBundle`]. Verify first, then use the very same bytes.

use execlayer_common::provenance::Provenance;

use crate::{
    content::UnsignedBundle, envelope, error::BundleError, key::KeyId, kind::Kind, manifest,
    signatures::trusted_signers, terms::Terms, trust::TrustedKeys,
};

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
    terms: Terms,
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

    /// Where and when it may be put in force: for the one who has the time to judge.
    #[must_use]
    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    /// SHA-256 of what was signed, in hex.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Trusted keys with a valid signature; at least one, or none of [`verify_again`].
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
    let opened = envelope::open(bytes, Kind::Policy)?;
    let signers = trusted_signers(&opened, trusted)?;
    let digest = manifest::sha256(&opened.payload);
    let UnsignedBundle { image, provenance, terms } = manifest::read(&opened.payload)?;
    trusted.judge(&provenance.policy, &provenance.agent, &signers)?;
    Ok(VerifiedBundle { image, provenance, terms, digest, signers })
}

/// Takes a bundle that was verified before, by the digest that was noted then: keys may be trusted no more that were. For
/// what a machine keeps of its own.
///
/// # Errors
///
/// A [`BundleError`], also if it is not what was noted.
pub fn verify_again(bytes: &[u8], noted: &str) -> Result<VerifiedBundle, BundleError> {
    let opened = envelope::open(bytes, Kind::Policy)?;
    let digest = manifest::sha256(&opened.payload);
    if digest != noted {
        return Err(BundleError::NotNoted);
    }
    let UnsignedBundle { image, provenance, terms } = manifest::read(&opened.payload)?;
    Ok(VerifiedBundle { image, provenance, terms, digest, signers: Vec::new() })
}
