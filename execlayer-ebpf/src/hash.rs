//! SipHash-2-4 with 128 bits (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012, and its
//! reference implementation's 128-bit variant) over the subject in scratch, which file it is and under which policy. Must not
//! know what the hash is for.

use core::ffi::c_void;

use execlayer_common::{access::Operation, limits, question::daemon};

use crate::{
    hold::told,
    kread::{load_word, within},
    scratch::{IN_PATH, Scratch},
    world::repeat,
};

/// Bytes that one turn takes.
const WORD: u64 = 8;

#[repr(C)]
struct Turns {
    scratch: *mut Scratch,
}

extern "C" fn word(turn: u64, turns: *mut Turns) -> i64 {
    // SAFETY: `bpf_loop` passes the context that `subject` owns.
    let scratch = unsafe { (*turns).scratch };
    let done = turn.wrapping_mul(WORD);
    // SAFETY: plain fields of the buffer that this task owns.
    let (pos, len) = unsafe { ((*scratch).pos, (*scratch).len) };
    if done >= len {
        return 1;
    }
    let at = within::<IN_PATH>(pos.wrapping_add(done));
    // SAFETY: behind the path's last byte there is room for more than a word.
    let word = unsafe { load_word((&raw const (*scratch).path).cast::<u8>().add(at as usize)) };
    let left = len.wrapping_sub(done);
    // What lies behind the subject does not count.
    let word = if left < WORD { word & !(u64::MAX << (left.wrapping_mul(8) & 63)) } else { word };
    mix(scratch, word);
    0
}

#[inline(always)]
fn mix(scratch: *mut Scratch, word: u64) {
    // SAFETY: this task owns the buffer.
    let state = unsafe { &mut (*scratch).sip };
    state[3] ^= word;
    rounds::<2>(state);
    state[0] ^= word;
}

#[inline(always)]
fn rounds<const COUNT: u32>(state: &mut [u64; 4]) {
    let [mut a, mut b, mut c, mut d] = *state;
    for _ in 0..COUNT {
        a = a.wrapping_add(b);
        b = b.rotate_left(13) ^ a;
        a = a.rotate_left(32);
        c = c.wrapping_add(d);
        d = d.rotate_left(16) ^ c;
        a = a.wrapping_add(d);
        d = d.rotate_left(21) ^ a;
        c = c.wrapping_add(b);
        b = b.rotate_left(17) ^ c;
        c = c.rotate_left(32);
    }
    *state = [a, b, c, d];
}

/// Hashes the subject in scratch into `scratch.hash`, with which file it is, and into `scratch.grant`, with
/// which program it is; a file that is read or written is known by its name there.
#[inline(always)]
pub fn both(scratch: *mut Scratch) {
    let _zero = hash_subject(scratch, 0);
    let _zero = hash_subject(scratch, 1);
}

/// VERIFIER: a global function, looked at once (see [`crate::judge`]).
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn hash_subject(scratch: *mut Scratch, is_grant: u32) -> u32 {
    if scratch.is_null() {
        return 0;
    }
    let hash = subject(scratch, is_grant != 0);
    // SAFETY: this task owns the buffer.
    unsafe {
        if is_grant != 0 {
            (*scratch).grant = hash;
        } else {
            (*scratch).hash = hash;
        }
    }
    0
}

#[inline(always)]
fn subject(scratch: *mut Scratch, is_grant: bool) -> [u64; 2] {
    let key = [told(daemon::HASH_KEY), told(daemon::HASH_KEY + 1)];
    // SAFETY: this task owns the buffer.
    let is_program = unsafe {
        (*scratch).sip = [
            key[0] ^ 0x736f_6d65_7073_6575,
            key[1] ^ 0x646f_7261_6e64_6f6d ^ 0xee,
            key[0] ^ 0x6c79_6765_6e65_7261,
            key[1] ^ 0x7465_6462_7974_6573,
        ];
        (*scratch).event.operation == Operation::Exec as u8
    };
    let with_file = !is_grant || is_program;
    let mut turns = Turns { scratch };
    let callback = word as *const () as *mut c_void;
    repeat(limits::MAX_PATH / WORD as u32 + 1, callback, (&raw mut turns).cast());
    // SAFETY: as above.
    unsafe {
        for fact in (*scratch).file {
            mix(scratch, if with_file { fact } else { 0 });
        }
        // An answer is for a call under the policy that asked: an exec can lead to another one.
        mix(scratch, (*scratch).len | u64::from((*scratch).event.profile) << 32);
        let state = &mut (*scratch).sip;
        state[2] ^= 0xee;
        rounds::<4>(state);
        let first = state[0] ^ state[1] ^ state[2] ^ state[3];
        state[1] ^= 0xdd;
        rounds::<4>(state);
        [first, state[0] ^ state[1] ^ state[2] ^ state[3]]
    }
}
