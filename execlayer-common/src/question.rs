//! Questions: what kernel and daemon share about a call that is held until it is answered. Must not know
//! who answers.
//!
//! A question is one entry of one map, keyed by who asks and what is asked about. The kernel puts it
//! there and stops the task; the daemon writes the answer into it and lets the task go on; the call is
//! restarted by the kernel, judged again, and finds the answer.

/// Who asks, and what about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(C)]
pub struct Key {
    /// Thread id in the initial pid namespace.
    pub tid: u32,
    /// [`crate::access::Operation`].
    pub operation: u32,
    /// Access bits that are wanted.
    pub access: u32,
    /// 1 for an ELF interpreter, which is asked about where it is opened; else 0.
    pub reserved: u32,
    /// Start time of the thread, ns since boot: a thread id alone is used again.
    pub start: u64,
    /// Keyed hash (SipHash-2-4, 128 bits) of the subject, of the profile and, for a file, of which file that is.
    pub subject: [u64; 2],
}

/// What is known of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Question {
    /// One of the `STATE_` constants.
    pub state: u32,
    /// How often the task was woken without an answer.
    pub wakes: u32,
    /// Names the question for people. Never 0.
    pub id: u64,
    /// Of an answer: when it ends, ns since boot.
    pub expires: u64,
    /// Which call asked: a hash of its number, arguments and place.
    pub call: u64,
    /// Of an answer: the stretch (see [`Calls`]) in which it was used, plus one; 0 if it was not.
    pub used_in: u64,
    /// Of an answer: the hooks that used it in that stretch.
    pub used_by: u32,
    /// Thread group id in the initial pid namespace.
    pub tgid: u32,
}

/// Nobody has answered.
pub const STATE_OPEN: u32 = 1;
/// The call may go on.
pub const STATE_ALLOW: u32 = 2;
/// The call fails.
pub const STATE_DENY: u32 = 3;
/// The file is to be measured, and then it is asked again: its digest is wanted for the answer.
pub const STATE_MEASURE: u32 = 4;

/// What kernel and daemon tell each other, by its index in an array of words.
pub mod daemon {
    use crate::limits;

    /// The daemon's last sign of life, ns since boot; 0: it does not hold calls. Written by the daemon.
    pub const BEAT: u32 = 0;
    /// Questions so far. Written by the kernel.
    pub const COUNT: u32 = 1;
    /// Two words: key of the subjects' hash. Written by the daemon, once.
    pub const HASH_KEY: u32 = 2;
    /// The daemon's process id in the initial pid namespace. Written by the daemon.
    pub const PID: u32 = 4;
    /// Device of the daemon's run directory, as the kernel has it, and its inode. Written by the daemon.
    pub const RUN_DEVICE: u32 = 5;
    /// See [`RUN_DEVICE`].
    pub const RUN_INODE: u32 = 6;
    /// What was loaded, as a number, once all of it is attached and pinned; else 0. Written by the daemon.
    pub const OBJECT: u32 = 7;
    /// How many links were pinned then. Written by the daemon.
    pub const LINKS: u32 = 8;
    /// Behind it, by profile number: not 0 if the profile has no room for another question. Written by
    /// the daemon.
    pub const FULL: u32 = 9;
    /// Behind it, by profile number: bytes of the ring buffer that the daemon has taken, of those that
    /// [`crate::event::Counts::put`] counts. Written by the daemon.
    pub const TAKEN: u32 = FULL + limits::MAX_PROFILES + 1;
    /// A number of the loaded gate: another one begins to count anew. Written by the daemon, once.
    pub const INSTANCE: u32 = TAKEN + limits::MAX_PROFILES + 1;
    /// Not 0: records cannot be written, and what must be recorded is denied. Written by the daemon.
    pub const UNRECORDED: u32 = INSTANCE + 1;
    /// How many words there are.
    pub const WORDS: u32 = UNRECORDED + 1;
}

/// Which calls a remembered answer is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(C)]
pub struct GrantKey {
    /// Number of the profile.
    pub profile: u32,
    /// [`crate::access::Operation`], or [`ANY_OPERATION`] for all that a rule asks about.
    pub operation: u32,
    /// Access bits that are wanted; 0 for all that a rule asks about.
    pub access: u32,
    /// As in [`Key`].
    pub reserved: u32,
    /// [`crate::label::Label::session`], or 0 for all of the profile's tasks.
    pub session: u64,
    /// What the record of its question has as `grant`; or number of the rule and generation.
    pub subject: [u64; 2],
}

/// See [`GrantKey::operation`].
pub const ANY_OPERATION: u32 = u32::MAX;

/// A remembered answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Grant {
    /// [`STATE_ALLOW`] or [`STATE_DENY`].
    pub state: u32,
    /// Zero.
    pub reserved: u32,
    /// When it ends, ns since boot.
    pub expires: u64,
    /// Names it for people.
    pub id: u64,
}

/// Bytes of a [`GrantKey`].
pub const GRANT_KEY_BYTES: usize = size_of::<GrantKey>();
/// Bytes of a [`Grant`].
pub const GRANT_BYTES: usize = size_of::<Grant>();

/// What a thread that was held is doing. Between two holds lies a stretch.
///
/// INVARIANT(answers): an answer is for its own call, and lives as long. A hook uses it once in a stretch.
/// When the gate restarts a call, a stretch ends, and what this very call used can be used again, until
/// the newest answer is: hooks of one call come in a fixed order, so what comes behind it is new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Calls {
    /// How often the thread was held.
    pub stretch: u64,
    /// [`Question::call`] of the call that was held last; 0 if none of its answers are used again.
    pub held: u64,
    /// Not 0 until the answer to the newest question is used.
    pub waits: u64,
    /// [`Key::subject`] of the newest question, if it is about creating a file: that may turn out to be
    /// there. Else 0.
    pub made: [u64; 2],
    /// [`Question::call`] of an exec whose last checked file was an ELF file; 0 if none. What such a call
    /// opens next to execute is the ELF interpreter, which is not checked again.
    pub elf: u64,
    /// Number of the question whose file was measured, or is to be; 0 if none.
    pub measured: u64,
    /// SHA-256 of that file.
    pub digest: [u64; 4],
    /// SHA-256 of the file that is checked now.
    pub fresh: [u64; 4],
    /// Whether `fresh` is one.
    pub is_fresh: u64,
}

impl Calls {
    /// Of a thread that was never held.
    pub const NEW: Self = Self {
        stretch: 0,
        held: 0,
        waits: 0,
        made: [0; 2],
        elf: 0,
        measured: 0,
        digest: [0; 4],
        fresh: [0; 4],
        is_fresh: 0,
    };
}

/// A hook that can ask, as a bit of [`Question::used_by`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Hook {
    /// bprm_check_security.
    BprmCheck = 1 << 0,
    /// file_open.
    FileOpen = 1 << 1,
    /// path_mknod.
    PathMknod = 1 << 2,
    /// socket_connect.
    SocketConnect = 1 << 3,
    /// unix_stream_connect.
    UnixConnect = 1 << 4,
    /// unix_may_send.
    UnixSend = 1 << 5,
    /// A hook that changes, makes or removes one name: path_unlink and the like.
    PathChange = 1 << 6,
    /// path_rename and path_link, the old name.
    OldName = 1 << 7,
    /// path_rename and path_link, the new name.
    NewName = 1 << 8,
    /// socket_bind and socket_listen.
    SocketBind = 1 << 9,
    /// socket_sendmsg.
    SocketSend = 1 << 10,
    /// mmap_file and file_mprotect.
    MapFile = 1 << 11,
    /// A hook whose call cannot be restarted: it never asks.
    Never = 0,
}

/// Bytes of a [`Key`].
pub const KEY_BYTES: usize = size_of::<Key>();
/// Bytes of a [`Question`].
pub const QUESTION_BYTES: usize = size_of::<Question>();

const _: () = assert!(KEY_BYTES == 40 && QUESTION_BYTES == 48 && size_of::<Calls>() == 128);
const _: () = assert!(GRANT_KEY_BYTES == 40 && GRANT_BYTES == 24);

impl Key {
    /// As the map has it.
    #[must_use]
    pub fn to_bytes(self) -> [u8; KEY_BYTES] {
        let mut bytes = [0; KEY_BYTES];
        let words = [self.tid, self.operation, self.access, self.reserved];
        let [first, second] = self.subject;
        let parts = words.iter().flat_map(|word| word.to_ne_bytes());
        let parts = parts.chain([self.start, first, second].into_iter().flat_map(u64::to_ne_bytes));
        bytes.iter_mut().zip(parts).for_each(|(to, from)| *to = from);
        bytes
    }

    /// From the map's bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; KEY_BYTES]) -> Self {
        Self {
            tid: word(bytes, 0),
            operation: word(bytes, 4),
            access: word(bytes, 8),
            reserved: word(bytes, 12),
            start: long(bytes, 16),
            subject: [long(bytes, 24), long(bytes, 32)],
        }
    }
}

impl Question {
    /// As the map has it.
    #[must_use]
    pub fn to_bytes(self) -> [u8; QUESTION_BYTES] {
        let mut bytes = [0; QUESTION_BYTES];
        let parts = [self.state, self.wakes].into_iter().flat_map(u32::to_ne_bytes);
        let longs = [self.id, self.expires, self.call, self.used_in];
        let parts = parts.chain(longs.into_iter().flat_map(u64::to_ne_bytes));
        let parts = parts.chain([self.used_by, self.tgid].into_iter().flat_map(u32::to_ne_bytes));
        bytes.iter_mut().zip(parts).for_each(|(to, from)| *to = from);
        bytes
    }

    /// From the map's bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; QUESTION_BYTES]) -> Self {
        Self {
            state: word(bytes, 0),
            wakes: word(bytes, 4),
            id: long(bytes, 8),
            expires: long(bytes, 16),
            call: long(bytes, 24),
            used_in: long(bytes, 32),
            used_by: word(bytes, 40),
            tgid: word(bytes, 44),
        }
    }
}

impl GrantKey {
    /// As the map has it.
    #[must_use]
    pub fn to_bytes(self) -> [u8; GRANT_KEY_BYTES] {
        // The same layout as a question's key.
        let Self { profile, operation, access, reserved, session, subject } = self;
        Key { tid: profile, operation, access, reserved, start: session, subject }.to_bytes()
    }

    /// From the map's bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; GRANT_KEY_BYTES]) -> Self {
        let Key { tid, operation, access, reserved, start, subject } = Key::from_bytes(bytes);
        Self { profile: tid, operation, access, reserved, session: start, subject }
    }
}

impl Grant {
    /// As the map has it.
    #[must_use]
    pub fn to_bytes(self) -> [u8; GRANT_BYTES] {
        let mut bytes = [0; GRANT_BYTES];
        let parts = [self.state, self.reserved].into_iter().flat_map(u32::to_ne_bytes);
        let parts = parts.chain([self.expires, self.id].into_iter().flat_map(u64::to_ne_bytes));
        bytes.iter_mut().zip(parts).for_each(|(to, from)| *to = from);
        bytes
    }

    /// From the map's bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; GRANT_BYTES]) -> Self {
        Self {
            state: word(bytes, 0),
            reserved: word(bytes, 4),
            expires: long(bytes, 8),
            id: long(bytes, 16),
        }
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(part(bytes, at))
}

fn long(bytes: &[u8], at: usize) -> u64 {
    u64::from_ne_bytes(part(bytes, at))
}

/// Callers stay inside: the lengths are those of the structures.
fn part<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let part = bytes.get(at..).and_then(|rest| rest.first_chunk::<N>());
    part.copied().unwrap_or([0; N])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_are_what_their_bytes_say() {
        let key =
            Key { tid: 1, operation: 2, access: 3, reserved: 0, start: 4, subject: [5, u64::MAX] };
        assert_eq!(Key::from_bytes(&key.to_bytes()), key);
        assert_eq!(key.to_bytes()[16], 4, "`start` lies at 16");
        let question = Question {
            state: STATE_ALLOW,
            wakes: 1,
            id: 2,
            expires: 3,
            call: 4,
            used_in: 5,
            used_by: 6,
            tgid: 7,
        };
        assert_eq!(Question::from_bytes(&question.to_bytes()), question);
        assert_eq!(question.to_bytes()[44], 7, "`tgid` lies at 44");
        let key = GrantKey {
            profile: 1,
            operation: ANY_OPERATION,
            access: 3,
            reserved: 0,
            session: 4,
            subject: [5, 6],
        };
        assert_eq!(GrantKey::from_bytes(&key.to_bytes()), key);
        let grant = Grant { state: STATE_DENY, reserved: 0, expires: 1, id: 2 };
        assert_eq!(Grant::from_bytes(&grant.to_bytes()), grant);
    }
}
