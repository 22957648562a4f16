//! Features of the kernel: what a governed task uses that is no file and no address, judged by its name.
//! Must not know at which hooks.

use execlayer_common::{
    access::{Access, Operation},
    feature::{ALL, Feature, MAX_NAME},
    label::Label,
    question::Hook,
    reason::Reason,
};

use crate::{
    emit,
    enforce::{self, ON_FAILURE},
    gate::{self, Call},
    judge,
    place::returned,
    scratch::{self, Scratch},
};

const WORDS: usize = MAX_NAME / 8;

/// The names, padded with zeros, and their lengths.
static NAMES: [[u64; WORDS]; COUNT] = names();
static LENGTHS: [u64; COUNT] = lengths();
/// A power of two, so that a number can be masked.
const COUNT: usize = 32;
const _: () = assert!(ALL.len() <= COUNT && COUNT.is_power_of_two());

const fn names() -> [[u64; WORDS]; COUNT] {
    let mut names = [[0; WORDS]; COUNT];
    let mut number = 0;
    while number < ALL.len() {
        let bytes = ALL[number].name.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            names[number][at / 8] |= (bytes[at] as u64) << (at % 8 * 8);
            at += 1;
        }
        number += 1;
    }
    names
}

const fn lengths() -> [u64; COUNT] {
    let mut lengths = [0; COUNT];
    let mut number = 0;
    while number < ALL.len() {
        lengths[number] = ALL[number].name.len() as u64;
        number += 1;
    }
    lengths
}

/// Judges the use of a feature.
#[inline(always)]
pub fn used(label: Label, feature: &Feature) -> i32 {
    judged(label, feature.number.into(), 0)
}

/// By its number; if `is_quiet`, nothing is recorded: the kernel only looks what a task could do.
#[inline(always)]
pub fn judged(label: Label, number: u32, is_quiet: u32) -> i32 {
    let (operation, wanted) = (Operation::Feature, Access::USE);
    let call = Call { label, operation, wanted, flags: 0, hook: Hook::Never };
    let Some(scratch) = gate::take(&call) else { return ON_FAILURE };
    gate::ask(&call, scratch, Reason::None);
    returned(judge_feature(scratch, number, is_quiet))
}

/// VERIFIER: a global function, looked at once (see [`crate::judge`]).
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn judge_feature(scratch: *mut Scratch, number: u32, is_quiet: u32) -> i32 {
    if scratch.is_null() {
        return ON_FAILURE;
    }
    let number = number as usize & (COUNT - 1);
    // SAFETY: this task owns the buffer, in which a path is longer than a name; tables have `COUNT` entries.
    unsafe {
        let path = (&raw mut (*scratch).path).cast::<u64>();
        let name = (&raw const NAMES).cast::<[u64; WORDS]>().add(number).cast::<u64>();
        for word in 0..WORDS {
            path.add(word).write_volatile(name.add(word).read_volatile());
        }
        (*scratch).pos = 0;
        (*scratch).len = (&raw const LENGTHS).cast::<u64>().add(number).read_volatile();
    }
    // SAFETY: as above.
    let outcome = judge::judge_remotely(scratch, unsafe { (*scratch).event.profile });
    // No rule asks about a feature: nothing could be held here.
    if outcome.is_recorded() && is_quiet == 0 {
        emit::record(scratch);
    }
    let result = if outcome.asks() { ON_FAILURE } else { enforce::enforce(outcome) };
    scratch::release(scratch);
    result
}
