//! Scratch memory for one judgement: taken from a pool, owned by one task until it is given back.
//!
//! INVARIANT(scratch): LSM programs have no recursion guard and can be preempted, so a buffer per CPU
//! would be shared by two tasks. A buffer here is owned by whoever swapped its owner word from 0.

use core::ffi::c_void;

use aya_ebpf::helpers::generated::bpf_get_smp_processor_id;
use execlayer_common::{
    decide::{Rights, Tally},
    event::EventHeader,
    limits,
};

use crate::{
    atomic,
    kread::{UNSET, variable},
    maps::SCRATCH,
    world::repeat,
};

/// Paths are built from the end to the front; behind the end there is room for a masked over-read.
pub const PATH_END: u64 = 4096;
/// Mask of an index into the path.
pub const IN_PATH: u64 = PATH_END - 1;
/// Room for decision sets: one for each lane.
pub const SETS: usize = execlayer_common::limits::MAX_LANES as usize;
const SLACK: usize = 256;
/// Room for what follows a record's header.
const TEXT: usize =
    2 * PATH_END as usize + (limits::MAX_EVENT_CWD + limits::MAX_EVENT_ARGV) as usize + SLACK + 2;
/// Buffers that a CPU tries before it waits for one: as many as the loader makes for it.
const TRIES: u32 = 16;
/// Looks at one buffer after the other while waiting: some milliseconds, so that the scheduler's tick comes between.
const LOOKS: u32 = 1 << 19;
/// No buffer's index.
const NONE: u32 = u32::MAX;

#[unsafe(no_mangle)]
static SCRATCH_MASK: u32 = UNSET;

/// A task's root directory, as addresses.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Root {
    pub mnt: u64,
    pub dentry: u64,
}

/// Where the walk's steps in the file's own mount end.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Stop {
    /// Address of the dentry: of the task's root if that is in this mount, else of the mount's root.
    pub at: u64,
    /// What is reached there.
    pub how: u64,
}

/// Where the walk is above the file's own mount. Addresses are all that it knows there, and what is kept
/// here is no state that the verifier could follow.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Above {
    pub dentry: u64,
    /// Address of the struct vfsmount.
    pub mnt: u64,
    pub mnt_root: u64,
    pub root: Root,
}

/// Components of [`Names`].
pub const COMPONENTS: usize = 8;
/// Bytes of a component of [`Names`].
pub const COMPONENT: usize = 32;

/// A component of a file's name.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Name {
    pub words: [u64; COMPONENT / 8],
    pub len: u64,
}

/// A file's name by its components, the last one first.
#[repr(C)]
pub struct Names {
    pub names: [Name; COMPONENTS],
    /// How many there are.
    pub depth: u64,
}

/// A call that is judged by addresses.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct PlaceCall {
    /// [`execlayer_common::question::Hook`], or of two names that of the old one.
    pub hook: u32,
    /// `place::` constants.
    pub kind: u32,
}

/// What a name gives.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Side {
    pub rights: Rights,
    pub sets: [u32; SETS],
    /// Where each lane goes on below the name.
    pub below: [u32; SETS],
}

/// Where the search for a file's mounts is, and what it found.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Mounts {
    /// Address of the next mount, or of the list in it.
    pub next: u64,
    /// What the strictest judgement came to.
    pub result: i64,
    /// How many names there are.
    pub names: u64,
    pub is_done: u64,
}

/// A scratch buffer.
#[repr(C)]
pub struct Scratch {
    pub owner: u64,
    pub len: u64,
    pub pos: u64,
    /// Of the walk: how it ended, what it saw. The verifier does not follow what is kept here.
    pub ended: u64,
    pub seen: u64,
    /// For [`forget`] only.
    forgotten: u64,
    /// Effective uid of the caller.
    pub uid: u32,
    /// Minute of the UTC day.
    pub minute: u32,
    /// First budget of the profile.
    pub budgets: u32,
    /// VERIFIER: kept here and not on the stack, where it would be followed value by value.
    pub tally: Tally,
    /// Of the walk: where the steps in the own mount end, and where it is above.
    pub stop: Stop,
    pub above: Above,
    /// Decision sets that were found, and how many.
    pub kept: [u32; SETS],
    pub found: u32,
    /// Address of the image, and its words less one.
    pub table: u64,
    pub table_mask: u64,
    /// Where each lane goes on below the subject.
    pub below: [u32; SETS],
    pub names: Names,
    /// Which file it is that is asked about: device, inode, generation, size, time of change; zeros if it
    /// is none.
    pub file: [u64; 6],
    /// [`execlayer_common::question::Key::reserved`].
    pub place: u32,
    /// Of a call that is judged by addresses ([`crate::place`]).
    pub call: PlaceCall,
    /// What the old name and the new one give, each as file, as program and as socket.
    pub sides: [[Side; 3]; 2],
    pub mounts: Mounts,
    /// Which side is looked at.
    pub side: u32,
    /// Hashes of the subject: of which file it is, too, and for a grant.
    pub hash: [u64; 2],
    pub grant: [u64; 2],
    /// State of the hash over the subject.
    pub sip: [u64; 4],
    pub path: [u8; PATH_END as usize + SLACK],
    pub event: EventHeader,
    pub text: [u8; TEXT],
}

/// A buffer of one's own, or `None` if all are in use.
///
/// Buffers stay in use for long only where the kernel takes the processor from tasks in the middle of a verdict. There
/// it takes it from whoever waits, too, and lets the others finish meanwhile. Whoever is called with a spin lock held
/// (unix sockets) waits for what other processors give back, and no longer than that. Not for the end of a fork, which
/// has the run queue's lock.
#[inline(always)]
pub fn acquire() -> Option<*mut Scratch> {
    if let Some(scratch) = acquire_at_once() {
        return Some(scratch);
    }
    if cfg!(feature = "scratch-per-cpu") {
        return None;
    }
    // SAFETY: a helper without arguments.
    let index = wait_for_scratch(unsafe { bpf_get_smp_processor_id() });
    if index == NONE { None } else { SCRATCH.get_ptr_mut(index) }
}

/// [`acquire`] without waiting: `None` if all that were tried are in use.
#[inline(always)]
pub fn acquire_at_once() -> Option<*mut Scratch> {
    // SAFETY: a helper without arguments.
    let cpu = unsafe { bpf_get_smp_processor_id() };
    let mask = variable(&SCRATCH_MASK);
    if cfg!(feature = "scratch-per-cpu") {
        return SCRATCH.get_ptr_mut(cpu & mask);
    }
    for turn in 0..TRIES {
        let index = cpu.wrapping_mul(TRIES).wrapping_add(turn);
        let scratch = SCRATCH.get_ptr_mut(index & mask)?;
        // SAFETY: the look-up returned a live map value, whose first word is only used here.
        if unsafe { atomic::exchange_if(&raw mut (*scratch).owner, 0, 1) } {
            return Some(scratch);
        }
    }
    None
}

#[repr(C)]
struct Wait {
    next: u32,
    taken: u32,
}

extern "C" fn look(_turn: u64, wait: *mut Wait) -> i64 {
    // SAFETY: `bpf_loop` passes the context that `wait_for_scratch` owns.
    let wait = unsafe { &mut *wait };
    wait.next = wait.next.wrapping_add(1);
    let index = wait.next & variable(&SCRATCH_MASK);
    let Some(scratch) = SCRATCH.get_ptr_mut(index) else { return 1 };
    // SAFETY: the look-up returned a live map value; an aligned load of a word that is swapped only.
    let owner = unsafe { (&raw const (*scratch).owner).read_volatile() };
    // SAFETY: as in `acquire_at_once`.
    if owner != 0 || !unsafe { atomic::exchange_if(&raw mut (*scratch).owner, 0, 1) } {
        return 0;
    }
    wait.taken = index;
    1
}

/// Index of a buffer that the caller owns from now on, or [`NONE`].
///
/// VERIFIER: a global function, looked at once (see [`crate::judge`]).
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn wait_for_scratch(cpu: u32) -> u32 {
    let mut wait = Wait { next: cpu.wrapping_mul(TRIES), taken: NONE };
    repeat(LOOKS, look as *const () as *mut c_void, (&raw mut wait).cast());
    wait.taken
}

/// Gives the buffer back.
#[inline(always)]
pub fn release(scratch: *mut Scratch) {
    // SAFETY: as in `acquire`.
    unsafe { atomic::exchange(&raw mut (*scratch).owner, 0) };
}

/// The value, by way of memory that the verifier does not follow: it forgets constants and ranges.
/// Paths that differ in nothing else become one.
#[inline(always)]
pub fn forget(scratch: *mut Scratch, value: u64) -> u64 {
    // SAFETY: this task owns the buffer.
    unsafe {
        let place = &raw mut (*scratch).forgotten;
        place.write_volatile(value);
        place.read_volatile()
    }
}
