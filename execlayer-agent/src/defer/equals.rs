//! Which open questions are equal. Must not know what becomes of them.

use std::collections::{BTreeMap, BTreeSet};

use super::pending::Same;

/// Numbers of open questions by what they agree in; the lowest leads.
#[derive(Debug, Default)]
pub(super) struct Equals {
    ids: BTreeMap<Same, BTreeSet<u64>>,
}

impl Equals {
    pub(super) fn first(&self, same: &Same) -> Option<u64> {
        self.ids.get(same).and_then(|ids| ids.first().copied())
    }

    pub(super) fn all(&self, same: &Same) -> Vec<u64> {
        self.ids.get(same).map_or_else(Vec::new, |ids| ids.iter().copied().collect())
    }

    pub(super) fn add(&mut self, same: &Same, id: u64) {
        self.ids.entry(same.clone()).or_default().insert(id);
    }

    /// Removes one; which one leads afterwards.
    pub(super) fn remove(&mut self, same: &Same, id: u64) -> Option<u64> {
        let ids = self.ids.get_mut(same)?;
        ids.remove(&id);
        let first = ids.first().copied();
        if first.is_none() {
            self.ids.remove(same);
        }
        first
    }
}
