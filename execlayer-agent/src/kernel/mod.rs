//! The one door to the kernel: every aya call, every raw system call and all unsafe code of the
//! daemon. What is above sees [`Gate`], bytes of records, and nothing of BPF.

pub mod btf;
mod child;
mod diagnostics;
pub mod events;
#[cfg(test)]
pub(crate) mod fake;
pub mod features;
mod holding;
pub mod install;
mod live;
pub mod load;
mod offsets;
pub mod peer;
pub mod pins;
pub mod ring;
mod sys;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
};

use execlayer_common::{event::Counts, label::Label, slot::Slot};

use crate::passages::Passages;

pub(crate) use child::die_with_parent;
pub use features::{FeatureError, Features};
pub use holding::{Hold, Holding};
pub use install::{Generation, InstallError, Layout};
pub use live::Live;
pub use load::{LoadError, Loaded};
pub use ring::Ring;
pub(crate) use sys::{folder_by_id, process_descriptor};
pub use sys::{refuse_huge_pages, return_free_memory};

/// What the daemon does to a loaded gate, one map operation each. Profiles are numbered from 1.
pub trait Gate {
    /// Makes a table of size class `class` from `words`, forbids every further write, and puts it
    /// at `index`.
    ///
    /// # Errors
    ///
    /// What the kernel said; the index is as it was.
    fn put_table(&mut self, class: u8, index: u8, words: &[u32]) -> io::Result<()>;
    /// Takes the table at `index` out.
    ///
    /// # Errors
    ///
    /// What the kernel said.
    fn drop_table(&mut self, class: u8, index: u8) -> io::Result<()>;
    /// Reads a profile's slot.
    ///
    /// # Errors
    ///
    /// What the kernel said.
    fn slot(&self, profile: u32) -> io::Result<Slot>;
    /// Stores a profile's slot: the policy swap.
    ///
    /// # Errors
    ///
    /// What the kernel said; the slot is as it was.
    fn set_slot(&mut self, profile: u32, slot: Slot) -> io::Result<()>;
    /// Reads the selectors' words.
    ///
    /// # Errors
    ///
    /// What the kernel said.
    fn selectors(&self) -> io::Result<[u64; 3]>;
    /// Stores the selectors' words, the epoch (the third) last.
    ///
    /// # Errors
    ///
    /// What the kernel said; some may be stored.
    fn set_selectors(&mut self, words: [u64; 3]) -> io::Result<()>;
    /// Reads the ways from policies to others.
    ///
    /// # Errors
    ///
    /// What the kernel said.
    fn passages(&self) -> io::Result<Passages>;
    /// Stores these ways and no others. What is not there any more goes first.
    ///
    /// # Errors
    ///
    /// What the kernel said; some may be stored.
    fn set_passages(&mut self, passages: &Passages) -> io::Result<()>;
    /// Forgets what a profile's budgets have spent.
    ///
    /// # Errors
    ///
    /// What the kernel said; some may be forgotten.
    fn zero_budgets(&mut self, profile: u32) -> io::Result<()>;
    /// Has tasks of the cgroup governed by the profile from their next exec on, or no longer.
    ///
    /// # Errors
    ///
    /// What the kernel said.
    fn set_scope(&mut self, cgroup: u64, profile: Option<u32>) -> io::Result<()>;
    /// The cgroups that [`Gate::set_scope`] was told, also those of an earlier daemon.
    ///
    /// # Errors
    ///
    /// What the kernel said.
    fn scopes(&self) -> io::Result<BTreeSet<u64>>;
    /// Governed threads by profile.
    ///
    /// # Errors
    ///
    /// What the kernel said.
    fn governed(&self) -> io::Result<BTreeMap<u32, u64>>;
    /// What became of the profile's records.
    ///
    /// # Errors
    ///
    /// What the kernel said.
    fn counts(&self, profile: u32) -> io::Result<Counts>;
    /// Stores CLOCK_REALTIME minus CLOCK_BOOTTIME.
    ///
    /// # Errors
    ///
    /// What the kernel said.
    fn set_clock(&mut self, nanoseconds: u64) -> io::Result<()>;
    /// The label of a process, if it is governed. One that is gone is not.
    ///
    /// # Errors
    ///
    /// What the kernel said.
    fn label(&self, pid: i32) -> io::Result<Option<Label>>;

    /// Held calls.
    fn holding(&mut self) -> &mut dyn Hold;

    /// One pass over all threads that labels those which a policy selects.
    ///
    /// # Errors
    ///
    /// What the kernel said.
    fn adopt_once(&mut self) -> io::Result<Pass>;

    /// The programs that stand at their hooks: all of [`execlayer_common::hooks::PROGRAMS`] but those
    /// whose hook this kernel may be without.
    fn attached(&self) -> &[&'static str];

    /// The gate of the daemon's tests.
    #[cfg(test)]
    #[expect(private_interfaces, reason = "only this crate's tests have it")]
    fn as_fake(&mut self) -> &mut fake::Fake {
        unreachable!("tests have no kernel")
    }
}

/// What a pass of adoption did, in threads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pass {
    /// Not governed before it.
    pub adopted: u64,
    /// Could not be looked at, or not be labelled.
    pub failed: u64,
}
