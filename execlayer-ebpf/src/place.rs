//! Judges what has a place in the file system, known by addresses: global functions that the verifier
//! looks at once, for all hooks but the few whose cost counts. Owns what is done with one name, with two
//! names, and with a file whose mount is not known; must not read hooks' arguments.

mod everywhere;
mod file;
mod two;

use execlayer_common::{
    access::{Access, Operation},
    event,
    label::Label,
    question::Hook,
    reason::Reason,
};

use crate::{
    enforce::ON_FAILURE,
    gate::{self, Call},
    guard,
    judge::{self, Outcome},
    kernel::{BPF_FS_MAGIC, Dentry, ERESTARTNOINTR, EXDEV, SB_NOUSER, VfsMount, fields},
    kread::{load, offset, read},
    label,
    scratch::{self, PlaceCall, Scratch, forget},
    walk,
};
pub use two::Two;

/// How a call comes to its file.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Kind {
    /// It is there. Deleted, it is judged by the name that it had.
    There = 0,
    /// It is about to be made.
    New = 1,
    /// As [`Kind::There`], and deleted it has no name.
    Named = 2,
    /// A descriptor that comes from elsewhere: as [`Kind::Named`], and what nobody can name passes.
    Received = 3,
}

/// A call that is judged by addresses.
pub struct Change {
    pub label: Label,
    pub operation: Operation,
    pub wanted: Access,
    pub kind: Kind,
    pub hook: Hook,
    /// `EVENT_` flags for the record.
    pub flags: u8,
}

impl Change {
    /// Judges it by its own name.
    #[inline(always)]
    pub fn at(&self, mnt: *const VfsMount, dentry: *const Dentry) -> i32 {
        let Some(scratch) = self.prepare() else { return ON_FAILURE };
        // VERIFIER: a global function takes no pointer of the kernel's as a number.
        let (mnt, dentry) = (forget(scratch, mnt as u64), forget(scratch, dentry as u64));
        returned(judge_place(scratch, mnt, dentry))
    }

    /// Judges it by every name that it has where the task can name it: the hook knows no mount.
    #[inline(always)]
    pub fn everywhere(&self, dentry: *const Dentry) -> i32 {
        let Some(scratch) = self.prepare() else { return ON_FAILURE };
        let dentry = forget(scratch, dentry as u64);
        returned(everywhere::judge_everywhere(scratch, dentry))
    }

    /// Scratch with the question in it.
    #[inline(always)]
    fn prepare(&self) -> Option<*mut Scratch> {
        let (label, operation, wanted) = (self.label, self.operation, self.wanted);
        let call = Call { label, operation, wanted, flags: self.flags, hook: self.hook };
        let scratch = gate::take(&call)?;
        gate::ask(&call, scratch, Reason::None);
        // SAFETY: this task owns the buffer.
        unsafe {
            (*scratch).call = PlaceCall { hook: self.hook as u32, kind: self.kind as u32 };
        }
        Some(scratch)
    }
}

/// The hook's return value.
///
/// VERIFIER: what a global function returns is any number, and from 6.12 on a hook may not return that.
#[inline(always)]
pub const fn returned(result: i32) -> i32 {
    match result {
        0 => 0,
        r if r == -ERESTARTNOINTR => -ERESTARTNOINTR,
        r if r == -EXDEV => -EXDEV,
        _ => ON_FAILURE,
    }
}

/// VERIFIER: a global function, looked at once (see [`crate::judge`]).
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn judge_place(scratch: *mut Scratch, mnt: u64, dentry: u64) -> i32 {
    if scratch.is_null() {
        return ON_FAILURE;
    }
    // SAFETY: this task owns the buffer.
    let (hook, kind) = unsafe { ((*scratch).call.hook, (*scratch).call.kind) };
    let name = name(scratch, mnt, dentry, kind);
    let result = if name.is_err() && passes_without_a_name(dentry, kind) {
        0
    } else if is_on_bpffs(dentry) {
        guard::record_refusal(scratch)
    } else {
        let outcome = judged(scratch, name);
        identify(scratch, dentry, outcome, kind);
        gate::settle(scratch, hook, outcome)
    };
    scratch::release(scratch);
    result
}

/// Writes the name into scratch.
#[inline(always)]
fn name(scratch: *mut Scratch, mnt: u64, dentry: u64, kind: u32) -> Result<(), Reason> {
    let needs_name = kind == Kind::Named as u32 || kind == Kind::Received as u32;
    if needs_name && is_deleted(dentry) {
        return Err(Reason::Deleted);
    }
    walk::path_at(scratch, walk::root_of(label::current()), mnt, dentry)
}

/// What lies on a file system that nobody mounts, such as a pipe or a memfd, holds nothing but what those
/// put in who have it. What is executed is no less for that.
#[inline(always)]
fn passes_without_a_name(dentry: u64, kind: u32) -> bool {
    kind != Kind::Named as u32 && is_nowhere(dentry)
}

/// Whether it lies on a file system that nobody mounts.
#[inline(always)]
fn is_nowhere(dentry: u64) -> bool {
    let sb = load(dentry, &fields::OFF_DENTRY_SB);
    load(sb, &fields::OFF_SB_FLAGS) & SB_NOUSER != 0
}

#[inline(always)]
fn is_on_bpffs(dentry: u64) -> bool {
    load(load(dentry, &fields::OFF_DENTRY_SB), &fields::OFF_SB_MAGIC) == BPF_FS_MAGIC
}

/// See [`walk::is_deleted`].
#[inline(always)]
fn is_deleted(dentry: u64) -> bool {
    let hash = dentry.wrapping_add(offset(&fields::OFF_DENTRY_HASH));
    let pprev: u64 = read(hash.wrapping_add(8)).unwrap_or(0);
    pprev == 0 && load(dentry, &fields::OFF_DENTRY_PARENT) != dentry
}

/// The judgement alone.
#[inline(always)]
fn judged(scratch: *mut Scratch, name: Result<(), Reason>) -> Outcome {
    if let Err(reason) = name {
        gate::unnamed(scratch, reason);
    }
    // SAFETY: this task owns the buffer.
    judge::judge_slowly(scratch, unsafe { (*scratch).event.profile })
}

/// Denies what has no name.
#[inline(always)]
fn refuse(scratch: *mut Scratch, reason: Reason) -> i32 {
    let outcome = judged(scratch, Err(reason));
    gate::settle(scratch, Hook::Never as u32, outcome)
}

/// Notes which file is asked about; see [`gate`].
#[inline(always)]
fn identify(scratch: *mut Scratch, dentry: u64, outcome: Outcome, kind: u32) {
    if !outcome.asks() {
        return;
    }
    let inode = load(dentry, &fields::OFF_DENTRY_INODE);
    let sb = load(inode, &fields::OFF_INODE_SB);
    let half =
        |base: u64, field: u64| u64::from(read::<u32>(base.wrapping_add(field)).unwrap_or(0));
    let is_new = kind == Kind::New as u32 || inode == 0;
    // SAFETY: this task owns the buffer.
    unsafe {
        (*scratch).file = if is_new {
            [0; 6]
        } else {
            let device = half(sb, offset(&fields::OFF_SB_DEV));
            let generation = half(inode, offset(&fields::OFF_INODE_GENERATION));
            [device, load(inode, &fields::OFF_INODE_INO), generation, 0, 0, 0]
        };
        if !is_new && (*scratch).event.operation == Operation::Exec as u8 {
            (*scratch).file[3] = load(inode, &fields::OFF_INODE_SIZE);
            (*scratch).file[4] = load(inode, &fields::OFF_INODE_CTIME);
            (*scratch).file[5] = half(inode, offset(&fields::OFF_INODE_CTIME_NS));
        }
    }
}

/// Begins the record anew, for another subject of the same call.
#[inline(always)]
fn ask_again(scratch: *mut Scratch, wanted: u32) {
    // SAFETY: this task owns the buffer.
    unsafe {
        let header = &mut (*scratch).event;
        header.kind = event::KIND_VERDICT;
        header.access = wanted;
        header.flags = 0;
        header.reason = Reason::None as u8;
        header.question = 0;
    }
}
