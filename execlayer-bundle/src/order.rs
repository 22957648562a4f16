//! An order to go back: a policy's older version may be put in force again. It names the version that is given
//! up, so that it is of no use once that has been done.

use serde::{Deserialize, Serialize};

use crate::{
    envelope::{self, within},
    error::BundleError,
    kind::Kind,
    limits,
    signatures::trusted_signers,
    trust::TrustedKeys,
};

/// Version of the order's format.
pub const FORMAT: u32 = 1;

/// What is ordered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rollback {
    /// [`FORMAT`].
    pub format: u32,
    /// The policy's name.
    pub policy: String,
    /// The agent's name.
    pub agent: String,
    /// The newest version that was in force.
    pub from: u64,
    /// The version that may be put in force.
    pub to: u64,
    /// When it was signed, in seconds since 1970, as the signer says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issued: Option<u64>,
}

impl Rollback {
    pub(crate) fn check(&self) -> Result<(), BundleError> {
        if self.format != FORMAT {
            return Err(BundleError::Format(self.format.into()));
        }
        within("bytes of the policy's name", self.policy.len(), limits::MAX_NAME_BYTES)?;
        within("bytes of the agent's name", self.agent.len(), limits::MAX_NAME_BYTES)?;
        if self.to >= self.from {
            return Err(BundleError::Order { from: self.from, to: self.to });
        }
        Ok(())
    }
}

/// An order that was signed by those who may sign the policy. Only [`verify`] makes one.
#[derive(Clone, Debug)]
pub struct VerifiedRollback {
    order: Rollback,
}

impl VerifiedRollback {
    /// What is ordered.
    #[must_use]
    pub fn order(&self) -> &Rollback {
        &self.order
    }
}

/// Verifies an order: whoever may sign the policy may give it.
///
/// # Errors
///
/// A [`BundleError`] that says why it is refused.
pub fn verify(bytes: &[u8], trusted: &TrustedKeys) -> Result<VerifiedRollback, BundleError> {
    within("bytes of the order", bytes.len(), limits::MAX_ROOT_BYTES)?;
    let opened = envelope::open(bytes, Kind::Rollback)?;
    let signers = trusted_signers(&opened, trusted)?;
    let order = read(&opened.payload)?;
    trusted.judge(&order.policy, &order.agent, &signers)?;
    Ok(VerifiedRollback { order })
}

/// What an order claims, for a person who looks at it.
///
/// # Errors
///
/// A [`BundleError`] if it could not be read at all; signatures are not looked at.
pub fn unverified(bytes: &[u8]) -> Result<Rollback, BundleError> {
    read(&envelope::open(bytes, Kind::Rollback)?.payload)
}

fn read(payload: &[u8]) -> Result<Rollback, BundleError> {
    let order: Rollback = serde_json::from_slice(payload)
        .map_err(|error| BundleError::Manifest(error.to_string()))?;
    order.check()?;
    Ok(order)
}
