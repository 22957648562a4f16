//! What a bundle carries, and everything that must be true of it. The signer and the verifier check
//! the same list, here. Must not know how it is written or who signed it.

use execlayer_common::{
    image::{self, H_GENERATION, H_RULE_COUNT},
    limits::MAX_RULES,
    provenance::{self, Provenance},
};

use crate::{envelope::within, error::BundleError, limits, terms::Terms};

/// One policy, ready to be signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsignedBundle {
    pub(crate) image: Vec<u32>,
    pub(crate) provenance: Provenance,
    pub(crate) terms: Terms,
}

impl UnsignedBundle {
    /// Takes what lowering made.
    ///
    /// # Errors
    ///
    /// A [`BundleError`] if the daemon would refuse it.
    pub fn new(image: Vec<u32>, provenance: Provenance) -> Result<Self, BundleError> {
        check(&image, &provenance)?;
        Ok(Self { image, provenance, terms: Terms::default() })
    }

    /// The image's words.
    #[must_use]
    pub fn image(&self) -> &[u32] {
        &self.image
    }

    /// Where its rules come from.
    #[must_use]
    pub fn provenance(&self) -> &Provenance {
        &self.provenance
    }

    /// Where and when it may be put in force.
    #[must_use]
    pub fn terms(&self) -> &Terms {
        &self.terms
    }
}

/// The list.
pub(crate) fn check(image: &[u32], provenance: &Provenance) -> Result<(), BundleError> {
    image::check_header(image)?;
    let word = |index: u32| image.get(index as usize).copied().unwrap_or(0);
    if word(H_GENERATION) != 0 {
        return Err(BundleError::ImageGeneration(word(H_GENERATION)));
    }
    if provenance.format != provenance::FORMAT {
        return Err(BundleError::ProvenanceFormat(provenance.format));
    }
    let rules = &provenance.rules;
    if u32::try_from(rules.len()) != Ok(word(H_RULE_COUNT)) {
        let (image, provenance) = (word(H_RULE_COUNT), rules.len());
        return Err(BundleError::RuleCount { image, provenance });
    }
    within("rules", rules.len(), MAX_RULES as usize)?;
    within("bytes of the policy's name", provenance.policy.len(), limits::MAX_NAME_BYTES)?;
    within("bytes of the agent's name", provenance.agent.len(), limits::MAX_NAME_BYTES)?;
    within("files", provenance.files.len(), limits::MAX_FILES)?;
    within("cgroup selectors", provenance.cgroups.len(), limits::MAX_SELECTORS)?;
    within("executable selectors", provenance.executables.len(), limits::MAX_SELECTORS)?;
    for text in provenance.files.iter().chain(&provenance.cgroups).chain(&provenance.executables) {
        within("bytes of a file name or selector", text.len(), limits::MAX_TEXT_BYTES)?;
    }
    for (number, rule) in rules.iter().enumerate() {
        within("bytes of a rule's id", rule.id.len(), limits::MAX_TEXT_BYTES)?;
        let reason = rule.reason.as_deref().unwrap_or("");
        within("bytes of a rule's reason", reason.len(), limits::MAX_TEXT_BYTES)?;
        if rule.file as usize >= provenance.files.len() {
            return Err(BundleError::ProvenanceFile { rule: number, file: rule.file });
        }
    }
    Ok(())
}
