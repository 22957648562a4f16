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
    kernel::{Dentry, Inode, O_TMPFILE, PIPEFS_MAGIC, SuperBlock, VfsMount, fields},
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

/// How a call comes to an object that has a place in the file system.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Object {
    /// It is being opened, with these flags.
    Opened(u32),
    /// It is there.
    There,
    /// It is about to be made.
    New,
}

/// Judges an object that has a place in the file system.
#[inline(always)]
pub fn object(call: &Call, mnt: *const VfsMount, dentry: *const Dentry, object: Object) -> i32 {
    let Some(scratch) = take(call) else { return ON_FAILURE };
    ask(call, scratch, Reason::None);
    let is_guarded = guard::is_on_bpffs(dentry);
    if matches!(object, Object::Opened(_))
        && !is_guarded
        && at_once::allows(call, scratch, mnt, dentry)
    {
        scratch::release(scratch);
        return 0;
    }
    // A name that is about to be made is not hashed yet.
    let is_new = matches!(object, Object::New);
    // Nor has it a name that is opened with O_TMPFILE; it lies in its directory.
    let is_temporary = || matches!(object, Object::Opened(flags) if flags & O_TMPFILE != 0);
    let is_gone = !is_new && walk::is_deleted(dentry) && !is_temporary();
    // VERIFIER: what follows is looked at once, not for every way to here.
    let name = if scratch::forget(scratch, is_gone.into()) != 0 {
        Err(Reason::Deleted)
    } else {
        walk::path(scratch, walk::root_of(label::current()), mnt, dentry)
    };
    let is_layer = || matches!(object, Object::Opened(_)) && walk::is_layer(mnt, dentry);
    if name.is_err() && !is_new && (is_pipe(call, dentry) || is_layer()) {
        scratch::release(scratch);
        return 0;
    }
    if is_guarded {
        if name.is_err() {
            // SAFETY: this task owns the buffer.
            unsafe { (*scratch).len = 0 };
        }
        return guard::refuse(call, scratch);
    }
    let outcome = decide(call, scratch, name);
    if outcome.asks() {
        if hold::is_checked_later(call.operation, call.hook) {
            scratch::release(scratch);
            return 0;
        }
        if is_new {
            no_file(scratch);
        } else {
            identify(call, scratch, dentry);
        }
    }
    finish(call, scratch, outcome)
}

/// Notes which file it is: an answer is for this one, and not for another that takes its name. A program
/// is another one when it was changed, too; a file that is read may grow meanwhile.
#[inline(always)]
fn identify(call: &Call, scratch: *mut Scratch, dentry: *const Dentry) {
    let inode: *const Inode = typed(dentry, &fields::OFF_DENTRY_INODE);
    let sb: *const SuperBlock = typed(inode, &fields::OFF_INODE_SB);
    let device: u32 = typed(sb, &fields::OFF_SB_DEV);
    let generation: u32 = typed(inode, &fields::OFF_INODE_GENERATION);
    // SAFETY: this task owns the buffer.
    unsafe {
        (*scratch).file =
            [device.into(), typed(inode, &fields::OFF_INODE_INO), generation.into(), 0, 0, 0];
        if call.operation as u8 == Operation::Exec as u8 {
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

/// The judgement alone.
#[inline(always)]
fn decide(call: &Call, scratch: *mut Scratch, name: Result<(), Reason>) -> Outcome {
    let reason = match name {
        Ok(()) => Reason::None,
        Err(reason) => reason,
    };
    ask(call, scratch, reason);
    judge::judge(scratch, call.label.profile)
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

/// Whether it is a pipe as a file: opened again through /proc, it holds nothing but what its owner put in.
#[inline(always)]
fn is_pipe(call: &Call, dentry: *const Dentry) -> bool {
    if call.operation as u8 != Operation::File as u8 {
        return false;
    }
    let sb: *const SuperBlock = typed(dentry, &fields::OFF_DENTRY_SB);
    let magic: u64 = typed(sb, &fields::OFF_SB_MAGIC);
    magic == PIPEFS_MAGIC
}
