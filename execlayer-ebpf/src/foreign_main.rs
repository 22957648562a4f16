//! Somebody else's programs, for a guest test: they make and take away task storage of their own all the time, for
//! every task. Must not know the gate, and must let everything happen.
#![no_std]
#![no_main]
#![allow(missing_docs, unreachable_pub, reason = "nothing here is a public interface")]
#![allow(dead_code, reason = "the gate uses the rest of the shared modules")]
#![allow(unsafe_code, reason = "a kernel program calls helpers; each block says why it may")]

mod frame;
mod storage;

use core::ffi::c_void;

use aya_ebpf::{
    bindings::task_struct,
    btf_maps::Array,
    helpers::generated::{bpf_get_current_task_btf, bpf_loop, bpf_task_storage_delete},
    macros::{btf_map, btf_tracepoint, lsm},
    programs::{BtfTracePointContext, LsmContext},
};

use crate::storage::TaskStorage;

/// How often in a row: the more, the likelier is it that a task is preempted meanwhile.
const TURNS: u32 = 16;

#[btf_map]
static OWN: TaskStorage<u64> = TaskStorage::new();
/// How often it was made, how often it could not be, and how often it was taken away.
#[btf_map]
static COUNTS: Array<u64, 3> = Array::new();

const MADE: u32 = 0;
const REFUSED: u32 = 1;
const TAKEN: u32 = 2;

fn count(what: u32) {
    if let Some(count) = COUNTS.get_ptr_mut(what) {
        // SAFETY: a live map value. Others may count meanwhile: it is no more than a hint.
        let before = unsafe { count.read_volatile() };
        // SAFETY: as above.
        unsafe { count.write_volatile(before.wrapping_add(1)) };
    }
}

fn make(task: *mut task_struct) {
    count(if OWN.get_or_insert(task, &0).is_null() { REFUSED } else { MADE });
}

fn take(task: *mut task_struct) {
    let own = core::ptr::from_ref(&OWN).cast_mut().cast();
    // SAFETY: VERIFIER: `task` must be a BTF-typed task pointer, or the program does not load.
    if unsafe { bpf_task_storage_delete(own, task) } == 0 {
        count(TAKEN);
    }
}

extern "C" fn turn(_turn: u64, _nothing: *mut c_void) -> i64 {
    // SAFETY: a helper without arguments; never null.
    let task = unsafe { bpf_get_current_task_btf() };
    make(task);
    take(task);
    0
}

/// Sleeps, so that a kernel that preempts nowhere else lets another task run while memory is found.
#[lsm(hook = "file_open", sleepable)]
pub fn opens(ctx: LsmContext) -> i32 {
    let previous: i32 = ctx.arg(1);
    // SAFETY: VERIFIER: a callback of this object, which is given nothing.
    unsafe { bpf_loop(TURNS, turn as *const () as *mut c_void, core::ptr::null_mut(), 0) };
    previous
}

/// Executing begins with nothing of ours, and ends with something.
#[lsm(hook = "bprm_creds_for_exec")]
pub fn executes(ctx: LsmContext) -> i32 {
    let previous: i32 = ctx.arg(1);
    // SAFETY: as in `turn`.
    take(unsafe { bpf_get_current_task_btf() });
    previous
}

#[lsm(hook = "bprm_committed_creds")]
pub fn executed(_ctx: LsmContext) -> i32 {
    // SAFETY: as in `turn`.
    make(unsafe { bpf_get_current_task_btf() });
    0
}

#[lsm(hook = "task_alloc")]
pub fn begins(ctx: LsmContext) -> i32 {
    let previous: i32 = ctx.arg(2);
    make(ctx.arg(0));
    previous
}

#[btf_tracepoint(function = "sys_enter")]
pub fn calls(_ctx: BtfTracePointContext) -> i32 {
    // SAFETY: as in `turn`.
    let task = unsafe { bpf_get_current_task_btf() };
    take(task);
    make(task);
    0
}
