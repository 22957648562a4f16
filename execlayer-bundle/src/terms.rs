//! Where and when a bundle is meant to be put in force. Signed with it; who has the time and the machine's name
//! judges it. Must not ask for either.

use serde::{Deserialize, Serialize};

use crate::{content::UnsignedBundle, envelope::within, error::BundleError, limits};

/// Times are seconds since 1970 in UTC. What is not there does not limit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// When it was signed, as the signer says: a device without a clock learns from it that it is later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issued: Option<u64>,
    /// Not before this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<u64>,
    /// Not put in force any more after this; what is in force stays so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<u64>,
    /// The oldest version of the daemon that may take it: three numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub least_agent: Option<[u32; 3]>,
    /// Names of the machines that it is for; none: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub machines: Vec<String>,
}

/// Where and when somebody wants to put a bundle in force.
#[derive(Clone, Copy, Debug)]
pub struct Here<'a> {
    /// Seconds since 1970; the newest time that is known.
    pub now: u64,
    /// The daemon's version.
    pub agent: [u32; 3],
    /// The machine's name.
    pub machine: &'a str,
}

/// Which of a bundle's terms does not hold here and now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TermsError {
    /// It comes into force later.
    #[error("it may be put in force from {0} on (seconds since 1970), and it is {1}")]
    TooEarly(u64, u64),
    /// Its time is over.
    #[error("it might be put in force until {0} (seconds since 1970), and it is {1}")]
    Expired(u64, u64),
    /// A newer daemon is needed.
    #[error("it needs version {}.{}.{} of the daemon or later", .0[0], .0[1], .0[2])]
    AgentTooOld([u32; 3]),
    /// It is for other machines.
    #[error("it is for {}, and this machine is `{here}`", .machines.join(", "))]
    OtherMachine {
        /// Whom it is for.
        machines: Vec<String>,
        /// This machine's name.
        here: String,
    },
}

impl Terms {
    /// Whether nothing is limited.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether they hold. A bundle that was signed later than `here` says shows that it is later.
    ///
    /// # Errors
    ///
    /// The first that does not; that the time is over comes last.
    pub fn judge(&self, here: &Here<'_>) -> Result<(), TermsError> {
        let now = here.now.max(self.issued.unwrap_or(0));
        if let Some(least) = self.least_agent
            && here.agent < least
        {
            return Err(TermsError::AgentTooOld(least));
        }
        if !self.machines.is_empty() && !self.machines.iter().any(|name| name == here.machine) {
            let (machines, here) = (self.machines.clone(), here.machine.to_owned());
            return Err(TermsError::OtherMachine { machines, here });
        }
        match (self.not_before, self.not_after) {
            (Some(first), _) if now < first => Err(TermsError::TooEarly(first, now)),
            (_, Some(last)) if now > last => Err(TermsError::Expired(last, now)),
            _ => Ok(()),
        }
    }

    pub(crate) fn check(&self) -> Result<(), BundleError> {
        within("machines", self.machines.len(), limits::MAX_MACHINES)?;
        for name in &self.machines {
            within("bytes of a machine's name", name.len(), limits::MAX_NAME_BYTES)?;
        }
        match (self.not_before, self.not_after) {
            (Some(first), Some(last)) if first > last => {
                Err(BundleError::Terms("the first time is after the last"))
            }
            _ => Ok(()),
        }
    }
}

impl UnsignedBundle {
    /// Puts it under these terms.
    ///
    /// # Errors
    ///
    /// [`BundleError::Terms`] or [`BundleError::TooLarge`].
    pub fn under(mut self, terms: Terms) -> Result<Self, BundleError> {
        terms.check()?;
        self.terms = terms;
        Ok(self)
    }
}
