//! The kernel programs and maps by name: what the object defines and the loader expects.
//! Must not know what a program does.

/// How a program is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attach {
    /// To this LSM hook.
    Lsm(&'static str),
    /// To this LSM hook, which kernels before this one need not have; some have it from a later one.
    LsmFrom(&'static str, (u32, u32)),
    /// To this LSM hook, if it takes so many arguments in the running kernel.
    LsmWith(&'static str, usize),
    /// To this tracepoint, with typed arguments.
    Tracepoint(&'static str),
    /// A task iterator, run on demand: labels tasks that already are where a policy selects.
    TaskIterator,
}

/// Programs of the gate in the order in which they are attached: inheritance first, so that no task
/// forks itself free while the rest is attached.
pub const PROGRAMS: &[(&str, Attach)] = &[
    ("task_alloc", Attach::Lsm("task_alloc")),
    ("task_forked", Attach::Tracepoint("sched_wakeup_new")),
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
    ("path_unlink", Attach::Lsm("path_unlink")),
    ("path_rmdir", Attach::Lsm("path_rmdir")),
    ("path_mkdir", Attach::Lsm("path_mkdir")),
    ("path_symlink", Attach::Lsm("path_symlink")),
    ("path_link", Attach::Lsm("path_link")),
    ("path_rename", Attach::Lsm("path_rename")),
    ("path_truncate", Attach::Lsm("path_truncate")),
    ("path_chmod", Attach::Lsm("path_chmod")),
    ("path_chown", Attach::Lsm("path_chown")),
    ("file_truncate", Attach::LsmFrom("file_truncate", (6, 2))),
    ("file_receive", Attach::Lsm("file_receive")),
    ("file_ioctl", Attach::Lsm("file_ioctl")),
    ("file_ioctl_32", Attach::LsmFrom("file_ioctl_compat", (6, 8))),
    ("inode_setattr_2", Attach::LsmWith("inode_setattr", 2)),
    ("inode_setattr_3", Attach::LsmWith("inode_setattr", 3)),
    ("inode_setxattr", Attach::Lsm("inode_setxattr")),
    ("inode_removexattr", Attach::Lsm("inode_removexattr")),
    ("inode_set_acl", Attach::LsmFrom("inode_set_acl", (6, 2))),
    ("inode_remove_acl", Attach::LsmFrom("inode_remove_acl", (6, 2))),
    ("inode_set_flags", Attach::LsmFrom("inode_file_setattr", (6, 17))),
    ("inode_anonymous", Attach::Lsm("inode_init_security_anon")),
    ("mmap_file", Attach::Lsm("mmap_file")),
    ("file_mprotect", Attach::Lsm("file_mprotect")),
    ("socket_create", Attach::Lsm("socket_create")),
    ("socket_bind", Attach::Lsm("socket_bind")),
    ("socket_listen", Attach::Lsm("socket_listen")),
    ("socket_accept", Attach::Lsm("socket_accept")),
    ("socket_send", Attach::Lsm("socket_sendmsg")),
    ("trace", Attach::Lsm("ptrace_access_check")),
    ("trace_me", Attach::Lsm("ptrace_traceme")),
    ("task_kill", Attach::Lsm("task_kill")),
    ("capable", Attach::Lsm("capable")),
    ("user_namespace", Attach::Lsm("userns_create")),
    ("path_chroot", Attach::Lsm("path_chroot")),
    ("perf_event", Attach::Lsm("perf_event_open")),
    ("key_permission", Attach::Lsm("key_permission")),
    ("socket_connect", Attach::Lsm("socket_connect")),
    ("unix_connect", Attach::Lsm("unix_stream_connect")),
    ("unix_send", Attach::Lsm("unix_may_send")),
    ("guard_signal", Attach::Lsm("file_send_sigiotask")),
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
/// Hash with all its room from the start: as [`MAP_TASKS`], for labels that come where nothing can be allocated, and
/// those that task storage refuses just now. What stands here counts. Written by the kernel only.
pub const MAP_LATE: &str = "LATE";
/// Array of one u64: how many may be in [`MAP_LATE`]; at 0 nobody looks there. Written by the kernel only.
pub const MAP_LATE_COUNT: &str = "LATE_COUNT";
/// Hash: cgroup id (u64) to profile number (u32, slot plus one) of scopes that `execlayer run` and
/// the canary open. Written by the daemon only.
pub const MAP_SCOPES: &str = "SCOPES";
/// Array of three u64: bitmap of the slots (bit 0 is profile 1) whose image selects by cgroup, bitmap
/// of those that select by executable, and a number that changes whenever one of them or a slot
/// changes. Written by the daemon only.
pub const MAP_SELECTORS: &str = "SELECTORS";
/// Array of one u64: bitmap of the profiles (bit 0 is profile 1) whose image has rules with `transition`. Written by
/// the daemon only.
pub const MAP_LEADING: &str = "LEADING";
/// Hash: `generation << 16 | rule` of a rule with `transition` to the profile (u32) that it leads to, if that can be
/// entered. Written by the daemon only.
pub const MAP_PASSAGES: &str = "PASSAGES";
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
/// Array of [`crate::event::Counts`], by profile number. Written by the kernel only.
pub const MAP_COUNTS: &str = "COUNTS";
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
/// `.rodata`, u32: offset in the file of a layer of the overlay's path (`struct backing_file`). Where the
/// kernel has no such structure, that of the file's own path.
pub const BACKING_PATH: &str = "BACKING_PATH";
/// `.rodata`, u32: whether a super block's mounts point to one another (1) or are lists in one another (0).
pub const MOUNTS_POINT: &str = "MOUNTS_POINT";
/// `.rodata`, u32: whether the machine is arm64 (1) or x86-64 (0).
pub const IS_ARM64: &str = "IS_ARM64";
