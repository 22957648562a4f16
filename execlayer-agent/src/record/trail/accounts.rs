//! Which of the kernel's events are accounted for in the trail: written, or said to be missing. Kept with the signed
//! head, so that a daemon that comes back knows what the one before it took and did not write. Must not look at the
//! kernel's own counts.

use std::{collections::BTreeMap, io, path::Path};

use execlayer_api::places;
use serde::{Deserialize, Serialize};

use crate::{store, trust};

const FORMAT: u32 = 1;
/// Longer than the file can be.
const MAX_FILE: usize = 64 << 10;

/// What a record accounts for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weight {
    /// The profile whose events they are.
    pub profile: u32,
    /// How many.
    pub events: u64,
    /// They are missing because they found no room in the ring buffer.
    pub of_ring: bool,
}

/// What is accounted for of a profile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Events of the kernel.
    pub events: u64,
    /// Those among them that found no room in the ring buffer.
    pub of_ring: u64,
}

/// All profiles.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Accounts {
    format: u32,
    /// Of which loaded gate. 0: of none.
    instance: u64,
    /// The records before this number are counted.
    size: u64,
    profiles: BTreeMap<u32, Account>,
}

impl Accounts {
    /// Those that were kept; none, of no gate, if they cannot be read.
    pub(super) fn load(state_dir: &Path) -> Self {
        let read = || {
            let mut file = trust::open_regular(&state_dir.join(places::AUDIT_COUNTS)).ok()?;
            let bytes = trust::read_bounded(&mut file, MAX_FILE).ok()?;
            let accounts: Self = serde_json::from_slice(&bytes).ok()?;
            (accounts.format == FORMAT).then_some(accounts)
        };
        read().unwrap_or_default()
    }

    /// Keeps them.
    pub(super) fn store(&mut self, state_dir: &Path, size: u64) -> io::Result<()> {
        (self.format, self.size) = (FORMAT, size);
        store::write_whole(state_dir, places::AUDIT_COUNTS, &serde_json::to_vec(self)?)
    }

    /// Adds a record that is in the log.
    pub(super) fn add(&mut self, weight: Weight) {
        let account = self.profiles.entry(weight.profile).or_default();
        account.events += weight.events;
        account.of_ring += if weight.of_ring { weight.events } else { 0 };
    }

    /// Adds a record that was in the log already, if it is not counted yet.
    pub(super) fn add_again(&mut self, seq: u64, record: &[u8]) {
        if seq >= self.size
            && let Some(weight) = weight_of(record)
        {
            self.add(weight);
        }
    }

    /// From now on they are of this gate; whether they were before.
    pub(super) fn begin(&mut self, instance: u64) -> bool {
        if self.instance == instance {
            return true;
        }
        self.instance = instance;
        self.profiles.clear();
        false
    }

    pub(super) fn of(&self, profile: u32) -> Account {
        self.profiles.get(&profile).copied().unwrap_or_default()
    }

    /// Takes everything up to these for accounted for.
    pub(super) fn set(&mut self, profile: u32, account: Account) {
        self.profiles.insert(profile, account);
    }
}

#[derive(Debug, Deserialize)]
struct Weighed<'a> {
    kind: &'a str,
    #[serde(default)]
    profile: Option<u32>,
    #[serde(default)]
    cause: Option<&'a str>,
    #[serde(default)]
    lost: u64,
    #[serde(default)]
    count: u64,
}

/// What a record accounts for, by its own fields.
fn weight_of(record: &[u8]) -> Option<Weight> {
    let fields: Weighed<'_> = serde_json::from_slice(record).ok()?;
    let (profile, of_ring) = (fields.profile?, fields.cause == Some("ring"));
    let events = match fields.kind {
        "verdict" | "question" => 1,
        "repeat" => fields.count,
        "lost" => fields.lost,
        _ => return None,
    };
    Some(Weight { profile, events, of_ring })
}
