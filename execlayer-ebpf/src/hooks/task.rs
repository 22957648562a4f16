//! Inheritance: a child is governed from its first instruction as its parent is.

use aya_ebpf::programs::{BtfTracePointContext, LsmContext};
use execlayer_common::label::Label;

use crate::{
    kernel::{ENOMEM, Task},
    label, select,
};

/// `int task_alloc(struct task_struct *task, unsigned long clone_flags)`
#[inline(always)]
pub fn alloc(ctx: &LsmContext) -> i32 {
    let parent = label::current();
    let child: *const Task = ctx.arg(0);
    let label = match label::of(parent) {
        Some(label) => {
            label::settle(parent);
            Label { pending: 0, ..label }
        }
        None => match select::by_cgroup::<true>(parent) {
            Ok(None) => return 0,
            Ok(Some(profile)) => select::label(parent, profile),
            Err(_) => return -ENOMEM,
        },
    };
    if label::store(child, label).is_ok() { 0 } else { -ENOMEM }
}

/// `sched_wakeup_new(struct task_struct *task)`: the task can be found by an iterator and does not run yet.
/// KERNEL: `wake_up_new_task` (kernel/sched/core.c, 6.1) holds the run queue's lock, so that nothing here may
/// allocate or take a lock that is held elsewhere with the run queue's beside it. In return nothing can interrupt
/// the program, and so none is skipped: at `sched_process_fork` newer kernels let tracing programs be preempted,
/// and skip those of all who fork on that processor meanwhile (kernel/trace/bpf_trace.c, `__bpf_trace_run`).
///
/// INVARIANT(adoption): a fork that was under way when a policy came has asked `alloc` too early, and its
/// child is found by no pass before this. Here either its parent has been adopted, or a pass that begins
/// after this one's adoption finds it.
#[inline(always)]
pub fn forked(ctx: &BtfTracePointContext) -> i32 {
    let child: *const Task = ctx.arg(0);
    if label::kept(child).is_some() {
        return 0;
    }
    let parent = label::current();
    let label = match label::kept(parent) {
        Some(label) => Label { pending: 0, ..label },
        None => match select::by_cgroup::<false>(child) {
            Ok(Some(profile)) => select::label(child, profile),
            // One that could not be looked at is found by a pass, if one comes, or by its exec.
            Ok(None) | Err(()) => return 0,
        },
    };
    let _found_later_otherwise = label::store_late(child, label);
    0
}

/// `void task_free(struct task_struct *task)`
#[inline(always)]
pub fn free(ctx: &LsmContext) -> i32 {
    let task: *const Task = ctx.arg(0);
    label::forget(task);
    0
}
