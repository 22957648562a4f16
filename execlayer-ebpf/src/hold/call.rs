//! Which call a task makes, and whether it is one that can be held. Must not know of questions.

use aya_ebpf::helpers::generated::bpf_task_pt_regs;
use execlayer_common::question::Hook;

use crate::{
    kernel::{PF_CANNOT_HOLD, Regs, TS_COMPAT, Task, fields},
    kread::typed,
    label,
};

/// Which call a task makes, if it is one that can be held: a hash of its number, arguments and place.
///
/// KERNEL: only a user thread in a system call is restarted on its way out
/// (arch/x86/kernel/signal.c, `arch_do_signal_or_restart`, 6.1); kernel threads and io_uring's workers
/// never return, init cannot be stopped (kernel/signal.c, `sig_task_ignored`), and a tracer would see
/// the stop first.
#[inline(always)]
pub fn call_of(task: *const Task, hook: u32) -> Option<u64> {
    let flags: u32 = typed(task, &fields::OFF_TASK_FLAGS);
    let status: u32 = typed(task, &fields::OFF_TASK_STATUS);
    let traced: u32 = typed(task, &fields::OFF_TASK_PTRACE);
    let tgid: u32 = typed(task, &fields::OFF_TASK_TGID);
    // The daemon knows whom it lets go on by the label of the group's leader.
    let leader: *const Task = typed(task, &fields::OFF_TASK_LEADER);
    if !label::is_kept(leader) {
        return None;
    }
    if flags & PF_CANNOT_HOLD != 0 || status & TS_COMPAT != 0 || traced != 0 || tgid == 1 {
        return None;
    }
    let regs = registers(task);
    let number: u64 = typed(regs, &fields::OFF_REGS_NUMBER);
    if is_held_at(number, hook) { Some(mark_of(regs, number)) } else { None }
}

/// The mark of the exec that a task makes; 0 if it makes none in the 64-bit table.
#[inline(always)]
pub fn exec_of(task: *const Task) -> u64 {
    let status: u32 = typed(task, &fields::OFF_TASK_STATUS);
    let regs = registers(task);
    let number: u64 = typed(regs, &fields::OFF_REGS_NUMBER);
    if status & TS_COMPAT != 0 || !matches!(number, EXECVE | EXECVEAT) {
        return 0;
    }
    // KERNEL: AT_EXECVE_CHECK opens the file and goes no further (fs/exec.c, `bprm_execve`, 6.14).
    let flags: u64 = typed(regs, &fields::OFF_REGS_E);
    if number == EXECVEAT && flags & AT_EXECVE_CHECK != 0 {
        return 0;
    }
    mark_of(regs, number)
}

#[inline(always)]
fn registers(task: *const Task) -> *const Regs {
    // SAFETY: VERIFIER: the running task.
    unsafe { bpf_task_pt_regs(task.cast_mut().cast()) as *const Regs }
}

/// A hash of a call's number, arguments and place.
#[inline(always)]
fn mark_of(regs: *const Regs, number: u64) -> u64 {
    let facts: [u64; 7] = [
        typed(regs, &fields::OFF_REGS_IP),
        typed(regs, &fields::OFF_REGS_SP),
        typed(regs, &fields::OFF_REGS_A),
        typed(regs, &fields::OFF_REGS_B),
        typed(regs, &fields::OFF_REGS_C),
        typed(regs, &fields::OFF_REGS_D),
        typed(regs, &fields::OFF_REGS_E),
    ];
    let mut call = number;
    for fact in facts {
        call = (call ^ fact).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    }
    call
}

/// unlink, unlinkat, rmdir; mkdir, mkdirat; symlink, symlinkat; chmod, fchmod, fchmodat, fchmodat2; chown,
/// fchown, lchown, fchownat; truncate, ftruncate.
#[inline(always)]
fn changes_a_name(number: u64) -> bool {
    let makes = matches!(number, 87 | 263 | 84 | 83 | 258 | 88 | 266);
    makes || matches!(number, 90 | 91 | 268 | 452 | 92 | 93 | 94 | 260 | 76 | 77)
}

/// Whether a task executes a file just now, by either table of system calls: what the kernel maps then was
/// judged when it was opened.
#[inline(always)]
pub fn is_executing(task: *const Task) -> bool {
    let status: u32 = typed(task, &fields::OFF_TASK_STATUS);
    let number = number_of(task);
    if status & TS_COMPAT != 0 {
        // KERNEL: arch/x86/entry/syscalls/syscall_32.tbl.
        return matches!(number, 11 | 358);
    }
    // KERNEL: x32's own numbers (syscall_64.tbl) have bit 30.
    matches!(number, EXECVE | EXECVEAT | 0x4000_0208 | 0x4000_0221)
}

/// The number of the system call that a task is in.
#[inline(always)]
pub fn number_of(task: *const Task) -> u64 {
    typed(registers(task), &fields::OFF_REGS_NUMBER)
}

const EXECVE: u64 = 59;
const EXECVEAT: u64 = 322;
/// KERNEL: include/uapi/linux/fcntl.h (6.14).
const AT_EXECVE_CHECK: u64 = 0x10000;

/// The table of what can be held: system calls by the hook that they meet.
///
/// KERNEL: arch/x86/entry/syscalls/syscall_64.tbl. Calls of the 32-bit table are not held at all; those of
/// x32 have bit 30.
#[inline(always)]
fn is_held_at(number: u64, hook: u32) -> bool {
    const OPEN: u64 = 2;
    const CREAT: u64 = 85;
    const OPENAT: u64 = 257;
    const OPENAT2: u64 = 437;
    const OPEN_BY_HANDLE_AT: u64 = 304;
    const MKNOD: u64 = 133;
    const MKNODAT: u64 = 259;
    const BIND: u64 = 49;
    const CONNECT: u64 = 42;
    const SENDTO: u64 = 44;
    const SENDMSG: u64 = 46;
    const SENDMMSG: u64 = 307;
    const LISTEN: u64 = 50;
    const ACCEPT: u64 = 43;
    const ACCEPT4: u64 = 288;
    let opens = matches!(number, OPEN | CREAT | OPENAT | OPENAT2 | OPEN_BY_HANDLE_AT);
    let executes = matches!(number, EXECVE | EXECVEAT);
    match hook {
        h if h == Hook::BprmCheck as u32 => executes,
        h if h == Hook::FileOpen as u32 => opens || executes,
        h if h == Hook::PathMknod as u32 => opens || matches!(number, MKNOD | MKNODAT | BIND),
        h if h == Hook::SocketConnect as u32 => number == CONNECT,
        h if h == Hook::UnixConnect as u32 => number == CONNECT,
        h if h == Hook::UnixSend as u32 => matches!(number, CONNECT | SENDTO | SENDMSG | SENDMMSG),
        h if h == Hook::SocketSend as u32 => matches!(number, SENDTO | SENDMSG | SENDMMSG),
        h if h == Hook::SocketBind as u32 => matches!(number, BIND | LISTEN | ACCEPT | ACCEPT4),
        // mmap, mprotect, pkey_mprotect: nothing is changed before the hook that is not changed alike again.
        h if h == Hook::MapFile as u32 => matches!(number, 9 | 10 | 329),
        h if h == Hook::PathChange as u32 => changes_a_name(number),
        h if h & (Hook::OldName as u32 | Hook::NewName as u32) != 0 => {
            // rename, renameat, renameat2, link, linkat
            matches!(number, 82 | 264 | 316 | 86 | 265)
        }
        _ => false,
    }
}
