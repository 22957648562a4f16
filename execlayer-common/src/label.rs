//! The label that makes a task governed. Its layout is frozen: upgrades adopt the pinned map.

/// A task's label. A stored label with profile 0 governs nothing (yet).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Label {
    /// Slot of the policy plus one, 1 to [`crate::limits::MAX_PROFILES`].
    pub profile: u32,
    /// Profile that an exec in progress selected or leads to, not in force before the exec is committed.
    pub pending: u32,
    /// Names the process tree: start time (ns since boot) of the task that was labelled first.
    pub session: u64,
}

const _: () = assert!(size_of::<Label>() == 16);
