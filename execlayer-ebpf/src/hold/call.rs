//! Which call a task makes, and whether it is one that can be held. Must not know of questions.

use aya_ebpf::helpers::generated::bpf_task_pt_regs;
use execlayer_common::question::Hook;

use crate::{
    hold::machine,
    kernel::{PF_CANNOT_HOLD, Regs, Task, fields},
    kread::typed,
    label,
};

/// Which call a task makes, if it is one that can be held: a hash of its number, arguments and place.
///
/// KERNEL: only a user thread in a system call is restarted on its way out
/// (arch/x86/kernel/signal.c, `arch_do_signal_or_restart`, 6.1; arch/arm64/kernel/signal.c, `do_signal`,
/// 6.12); kernel threads and io_uring's workers
/// never return, init cannot be stopped (kernel/signal.c, `sig_task_ignored`), and a tracer would see
/// the stop first.
#[inline(always)]
pub fn call_of(task: *const Task, hook: u32) -> Option<u64> {
    let flags: u32 = typed(task, &fields::OFF_TASK_FLAGS);
    let traced: u32 = typed(task, &fields::OFF_TASK_PTRACE);
    let tgid: u32 = typed(task, &fields::OFF_TASK_TGID);
    // The daemon knows whom it lets go on by the label of the group's leader.
    let leader: *const Task = typed(task, &fields::OFF_TASK_LEADER);
    if !label::is_seen(leader) {
        return None;
    }
    if flags & PF_CANNOT_HOLD != 0 || machine::is_in_32_bits(task) || traced != 0 || tgid == 1 {
        return None;
    }
    let regs = registers(task);
    let number: u32 = typed(regs, &fields::OFF_REGS_NUMBER);
    if is_held_at(number, hook) { Some(mark_of(regs, number)) } else { None }
}

/// The mark of the exec that a task makes; 0 if it makes none in the 64-bit table.
#[inline(always)]
pub fn exec_of(task: *const Task) -> u64 {
    let regs = registers(task);
    let number: u32 = typed(regs, &fields::OFF_REGS_NUMBER);
    if machine::is_in_32_bits(task) || !machine::executes(number) {
        return 0;
    }
    // KERNEL: AT_EXECVE_CHECK opens the file and goes no further (fs/exec.c, `bprm_execve`, 6.14).
    let flags: u64 = typed(regs, &fields::OFF_REGS_E);
    if machine::executes_at(number) && flags & AT_EXECVE_CHECK != 0 {
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
fn mark_of(regs: *const Regs, number: u32) -> u64 {
    let facts: [u64; 7] = [
        typed(regs, &fields::OFF_REGS_IP),
        typed(regs, &fields::OFF_REGS_SP),
        typed(regs, &fields::OFF_REGS_A),
        typed(regs, &fields::OFF_REGS_B),
        typed(regs, &fields::OFF_REGS_C),
        typed(regs, &fields::OFF_REGS_D),
        typed(regs, &fields::OFF_REGS_E),
    ];
    let mut call = u64::from(number);
    for fact in facts {
        call = (call ^ fact).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    }
    call
}

/// Whether a task executes a file just now, by either table of system calls: what the kernel maps then was
/// judged when it was opened.
#[inline(always)]
pub fn is_executing(task: *const Task) -> bool {
    let number = number_of(task);
    match machine::changes_mode_within() {
        true => machine::executes(number) || machine::executes_in_32_bits(number),
        false if machine::is_in_32_bits(task) => machine::executes_in_32_bits(number),
        false => machine::executes(number) || machine::executes_by_x32(number),
    }
}

/// Whether a task opens a file just now, by the 64-bit table.
#[inline(always)]
pub fn is_opening(task: *const Task) -> bool {
    !machine::is_in_32_bits(task) && machine::opens(number_of(task))
}

/// The number of the system call that a task is in.
#[inline(always)]
pub fn number_of(task: *const Task) -> u32 {
    typed(registers(task), &fields::OFF_REGS_NUMBER)
}

/// KERNEL: include/uapi/linux/fcntl.h (6.14).
const AT_EXECVE_CHECK: u64 = 0x10000;

/// The table of what can be held: system calls by the hook that they meet.
#[inline(always)]
fn is_held_at(number: u32, hook: u32) -> bool {
    let opens = machine::opens(number);
    let executes = machine::executes(number);
    match hook {
        h if h == Hook::BprmCheck as u32 => executes,
        h if h == Hook::FileOpen as u32 => opens || executes,
        h if h == Hook::PathMknod as u32 => opens || machine::makes_a_node(number),
        h if h == Hook::SocketConnect as u32 => machine::connects(number),
        h if h == Hook::UnixConnect as u32 => machine::connects(number),
        h if h == Hook::UnixSend as u32 => machine::connects(number) || machine::sends(number),
        h if h == Hook::SocketSend as u32 => machine::sends(number),
        h if h == Hook::SocketBind as u32 => machine::serves(number),
        // Nothing is changed before the hook that is not changed alike again.
        h if h == Hook::MapFile as u32 => machine::maps(number),
        h if h == Hook::PathChange as u32 => machine::changes_a_name(number),
        h if h & (Hook::OldName as u32 | Hook::NewName as u32) != 0 => {
            machine::moves_a_name(number)
        }
        _ => false,
    }
}
