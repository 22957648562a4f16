//! The kernel programs and maps by name: what the object defines and the loader expects.
//! Must not know what a program does.

/// How a program is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attach {
    /// To this LSM hook.
    Lsm(&'static str),
    /// A task iterator, run on demand: labels tasks that already are where a policy selects.
    TaskIterator,
}

/// Programs of the gate in the order in which they are attached: inheritance first, so that no task
/// forks itself free while the rest is attached.
pub const PROGRAMS: &[(&str, Attach)] = &[
    ("task_alloc", Attach::Lsm("task_alloc")),
    ("task_free", Attach::Lsm("task_free")),
    ("exec_select", Attach::Lsm("bprm_creds_for_exec")),
    ("bprm_check", Attach::Lsm("bprm_check_security")),
    // Runs first: the last one that is attached does (kernel/bpf/trampoline.c,
    // `__bpf_trampoline_link_prog`, 6.1).
    ("exec_measure", Attach::Lsm("bprm_check_security")),
    ("bprm_committed", Attach::Lsm("bprm_committed_creds")),
    ("file_open", Attach::Lsm("file_open")),
    ("file_fcntl", Attach::Lsm("file_fcntl")),
    ("path_mknod", Attach::Lsm("path_mknod")),
    ("socket_connect", Attach::Lsm("socket_connect")),
    ("unix_connect", Attach::Lsm("unix_stream_connect")),
    ("unix_send", Attach::Lsm("unix_may_send")),
    ("guard_bpf", Attach::Lsm("bpf")),
    ("guard_unlink", Attach::Lsm("inode_unlink")),
    ("guard_rmdir", Attach::Lsm("inode_rmdir")),
    ("guard_rename", Attach::Lsm("inode_rename")),
    ("adopt", Attach::TaskIterator),
];

/// Task storage: thread to [`crate::label::Label`]. Written by the kernel only. Pinned, frozen layout.
pub const MAP_LABELS: &str = "LABELS";
/// Hash: address of the task_struct (u64) to [`crate::label::Label`]; the durable copy, from
/// task_alloc to task_free. Its size is the number of governed threads. Written by the kernel only.
pub const MAP_TASKS: &str = "TASKS";
/// Hash: cgroup id (u64) to profile number (u32, slot plus one) of scopes that `execlayer run` and
/// the canary open. Written by the daemon only.
pub const MAP_SCOPES: &str = "SCOPES";
/// Array of three u64: bitmap of the slots (bit 0 is profile 1) whose image selects by cgroup, bitmap
/// of those that select by executable, and a number that changes whenever one of them or a slot
/// changes. Written by the daemon only.
pub const MAP_SELECTORS: &str = "SELECTORS";
/// LRU hash: cgroup id to `epoch << 32 | profile`: what the selectors said. Written by the kernel only.
pub const MAP_CGROUPS: &str = "CGROUPS";
/// Array of [`crate::slot::Slot`] words, one for each profile. Written by the daemon only.
pub const MAP_SLOTS: &str = "SLOTS";
/// Arrays of maps, one for each size class, of [`crate::limits::MAX_TABLES`] entries; each inner map
/// is an array with one value, the image padded with zeros to the class's size, created with
/// `BPF_F_RDONLY_PROG` and frozen before it is put in. Written by the daemon only.
pub const MAP_TABLES: [&str; 4] = ["TABLES_0", "TABLES_1", "TABLES_2", "TABLES_3"];
/// Array of u64, `(profile - 1) * MAX_BUDGETS + budget`: window number and uses. Zeroed by the daemon
/// when a new generation is installed, otherwise written by the kernel only.
pub const MAP_BUDGETS: &str = "BUDGETS";
/// Ring buffer of [`crate::event`] records.
pub const MAP_EVENTS: &str = "EVENTS";
/// Array of u64, by profile number: records that found no room in the ring buffer.
pub const MAP_LOST: &str = "LOST";
/// Array of scratch buffers; the loader sizes it (a power of two, see [`SCRATCH_MASK`]).
pub const MAP_SCRATCH: &str = "SCRATCH";
/// Array of one u64: CLOCK_REALTIME minus CLOCK_BOOTTIME in ns. Written by the daemon only.
pub const MAP_CLOCK: &str = "CLOCK";

/// Hash: [`crate::question::Key`] to [`crate::question::Question`]. The kernel adds, the daemon answers,
/// both remove.
pub const MAP_QUESTIONS: &str = "QUESTIONS";
/// Hash: address of the task_struct (u64) to [`crate::question::Calls`]. Written by the kernel only.
pub const MAP_CALLS: &str = "CALLS";
/// Hash: thread id in the initial pid namespace (u32) to number of the question (u64) whose file is to be
/// measured. Written by the daemon only.
pub const MAP_MEASURE: &str = "MEASURE";
/// Hash: [`crate::question::GrantKey`] to [`crate::question::Grant`]. Written by the daemon only.
pub const MAP_GRANTS: &str = "GRANTS";
/// Array of u64: see [`crate::question::daemon`].
pub const MAP_DAEMON: &str = "DAEMON";

/// `.rodata`, u32: number of scratch buffers minus one.
pub const SCRATCH_MASK: &str = "SCRATCH_MASK";
/// `.rodata`, u32: bit in `f_mode` of a file that backs an overlay (FMODE_BACKING), or 0 if the
/// kernel has none.
pub const FMODE_BACKING: &str = "FMODE_BACKING";
