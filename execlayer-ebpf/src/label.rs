//! Who is governed: reading labels, and the only places that write them. Must not judge anything.

use aya_ebpf::helpers::generated::bpf_get_current_task_btf;
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
    // A task without any storage has no label, or a late one: three loads let everybody else go.
    let storage: u64 = typed(task, &fields::OFF_TASK_STORAGE);
    let label = if storage == 0 { late(task)? } else { stored(task)? };
    if label.profile == 0 { None } else { Some(label) }
}

/// The stored label, in force or not.
#[inline(always)]
pub fn stored(task: *const Task) -> Option<Label> {
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
    // `bpf_task_storage_trylock`), so the durable copy decides.
    // SAFETY: a preallocation-free table whose elements are freed after a grace period.
    unsafe { TASKS.get(task as u64) }.copied().or_else(|| late(task))
}

#[inline(always)]
fn late(task: *const Task) -> Option<Label> {
    if LATE_COUNT.get(0).copied().unwrap_or(0) == 0 {
        return None;
    }
    // SAFETY: an element is written once, before its task runs, and removed when nobody runs it any more.
    unsafe { LATE.get(task as u64) }.copied()
}

/// Whether a task is governed, by the durable copy alone.
#[inline(always)]
pub fn is_kept(task: *const Task) -> bool {
    // SAFETY: only an address is looked up.
    unsafe { TASKS.get(task as u64) }.is_some_and(|label| label.profile != 0)
}

/// Stores a label for a task, in both places. On failure neither counts: the caller must deny.
#[inline(always)]
pub fn store(task: *const Task, label: Label) -> Result<(), ()> {
    // The durable copy first: a task that has it is never free, whatever happens after.
    TASKS.insert(task as u64, label, 0).map_err(|_errno| ())?;
    let stored = LABELS.get_or_insert(task, &label);
    if stored.is_null() {
        let _was_there = TASKS.remove(task as u64);
        return Err(());
    }
    // SAFETY: a live map value; only its own task writes it.
    unsafe { stored.write(label) };
    Ok(())
}

/// The label in the durable copy, or a late one: all that can be looked up where nothing may be locked.
#[inline(always)]
pub fn kept(task: *const Task) -> Option<Label> {
    let storage: u64 = typed(task, &fields::OFF_TASK_STORAGE);
    if storage != 0
        // SAFETY: as in `stored`.
        && let Some(label) = unsafe { TASKS.get(task as u64) }
    {
        return if label.profile == 0 { None } else { Some(*label) };
    }
    late(task)
}

/// Stores a label where nothing may be allocated and a failure can be told nobody: there is room beforehand.
#[inline(always)]
pub fn store_late(task: *const Task, label: Label) {
    let Some(count) = LATE_COUNT.get_ptr_mut(0) else { return };
    // SAFETY: a live map value that is changed by atomic operations only; before the element, so that
    // nobody finds the count 0 while it is there.
    let _before = unsafe { atomic::add(count, 1) };
    if LATE.insert(task as u64, label, 0).is_err() {
        // SAFETY: as above.
        let _before = unsafe { atomic::add(count, 1_u64.wrapping_neg()) };
    }
}

/// Puts a late label where the others are; if there is no memory for it, it stays.
#[inline(always)]
pub fn settle(task: *const Task) {
    if let Some(label) = late(task)
        && store(task, label).is_ok()
    {
        let _was_there = forget_late(task);
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

/// Notes where an exec leads a governed task, or that it leads nowhere. On failure the label is in force as before,
/// and leads nowhere in one of its places: the caller must deny.
#[inline(always)]
pub fn aim(task: *const Task, profile: u32) -> Result<(), ()> {
    let stored = LABELS.get(task);
    let durable = TASKS.get_ptr_mut(task as u64).ok_or(())?;
    if stored.is_null() {
        return Err(());
    }
    // SAFETY: live map values; only their own task writes them. All of it: an exec may have been put into force in the
    // durable copy alone.
    unsafe {
        let label = Label { pending: profile, ..durable.read() };
        durable.write(label);
        stored.write(label);
    }
    Ok(())
}

/// Puts the label that an exec selected or leads to into force. It was stored in both places before, so that nothing
/// here can fail: where the first is not found under contention, its `pending` sends whoever looks to the durable
/// copy.
#[inline(always)]
pub fn commit(task: *const Task) {
    let stored = LABELS.get(task);
    if !stored.is_null() {
        // SAFETY: a live map value; only its own task writes it.
        unsafe { promote(stored) };
    }
    if let Some(durable) = TASKS.get_ptr_mut(task as u64) {
        // SAFETY: as above.
        unsafe { promote(durable) };
    }
}

/// Makes the pending profile the profile.
///
/// # Safety
///
/// `label` is a live map value.
#[inline(always)]
unsafe fn promote(label: *mut Label) {
    // SAFETY: the caller passes a live label.
    let value = unsafe { label.read() };
    if value.pending != 0 {
        // SAFETY: as above.
        unsafe {
            label.write(Label { profile: value.pending, pending: 0, session: value.session })
        };
    }
}
