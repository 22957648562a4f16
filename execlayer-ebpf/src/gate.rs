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
    hold::{self, Fate},
    judge,
    kernel::{Dentry, Inode, PIPEFS_MAGIC, SuperBlock, VfsMount, fields},
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
    /// It is being opened.
    Opened,
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
    if matches!(object, Object::Opened) && at_once::allows(call, scratch, mnt, dentry) {
        scratch::release(scratch);
        return 0;
    }
    // A name that is about to be made is not hashed yet.
    let is_new = matches!(object, Object::New);
    let name = if !is_new && walk::is_deleted(dentry) {
        Err(Reason::Deleted)
    } else {
        walk::path(scratch, walk::root_of(label::current()), mnt, dentry)
    };
    if is_new {
        no_file(scratch);
    } else {
        identify(call, scratch, dentry);
    }
    let is_layer = || matches!(object, Object::Opened) && walk::is_layer(mnt, dentry);
    if name.is_err() && !is_new && (is_pipe(call, dentry) || is_layer()) {
        scratch::release(scratch);
        return 0;
    }
    judge(call, scratch, name)
}

/// Notes which file it is: an answer is for this one, and not for another that takes its name. A program
/// is another one when it was changed, too; a file that is read may grow meanwhile.
#[inline(always)]
fn identify(call: &Call, scratch: *mut Scratch, dentry: *const Dentry) {
    let inode: *const Inode = typed(dentry, &fields::OFF_DENTRY_INODE);
    let sb: *const SuperBlock = typed(inode, &fields::OFF_INODE_SB);
    let device: u32 = typed(sb, &fields::OFF_SB_DEV);
    let generation: u32 = typed(inode, &fields::OFF_INODE_GENERATION);
    let nanoseconds: u32 = typed(inode, &fields::OFF_INODE_CTIME_NS);
    // SAFETY: this task owns the buffer.
    unsafe {
        (*scratch).file =
            [device.into(), typed(inode, &fields::OFF_INODE_INO), generation.into(), 0, 0, 0];
        if call.operation as u8 == Operation::Exec as u8 {
            (*scratch).file[3] = typed(inode, &fields::OFF_INODE_SIZE);
            (*scratch).file[4] = typed(inode, &fields::OFF_INODE_CTIME);
            (*scratch).file[5] = nanoseconds.into();
        }
    }
}

#[inline(always)]
fn no_file(scratch: *mut Scratch) {
    // SAFETY: this task owns the buffer.
    unsafe { (*scratch).file = [0; 6] };
}

/// Scratch for a call about something that is no file; without it the call is denied.
#[inline(always)]
pub fn begin(call: &Call) -> Option<*mut Scratch> {
    let scratch = take(call)?;
    no_file(scratch);
    Some(scratch)
}

#[inline(always)]
fn take(call: &Call) -> Option<*mut Scratch> {
    let scratch = scratch::acquire();
    if scratch.is_none() {
        emit::lost(call.label.profile);
    }
    scratch
}

/// Denies a call whose subject cannot be named.
#[inline(always)]
pub fn fail(call: &Call, reason: Reason) -> i32 {
    let Some(scratch) = begin(call) else { return ON_FAILURE };
    judge(call, scratch, Err(reason))
}

/// Judges the subject in scratch, or denies because there is none; gives the scratch back.
#[inline(always)]
pub fn judge(call: &Call, scratch: *mut Scratch, name: Result<(), Reason>) -> i32 {
    let reason = match name {
        Ok(()) => Reason::None,
        Err(reason) => reason,
    };
    ask(call, scratch, reason);
    let outcome = judge::judge(scratch, call.label.profile);
    let mut result = enforce(outcome);
    let mut is_recorded = outcome.is_recorded();
    if outcome.asks() {
        let fate = hold::ask(scratch, call.hook);
        // A question that stays open has its record, and a yes is recorded where it was given.
        is_recorded = fate == Fate::DENIED || fate == Fate::HELD && hold::is_new(scratch);
        result = answer(fate);
    }
    if is_recorded {
        emit::record(scratch);
    }
    scratch::release(scratch);
    result
}

/// Writes the question into the record.
#[inline(always)]
fn ask(call: &Call, scratch: *mut Scratch, reason: Reason) {
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
