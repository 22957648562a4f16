//! What every hook does once it has its facts: scratch, name, judgement, record, return value.
//! The pipeline of the kernel side; must not read hooks' arguments.

use execlayer_common::{
    access::{Access, Operation},
    event,
    label::Label,
    question::Hook,
    reason::Reason,
};

use crate::{
    at_once, emit,
    enforce::{ON_FAILURE, answer, enforce},
    guard,
    hold::{self, Fate},
    judge::{self, Outcome},
    kernel::{Dentry, Inode, O_TMPFILE, PID_FS_MAGIC, PIPEFS_MAGIC, SuperBlock, VfsMount, fields},
    kread::typed,
    label, scratch,
    scratch::Scratch,
    walk,
};

/// A named object that a governed task wants something of.
pub struct Call {
    pub label: Label,
    pub operation: Operation,
    pub wanted: Access,
    /// `EVENT_` flags for the record.
    pub flags: u8,
    /// Where it is judged.
    pub hook: Hook,
}

/// Judges a file that is being opened with `flags`.
///
/// VERIFIER: what the call is goes through memory, or each combination of what can be wanted would be looked at
/// by itself.
#[inline(always)]
pub fn opened(call: &Call, flags: u32, mnt: *const VfsMount, dentry: *const Dentry) -> i32 {
    let Some(scratch) = take(call) else { return ON_FAILURE };
    ask(call, scratch, Reason::None);
    let profile = call.label.profile;
    // SAFETY: this task owns the buffer.
    unsafe { (&raw mut (*scratch).call.hook).write_volatile(call.hook as u32) };
    let is_guarded = guard::is_on_bpffs(dentry);
    if !is_guarded && at_once::allows(profile, scratch, mnt, dentry) {
        scratch::release(scratch);
        return 0;
    }
    // A file that is made with O_TMPFILE has no name, but lies in its directory.
    let is_gone = walk::is_deleted(dentry) && flags & O_TMPFILE == 0;
    let name = if scratch::forget(scratch, is_gone.into()) != 0 {
        Err(Reason::Deleted)
    } else {
        walk::path(scratch, walk::root_of(label::current()), mnt, dentry)
    };
    if name.is_err() && (is_handle(scratch, dentry) || walk::is_layer(mnt, dentry)) {
        scratch::release(scratch);
        return 0;
    }
    if let Err(reason) = name {
        unnamed(scratch, reason);
    }
    let result = if is_guarded {
        guard::record_refusal(scratch)
    } else {
        judge_opened(scratch, profile, dentry)
    };
    scratch::release(scratch);
    result
}

#[inline(always)]
fn judge_opened(scratch: *mut Scratch, profile: u32, dentry: *const Dentry) -> i32 {
    let outcome = judge::judge(scratch, profile);
    // SAFETY: this task owns the buffer.
    let hook = unsafe { (&raw const (*scratch).call.hook).read_volatile() };
    if outcome.asks() {
        if hold::is_checked_later(operation(scratch), hook) {
            return 0;
        }
        identify(scratch, dentry);
    }
    settle(scratch, hook, outcome)
}

/// Number of the operation that is asked about.
#[inline(always)]
fn operation(scratch: *const Scratch) -> u8 {
    // SAFETY: a plain field of the buffer that this task owns.
    unsafe { (&raw const (*scratch).event.operation).read_volatile() }
}

/// Notes which file it is: an answer is for this one, and not for another that takes its name. A program
/// is another one when it was changed, too; a file that is read may grow meanwhile.
#[inline(always)]
fn identify(scratch: *mut Scratch, dentry: *const Dentry) {
    let inode: *const Inode = typed(dentry, &fields::OFF_DENTRY_INODE);
    let sb: *const SuperBlock = typed(inode, &fields::OFF_INODE_SB);
    let device: u32 = typed(sb, &fields::OFF_SB_DEV);
    let generation: u32 = typed(inode, &fields::OFF_INODE_GENERATION);
    let is_program = operation(scratch) == Operation::Exec as u8;
    // SAFETY: this task owns the buffer.
    unsafe {
        (*scratch).file =
            [device.into(), typed(inode, &fields::OFF_INODE_INO), generation.into(), 0, 0, 0];
        if is_program {
            (*scratch).file[3] = typed(inode, &fields::OFF_INODE_SIZE);
            (*scratch).file[4] = typed(inode, &fields::OFF_INODE_CTIME);
            let nanoseconds: u32 = typed(inode, &fields::OFF_INODE_CTIME_NS);
            (*scratch).file[5] = nanoseconds.into();
        }
    }
}

#[inline(always)]
fn no_file(scratch: *mut Scratch) {
    // SAFETY: this task owns the buffer.
    unsafe { (*scratch).file = [0; 6] };
}

/// Scratch for a call; without it the call is denied.
#[inline(always)]
pub fn take(call: &Call) -> Option<*mut Scratch> {
    let scratch = scratch::acquire();
    if scratch.is_none() {
        emit::lost(call.label.profile);
    }
    scratch
}

/// Denies a call whose subject cannot be named.
#[inline(always)]
pub fn fail(call: &Call, reason: Reason) -> i32 {
    let Some(scratch) = take(call) else { return ON_FAILURE };
    judge(call, scratch, Err(reason))
}

/// Judges the subject in scratch, which is no file, or denies because there is none; gives the scratch
/// back.
#[inline(always)]
pub fn judge(call: &Call, scratch: *mut Scratch, name: Result<(), Reason>) -> i32 {
    let reason = match name {
        Ok(()) => Reason::None,
        Err(reason) => reason,
    };
    ask(call, scratch, reason);
    no_file(scratch);
    let outcome = judge::judge_slowly(scratch, call.label.profile);
    finish(call, scratch, outcome)
}

/// Asks if that is the outcome, writes the record, and gives the scratch back.
#[inline(always)]
fn finish(call: &Call, scratch: *mut Scratch, outcome: Outcome) -> i32 {
    let result = settle(scratch, call.hook as u32, outcome);
    scratch::release(scratch);
    result
}

/// Asks if that is the outcome, and writes the record.
#[inline(always)]
pub fn settle(scratch: *mut Scratch, hook: u32, outcome: Outcome) -> i32 {
    let mut result = enforce(outcome);
    let mut is_recorded = outcome.is_recorded();
    if outcome.asks() {
        let fate = hold::ask(scratch, hook);
        // A question that stays open has its record, and a yes is recorded where it was given.
        is_recorded = fate == Fate::DENIED
            || fate == Fate::GRANTED
            || fate == Fate::HELD && hold::is_new(scratch);
        result = answer(fate);
    }
    if is_recorded {
        emit::record(scratch);
    }
    result
}

/// Notes that the subject could not be named.
#[inline(always)]
pub fn unnamed(scratch: *mut Scratch, reason: Reason) {
    // SAFETY: this task owns the buffer.
    unsafe {
        (*scratch).len = 0;
        (*scratch).event.reason = reason as u8;
    }
}

/// Writes the question into the record.
#[inline(always)]
pub fn ask(call: &Call, scratch: *mut Scratch, reason: Reason) {
    // SAFETY: this task owns the buffer.
    unsafe {
        if !matches!(reason, Reason::None) {
            (*scratch).len = 0;
        }
        let header = &mut (*scratch).event;
        header.kind = event::KIND_VERDICT;
        header.profile = call.label.profile;
        header.session = call.label.session;
        header.operation = call.operation as u8;
        header.access = call.wanted.0;
        header.flags = call.flags;
        header.reason = reason as u8;
        header.question = 0;
    }
}

/// Whether it is a pipe as a file, which holds nothing but what its owner put in when it is opened again
/// through /proc, or a pidfd, whose uses are judged.
#[inline(always)]
fn is_handle(scratch: *const Scratch, dentry: *const Dentry) -> bool {
    if operation(scratch) != Operation::File as u8 {
        return false;
    }
    let sb: *const SuperBlock = typed(dentry, &fields::OFF_DENTRY_SB);
    let magic: u64 = typed(sb, &fields::OFF_SB_MAGIC);
    magic == PIPEFS_MAGIC || magic == PID_FS_MAGIC
}
