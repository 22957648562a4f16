//! What a thread that was held, or executes, is doing: its entry in the table of calls. Must not judge.

use execlayer_common::question::{Calls, Key, STATE_OPEN};

use super::call;
use crate::{
    kernel::{ELF_MAGIC, Task, fields},
    kread::typed,
    label,
    maps::{CALLS, QUESTIONS},
};

static NEW: Calls = Calls::NEW;

/// The running task's entry, made if it is not there; `None` if there is no room.
#[allow(
    clippy::needless_borrows_for_generic_args,
    reason = "by value, it would lie on a stack of 512 bytes first"
)]
#[inline(always)]
pub fn own(task: *const Task) -> Option<*mut Calls> {
    let key = task as u64;
    if let Some(calls) = CALLS.get_ptr_mut(key) {
        return Some(calls);
    }
    CALLS.insert(key, &NEW, 0).ok()?;
    CALLS.get_ptr_mut(key)
}

/// Notes what was checked: `first` are the first bytes of the file. False if there is no room to do so.
#[inline(always)]
pub fn checked(task: *const Task, first: u32) -> bool {
    let Some(calls) = own(task) else { return false };
    let elf = if first == ELF_MAGIC { call::exec_of(task) } else { 0 };
    // SAFETY: a live map value; only this task writes its own.
    unsafe { (*calls).elf = elf };
    true
}

/// Whether the last file that `exec` checked was an ELF file.
#[inline(always)]
pub fn is_elf(task: *const Task, exec: u64) -> bool {
    // SAFETY: a table whose elements are freed after a grace period; only this task writes its own.
    unsafe { CALLS.get(task as u64) }.is_some_and(|calls| calls.elf == exec)
}

/// The exec is over.
#[inline(always)]
pub fn committed(task: *const Task) {
    if let Some(calls) = CALLS.get_ptr_mut(task as u64) {
        // SAFETY: a live map value; only this task writes its own.
        unsafe { (*calls).elf = 0 };
    }
}

/// Takes back the question whether a file may be made, of which it turned out that it is there; the
/// question's number.
#[allow(
    clippy::needless_borrows_for_generic_args,
    reason = "by value, each look-up would lay another copy of the key on a stack of 512 bytes"
)]
#[inline(always)]
pub fn cancel_made(task: *const Task, operation: u32, access: u32) -> Option<u64> {
    let calls = CALLS.get_ptr_mut(task as u64)?;
    // SAFETY: a live map value; only this task writes its own.
    let subject = unsafe {
        let subject = (*calls).made;
        (*calls).made = [0; 2];
        subject
    };
    if subject == [0; 2] {
        return None;
    }
    let key = Key {
        tid: typed(label::current(), &fields::OFF_TASK_PID),
        operation,
        access,
        reserved: 0,
        start: typed(label::current(), &fields::OFF_TASK_START),
        subject,
    };
    let question = QUESTIONS.get_ptr_mut(&key)?;
    // SAFETY: a live map value.
    let (state, id) = unsafe { ((*question).state, (*question).id) };
    if state != STATE_OPEN {
        return None;
    }
    let _was_there = QUESTIONS.remove(&key);
    Some(id)
}
