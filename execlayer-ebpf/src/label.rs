//! Who is governed: reading labels, and the only places that write them. Must not judge anything.

use aya_ebpf::{bindings::BPF_NOEXIST, helpers::generated::bpf_get_current_task_btf};
use execlayer_common::label::Label;

use crate::{
    atomic,
    kernel::{Task, fields},
    kread::typed,
    maps::{CALLS, LABELS, LATE, LATE_COUNT, TASKS},
};

/// The running task.
#[inline(always)]
pub fn current() -> *const Task {
    // SAFETY: a helper without arguments; never null.
    unsafe { bpf_get_current_task_btf() }
}

/// The label of a task, if it is governed.
#[inline(always)]
pub fn of(task: *const Task) -> Option<Label> {
    let label = found(task)?;
    if label.profile == 0 { None } else { Some(label) }
}

/// The label of a task, in force or not.
///
/// INVARIANT(label): a late one is what counts. Otherwise task storage has it, and where that has something pending,
/// or cannot be asked, the durable copy.
#[inline(always)]
pub fn found(task: *const Task) -> Option<Label> {
    if let Some(label) = late(task) {
        return Some(label);
    }
    // A task without any storage has no other label: three loads let everybody else go.
    let storage: u64 = typed(task, &fields::OFF_TASK_STORAGE);
    if storage == 0 {
        return None;
    }
    let label = LABELS.get(task);
    if !label.is_null() {
        // SAFETY: a live map value of this type.
        let label = unsafe { label.read() };
        if label.pending == 0 {
            return Some(label);
        }
        // What an exec has made of it is certain in the durable copy only: see `commit`.
    }
    // KERNEL: on 6.1 the look-up gives null under contention (kernel/bpf/bpf_task_storage.c,
    // `bpf_task_storage_trylock`).
    // SAFETY: a preallocation-free table whose elements are freed after a grace period.
    unsafe { TASKS.get(task as u64) }.copied()
}

#[inline(always)]
fn late(task: *const Task) -> Option<Label> {
    if LATE_COUNT.get(0).copied().unwrap_or(0) == 0 {
        return None;
    }
    // SAFETY: an element is written before its task runs or by its task, and removed by its task or when nobody runs
    // it any more.
    unsafe { LATE.get(task as u64) }.copied()
}

/// Whether a task is governed, and user space can see it: there, nobody can look up a late label.
#[inline(always)]
pub fn is_seen(task: *const Task) -> bool {
    if late(task).is_some() {
        return false;
    }
    // SAFETY: only an address is looked up.
    unsafe { TASKS.get(task as u64) }.is_some_and(|label| label.profile != 0)
}

/// Stores a label for a task, in whatever place it is found. On failure the task has the label that it had: the caller
/// must deny.
#[inline(always)]
pub fn store(task: *const Task, label: Label) -> Result<(), ()> {
    if put(task, label.profile, label.pending, label.session) { Ok(()) } else { Err(()) }
}

/// VERIFIER: with a stack of its own: those that store have deep ones.
#[inline(never)]
fn put(task: *const Task, profile: u32, pending: u32, session: u64) -> bool {
    let label = Label { profile, pending, session };
    // The durable copy first: a task that has it is never free, whatever happens after.
    let Ok(before) = keep(task, label) else { return false };
    let stored = LABELS.get_or_insert(task, &label);
    if !stored.is_null() {
        // SAFETY: a live map value; only its own task writes it.
        unsafe { stored.write(label) };
        let _was_late = forget_late(task);
        return true;
    }
    // KERNEL: on 6.1 a task that was preempted at its storage keeps all others of its processor from theirs
    // (kernel/bpf/bpf_task_storage.c, `bpf_task_storage_trylock`); on every kernel, whoever takes the last thing of
    // somebody else's from the task's storage at this moment (kernel/bpf/bpf_local_storage.c,
    // `bpf_local_storage_update`, -EAGAIN).
    if store_late(task, label) {
        return true;
    }
    match before {
        Some(before) => {
            let _is_there = keep(task, before);
        }
        None => {
            let _was_there = TASKS.remove(task as u64);
        }
    }
    false
}

/// Writes the durable copy; what it was.
#[inline(always)]
fn keep(task: *const Task, label: Label) -> Result<Option<Label>, ()> {
    if let Some(durable) = TASKS.get_ptr_mut(task as u64) {
        // SAFETY: a live map value; only its own task writes it.
        let before = unsafe { durable.read() };
        // SAFETY: as above.
        unsafe { durable.write(label) };
        return Ok(Some(before));
    }
    TASKS.insert(task as u64, label, 0).map(|()| None).map_err(|_errno| ())
}

/// The label in the durable copy, or a late one: all that can be looked up where nothing may be locked.
#[inline(always)]
pub fn kept(task: *const Task) -> Option<Label> {
    let storage: u64 = typed(task, &fields::OFF_TASK_STORAGE);
    if storage != 0
        // SAFETY: as in `found`.
        && let Some(label) = unsafe { TASKS.get(task as u64) }
    {
        return if label.profile == 0 { None } else { Some(*label) };
    }
    late(task)
}

/// Stores a label where nothing may be allocated: there is room beforehand, as long as it lasts.
#[inline(always)]
pub fn store_late(task: *const Task, label: Label) -> bool {
    if let Some(late) = LATE.get_ptr_mut(task as u64) {
        // SAFETY: a live map value; only its own task writes it.
        unsafe { late.write(label) };
        return true;
    }
    let Some(count) = LATE_COUNT.get_ptr_mut(0) else { return false };
    // SAFETY: a live map value that is changed by atomic operations only; before the element, so that
    // nobody finds the count 0 while it is there.
    let _before = unsafe { atomic::add(count, 1) };
    // Counted once for each element: who comes second here does not count.
    let is_stored = LATE.insert(task as u64, label, BPF_NOEXIST.into()).is_ok();
    if !is_stored {
        // SAFETY: as above.
        let _before = unsafe { atomic::add(count, 1_u64.wrapping_neg()) };
    }
    is_stored
}

/// Puts a late label where the others are; if that cannot be now, it stays.
#[inline(always)]
pub fn settle(task: *const Task) {
    if let Some(label) = late(task) {
        let _stays_otherwise = store(task, label);
    }
}

/// Whether there was one.
#[inline(always)]
fn forget_late(task: *const Task) -> bool {
    let Some(count) = LATE_COUNT.get_ptr_mut(0) else { return false };
    // SAFETY: a live, aligned map value.
    if unsafe { count.read() } == 0 || LATE.remove(task as u64).is_err() {
        return false;
    }
    // SAFETY: as in `store_late`.
    let _before = unsafe { atomic::add(count, 1_u64.wrapping_neg()) };
    true
}

/// Drops the durable copy of a task that ends.
#[inline(always)]
pub fn forget(task: *const Task) {
    let was_late = forget_late(task);
    let storage: u64 = typed(task, &fields::OFF_TASK_STORAGE);
    if storage != 0 || was_late {
        let _was_held = CALLS.remove(task as u64);
        let _was_there = TASKS.remove(task as u64);
    }
}

/// Puts the label that an exec selected or leads to into force; whether there is any. Nothing here can fail: where task
/// storage cannot be asked now, what is pending there sends whoever looks to the durable copy.
#[inline(always)]
pub fn commit(task: *const Task) -> bool {
    let Some(label) = found(task) else { return false };
    let profile = if label.pending == 0 { label.profile } else { label.pending };
    let label = Label { profile, pending: 0, session: label.session };
    if let Some(durable) = TASKS.get_ptr_mut(task as u64) {
        // SAFETY: a live map value; only its own task writes it.
        unsafe { durable.write(label) };
    }
    if late(task).is_some() {
        let _is_there = store_late(task, label);
    }
    let stored = LABELS.get(task);
    if !stored.is_null() {
        // SAFETY: as above.
        unsafe { stored.write(label) };
    }
    true
}
