//! What the parts of this process have done, for whoever asks about it. Must not do any of it.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// One sink.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OfSink {
    /// Number of the record that comes next.
    pub next: u64,
    /// Records, or heads, that were taken since this process started.
    pub sent: u64,
    /// Records that were removed before they could be sent.
    pub lost: u64,
    /// Records that the other side would not have.
    pub refused: u64,
    /// Attempts that failed since this process started.
    pub failures: u64,
    /// Why the last one did.
    pub trouble: Option<String>,
}

/// All sinks by their names.
#[derive(Debug, Default)]
pub struct Counts(Mutex<BTreeMap<String, OfSink>>);

impl Counts {
    /// More were taken.
    pub fn sent(&self, sink: &str, more: u64) {
        self.all().entry(sink.to_owned()).or_default().sent += more;
    }

    /// How far a sink is, and why it goes no further.
    pub fn tell(
        &self,
        sink: &str,
        next: u64,
        (lost, refused): (u64, u64),
        trouble: Option<String>,
    ) {
        let mut all = self.all();
        let of = all.entry(sink.to_owned()).or_default();
        (of.next, of.lost, of.refused) = (next, lost, refused);
        of.failures += u64::from(trouble.is_some());
        of.trouble = trouble;
    }

    /// All of it, as it is now.
    #[must_use]
    pub fn now(&self) -> BTreeMap<String, OfSink> {
        self.all().clone()
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<String, OfSink>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
