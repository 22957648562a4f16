//! The label that makes a task governed. Its layout is frozen: upgrades adopt the pinned map.

/// A task's label. Zero profile numbers do not occur in a stored label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Label {
    /// Slot of the policy plus one, 1 to [`crate::limits::MAX_PROFILES`].
    pub profile: u32,
    /// Reserved, zero.
    pub flags: u32,
    /// Names the process tree: start time (ns since boot) of the task that was labelled first.
    pub session: u64,
}

/// Key of the durable label table: it decides where task storage cannot answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct TaskKey {
    /// Thread id in the initial pid namespace.
    pub pid: u32,
    /// Thread group id in the initial pid namespace.
    pub tgid: u32,
    /// Start time of the thread, ns since boot.
    pub start: u64,
}

const _: () = assert!(size_of::<Label>() == 16 && size_of::<TaskKey>() == 16);
