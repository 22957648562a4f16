//! What can be signed, each with a payload type of its own, so that no signature over one counts for another.

use serde::Deserialize;
use std::borrow::Cow;

use crate::{envelope::within, error::BundleError, limits};

/// What an envelope holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A policy: see [`crate::verify()`].
    Policy,
    /// Who may sign what: see [`crate::root`].
    Root,
    /// An order to go back to an older version: see [`crate::order`].
    Rollback,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Policy, Self::Root, Self::Rollback];

    /// DSSE's payload type.
    #[must_use]
    pub const fn payload_type(self) -> &'static str {
        match self {
            Self::Policy => "application/vnd.execlayer.policy+json",
            Self::Root => "application/vnd.execlayer.root+json",
            Self::Rollback => "application/vnd.execlayer.rollback+json",
        }
    }

    pub(crate) fn of_type(payload_type: &str) -> Result<Self, BundleError> {
        Self::ALL.into_iter().find(|kind| kind.payload_type() == payload_type).ok_or_else(|| {
            BundleError::PayloadType(payload_type.chars().take(limits::MAX_NAME_BYTES).collect())
        })
    }
}

/// Read for itself, before anything else is.
#[derive(Deserialize)]
struct AnyEnvelope<'a> {
    #[serde(rename = "payloadType", borrow)]
    payload_type: Cow<'a, str>,
}

/// What a file says that it holds. Anybody can write this; each kind is verified by its own function.
///
/// # Errors
///
/// A [`BundleError`] if it is no envelope, or one of something else.
pub fn kind(bytes: &[u8]) -> Result<Kind, BundleError> {
    within("bytes of the bundle", bytes.len(), limits::MAX_BUNDLE_BYTES)?;
    let envelope: AnyEnvelope<'_> =
        serde_json::from_slice(bytes).map_err(|error| BundleError::of_json(&error))?;
    Kind::of_type(&envelope.payload_type)
}
