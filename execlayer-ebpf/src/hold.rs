//! Holding: what becomes of a call that the policy says to ask about. Owns questions, answers and the
//! order in which a task is stopped; must not judge and must not know who answers.
//!
//! The order: the question is in the map, then the signal, then its result is looked at, then the record,
//! which the caller writes.
//! A record before the signal could be answered before the task stops, and the task would stop for ever.

use aya_ebpf::helpers::generated::{
    bpf_ktime_get_boot_ns, bpf_send_signal_thread, bpf_task_pt_regs,
};
use execlayer_common::{
    event, limits,
    question::{Calls, Hook, Key, Question, STATE_ALLOW, STATE_DENY, STATE_OPEN},
    reason::Reason,
    verdict::raw,
};

use crate::{
    atomic, hash,
    kernel::{PF_CANNOT_HOLD, Regs, SIGSTOP, TS_COMPAT, Task, fields},
    kread::typed,
    label,
    maps::{CALLS, HEARTBEAT, QUESTIONS},
    scratch::Scratch,
};

/// What becomes of a call that is asked about: it goes on, it is held, or it is denied with a reason that
/// stands in the record.
#[derive(Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Fate(u32);

impl Fate {
    pub const PASS: Self = Self(0x5a);
    pub const HELD: Self = Self(0x33);
    pub const DENIED: Self = Self(0xa5);
}

/// Answers a call that is asked about.
#[inline(always)]
pub fn ask(scratch: *mut Scratch, hook: Hook) -> Fate {
    Fate(hold_call(scratch, hook as u32))
}

/// Whether the call that is held has just been asked about, and not before.
#[inline(always)]
pub fn is_new(scratch: *mut Scratch) -> bool {
    // SAFETY: this task owns the buffer.
    unsafe { (*scratch).event.question != 0 }
}

/// VERIFIER: a global function, looked at once (see [`crate::judge`]).
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn hold_call(scratch: *mut Scratch, hook: u32) -> u32 {
    if scratch.is_null() {
        return Fate::DENIED.0;
    }
    let alive = HEARTBEAT.get(0).copied().unwrap_or_default();
    if alive == 0 {
        return refuse(scratch, Reason::AskNotHeld).0;
    }
    let task = label::current();
    let Some(call) = call_of(task, hook) else { return refuse(scratch, Reason::CannotHold).0 };
    // SAFETY: a helper without arguments.
    let now = unsafe { bpf_ktime_get_boot_ns() };
    // SAFETY: a table whose elements are freed after a grace period; only this task writes its own.
    let calls = unsafe { CALLS.get(task as u64) }.copied();
    let calls = calls.unwrap_or(Calls { stretch: 0, held: 0, waits: 0 });
    let subject = hash::subject(scratch);
    // SAFETY: plain fields of the buffer that this task owns.
    let (operation, access) =
        unsafe { (u32::from((*scratch).event.operation), (*scratch).event.access) };
    let key = Key {
        tid: typed(task, &fields::OFF_TASK_PID),
        operation,
        access,
        reserved: 0,
        start: typed(task, &fields::OFF_TASK_START),
        subject,
    };
    Asked {
        key,
        hook,
        now,
        call,
        calls,
        is_alone: now.wrapping_sub(alive) > limits::HEARTBEAT_STALE,
    }
    .fate(scratch)
    .0
}

/// A call that is asked about.
struct Asked {
    key: Key,
    hook: u32,
    /// ns since boot.
    now: u64,
    /// See [`Question::call`].
    call: u64,
    calls: Calls,
    /// Nobody takes new questions.
    is_alone: bool,
}

#[allow(
    clippy::needless_borrows_for_generic_args,
    reason = "by value, each look-up would lay another copy of the key on a stack of 512 bytes"
)]
impl Asked {
    #[inline(always)]
    fn fate(&self, scratch: *mut Scratch) -> Fate {
        let question = QUESTIONS.get_ptr_mut(&self.key);
        if let Some(question) = question {
            // SAFETY: a live map value; a torn read is an answer that is not there yet.
            let (state, expires) = unsafe { ((*question).state, (*question).expires) };
            if state == STATE_OPEN {
                return self.again(scratch, question);
            }
            // SAFETY: as above.
            if self.now < expires && unsafe { self.uses(question) } {
                return match state {
                    STATE_ALLOW => Fate::PASS,
                    STATE_DENY => refuse(scratch, Reason::Answered),
                    _ => refuse(scratch, Reason::ReadFault),
                };
            }
            // Spent, or too old: it is asked anew.
            let _was_there = QUESTIONS.remove(&self.key);
        }
        if self.is_alone {
            return refuse(scratch, Reason::NoDecider);
        }
        self.anew(scratch)
    }

    /// Whether the answer can be used here; then it was.
    ///
    /// # Safety
    ///
    /// `question` is a live map value of this task.
    #[inline(always)]
    unsafe fn uses(&self, question: *mut Question) -> bool {
        let here = self.calls.stretch.wrapping_add(1);
        // SAFETY: the caller's promise; only this task writes these.
        unsafe {
            if (*question).call != self.call {
                return false;
            }
            let used_in = (*question).used_in;
            if used_in == here {
                if (*question).used_by & self.hook != 0 {
                    return false;
                }
                (*question).used_by |= self.hook;
                return true;
            }
            if used_in == 0 {
                self.newest_is_used();
            } else if used_in.wrapping_add(1) != here
                || self.calls.held != self.call
                || self.calls.waits == 0
            {
                return false;
            }
            (*question).used_in = here;
            (*question).used_by = self.hook;
        }
        true
    }

    /// From here on nothing of the stretch before is used again.
    #[inline(always)]
    fn newest_is_used(&self) {
        if let Some(calls) = CALLS.get_ptr_mut(label::current() as u64) {
            // SAFETY: a live map value; only this task writes its own.
            unsafe { (*calls).waits = 0 };
        }
    }

    /// Somebody woke the task before there was an answer.
    #[inline(always)]
    fn again(&self, scratch: *mut Scratch, question: *mut Question) -> Fate {
        // SAFETY: a live map value; only this task writes this.
        let wakes = unsafe {
            (*question).wakes = (*question).wakes.wrapping_add(1);
            (*question).wakes
        };
        if wakes > limits::MAX_WAKES {
            let _was_there = QUESTIONS.remove(&self.key);
            return refuse(scratch, Reason::Woken);
        }
        self.stop(scratch)
    }

    /// A new question.
    #[inline(always)]
    fn anew(&self, scratch: *mut Scratch) -> Fate {
        let Some(count) = HEARTBEAT.get_ptr_mut(1) else {
            return refuse(scratch, Reason::ReadFault);
        };
        // SAFETY: a live, aligned map value.
        let id = unsafe { atomic::add(count, 1) }.wrapping_add(1);
        let question = Question {
            state: STATE_OPEN,
            wakes: 0,
            id,
            expires: 0,
            call: self.call,
            used_in: 0,
            used_by: 0,
            tgid: typed(label::current(), &fields::OFF_TASK_TGID),
        };
        // A question about creating comes first in its call, and its error is dropped if the file is there:
        // the call goes on before it is answered, and must not find anything.
        let held = if self.hook == Hook::PathMknod as u32 { 0 } else { self.call };
        let calls = Calls { stretch: self.calls.stretch.wrapping_add(1), held, waits: 1 };
        if QUESTIONS.insert(self.key, question, BPF_NOEXIST).is_err() {
            return refuse(scratch, Reason::QuestionsFull);
        }
        if CALLS.insert(label::current() as u64, calls, 0).is_err() {
            let _was_there = QUESTIONS.remove(&self.key);
            return refuse(scratch, Reason::QuestionsFull);
        }
        let held = self.stop(scratch);
        if held == Fate::HELD {
            // SAFETY: this task owns the buffer.
            unsafe {
                let header = &mut (*scratch).event;
                header.kind = event::KIND_QUESTION;
                header.question = id;
                header.thread_start = self.key.start;
                header.hash = self.key.subject;
                header.reason = Reason::None as u8;
            }
        }
        held
    }

    /// Stops the task on its way out of the kernel, from where the call is restarted.
    #[inline(always)]
    fn stop(&self, scratch: *mut Scratch) -> Fate {
        // SAFETY: a helper with a number.
        if unsafe { bpf_send_signal_thread(SIGSTOP) } != 0 {
            let _was_there = QUESTIONS.remove(&self.key);
            return refuse(scratch, Reason::CannotHold);
        }
        Fate::HELD
    }
}

/// KERNEL: include/uapi/linux/bpf.h.
const BPF_NOEXIST: u64 = 1;

/// Denies, and says why in the record.
#[inline(always)]
fn refuse(scratch: *mut Scratch, reason: Reason) -> Fate {
    // SAFETY: this task owns the buffer.
    unsafe {
        (*scratch).event.verdict = raw::DENY;
        (*scratch).event.reason = reason as u8;
    }
    Fate::DENIED
}

/// Which call a task makes, if it is one that can be held: a hash of its number, arguments and place.
///
/// KERNEL: only a user thread in a system call is restarted on its way out
/// (arch/x86/kernel/signal.c, `arch_do_signal_or_restart`, 6.1); kernel threads and io_uring's workers
/// never return, init cannot be stopped (kernel/signal.c, `sig_task_ignored`), and a tracer would see
/// the stop first.
#[inline(always)]
fn call_of(task: *const Task, hook: u32) -> Option<u64> {
    let flags: u32 = typed(task, &fields::OFF_TASK_FLAGS);
    let status: u32 = typed(task, &fields::OFF_TASK_STATUS);
    let traced: u32 = typed(task, &fields::OFF_TASK_PTRACE);
    let tgid: u32 = typed(task, &fields::OFF_TASK_TGID);
    if flags & PF_CANNOT_HOLD != 0 || status & TS_COMPAT != 0 || traced != 0 || tgid == 1 {
        return None;
    }
    // SAFETY: VERIFIER: the running task.
    let regs: *const Regs = unsafe { bpf_task_pt_regs(task.cast_mut().cast()) } as *const Regs;
    let number: u64 = typed(regs, &fields::OFF_REGS_NUMBER);
    if !is_held_at(number, hook) {
        return None;
    }
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
    Some(call)
}

/// The table of what can be held: system calls by the hook that they meet.
///
/// KERNEL: arch/x86/entry/syscalls/syscall_64.tbl. Calls of the 32-bit table are not held at all; those of
/// x32 have bit 30.
#[inline(always)]
fn is_held_at(number: u64, hook: u32) -> bool {
    const EXECVE: u64 = 59;
    const EXECVEAT: u64 = 322;
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
    let opens = matches!(number, OPEN | CREAT | OPENAT | OPENAT2 | OPEN_BY_HANDLE_AT);
    let executes = matches!(number, EXECVE | EXECVEAT);
    match hook {
        h if h == Hook::BprmCheck as u32 => executes,
        h if h == Hook::FileOpen as u32 => opens || executes,
        h if h == Hook::PathMknod as u32 => opens || matches!(number, MKNOD | MKNODAT | BIND),
        h if h == Hook::SocketConnect as u32 => number == CONNECT,
        h if h == Hook::UnixConnect as u32 => number == CONNECT,
        h if h == Hook::UnixSend as u32 => matches!(number, CONNECT | SENDTO | SENDMSG | SENDMMSG),
        _ => false,
    }
}
