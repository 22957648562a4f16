//! From a labelled task and a subject in scratch to a verdict: finds the profile's image and lets
//! `execlayer_common::decide` decide. Must not touch hooks' arguments.

use execlayer_common::{
    access::{Access, Operation},
    automaton::Table as _,
    decide, event, image,
    label::Label,
    limits::{CLASS_WORDS, MAX_BUDGETS},
    reason::Reason,
    slot::Slot,
    verdict::{RuleIndex, Verdict},
};

use crate::{
    clock, cred,
    maps::{SLOTS, TABLES_0, TABLES_1, TABLES_2, TABLES_3},
    scratch::{self, Scratch},
    world::Kernel,
};

/// Attempts to catch a slot and its image together while policies are being swapped.
const TRIES: u32 = 3;

/// What came out, and under what. Plain numbers that passed through [`scratch::forget`], so that
/// what comes after is looked at once and not once for each verdict.
pub struct Judgement {
    /// See [`execlayer_common::verdict::raw`].
    pub verdict: u8,
    pub reason: u8,
    pub rule: u32,
    pub generation: u32,
    /// Whether anybody wants a record.
    pub record: bool,
    pub monitor: bool,
}

impl Judgement {
    /// A denial without any image.
    #[inline(always)]
    fn failure(reason: Reason) -> Self {
        Self::of(Verdict::Deny(reason, None), 0, 0)
    }

    #[inline(always)]
    fn of(verdict: Verdict, generation: u32, flags: u32) -> Self {
        let reason = match verdict {
            Verdict::Allow(_) => Reason::None,
            Verdict::Ask(_) => Reason::AskNotHeld,
            Verdict::Deny(reason, _) => reason,
        };
        Self {
            verdict: verdict.raw(),
            reason: reason as u8,
            rule: verdict.rule().map_or(event::NO_RULE, |rule| u32::from(rule.0)),
            generation,
            record: !matches!(verdict, Verdict::Allow(_)) || flags & image::FLAG_RECORD_ALL != 0,
            monitor: flags & image::FLAG_MONITOR != 0,
        }
    }

    /// The same, with nothing known to the verifier.
    #[inline(always)]
    pub fn forget(self, scratch: *mut Scratch) -> Self {
        let packed = u64::from(self.verdict)
            | u64::from(self.reason) << 8
            | u64::from(self.record) << 16
            | u64::from(self.monitor) << 17;
        let packed = scratch::forget(scratch, packed);
        Self {
            verdict: packed as u8,
            reason: (packed >> 8) as u8,
            record: packed >> 16 & 1 != 0,
            monitor: packed >> 17 & 1 != 0,
            rule: scratch::forget(scratch, u64::from(self.rule)) as u32,
            generation: scratch::forget(scratch, u64::from(self.generation)) as u32,
        }
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
pub fn open(profile: u32, scratch: *mut Scratch) -> Option<(Kernel, u32)> {
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
            scratch,
            pos,
            len,
            uid: 0,
            minute: 0,
            budgets: index.wrapping_mul(MAX_BUDGETS),
        };
        if kernel.word(image::H_GENERATION) == slot.generation() {
            return Some((kernel, slot.generation()));
        }
    }
    None
}

/// A denial that no image was asked about, in the mode of the task's profile.
#[inline(always)]
pub fn failure(label: Label, scratch: *mut Scratch, reason: Reason) -> Judgement {
    match open(label.profile, scratch) {
        Some((kernel, generation)) => {
            let flags = kernel.word(image::H_FLAGS);
            Judgement::of(Verdict::Deny(reason, None), generation, flags)
        }
        None => Judgement::failure(Reason::NoPolicy),
    }
}

/// Judges the subject in `scratch`.
#[inline(always)]
pub fn judge(
    label: Label,
    scratch: *mut Scratch,
    operation: Operation,
    wanted: Access,
) -> Judgement {
    let Some((mut kernel, generation)) = open(label.profile, scratch) else {
        return Judgement::failure(Reason::NoPolicy);
    };
    let flags = kernel.word(image::H_FLAGS);
    decide::matches(&kernel, operation);
    if flags & image::FLAG_RECORD_ALL == 0 && decide::allowed_at_once(&kernel, wanted) {
        return Judgement::of(Verdict::Allow(RuleIndex(0)), generation, 0);
    }
    kernel.uid = cred::euid();
    kernel.minute = clock::minute();
    Judgement::of(decide::judge_matches(&kernel, wanted), generation, flags)
}
