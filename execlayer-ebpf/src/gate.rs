//! What every hook does once it has its facts: scratch, name, judgement, record, return value.
//! The pipeline of the kernel side; must not read hooks' arguments.

use execlayer_common::{
    access::{Access, Operation},
    event,
    label::Label,
    reason::Reason,
};

use crate::{
    emit,
    enforce::{ON_FAILURE, enforce},
    judge,
    kernel::{Dentry, PIPEFS_MAGIC, SuperBlock, VfsMount, fields},
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
}

/// Judges an object that has a place in the file system.
#[inline(always)]
pub fn object(call: &Call, mnt: *const VfsMount, dentry: *const Dentry, new: bool) -> i32 {
    with_scratch(call, |scratch| {
        // A name that is about to be made is not hashed yet.
        let name = if !new && walk::is_deleted(dentry) {
            Err(Reason::Deleted)
        } else {
            walk::path(scratch, walk::root_of(label::current()), mnt, dentry)
        };
        match name {
            Ok(()) => Named::Subject,
            Err(_) if !new && is_exempt(call, mnt, dentry) => Named::Exempt,
            Err(reason) => Named::Failure(reason),
        }
    })
}

/// Whether a file without a name is none of the gate's business.
#[inline(always)]
fn is_exempt(call: &Call, mnt: *const VfsMount, dentry: *const Dentry) -> bool {
    // A pipe opened again through /proc holds nothing but what its owner put in.
    call.operation as u8 == Operation::File as u8 && is_pipe(dentry)
        || walk::is_layer(mnt, dentry)
}

/// What became of naming the subject.
pub enum Named {
    /// It is in scratch.
    Subject,
    /// It has no name, and this is why the call is denied.
    Failure(Reason),
    /// Nothing is to be judged.
    Exempt,
}

impl From<Result<(), Reason>> for Named {
    #[inline(always)]
    fn from(name: Result<(), Reason>) -> Self {
        match name {
            Ok(()) => Self::Subject,
            Err(reason) => Self::Failure(reason),
        }
    }
}

/// Judges the subject that `name` writes into scratch.
#[inline(always)]
pub fn with_scratch<N: Into<Named>>(call: &Call, name: impl FnOnce(*mut Scratch) -> N) -> i32 {
    let Some(scratch) = scratch::acquire() else {
        emit::lost(call.label.profile);
        return ON_FAILURE;
    };
    let reason = match name(scratch).into() {
        Named::Subject => Reason::None,
        Named::Failure(reason) => reason,
        Named::Exempt => {
            scratch::release(scratch);
            return 0;
        }
    };
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
    }
    let outcome = judge::judge(scratch, call.label.profile);
    if outcome.is_recorded() {
        emit::record(scratch);
    }
    scratch::release(scratch);
    enforce(outcome)
}

#[inline(always)]
fn is_pipe(dentry: *const Dentry) -> bool {
    let sb: *const SuperBlock = typed(dentry, &fields::OFF_DENTRY_SB);
    let magic: u64 = typed(sb, &fields::OFF_SB_MAGIC);
    magic == PIPEFS_MAGIC
}
