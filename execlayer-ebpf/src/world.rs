//! The decision's surroundings in the kernel: an image in a map value, the subject in scratch, loops
//! by `bpf_loop`. Must not decide anything itself.

use core::ffi::c_void;

use aya_ebpf::helpers::generated::bpf_loop;
use execlayer_common::{
    automaton::{self, Table},
    decide::{Body, World},
    limits,
};

use crate::{
    kread::{masked, read, within},
    maps,
    scratch::{self, IN_PATH, SETS, Scratch},
};

/// Bytes that one turn of the automaton's loop reads.
const CHUNK: u64 = 24;
/// Bytes that one turn reads backward: most subjects end such a walk after a few.
const BACK_CHUNK: u64 = 8;

/// Where an image's words come from, and how a subject is walked there.
pub trait Source: Copy {
    fn word(&self, index: u32) -> u32;
    /// Walks the subject in scratch from `start`; the last state.
    fn run(&self, scratch: *mut Scratch, start: u32, reverse: bool) -> u32;
}

/// A map value. `FAST` reads many bytes of the subject in each turn of its loops, which is much for the
/// verifier to look at; otherwise one.
#[derive(Clone, Copy)]
pub struct Direct<const FAST: bool> {
    /// First word of the image.
    pub table: *const u32,
    /// Words of its size class minus one.
    pub mask: u64,
}

/// The same by its address, for whatever class: each word is read with a helper.
#[derive(Clone, Copy)]
pub struct Remote {
    pub table: u64,
    pub mask: u64,
}

/// One subject before one image.
#[repr(C)]
pub struct Kernel<S> {
    pub source: S,
    /// Holds the subject, and what is known of the caller.
    pub scratch: *mut Scratch,
}

impl<S> Kernel<S> {
    #[inline(always)]
    fn place_of(&self, number: u32) -> *mut u32 {
        // SAFETY: the mask keeps the index inside the array.
        unsafe {
            let kept = (&raw mut (*self.scratch).kept).cast::<u32>();
            kept.add(within::<{ SETS as u64 - 1 }>(u64::from(number)) as usize)
        }
    }
}

impl<S: Source> Table for Kernel<S> {
    #[inline(always)]
    fn word(&self, index: u32) -> u32 {
        self.source.word(index)
    }
}

impl<const FAST: bool> Source for Direct<FAST> {
    #[inline(always)]
    fn word(&self, index: u32) -> u32 {
        word(self.table, self.mask, index)
    }

    #[inline(always)]
    fn run(&self, scratch: *mut Scratch, start: u32, reverse: bool) -> u32 {
        let mut walk = Walk { table: self.table, mask: self.mask, scratch, state: start };
        if walk.subject().1 == 0 {
            return start;
        }
        let (step, chunk) = match (FAST, reverse) {
            (true, true) => (backward as *const () as *mut c_void, BACK_CHUNK as u32),
            (true, false) => (forward as *const () as *mut c_void, CHUNK as u32),
            (false, true) => (one::<true> as *const () as *mut c_void, 1),
            (false, false) => (one::<false> as *const () as *mut c_void, 1),
        };
        let turns = limits::MAX_PATH / chunk + 1;
        repeat(turns, step, (&raw mut walk).cast());
        scratch::forget(scratch, u64::from(walk.state)) as u32
    }
}

impl Source for Remote {
    #[inline(always)]
    fn word(&self, index: u32) -> u32 {
        let at = (u64::from(index) & self.mask).wrapping_mul(4);
        // A word that cannot be read denies: it belongs to no state and to no rule.
        read(self.table.wrapping_add(at)).unwrap_or(automaton::FREE)
    }

    #[inline(always)]
    fn run(&self, scratch: *mut Scratch, start: u32, reverse: bool) -> u32 {
        // VERIFIER: the table's address is in scratch, not on the stack, where it would be followed.
        let mut walk = Walk { table: core::ptr::null(), mask: self.mask, scratch, state: start };
        let step = if reverse {
            remote::<true> as *const () as *mut c_void
        } else {
            remote::<false> as *const () as *mut c_void
        };
        repeat(limits::MAX_PATH + 1, step, (&raw mut walk).cast());
        scratch::forget(scratch, u64::from(walk.state)) as u32
    }
}

#[inline(always)]
fn word(table: *const u32, mask: u64, index: u32) -> u32 {
    // VERIFIER: the mask is a constant on every path, so the index stays below the class's words.
    let index = masked(u64::from(index), mask);
    // SAFETY: the masked index is inside the map value, which lives as long as the program runs
    // (RCU); VERIFIER proves the same.
    unsafe { table.add(index as usize).read() }
}

/// Where the automaton is.
///
/// VERIFIER: only `state` changes from turn to turn. Positions follow from the turn's number, which
/// the verifier takes for any number; a counter kept here would be followed value by value.
#[repr(C)]
struct Walk {
    table: *const u32,
    mask: u64,
    scratch: *mut Scratch,
    state: u32,
}

impl Walk {
    /// Where the subject begins, and its bytes.
    #[inline(always)]
    fn subject(&self) -> (u64, u64) {
        // SAFETY: plain fields of the buffer that this task owns.
        unsafe { ((*self.scratch).pos, (*self.scratch).len) }
    }

    #[inline(always)]
    fn path(&self) -> *const u8 {
        // SAFETY: address of a field, nothing is read.
        unsafe { &raw const (*self.scratch).path }.cast()
    }
}

/// An image word source that is only a pointer and a mask: what the inner loop keeps in registers.
struct Cells {
    table: *const u32,
    mask: u64,
}

impl Table for Cells {
    #[inline(always)]
    fn word(&self, index: u32) -> u32 {
        word(self.table, self.mask, index)
    }
}

/// Takes steps, one for each of the numbers, until the subject or the automaton is at its end. Written
/// out: the compiler keeps loops, and their bookkeeping costs as much as a step.
macro_rules! steps {
    ($walk:ident, $cells:ident, $left:ident, $state:ident, |$index:ident| $byte:expr, $($number:literal)*) => {
        $({
            const $index: u64 = $number;
            if $left <= $index {
                $walk.state = $state;
                return 1;
            }
            $state = automaton::step(&$cells, $state, $byte);
            if automaton::is_over($state) {
                $walk.state = $state;
                return 1;
            }
        })*
    };
}

/// One byte, from the front or from behind.
extern "C" fn one<const REVERSE: bool>(turn: u64, walk: *mut Walk) -> i64 {
    // SAFETY: `bpf_loop` passes the context it was given, which `run` owns for the whole call.
    let walk = unsafe { &mut *walk };
    step_once::<REVERSE>(walk, &Cells { table: walk.table, mask: walk.mask }, turn)
}

/// [`one`] of an image by its address.
extern "C" fn remote<const REVERSE: bool>(turn: u64, walk: *mut Walk) -> i64 {
    // SAFETY: as in `one`; plain fields of the buffer that this task owns.
    let (walk, source) = unsafe {
        let scratch = (*walk).scratch;
        (&mut *walk, Remote { table: (*scratch).table, mask: (*scratch).table_mask })
    };
    step_once::<REVERSE>(walk, &Kernel { source, scratch: walk.scratch }, turn)
}

#[inline(always)]
fn step_once<const REVERSE: bool>(walk: &mut Walk, cells: &impl Table, turn: u64) -> i64 {
    let (pos, len) = walk.subject();
    if turn >= len {
        return 1;
    }
    let at = if REVERSE {
        pos.wrapping_add(len).wrapping_sub(turn).wrapping_sub(1)
    } else {
        pos.wrapping_add(turn)
    };
    // SAFETY: within the buffer by the mask.
    let byte = unsafe { walk.path().add(within::<IN_PATH>(at) as usize).read() };
    let state = scratch::forget(walk.scratch, u64::from(walk.state)) as u32;
    walk.state = automaton::step(cells, state, byte);
    i64::from(automaton::is_over(walk.state))
}

extern "C" fn forward(turn: u64, walk: *mut Walk) -> i64 {
    // SAFETY: `bpf_loop` passes the context it was given, which `run` owns for the whole call.
    let walk = unsafe { &mut *walk };
    let cells = Cells { table: walk.table, mask: walk.mask };
    let done = turn.wrapping_mul(CHUNK);
    let (pos, len) = walk.subject();
    let left = len.wrapping_sub(done);
    // VERIFIER: the buffer has PATH_END bytes and more than CHUNK behind them.
    let bytes = walk.path().wrapping_add(within::<IN_PATH>(pos.wrapping_add(done)) as usize);
    let mut state = scratch::forget(walk.scratch, u64::from(walk.state)) as u32;
    // SAFETY: within the buffer by the mask above.
    steps!(walk, cells, left, state, |INDEX| unsafe { bytes.add(INDEX as usize).read() },
        0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23);
    walk.state = state;
    0
}

extern "C" fn backward(turn: u64, walk: *mut Walk) -> i64 {
    // SAFETY: as in `forward`.
    let walk = unsafe { &mut *walk };
    let cells = Cells { table: walk.table, mask: walk.mask };
    let done = turn.wrapping_mul(BACK_CHUNK);
    let (pos, len) = walk.subject();
    let left = len.wrapping_sub(done);
    let end = pos.wrapping_add(left);
    let mut state = scratch::forget(walk.scratch, u64::from(walk.state)) as u32;
    // SAFETY: within the buffer by the mask.
    steps!(walk, cells, left, state, |INDEX| unsafe {
        let at = within::<IN_PATH>(end.wrapping_sub(INDEX + 1));
        walk.path().add(at as usize).read()
    }, 0 1 2 3 4 5 6 7);
    walk.state = state;
    0
}

impl<S: Source> World for Kernel<S> {
    #[inline(always)]
    fn run(&self, start: u32, reverse: bool) -> u32 {
        self.source.run(self.scratch, start, reverse)
    }

    #[inline(always)]
    fn uid(&self) -> u32 {
        // SAFETY: a plain field of the buffer that this task owns.
        unsafe { (*self.scratch).uid }
    }

    #[inline(always)]
    fn minute(&self) -> u32 {
        // SAFETY: as in `uid`.
        unsafe { (*self.scratch).minute }
    }

    #[inline(always)]
    fn spend(&self, number: u32, uses: u32, window: u32) -> bool {
        if number >= limits::MAX_BUDGETS {
            return false;
        }
        // SAFETY: as in `uid`.
        let first = unsafe { (*self.scratch).budgets };
        let Some(budget) = maps::BUDGETS.get_ptr_mut(first.wrapping_add(number)) else {
            return false;
        };
        crate::budget::spend(budget, uses, window)
    }

    #[inline(always)]
    fn keep_none(&self) {
        // SAFETY: this task owns the buffer.
        unsafe {
            (*self.scratch).found = 0;
            // Volatile, or the compiler calls memset, which goes byte by byte here.
            for set in &mut (*self.scratch).kept {
                core::ptr::from_mut(set).write_volatile(0);
            }
        }
    }

    #[inline(always)]
    fn keep(&self, set: u32) {
        // SAFETY: as above; `place_of` is inside the buffer.
        unsafe {
            let number = (*self.scratch).found;
            self.place_of(number).write(set);
            (*self.scratch).found = number.wrapping_add(1);
        }
    }

    #[inline(always)]
    fn kept(&self, number: u32) -> u32 {
        // SAFETY: as in `keep`.
        unsafe { self.place_of(number).read() }
    }

    #[inline(always)]
    fn goes_on(&self, number: u32, state: u32) {
        // SAFETY: as in `keep_none`; the mask keeps the index inside the array.
        unsafe {
            let below = (&raw mut (*self.scratch).below).cast::<u32>();
            let at = within::<{ SETS as u64 - 1 }>(u64::from(number));
            below.add(at as usize).write(state);
        }
    }

    #[inline(always)]
    fn forget(&self, value: u32) -> u32 {
        scratch::forget(self.scratch, u64::from(value)) as u32
    }

    #[inline(always)]
    fn repeat<B: Body<Self>>(&self, count: u32, body: &mut B) {
        let mut turns = Turns { world: self, body };
        repeat(count, turn::<B, S> as *const () as *mut c_void, (&raw mut turns).cast());
    }
}

#[repr(C)]
struct Turns<'a, B, S> {
    world: &'a Kernel<S>,
    body: &'a mut B,
}

extern "C" fn turn<B: Body<Kernel<S>>, S>(index: u64, turns: *mut Turns<'_, B, S>) -> i64 {
    // SAFETY: `bpf_loop` passes the context it was given, which `World::repeat` owns.
    let turns = unsafe { &mut *turns };
    i64::from(!turns.body.turn(turns.world, index as u32))
}

/// Runs `callback` up to `turns` times.
#[inline(always)]
pub fn repeat(turns: u32, callback: *mut c_void, context: *mut c_void) {
    // SAFETY: VERIFIER: checks the callback and that the context is this program's stack.
    let _turns_done = unsafe { bpf_loop(turns, callback, context, 0) };
}
