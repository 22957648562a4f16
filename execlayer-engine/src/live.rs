//! The policy in force: replaced while others judge by it. Must not know where a policy comes from.

use std::sync::Arc;

#[cfg(not(loom))]
use arc_swap::ArcSwap;

use crate::PolicyBundle;
#[cfg(loom)]
use crate::model::ArcSwap;

/// The policy in force. Readers never wait, for each other or for whoever replaces it, and whatever they judge, they
/// judge it wholly by one policy.
#[derive(Debug)]
pub struct Live(ArcSwap<PolicyBundle>);

impl Live {
    /// Puts a first policy in force.
    #[must_use]
    pub fn new(bundle: PolicyBundle) -> Self {
        Self(ArcSwap::from_pointee(bundle))
    }

    /// Judges by whatever policy is in force now. What `judge` returns is all that can be known of it afterwards: it
    /// may be replaced meanwhile.
    pub fn with<R>(&self, judge: impl FnOnce(&PolicyBundle) -> R) -> R {
        judge(&self.0.load())
    }

    /// The policy in force now, to keep.
    #[must_use]
    pub fn get(&self) -> Arc<PolicyBundle> {
        self.0.load_full()
    }

    /// Puts another policy in force; the one before ends when the last who judges by it is done. Budgets begin anew.
    pub fn replace(&self, bundle: PolicyBundle) -> Arc<PolicyBundle> {
        self.0.swap(Arc::new(bundle))
    }
}
