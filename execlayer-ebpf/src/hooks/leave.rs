//! Ways out of the domain: other tasks, capabilities, namespaces, roots, keys.

use aya_ebpf::programs::LsmContext;
use execlayer_common::{
    feature::{self, Feature},
    question::daemon,
};

use crate::{
    feature::{judged, used},
    guard,
    hold::told,
    kernel::{CAP_OPT_NOAUDIT, EPERM, PTRACE_MODE_NOAUDIT, Task, fields},
    kread::typed,
    label,
};

/// What the record says.
const KILL: u64 = u64::from_le_bytes(*b"(signal)");

/// `int ptrace_access_check(struct task_struct *child, unsigned int mode)`: also what `/proc/PID` shows
/// of another task's memory, descriptors and places, process_vm_readv, pidfd_getfd and kcmp.
#[inline(always)]
pub fn trace(ctx: &LsmContext) -> i32 {
    let Some(label) = label::of(label::current()) else { return 0 };
    let other: *const Task = ctx.arg(0);
    let mode: u32 = ctx.arg(1);
    if label::of(other).is_some_and(|other| other.profile == label.profile) {
        return 0;
    }
    let is_quiet = u32::from(mode & PTRACE_MODE_NOAUDIT != 0);
    judged(label, feature::TRACE.number.into(), is_quiet)
}

/// `int ptrace_traceme(struct task_struct *parent)`
#[inline(always)]
pub fn traceme(ctx: &LsmContext) -> i32 {
    let Some(label) = label::of(label::current()) else { return 0 };
    let parent: *const Task = ctx.arg(0);
    match label::of(parent) {
        Some(parent) if parent.profile != label.profile => used(label, &feature::BE_TRACED),
        _ => 0,
    }
}

/// `int task_kill(struct task_struct *p, struct kernel_siginfo *info, int sig, const struct cred *cred)`
#[inline(always)]
pub fn kill(ctx: &LsmContext) -> i32 {
    let Some(label) = label::of(label::current()) else { return 0 };
    let other: *const Task = ctx.arg(0);
    let signal: i32 = ctx.arg(2);
    if signal == 0 {
        return 0;
    }
    if is_daemon(other) { guard::deny(label, KILL) } else { 0 }
}

/// `int file_send_sigiotask(struct task_struct *tsk, struct fown_struct *fown, int sig)`: what happens on a
/// descriptor sends a signal to whom F_SETOWN named, and F_SETSIG says which. Whoever runs at that moment may have
/// nothing to do with it, so nobody is blamed; the daemon wants none of these from anybody.
///
/// KERNEL: `send_sigio` (fs/fcntl.c, 6.1) does not ask `task_kill`.
#[inline(always)]
pub fn signal_of_descriptor(ctx: &LsmContext) -> i32 {
    if is_daemon(ctx.arg(0)) { -EPERM } else { 0 }
}

/// Whether the task is the daemon's, or its child that asks programs and webhooks for it.
#[inline(always)]
fn is_daemon(task: *const Task) -> bool {
    let tgid: u32 = typed(task, &fields::OFF_TASK_TGID);
    let parent: *const Task = typed(task, &fields::OFF_TASK_PARENT);
    let of_parent: u32 = typed(parent, &fields::OFF_TASK_TGID);
    let daemon = told(daemon::PID);
    if daemon == 0 {
        return false;
    }
    let is_child = daemon == u64::from(of_parent) && label::of(task).is_none();
    daemon == u64::from(tgid) || is_child
}

/// `int capable(const struct cred *cred, struct user_namespace *ns, int cap, unsigned int opts)`
///
/// KERNEL: numbers in include/uapi/linux/capability.h.
#[inline(always)]
pub fn capable(ctx: &LsmContext) -> i32 {
    let capability: u32 = ctx.arg(2);
    let feature: &Feature = match capability {
        12 => &feature::NET_ADMIN,
        16 => &feature::SYS_MODULE,
        17 => &feature::SYS_RAWIO,
        19 => &feature::SYS_PTRACE,
        21 => &feature::SYS_ADMIN,
        22 => &feature::SYS_BOOT,
        25 => &feature::SYS_TIME,
        30 => &feature::AUDIT_CONTROL,
        32 => &feature::MAC_OVERRIDE,
        33 => &feature::MAC_ADMIN,
        34 => &feature::SYSLOG,
        // KERNEL: reads what ptrace_access_check denied (kernel/fork.c, `may_access_mm`, 6.18).
        38 => &feature::PERFMON,
        39 => &feature::BPF,
        40 => &feature::CHECKPOINT,
        _ => return 0,
    };
    let Some(label) = label::of(label::current()) else { return 0 };
    let options: u32 = ctx.arg(3);
    let is_quiet = u32::from(options & CAP_OPT_NOAUDIT != 0);
    if judged(label, feature.number.into(), is_quiet) == 0 { 0 } else { -EPERM }
}

/// `int userns_create(const struct cred *cred)`
#[inline(always)]
pub fn user_namespace(_ctx: &LsmContext) -> i32 {
    of_current(&feature::USER_NAMESPACE)
}

/// `int path_chroot(const struct path *path)`
#[inline(always)]
pub fn chroot(_ctx: &LsmContext) -> i32 {
    of_current(&feature::CHROOT)
}

/// `int perf_event_open(...)`, whose arguments differ between kernels.
#[inline(always)]
pub fn perf(_ctx: &LsmContext) -> i32 {
    of_current(&feature::PERF_EVENT)
}

/// `int key_permission(key_ref_t key_ref, const struct cred *cred, enum key_need_perm need_perm)`
#[inline(always)]
pub fn key(_ctx: &LsmContext) -> i32 {
    of_current(&feature::KEYRING)
}

#[inline(always)]
fn of_current(feature: &Feature) -> i32 {
    match label::of(label::current()) {
        Some(label) => used(label, feature),
        None => 0,
    }
}
