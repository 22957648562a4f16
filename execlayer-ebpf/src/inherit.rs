//! Descriptors that a task's next program would be started with. Must not know what they are open on.

use core::ffi::c_void;

use crate::{
    kernel::{Task, fields},
    kread::{load, offset, read, typed},
    world::repeat,
};

/// Words of a table of descriptors, 64 of them in each, that are looked at: with more, one is kept.
const WORDS: u32 = 1024;
/// Standard input, output and error.
const STANDARD: u64 = 7;

#[repr(C)]
struct Search {
    open: u64,
    closed_on_exec: u64,
    words: u64,
    found: u32,
}

/// KERNEL: bits of descriptors, `max_fds` of them, which is a multiple of 64 (fs/file.c, `alloc_fdtable`, 6.1).
/// Whoever changes the table meanwhile shares it, and could use what is in it as well.
extern "C" fn look(index: u64, search: *mut Search) -> i64 {
    // SAFETY: `bpf_loop` passes the context that `any` owns.
    let search = unsafe { &mut *search };
    if index >= search.words {
        return 1;
    }
    let word = |table: u64| read::<u64>(table.wrapping_add(index.wrapping_mul(8)));
    let (Some(open), Some(closed)) = (word(search.open), word(search.closed_on_exec)) else {
        search.found = 1;
        return 1;
    };
    let standard = if index == 0 { STANDARD } else { 0 };
    if open & !closed & !standard != 0 {
        search.found = 1;
        return 1;
    }
    0
}

/// Whether there is one beyond the first three.
#[inline(always)]
pub fn any(task: *const Task) -> bool {
    let files: u64 = typed(task, &fields::OFF_TASK_FILES);
    let table = load(files, &fields::OFF_FILES_TABLE);
    let max: u32 = read(table.wrapping_add(offset(&fields::OFF_TABLE_MAX))).unwrap_or(u32::MAX);
    let words = u64::from(max) / 64;
    let mut search = Search {
        open: load(table, &fields::OFF_TABLE_OPEN),
        closed_on_exec: load(table, &fields::OFF_TABLE_CLOEXEC),
        words,
        found: u32::from(words > u64::from(WORDS)),
    };
    if search.found == 0 {
        repeat(WORDS, look as *const () as *mut c_void, (&raw mut search).cast());
    }
    search.found != 0
}
