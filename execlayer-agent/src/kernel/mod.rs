//! The one door to the kernel: every aya call, every raw system call and all unsafe code of the
//! daemon. What is above sees [`Gate`], bytes of records, and nothing of BPF.

pub mod btf;
mod child;
mod diagnostics;
pub mod events;
#[cfg(test)]
pub(crate) mod fake;
pub mod features;
pub mod install;
mod live;
pub mod load;
mod offsets;
pub mod pins;
pub mod ring;
mod sys;

use std::{collections::BTreeMap, io};

use execlayer_common::{
    question::{Key, Question},
    slot::Slot,
};

pub(crate) use child::die_with_parent;
pub use features::{FeatureError, Features};
pub use install::{Generation, InstallError, Layout};
pub use live::Live;
pub use load::{LoadError, Loaded};
pub use ring::Ring;
pub(crate) use sys::process_descriptor;
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
    /// Governed threads by profile.
    ///
    /// # Errors
    ///
    /// What the kernel said.
    fn governed(&self) -> io::Result<BTreeMap<u32, u64>>;
    /// Whether the process is governed. One that is gone is not.
    ///
    /// # Errors
    ///
    /// What the kernel said.
    fn is_governed(&self, pid: i32) -> io::Result<bool>;
    /// Records of the profile that found no room.
    ///
    /// # Errors
    ///
    /// What the kernel said.
    fn lost(&self, profile: u32) -> io::Result<u64>;
    /// Stores CLOCK_REALTIME minus CLOCK_BOOTTIME.
    ///
    /// # Errors
    ///
    /// What the kernel said.
    fn set_clock(&mut self, nanoseconds: u64) -> io::Result<()>;
    /// Says that questions are taken (ns since boot), or with 0 that none are.
    ///
    /// # Errors
    ///
    /// What the kernel said.
    fn set_heartbeat(&mut self, now: u64) -> io::Result<()>;
    /// Every question that the kernel knows, open or not.
    ///
    /// # Errors
    ///
    /// What the kernel said.
    fn questions(&self) -> io::Result<Vec<(Key, Question)>>;
    /// Answers the open question with this number, until `expires`; false if it is gone.
    ///
    /// # Errors
    ///
    /// What the kernel said.
    fn answer(&mut self, key: &Key, id: u64, state: u32, expires: u64) -> io::Result<bool>;
    /// Removes the question with this number, or its answer. One that is gone needs nothing.
    ///
    /// # Errors
    ///
    /// What the kernel said.
    fn forget(&mut self, key: &Key, id: u64) -> io::Result<()>;
    /// Lets a governed thread group go on that is stopped. One that is gone needs nothing.
    ///
    /// # Errors
    ///
    /// What the kernel said.
    fn wake(&mut self, tgid: u32) -> io::Result<()>;
    /// One pass over all threads that labels those which a policy selects.
    ///
    /// # Errors
    ///
    /// What the kernel said.
    fn adopt_once(&mut self) -> io::Result<()>;
}
