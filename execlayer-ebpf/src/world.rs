//! The decision's surroundings in the kernel: an image in a map value, the subject in scratch, loops
//! by `bpf_loop`. Must not decide anything itself.

use core::ffi::c_void;

use aya_ebpf::helpers::generated::{bpf_ktime_get_boot_ns, bpf_loop};
use execlayer_common::{
    automaton::{self, Table},
    decide::{Body, World},
    limits,
};

use crate::{kread::opaque, maps};

/// Bytes that one turn of the automaton's loop reads.
const CHUNK: usize = 32;

/// One subject before one image.
#[repr(C)]
pub struct Kernel {
    /// First word of the image.
    pub table: *const u32,
    /// Words of its size class minus one.
    pub mask: u64,
    /// Buffer that holds the subject, `buffer_mask + 1` bytes and [`CHUNK`] more.
    pub buffer: *const u8,
    /// Where the subject begins.
    pub pos: u64,
    /// Bytes of the subject.
    pub len: u64,
    /// Effective uid.
    pub uid: u32,
    /// First budget of the profile.
    pub budgets: u32,
}

impl Table for Kernel {
    #[inline(always)]
    fn word(&self, index: u32) -> u32 {
        word(self.table, self.mask, index)
    }
}

#[inline(always)]
fn word(table: *const u32, mask: u64, index: u32) -> u32 {
    // VERIFIER: the mask is a constant on every path, so the index stays below the class's words.
    let index = opaque(u64::from(index)) & mask;
    // SAFETY: the masked index is inside the map value, which lives as long as the program runs
    // (RCU); VERIFIER proves the same.
    unsafe { table.add(index as usize).read() }
}

/// Where the automaton is.
#[repr(C)]
struct Walk {
    table: *const u32,
    mask: u64,
    buffer: *const u8,
    at: u64,
    left: u64,
    state: u32,
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

unsafe extern "C" fn forward(_turn: u64, walk: *mut Walk) -> i64 {
    // SAFETY: `bpf_loop` passes the context it was given, which `run` owns for the whole call.
    let walk = unsafe { &mut *walk };
    let cells = Cells { table: walk.table, mask: walk.mask };
    // VERIFIER: the buffer has PATH_END bytes and more than CHUNK behind them.
    let bytes = walk.buffer.wrapping_add((opaque(walk.at) & (crate::scratch::PATH_END - 1)) as usize);
    let mut state = walk.state;
    let left = walk.left;
    let mut over = left <= CHUNK as u64;
    for index in 0..CHUNK {
        if index as u64 >= left {
            break;
        }
        // SAFETY: within the buffer by the mask above.
        let byte = unsafe { bytes.add(index).read() };
        state = automaton::step(&cells, state, byte);
        if automaton::is_over(state) {
            over = true;
            break;
        }
    }
    walk.state = state;
    walk.at = walk.at.wrapping_add(CHUNK as u64);
    walk.left = left.wrapping_sub(CHUNK as u64);
    i64::from(over)
}

unsafe extern "C" fn backward(_turn: u64, walk: *mut Walk) -> i64 {
    // SAFETY: as in `forward`.
    let walk = unsafe { &mut *walk };
    let cells = Cells { table: walk.table, mask: walk.mask };
    let mut state = walk.state;
    let mut left = walk.left;
    let mut over = false;
    for _ in 0..8 {
        if left == 0 {
            over = true;
            break;
        }
        left = left.wrapping_sub(1);
        let at = opaque(walk.at.wrapping_add(left)) & (crate::scratch::PATH_END - 1);
        // SAFETY: within the buffer by the mask.
        let byte = unsafe { walk.buffer.add(at as usize).read() };
        state = automaton::step(&cells, state, byte);
        if automaton::is_over(state) {
            over = true;
            break;
        }
    }
    walk.state = state;
    walk.left = left;
    i64::from(over)
}

impl World for Kernel {
    #[inline(always)]
    fn run(&self, start: u32, reverse: bool) -> u32 {
        let mut walk = Walk {
            table: self.table,
            mask: self.mask,
            buffer: self.buffer,
            at: self.pos,
            left: self.len,
            state: start,
        };
        if self.len == 0 {
            return start;
        }
        if reverse {
            let turns = (limits::MAX_PATH / 8 + 1) as u32;
            repeat(turns, backward as *const () as *mut c_void, (&raw mut walk).cast());
        } else {
            let turns = limits::MAX_PATH / CHUNK as u32 + 1;
            repeat(turns, forward as *const () as *mut c_void, (&raw mut walk).cast());
        }
        walk.state
    }

    #[inline(always)]
    fn uid(&self) -> u32 {
        self.uid
    }

    #[inline(always)]
    fn minute(&self) -> u32 {
        // SAFETY: a helper without arguments.
        let now = unsafe { bpf_ktime_get_boot_ns() };
        let offset = maps::CLOCK.get(0).copied().unwrap_or(0);
        (now.wrapping_add(offset) / 60_000_000_000 % 1440) as u32
    }

    #[inline(always)]
    fn spend(&self, number: u32, uses: u32, window: u32) -> bool {
        if number >= limits::MAX_BUDGETS {
            return false;
        }
        let Some(budget) = maps::BUDGETS.get_ptr_mut(self.budgets.wrapping_add(number)) else {
            return false;
        };
        crate::budget::spend(budget, uses, window)
    }

    #[inline(always)]
    fn repeat<B: Body<Self>>(&self, count: u32, body: &mut B) {
        let mut turns = Turns { world: self, body };
        repeat(count, turn::<B> as *const () as *mut c_void, (&raw mut turns).cast());
    }
}

#[repr(C)]
struct Turns<'a, B> {
    world: &'a Kernel,
    body: &'a mut B,
}

unsafe extern "C" fn turn<B: Body<Kernel>>(index: u64, turns: *mut Turns<'_, B>) -> i64 {
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
