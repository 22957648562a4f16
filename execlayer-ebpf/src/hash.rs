//! SipHash-2-4 with 128 bits (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012, and its
//! reference implementation's 128-bit variant) over the subject in scratch and which file it is. Must not
//! know what the hash is for.

use core::ffi::c_void;

use execlayer_common::limits;

use crate::{
    kread::{load_word, within},
    scratch::{IN_PATH, Scratch},
    world::repeat,
};

#[unsafe(no_mangle)]
static HASH_KEY: [u64; 2] = [0xe7e7_e7e7_e7e7_e7e7; 2];

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

/// The hash of the subject in scratch, its length and `scratch.file`.
#[inline(always)]
pub fn subject(scratch: *mut Scratch) -> [u64; 2] {
    // SAFETY: this task owns the buffer; references to an initialised static.
    unsafe {
        let key =
            [(&raw const HASH_KEY[0]).read_volatile(), (&raw const HASH_KEY[1]).read_volatile()];
        (*scratch).sip = [
            key[0] ^ 0x736f_6d65_7073_6575,
            key[1] ^ 0x646f_7261_6e64_6f6d ^ 0xee,
            key[0] ^ 0x6c79_6765_6e65_7261,
            key[1] ^ 0x7465_6462_7974_6573,
        ];
    }
    let mut turns = Turns { scratch };
    let callback = word as *const () as *mut c_void;
    repeat(limits::MAX_PATH / WORD as u32 + 1, callback, (&raw mut turns).cast());
    // SAFETY: as above.
    unsafe {
        for fact in (*scratch).file {
            mix(scratch, fact);
        }
        mix(scratch, (*scratch).len);
        let state = &mut (*scratch).sip;
        state[2] ^= 0xee;
        rounds::<4>(state);
        let first = state[0] ^ state[1] ^ state[2] ^ state[3];
        state[1] ^= 0xdd;
        rounds::<4>(state);
        [first, state[0] ^ state[1] ^ state[2] ^ state[3]]
    }
}
