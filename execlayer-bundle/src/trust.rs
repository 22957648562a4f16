//! Whose signatures count for what. Must not look at a signature.

use std::collections::BTreeSet;

use crate::{
    error::{BundleError, KeyError},
    key::{KeyId, PublicKey},
    limits,
    root::{Root, VerifiedRoot},
    signatures::Keys,
};

/// The keys whose bundles are accepted. Without a root each of them may sign everything, alone.
#[derive(Clone, Debug, Default)]
pub struct TrustedKeys {
    keys: Keys,
    root: Option<Root>,
    local: BTreeSet<KeyId>,
}

impl TrustedKeys {
    /// Those of a root, as it says.
    #[must_use]
    pub fn of_root(root: &VerifiedRoot) -> Self {
        let (keys, root) = (root.keys().clone(), Some(root.root().clone()));
        Self { keys, root, local: BTreeSet::new() }
    }

    /// The keys that a root names, each alone: for those who want to know who signed it.
    ///
    /// # Errors
    ///
    /// [`BundleError::Root`] or [`BundleError::TooLarge`].
    pub fn named_by(root: &Root) -> Result<Self, BundleError> {
        Ok(Self { keys: root.check()?, root: None, local: BTreeSet::new() })
    }

    /// Trusts one more key. Beside a root it may sign everything, too: only where the root says that such a
    /// key is wanted ([`Root::local`]) should there be one.
    ///
    /// # Errors
    ///
    /// [`KeyError::Repeated`] or [`KeyError::TooLarge`].
    pub fn add(&mut self, key: PublicKey) -> Result<(), KeyError> {
        let (found, limit) = (self.keys.len() + 1, limits::MAX_TRUSTED_KEYS);
        if found > limit {
            return Err(KeyError::TooLarge { what: "trusted keys", found, limit });
        }
        let id = key.id();
        if self.keys.contains_key(&id.to_string()) {
            return Err(KeyError::Repeated(id));
        }
        self.local.insert(id);
        self.keys.insert(id.to_string(), key);
        Ok(())
    }

    /// Whether no key is trusted: every bundle is refused.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The keys, by id.
    pub fn iter(&self) -> impl Iterator<Item = &PublicKey> {
        self.keys.values()
    }

    pub(crate) fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Whether these keys, which all signed, may sign the policy of the agent together.
    pub(crate) fn judge(
        &self,
        policy: &str,
        agent: &str,
        signers: &[KeyId],
    ) -> Result<(), BundleError> {
        let Some(root) = &self.root else { return Ok(()) };
        if signers.iter().any(|key| self.local.contains(key)) {
            return Ok(());
        }
        // The role that is nearest to being satisfied says what is missing.
        let nearest = root
            .roles
            .iter()
            .filter(|role| role.is_of(policy, agent))
            .map(|role| (role.count(signers), role.threshold))
            .min_by_key(|(found, needed)| (*needed as usize).saturating_sub(*found));
        match nearest {
            None => Err(BundleError::NobodyMaySign {
                policy: policy.to_owned(),
                agent: agent.to_owned(),
            }),
            Some((found, needed)) if found < needed as usize => {
                let what = format!("policy `{policy}` of agent `{agent}`");
                Err(BundleError::Threshold { what, found, needed })
            }
            Some(_satisfied) => Ok(()),
        }
    }
}
