//! Holding: what becomes of a call that the policy says to ask about. Owns questions, answers and the
//! order in which a task is stopped; must not judge and must not know who answers.
//!
//! The order: the question is in the map, then the signal, then its result is looked at, then the record,
//! which the caller writes.
//! A record before the signal could be answered before the task stops, and the task would stop for ever.

pub mod call;
pub mod calls;
mod grants;
mod machine;
mod measure;

use aya_ebpf::helpers::generated::{bpf_ktime_get_boot_ns, bpf_send_signal_thread};
use execlayer_common::{
    access::{Access, Operation},
    event, limits,
    question::{
        Calls, Hook, Key, Question, STATE_ALLOW, STATE_DENY, STATE_MEASURE, STATE_OPEN, daemon,
    },
    reason::Reason,
    verdict::raw,
};

pub use self::measure::{is_measurable, run as measure};
use crate::{
    atomic, emit, hash,
    kernel::{SIGCONT, SIGSTOP, fields},
    kread::typed,
    label,
    maps::{DAEMON, QUESTIONS},
    scratch::{self, Scratch},
};

/// What becomes of a call that is asked about: it goes on, it is held, or it is denied with a reason that
/// stands in the record.
#[derive(Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Fate(u32);

impl Fate {
    pub const PASS: Self = Self(0x5a);
    /// It goes on by an answer that is remembered.
    pub const GRANTED: Self = Self(0x69);
    pub const HELD: Self = Self(0x33);
    pub const DENIED: Self = Self(0xa5);
}

/// Answers a call that is asked about.
#[inline(always)]
pub fn ask(scratch: *mut Scratch, hook: u32) -> Fate {
    if told(daemon::BEAT) == 0 {
        return refuse(scratch, Reason::AskNotHeld);
    }
    let is_interpreter = is_opened_program(scratch, hook);
    // SAFETY: this task owns the buffer.
    unsafe {
        (*scratch).place = is_interpreter.into();
        if is_interpreter {
            (*scratch).event.flags |= event::EVENT_INTERPRETER;
        }
    }
    // VERIFIER: one call behind another, and not each from within: stacks of 512 bytes add up.
    hash::both(scratch);
    match grants::look(scratch) {
        grants::Said::YES => granted(scratch),
        grants::Said::NO => refuse(scratch, Reason::Answered),
        _ => Fate(hold_call(scratch, hook)),
    }
}

/// Whether the daemon has something new to learn of the call that is held.
#[inline(always)]
pub fn is_new(scratch: *mut Scratch) -> bool {
    // SAFETY: this task owns the buffer.
    unsafe { (*scratch).event.question != 0 }
}

/// A word of [`daemon`].
#[inline(always)]
pub fn told(index: u32) -> u64 {
    DAEMON.get(index).copied().unwrap_or_default()
}

/// VERIFIER: a global function, looked at once (see [`crate::judge`]).
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn hold_call(scratch: *mut Scratch, hook: u32) -> u32 {
    if scratch.is_null() {
        return Fate::DENIED.0;
    }
    // SAFETY: a helper without arguments.
    let now = unsafe { bpf_ktime_get_boot_ns() };
    let alive = told(daemon::BEAT);
    let is_alone = now.wrapping_sub(alive) > limits::HEARTBEAT_STALE;
    let task = label::current();
    let Some(call) = call::call_of(task, hook) else { return cannot(scratch, is_alone).0 };
    let Some(calls) = calls::own(task) else { return refuse(scratch, Reason::QuestionsFull).0 };
    Asked { key: key_of(scratch), hook, now, call, calls, is_alone }.fate(scratch).0
}

#[inline(always)]
fn key_of(scratch: *mut Scratch) -> Key {
    let task = label::current();
    // SAFETY: plain fields of the buffer that this task owns.
    unsafe {
        Key {
            tid: typed(task, &fields::OFF_TASK_PID),
            operation: u32::from((*scratch).event.operation),
            access: (*scratch).event.access,
            reserved: (*scratch).place,
            start: typed(task, &fields::OFF_TASK_START),
            subject: (*scratch).hash,
        }
    }
}

/// A call that is asked about.
struct Asked {
    key: Key,
    hook: u32,
    /// ns since boot.
    now: u64,
    /// See [`Question::call`].
    call: u64,
    calls: *mut Calls,
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
            if state == STATE_MEASURE && self.hook == Hook::BprmCheck as u32 {
                return self.measured(scratch, question);
            }
            // SAFETY: as above.
            if self.now < expires && unsafe { self.uses(question) } {
                return match state {
                    // SAFETY: as above.
                    STATE_ALLOW if unsafe { measure::has_changed(self.calls, (*question).id) } => {
                        refuse(scratch, Reason::FileChanged)
                    }
                    STATE_ALLOW => Fate::PASS,
                    STATE_DENY => {
                        // SAFETY: as above; this task owns the buffer.
                        unsafe { (*scratch).event.question = (*question).id };
                        refuse(scratch, Reason::Answered)
                    }
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
        // SAFETY: the caller's promise; only this task writes these.
        unsafe {
            let here = (*self.calls).stretch.wrapping_add(1);
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
                // From here on nothing of the stretch before is used again.
                (*self.calls).waits = 0;
            } else if !self.meets_several()
                || used_in.wrapping_add(1) != here
                || (*self.calls).held != self.call
                || (*self.calls).waits == 0
            {
                return false;
            }
            (*question).used_in = here;
            (*question).used_by = self.hook;
        }
        true
    }

    /// Whether such a call is asked about more than once: for each program of an exec, for both names.
    #[inline(always)]
    fn meets_several(&self) -> bool {
        let names = Hook::OldName as u32 | Hook::NewName as u32;
        self.key.operation == Operation::Exec as u32 || self.hook & names != 0
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
        let Some(id) = number(scratch) else { return refuse(scratch, Reason::QuestionsFull) };
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
        if QUESTIONS.insert(self.key, question, BPF_NOEXIST).is_err() {
            return refuse(scratch, Reason::QuestionsFull);
        }
        let is_made = self.hook == Hook::PathMknod as u32;
        // SAFETY: a live map value; only this task writes its own.
        unsafe {
            let calls = self.calls;
            (*calls).stretch = (*calls).stretch.wrapping_add(1);
            (*calls).waits = 1;
            // A question about creating comes first in its call, and its error is dropped if the file is
            // there: the call goes on before it is answered, and must not find anything.
            (*calls).held = if is_made { 0 } else { self.call };
            (*calls).made = if is_made { self.key.subject } else { [0; 2] };
        }
        let held = self.stop(scratch);
        if held == Fate::HELD {
            record_question(scratch, id, self.key.start);
        }
        held
    }

    /// The file was measured, as the daemon wanted: it is told, and the call is held again.
    #[inline(always)]
    fn measured(&self, scratch: *mut Scratch, question: *mut Question) -> Fate {
        // SAFETY: live map values; only this task writes these now that the question is not open.
        let id = unsafe {
            (*question).state = STATE_OPEN;
            (*question).id
        };
        // SAFETY: as above.
        let is_fresh = unsafe { measure::keep(self.calls, id) };
        // SAFETY: as above.
        unsafe { (*self.calls).stretch = (*self.calls).stretch.wrapping_add(1) };
        let held = self.stop(scratch);
        if held == Fate::HELD {
            // SAFETY: as above; this task owns the buffer.
            unsafe {
                let header = &mut (*scratch).event;
                let [a, b, c, d] = (*self.calls).digest;
                header.kind = event::KIND_MEASURED;
                header.question = id;
                header.thread_start = self.key.start;
                header.hash = [a, b];
                header.grant = [c, d];
                header.reason = if is_fresh { Reason::None } else { Reason::ReadFault } as u8;
            }
        }
        held
    }

    #[inline(always)]
    fn is_open(&self) -> bool {
        // SAFETY: memory of this type, whoever's it is by now: at worst the task asks again.
        unsafe { QUESTIONS.get(&self.key) }.is_some_and(|question| question.state == STATE_OPEN)
    }

    /// Stops the task on its way out of the kernel, from where the call is restarted.
    #[inline(always)]
    fn stop(&self, scratch: *mut Scratch) -> Fate {
        // SAFETY: a helper with a number.
        if unsafe { bpf_send_signal_thread(SIGSTOP) } != 0 {
            let _was_there = QUESTIONS.remove(&self.key);
            return refuse(scratch, Reason::CannotHold);
        }
        // SAFETY: a live map value; only this task writes its own.
        unsafe { (*self.calls).elf = 0 };
        // Answered or taken back since it was looked at: whoever did that woke the task before it had this
        // signal, and will not do so again.
        if !self.is_open() {
            // SAFETY: as above. It takes the other one back, and the call is restarted all the same.
            let _cannot_fail_now = unsafe { bpf_send_signal_thread(SIGCONT) };
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

/// The number of a new question, if the profile has room for one.
#[inline(always)]
fn number(scratch: *mut Scratch) -> Option<u64> {
    // SAFETY: a plain field of the buffer that this task owns.
    let profile = unsafe { (*scratch).event.profile };
    if told(daemon::FULL.wrapping_add(profile)) != 0 {
        return None;
    }
    let count = DAEMON.get_ptr_mut(daemon::COUNT)?;
    // SAFETY: a live, aligned map value that nobody else writes.
    Some(unsafe { atomic::add(count, 1) }.wrapping_add(1))
}

/// Makes a question of the record in scratch.
#[inline(always)]
fn record_question(scratch: *mut Scratch, id: u64, thread_start: u64) {
    // SAFETY: this task owns the buffer.
    unsafe {
        let header = &mut (*scratch).event;
        header.kind = event::KIND_QUESTION;
        header.question = id;
        header.thread_start = thread_start;
        header.hash = (*scratch).hash;
        header.grant = (*scratch).grant;
        header.reason = Reason::None as u8;
    }
}

/// A call that cannot be held fails; the question goes out all the same, so that the next one can pass.
#[inline(always)]
fn cannot(scratch: *mut Scratch, is_alone: bool) -> Fate {
    if is_alone {
        return refuse(scratch, Reason::NoDecider);
    }
    let Some(id) = number(scratch) else { return refuse(scratch, Reason::QuestionsFull) };
    record_question(scratch, id, 0);
    refuse(scratch, Reason::CannotHold)
}

/// Lets pass, and says why in the record.
#[inline(always)]
fn granted(scratch: *mut Scratch) -> Fate {
    // SAFETY: this task owns the buffer.
    unsafe {
        (*scratch).event.verdict = raw::ALLOW;
        (*scratch).event.reason = Reason::Granted as u8;
    }
    Fate::GRANTED
}

#[inline(always)]
fn is_opened_program(scratch: *const Scratch, hook: u32) -> bool {
    // SAFETY: a plain field of the buffer that this task owns.
    let operation = unsafe { (*scratch).event.operation };
    operation == Operation::Exec as u8 && hook == Hook::FileOpen as u32
}

/// Whether what is opened to be executed is checked once more before it is, where it can be asked about
/// and measured: everything but an ELF interpreter.
#[inline(always)]
pub fn is_checked_later(operation: u8, hook: u32) -> bool {
    if operation != Operation::Exec as u8 || hook != Hook::FileOpen as u32 {
        return false;
    }
    let task = label::current();
    let exec = call::exec_of(task);
    exec != 0 && !calls::is_elf(task, exec)
}

/// A file that was to be made turned out to be there: if it was asked about, the daemon is told that it need
/// not be answered.
#[inline(always)]
pub fn cancel_made() {
    let task = label::current();
    let Some(id) = calls::cancel_made(task, Operation::File as u32, Access::CREATE.0) else {
        return;
    };
    let Some(scratch) = scratch::acquire() else { return };
    // SAFETY: this task owns the buffer.
    unsafe {
        (*scratch).len = 0;
        let header = &mut (*scratch).event;
        header.kind = event::KIND_CANCELLED;
        header.question = id;
        header.profile = 0;
        header.generation = 0;
        header.rule = event::NO_RULE;
        header.operation = Operation::File as u8;
        header.access = Access::CREATE.0;
        header.verdict = raw::ASK;
        header.reason = Reason::None as u8;
        header.flags = 0;
    }
    emit::record(scratch);
    scratch::release(scratch);
}
