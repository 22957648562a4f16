//! Records that the kernel writes to the ring buffer. Fixed-width integers only: user space never
//! turns kernel bytes into an enum without a check.
//!
//! A record is an [`EventHeader`], then `subject_len` bytes of subject, `exe_len` bytes of the executable's path,
//! `cwd_len` bytes of the working directory's, and `argv_len` bytes of arguments, each with a NUL behind it.

/// Version of this layout.
pub const ABI: u16 = 4;

/// A verdict.
pub const KIND_VERDICT: u16 = 1;
/// A question. The call is held if the verdict is to ask; else it has failed, and the answer is for those
/// that follow.
pub const KIND_QUESTION: u16 = 2;
/// A question is no more: the file that was to be made is there.
pub const KIND_CANCELLED: u16 = 3;
/// A question's file was measured: `hash` and `grant` are the bytes of its SHA-256, unless there is a reason
/// why not. The call is still held.
pub const KIND_MEASURED: u16 = 4;
/// No rule decided.
pub const NO_RULE: u32 = u32::MAX;

/// The profile is in monitor mode: the verdict was not enforced.
pub const EVENT_MONITOR: u8 = 1 << 0;
/// Raised before the look-up knew whether the file exists; if it does, its open was judged instead.
pub const EVENT_PROVISIONAL: u8 = 1 << 1;
/// Of a question: the file can be measured.
pub const EVENT_MEASURABLE: u8 = 1 << 2;
/// Of a question about executing: it is about what an exec opens last, an ELF interpreter, and never serves
/// for the program itself.
pub const EVENT_INTERPRETER: u8 = 1 << 3;

/// A governed process above the one that asks.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Ancestor {
    /// Thread group id in the initial pid namespace.
    pub pid: u32,
    /// Its name, NUL-padded.
    pub comm: [u8; 16],
}

/// The fixed part of a record. 312 bytes, no padding.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct EventHeader {
    /// [`ABI`].
    pub abi: u16,
    /// One of the `KIND_` constants.
    pub kind: u16,
    /// Bytes of the subject.
    pub subject_len: u16,
    /// Bytes of the executable's path.
    pub exe_len: u16,
    /// ns since boot, suspend included (bpf_ktime_get_boot_ns).
    pub time: u64,
    /// Slot of the policy plus one.
    pub profile: u32,
    /// Generation that judged, 0 if none was installed.
    pub generation: u32,
    /// Number of the rule, or [`NO_RULE`].
    pub rule: u32,
    /// Access bits that were wanted.
    pub access: u32,
    /// [`crate::access::Operation`].
    pub operation: u8,
    /// See [`crate::verdict::raw`].
    pub verdict: u8,
    /// [`crate::reason::Reason`].
    pub reason: u8,
    /// `EVENT_` flags.
    pub flags: u8,
    /// Thread id in the initial pid namespace.
    pub pid: u32,
    /// Thread group id in the initial pid namespace.
    pub tgid: u32,
    /// Thread group id of the parent.
    pub ppid: u32,
    /// Effective uid in the initial user namespace.
    pub uid: u32,
    /// Effective gid in the initial user namespace.
    pub gid: u32,
    /// Start time of the thread group's leader, ns since boot.
    pub start: u64,
    /// [`crate::label::Label::session`].
    pub session: u64,
    /// Cgroup id (cgroup2).
    pub cgroup: u64,
    /// The thread's name, NUL-padded.
    pub comm: [u8; 16],
    /// Of a question: [`crate::question::Question::id`]; of what a remembered answer decided: its number;
    /// else 0.
    pub question: u64,
    /// Of a question: start time of the thread, ns since boot; else 0.
    pub thread_start: u64,
    /// Of a question: [`crate::question::Key::subject`]; else 0.
    pub hash: [u64; 2],
    /// Of a question: [`crate::question::GrantKey::subject`]; else 0.
    pub grant: [u64; 2],
    /// Bytes of the working directory's path; 0 if it has none, or one that is longer than
    /// [`crate::limits::MAX_EVENT_CWD`].
    pub cwd_len: u16,
    /// Bytes of the arguments, as the process has them in its memory now; 0 if they could not be read.
    pub argv_len: u16,
    /// How many of `ancestors` there are.
    pub ancestors_len: u32,
    /// Governed processes above, the parent first.
    pub ancestors: [Ancestor; MAX_ANCESTORS],
}

/// Ancestors that a record has room for.
pub const MAX_ANCESTORS: usize = 8;

/// What became of a profile's records. Written by the kernel only, which adds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Counts {
    /// Verdicts and questions, counted after their records were written or had found no room.
    pub events: u64,
    /// Those that found no room.
    pub lost: u64,
    /// Bytes of the ring buffer that the others took, in all: see [`room`].
    pub put: u64,
}

/// Bytes of the ring buffer that a record takes.
///
/// KERNEL: a header of 8 bytes, and the next multiple of 8 (kernel/bpf/ringbuf.c, `__bpf_ringbuf_reserve`, 6.1).
#[must_use]
pub const fn room(bytes: u64) -> u64 {
    bytes.saturating_add(15) & !7
}

/// Bytes of the longest record.
pub const MAX_EVENT: usize = size_of::<EventHeader>()
    + 2 * (crate::limits::MAX_PATH as usize + 1)
    + (crate::limits::MAX_EVENT_CWD + crate::limits::MAX_EVENT_ARGV) as usize;

const _: () = assert!(size_of::<EventHeader>() == 312);
