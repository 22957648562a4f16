//! Inheritance: a child is governed from its first instruction as its parent is.

use aya_ebpf::programs::LsmContext;
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
        Some(label) => Label { pending: 0, ..label },
        None => match select::by_cgroup(parent) {
            Ok(None) => return 0,
            Ok(Some(profile)) => select::label(parent, profile),
            Err(_) => return -ENOMEM,
        },
    };
    if label::store(child, label).is_ok() { 0 } else { -ENOMEM }
}

/// `void task_free(struct task_struct *task)`
#[inline(always)]
pub fn free(ctx: &LsmContext) -> i32 {
    let task: *const Task = ctx.arg(0);
    label::forget(task);
    0
}
