//! Writes records to the ring buffer: reserves nothing, copies once, counts what finds no room.
//! Must not change a verdict.

mod caller;

use core::ffi::c_void;

use aya_ebpf::{
    bindings::BPF_RB_AVAIL_DATA,
    helpers::generated::{
        bpf_probe_read_kernel, bpf_probe_read_user, bpf_ringbuf_output, bpf_ringbuf_query,
    },
};
use execlayer_common::{
    event::{self, Counts, EventHeader},
    limits,
    question::daemon,
    reason::Reason,
    verdict::raw,
};

use crate::{
    atomic,
    kernel::{File, Mm, fields},
    kread::{opaque, typed, within},
    label,
    maps::{COUNTS, DAEMON, EVENTS},
    scratch::{IN_PATH, PATH_END, Root, Scratch, forget},
    walk,
};

/// Bytes of a working directory and of arguments in a record, as masks.
const IN_CWD: u64 = limits::MAX_EVENT_CWD as u64;
const IN_ARGV: u64 = limits::MAX_EVENT_ARGV as u64;

/// Completes the record in `scratch` with who asks, and writes it with the subject that is there. The
/// subject is gone afterwards.
#[inline(always)]
pub fn record(scratch: *mut Scratch) {
    // VERIFIER: one after the other, so that their stacks do not add up.
    let _zero = emit_caller(scratch);
    let _zero = emit_record(scratch);
}

/// VERIFIER: a global function, looked at once (see [`crate::judge`]).
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn emit_caller(scratch: *mut Scratch) -> u32 {
    if !scratch.is_null() {
        // SAFETY: this task owns the buffer.
        caller::note(unsafe { &raw mut (*scratch).event });
    }
    0
}

/// VERIFIER: as [`emit_caller`].
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn emit_record(scratch: *mut Scratch) -> u32 {
    if !scratch.is_null() {
        output(scratch);
    }
    0
}

/// Copies the subject and what else is to follow behind the header, and submits all of it.
#[inline(always)]
fn output(scratch: *mut Scratch) {
    let subject = append(scratch, 0);
    let exe = if executable(scratch).is_ok() { append(scratch, subject) } else { 0 };
    let cwd = if directory(scratch).is_ok() { append_directory(scratch, subject + exe) } else { 0 };
    let argv = append_arguments(scratch, subject + exe + cwd);
    // SAFETY: this task owns the buffer.
    let size = unsafe {
        (*scratch).event.subject_len = subject as u16;
        (*scratch).event.exe_len = exe as u16;
        (*scratch).event.cwd_len = cwd as u16;
        (*scratch).event.argv_len = argv as u16;
        size_of::<EventHeader>() as u64 + subject + exe + cwd + argv
    };
    // SAFETY: as above.
    let (profile, kind, verdict) =
        unsafe { ((*scratch).event.profile, (*scratch).event.kind, (*scratch).event.verdict) };
    let room = event::room(size);
    let size = opaque(size);
    let limit = (size_of::<EventHeader>() as u64) + 2 * PATH_END + IN_CWD + IN_ARGV;
    if size > limit {
        return;
    }
    let Some(counts) = COUNTS.get_ptr_mut(index_of(profile)) else { return };
    // A call that is held asks once; what cannot be held asks as often as it is tried.
    let is_held = kind == event::KIND_QUESTION && verdict == raw::ASK;
    let is_of_question = kind == event::KIND_CANCELLED || kind == event::KIND_MEASURED;
    let may_be_put = is_held || is_of_question || is_share(counts, profile, room);
    // SAFETY: the header and `text` lie behind one another in the buffer.
    let is_put = may_be_put
        && unsafe {
            let from = (&raw mut (*scratch).event).cast::<c_void>();
            bpf_ringbuf_output((&raw const EVENTS).cast_mut().cast(), from, size, 0) == 0
        };
    // The rest says what became of a question, and stands in no record.
    let is_event = kind == event::KIND_VERDICT || kind == event::KIND_QUESTION;
    count(counts, if is_put { room } else { 0 }, is_event);
}

/// Counts a record for which there is no room.
#[inline(always)]
pub fn lost(profile: u32) {
    if let Some(counts) = COUNTS.get_ptr_mut(index_of(profile)) {
        count(counts, 0, true);
    }
}

#[inline(always)]
fn index_of(profile: u32) -> u32 {
    if profile <= limits::MAX_PROFILES { profile } else { 0 }
}

/// Whether another record is put into the ring buffer: not into what is kept for held calls, and a profile may
/// have no more waiting there than is free. However many flood it, a share is left for the next one.
#[inline(always)]
fn is_share(counts: *const Counts, profile: u32, room: u64) -> bool {
    // SAFETY: a helper that reads the ring buffer's positions.
    let waiting = unsafe {
        bpf_ringbuf_query((&raw const EVENTS).cast_mut().cast(), u64::from(BPF_RB_AVAIL_DATA))
    };
    let free = u64::from(limits::RING_BYTES - limits::RING_RESERVE).saturating_sub(waiting);
    // SAFETY: a live, aligned map value.
    let put = unsafe { (*counts).put };
    let taken = DAEMON.get(daemon::TAKEN + index_of(profile)).copied().unwrap_or(0);
    put.saturating_sub(taken).saturating_add(room) <= free
}

/// Counts a record, and the room that it took, if it found some.
#[inline(always)]
fn count(counts: *mut Counts, room: u64, is_event: bool) {
    // SAFETY: a live, aligned map value whose words are changed here only.
    let lost = unsafe { &raw mut (*counts).lost };
    // SAFETY: as above.
    let put = unsafe { &raw mut (*counts).put };
    // SAFETY: as above.
    let events = unsafe { &raw mut (*counts).events };
    let (word, more) = if room == 0 { (lost, u64::from(is_event)) } else { (put, room) };
    // SAFETY: as above.
    let _before = unsafe { atomic::add(word, more) };
    if is_event {
        // Last: who has read it finds in the ring buffer all that it counts, but for what is lost.
        // SAFETY: as above.
        let _before = unsafe { atomic::add(events, 1) };
    }
}

/// Copies what is in `path` to `text` at `begin`; the number of bytes.
#[inline(always)]
fn append(scratch: *mut Scratch, begin: u64) -> u64 {
    // SAFETY: this task owns the buffer; offsets and length are masked to what lies inside.
    unsafe {
        let len = (*scratch).len;
        let pos = within::<IN_PATH>((*scratch).pos);
        let from = (&raw const (*scratch).path).cast::<u8>().add(pos as usize);
        let to = (&raw mut (*scratch).text).cast::<u8>().add((within::<IN_PATH>(begin)) as usize);
        let len = within::<IN_PATH>(len);
        if bpf_probe_read_kernel(to.cast(), len as u32, from.cast()) != 0 { 0 } else { len }
    }
}

/// Copies the working directory that is in `path` to `text` at `begin`; the number of bytes.
#[inline(always)]
fn append_directory(scratch: *mut Scratch, begin: u64) -> u64 {
    let begin = opaque(begin);
    // SAFETY: this task owns the buffer; what is copied lies inside by the bounds that are checked here.
    unsafe {
        let len = (*scratch).len;
        if begin > 2 * PATH_END || len > IN_CWD {
            return 0;
        }
        let pos = within::<IN_PATH>((*scratch).pos);
        let from = (&raw const (*scratch).path).cast::<u8>().add(pos as usize);
        let to = (&raw mut (*scratch).text).cast::<u8>().add(begin as usize);
        let len = within::<IN_CWD>(len);
        if bpf_probe_read_kernel(to.cast(), len as u32, from.cast()) != 0 { 0 } else { len }
    }
}

/// Copies the arguments of the current task's program to `text` at `begin`; the number of bytes. They are read where
/// the program has them, and may have written others: they are for people, and nothing is decided by them.
#[inline(always)]
fn append_arguments(scratch: *mut Scratch, begin: u64) -> u64 {
    let mm: *const Mm = typed(label::current(), &fields::OFF_TASK_MM);
    if mm.is_null() {
        return 0;
    }
    let first: u64 = typed(mm, &fields::OFF_MM_ARG_START);
    let end: u64 = typed(mm, &fields::OFF_MM_ARG_END);
    let len = end.saturating_sub(first);
    let len = within::<IN_ARGV>(opaque(if len > IN_ARGV { IN_ARGV } else { len }));
    let begin = opaque(begin);
    if begin > 2 * PATH_END + IN_CWD {
        return 0;
    }
    // SAFETY: this task owns the buffer, and so many bytes are left in it; the helper checks the source, and does not
    // wait for a page that is not there.
    unsafe {
        let to = (&raw mut (*scratch).text).cast::<u8>().add(begin as usize);
        if bpf_probe_read_user(to.cast(), len as u32, first as *const c_void) != 0 {
            0
        } else {
            len
        }
    }
}

/// Writes the path of the current task's working directory into `scratch`.
#[inline(always)]
fn directory(scratch: *mut Scratch) -> Result<(), Reason> {
    let task = label::current();
    let Root { mnt, dentry } = walk::directory_of(task);
    let (mnt, dentry) = (forget(scratch, mnt), forget(scratch, dentry));
    walk::path_at(scratch, walk::root_of(task), mnt, dentry)
}

/// Writes the path of the current task's executable into `scratch`.
#[inline(always)]
fn executable(scratch: *mut Scratch) -> Result<(), Reason> {
    let task = label::current();
    let mm: *const Mm = typed(task, &fields::OFF_TASK_MM);
    if mm.is_null() {
        return Err(Reason::NoName);
    }
    let file: *const File = typed(mm, &fields::OFF_MM_EXE);
    if file.is_null() {
        return Err(Reason::NoName);
    }
    let (mnt, dentry) = walk::place_of(file);
    let (mnt, dentry) = (forget(scratch, mnt as u64), forget(scratch, dentry as u64));
    walk::path_at(scratch, walk::root_of(task), mnt, dentry)
}
