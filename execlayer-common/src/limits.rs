//! Every bound, once. The compiler refuses what the kernel could not hold, by these names.
//! Must not hold a number that only one crate uses.

/// Policies in force at once, each in a slot of its own.
pub const MAX_PROFILES: u32 = 64;
/// Table indices of one size class: the old and the new image of every profile at once.
pub const MAX_TABLES: u32 = MAX_PROFILES * 2;
/// Words (4 bytes) of an image in each size class.
///
/// KERNEL: an array map's value is at most KMALLOC_MAX_SIZE, 4 MiB on x86-64
/// (kernel/bpf/arraymap.c, `array_map_alloc_check`, 6.1).
pub const CLASS_WORDS: [u32; 4] = [1 << 14, 1 << 16, 1 << 18, 1 << 20];
/// Bytes of the largest image.
pub const MAX_IMAGE_BYTES: u32 = 4 << 20;
/// Automata that are walked one after another for one operation.
pub const MAX_LANES: u32 = 4;
/// Rules of one policy after `extends` is resolved.
pub const MAX_RULES: u32 = 16_384;
/// Entries of one decision set: rules that can match the very same subject.
pub const MAX_SET_ENTRIES: u32 = 64;
/// Conditions (`when`) of one policy that differ.
pub const MAX_CONDITIONS: u32 = 1_024;
/// Budgets (`at_most`) of one policy.
pub const MAX_BUDGETS: u32 = 256;
/// Bytes of a tool's name.
pub const MAX_ACTION: usize = 256;
/// Bytes of what a tool is called about.
pub const MAX_RESOURCE: usize = 65_536;
/// Pairs of a tool's name and what it is called about in one rule: every `action` with every `resource`.
pub const MAX_RULE_CALLS: usize = 4_096;
/// Names of context values that one policy tests.
pub const MAX_CONTEXT_NAMES: usize = 64;
/// Bytes of such a name.
pub const MAX_CONTEXT_NAME: usize = 32;
/// Values of context that one call gives.
pub const MAX_CONTEXT_VALUES: usize = 64;
/// Tests of context in one rule.
pub const MAX_CONTEXT_TESTS: usize = 32;
/// Bytes of a path subject. KERNEL: PATH_MAX less its NUL (include/uapi/linux/limits.h).
pub const MAX_PATH: u32 = 4_095;
/// Components of a path subject that the kernel-side walk follows; above the file's own mount, as
/// many components and mounts together.
pub const MAX_COMPONENTS: u32 = 256;
/// Bytes of a unix socket name. KERNEL: sizeof(sun_path) (include/uapi/linux/un.h).
pub const MAX_UNIX_NAME: u32 = 108;
/// Mounts of one file system that are looked through for names of a file; beyond, it has none.
pub const MAX_SB_MOUNTS: u32 = 4_096;
/// Governed tasks (threads) at once on a machine; a fork beyond it fails.
pub const MAX_GOVERNED_TASKS: u32 = 65_536;
/// Tasks at once that were labelled at the end of their fork only and have executed nothing since: its begin was
/// older than their policy, or outside of their cgroup. Their room is there beforehand.
pub const MAX_LATE_TASKS: u32 = 4_096;
/// Cgroups whose selection is remembered.
pub const MAX_CGROUP_CACHE: u32 = 4_096;
/// Rules with `transition` of all policies in force, those of the generations before them included.
pub const MAX_PASSAGES: u32 = 8_192;
/// Rules with `transition` of one policy.
pub const MAX_TRANSITIONS: usize = 64;
/// Scopes open at once.
pub const MAX_SCOPES: u32 = 1_024;
/// Questions at once, open or answered a moment ago.
pub const MAX_QUESTIONS: u32 = 8_192;
/// Open questions of one policy; more are denied, so that one agent's do not take the room of others.
pub const MAX_PROFILE_QUESTIONS: u32 = 2_048;
/// Answers that are remembered at once.
pub const MAX_GRANTS: u32 = 4_096;
/// Times that a task may be woken by others while its question is open.
pub const MAX_WAKES: u32 = 100;
/// ns since the daemon's last sign of life after which nothing is asked any more.
pub const HEARTBEAT_STALE: u64 = 5_000_000_000;
/// Bytes of a working directory in a record, a power of two less one; a longer one is left out.
pub const MAX_EVENT_CWD: u32 = 1_023;
/// Bytes of arguments in a record, a power of two less one; the rest is left out.
pub const MAX_EVENT_ARGV: u32 = 511;
/// Bytes of the event ring buffer.
pub const RING_BYTES: u32 = 1 << 20;
/// Bytes of it that only questions may use, and what follows from them.
pub const RING_RESERVE: u32 = 128 << 10;
/// Scratch buffers; each is owned by one judgement at a time.
pub const SCRATCH_SLOTS: u32 = 1_024;
/// Bytes of a policy file.
pub const MAX_POLICY_BYTES: usize = 8 << 20;
/// Bytes of one glob pattern after variables are filled in.
pub const MAX_PATTERN_BYTES: usize = 4_096;
/// States of one automaton before minimising.
pub const MAX_STATES: usize = 1_500_000;
/// Files that one policy pulls in through `extends`.
pub const MAX_EXTENDS: usize = 32;
