//! From a labelled task and a subject in scratch to a verdict: finds the profile's image and lets
//! `execlayer_common::decide` decide. Must not touch hooks' arguments.

use execlayer_common::{
    access::{Access, Operation},
    automaton::Table as _,
    decide, image,
    label::Label,
    limits::{CLASS_WORDS, MAX_BUDGETS},
    reason::Reason,
    slot::Slot,
    verdict::Verdict,
};

use crate::{
    cred,
    maps::{SLOTS, TABLES_0, TABLES_1, TABLES_2, TABLES_3},
    scratch::Scratch,
    world::Kernel,
};

/// Attempts to catch a slot and its image together while policies are being swapped.
const TRIES: u32 = 3;

/// What came out, and under what.
pub struct Judgement {
    /// `None`: allowed, and nobody wants to know by which rule.
    pub verdict: Option<Verdict>,
    pub generation: u32,
    pub monitor: bool,
}

impl Judgement {
    /// A denial that no image was asked about.
    #[inline(always)]
    pub const fn failure(reason: Reason) -> Self {
        Self { verdict: Some(Verdict::Deny(reason, None)), generation: 0, monitor: false }
    }
}

/// The image of a slot, and the mask of its size class.
#[inline(always)]
pub fn table(slot: Slot) -> Option<(*const u32, u64)> {
    macro_rules! class {
        ($map:ident, $class:literal) => {
            ($map.get_value(slot.table(), &0)?.as_ptr(), u64::from(CLASS_WORDS[$class] - 1))
        };
    }
    Some(match slot.class() {
        0 => class!(TABLES_0, 0),
        1 => class!(TABLES_1, 1),
        2 => class!(TABLES_2, 2),
        _ => class!(TABLES_3, 3),
    })
}

/// A profile's image before the subject in `scratch`.
#[inline(always)]
pub fn open(profile: u32, scratch: *const Scratch) -> Option<(Kernel, u32)> {
    let index = profile.wrapping_sub(1);
    for _ in 0..TRIES {
        let slot = Slot(SLOTS.get(index).copied()?);
        if !slot.is_used() {
            return None;
        }
        let Some((table, mask)) = table(slot) else { continue };
        // SAFETY: plain fields of the buffer that this task owns.
        let (pos, len) = unsafe { ((*scratch).pos, (*scratch).len) };
        let kernel = Kernel {
            table,
            mask,
            // SAFETY: address of a field, nothing is read.
            buffer: unsafe { &raw const (*scratch).path }.cast(),
            pos,
            len,
            uid: 0,
            budgets: index.wrapping_mul(MAX_BUDGETS),
        };
        if kernel.word(image::H_GENERATION) == slot.generation() {
            return Some((kernel, slot.generation()));
        }
    }
    None
}

/// Judges the subject in `scratch`.
#[inline(always)]
pub fn judge(
    label: Label,
    scratch: *const Scratch,
    operation: Operation,
    wanted: Access,
) -> Judgement {
    let Some((mut kernel, generation)) = open(label.profile, scratch) else {
        return Judgement::failure(Reason::NoPolicy);
    };
    let flags = kernel.word(image::H_FLAGS);
    let matches = decide::matches(&kernel, operation);
    let verdict = if flags & image::FLAG_RECORD_ALL == 0
        && decide::allowed_at_once(&kernel, &matches, wanted)
    {
        None
    } else {
        kernel.uid = cred::euid();
        match decide::judge(&kernel, &matches, wanted) {
            Verdict::Allow(_) if flags & image::FLAG_RECORD_ALL == 0 => None,
            verdict => Some(verdict),
        }
    };
    Judgement { verdict, generation, monitor: flags & image::FLAG_MONITOR != 0 }
}
