//! From a labelled task and a subject in scratch to a verdict: finds the profile's image and lets
//! `execlayer_common::decide` decide. Must not touch hooks' arguments.
//!
//! The record in scratch is the question and the answer: the caller fills in profile, operation and
//! access (and a reason, if the subject could not be named); verdict, reason, rule and generation are
//! written here.

use execlayer_common::{
    access::{Access, Operation},
    automaton::Table as _,
    decide, event, image,
    limits::{CLASS_WORDS, MAX_BUDGETS},
    question::daemon,
    reason::Reason,
    slot::Slot,
    verdict::raw,
};

use crate::{
    clock, cred,
    hold::told,
    kread::within,
    maps::{SLOTS, TABLES_0, TABLES_1, TABLES_2, TABLES_3},
    scratch::{SETS, Scratch, Side},
    world::{Direct, Kernel, Remote, Source},
};

/// Attempts to catch a slot and its image together while policies are being swapped.
const TRIES: u32 = 3;

/// What a judgement came to: the bits below, none for "passes, and nobody wants a record".
#[derive(Clone, Copy)]
#[must_use]
pub struct Outcome(u32);

impl Outcome {
    /// The call is not allowed.
    const STRICT: u32 = 1 << 0;
    const RECORD: u32 = 1 << 1;
    /// The policy is in monitor mode.
    const MONITOR: u32 = 1 << 2;
    /// The image was being replaced.
    const STALE: u32 = 1 << 3;
    /// A selector matches.
    const SELECTED: u32 = 1 << 4;
    /// The call is to be asked about.
    const ASK: u32 = 1 << 5;

    /// Whether the call goes on.
    #[inline(always)]
    pub const fn passes(self) -> bool {
        self.0 & Self::STRICT == 0 || self.0 & Self::MONITOR != 0
    }

    /// Whether the call waits for an answer. In monitor mode nobody is asked.
    #[inline(always)]
    pub const fn asks(self) -> bool {
        self.0 & Self::ASK != 0 && self.0 & Self::MONITOR == 0
    }

    /// Whether anybody wants a record.
    #[inline(always)]
    pub const fn is_recorded(self) -> bool {
        self.0 & Self::RECORD != 0
    }
}

/// A function for each size class, so that an image's mask is a constant.
///
/// VERIFIER: exported, which makes it a global function: the kernel looks at it once, with arguments
/// that it knows nothing about, and never again at its calls (kernel/bpf/verifier.c,
/// `do_check_subprogs`, 6.1).
macro_rules! class {
    ($name:ident, $map:ident, $class:literal, $body:ident, $fast:literal) => {
        #[unsafe(no_mangle)]
        #[inline(never)]
        extern "C" fn $name(scratch: *mut Scratch, slot: u64) -> u32 {
            let slot = Slot(slot);
            if scratch.is_null() {
                return Outcome::STALE;
            }
            let Some(table) = $map.get_value(slot.table(), &0) else { return Outcome::STALE };
            let mask = u64::from(CLASS_WORDS[$class] - 1);
            let source = Direct::<$fast> { table: table.as_ptr(), mask };
            let kernel = Kernel { source, scratch };
            if kernel.word(image::H_GENERATION) != slot.generation() {
                return Outcome::STALE;
            }
            // SAFETY: this task owns the buffer.
            unsafe { (*scratch).event.generation = slot.generation() };
            $body(&kernel)
        }
    };
}

class!(judge_class_0, TABLES_0, 0, judge_before, true);
class!(judge_class_1, TABLES_1, 1, judge_before, true);
class!(judge_class_2, TABLES_2, 2, judge_before, true);
class!(judge_class_3, TABLES_3, 3, judge_before, true);
class!(select_class_0, TABLES_0, 0, select_before, true);
class!(select_class_1, TABLES_1, 1, select_before, true);
class!(select_class_2, TABLES_2, 2, select_before, true);
class!(select_class_3, TABLES_3, 3, select_before, true);

class!(match_class_0, TABLES_0, 0, match_before, false);
class!(match_class_1, TABLES_1, 1, match_before, false);
class!(match_class_2, TABLES_2, 2, match_before, false);
class!(match_class_3, TABLES_3, 3, match_before, false);
class!(examine_class_0, TABLES_0, 0, examine_before, false);
class!(examine_class_1, TABLES_1, 1, examine_before, false);
class!(examine_class_2, TABLES_2, 2, examine_before, false);
class!(examine_class_3, TABLES_3, 3, examine_before, false);

/// Notes what the name in `scratch` gives under the policy of `profile`, as one of the sides
/// (`scratch.side`); false if the policy is not there.
#[inline(always)]
pub fn examine(scratch: *mut Scratch, profile: u32) -> bool {
    let outcome = with_image(profile, |slot| match slot.class() {
        0 => examine_class_0(scratch, slot.0),
        1 => examine_class_1(scratch, slot.0),
        2 => examine_class_2(scratch, slot.0),
        _ => examine_class_3(scratch, slot.0),
    });
    outcome.is_some()
}

/// Answers the question in `scratch` with the image of `profile`.
#[inline(always)]
pub fn judge(scratch: *mut Scratch, profile: u32) -> Outcome {
    let outcome = with_image(profile, |slot| match slot.class() {
        0 => judge_class_0(scratch, slot.0),
        1 => judge_class_1(scratch, slot.0),
        2 => judge_class_2(scratch, slot.0),
        _ => judge_class_3(scratch, slot.0),
    });
    judged(scratch, outcome)
}

/// [`judge`], for all but the few calls whose cost counts: less for the verifier to look at, in each of
/// the many programs that judge.
#[inline(always)]
pub fn judge_slowly(scratch: *mut Scratch, profile: u32) -> Outcome {
    let outcome = with_image(profile, |slot| match slot.class() {
        0 => match_class_0(scratch, slot.0),
        1 => match_class_1(scratch, slot.0),
        2 => match_class_2(scratch, slot.0),
        _ => match_class_3(scratch, slot.0),
    });
    judged(scratch, outcome.map(|_matched| judge_matched(scratch)))
}

/// [`judge`] by the image's address alone: for short subjects of calls that are rare.
#[inline(always)]
pub fn judge_remotely(scratch: *mut Scratch, profile: u32) -> Outcome {
    let outcome = with_image(profile, |slot| {
        let table: *const u32 = match slot.class() {
            0 => TABLES_0
                .get_value(slot.table(), &0)
                .map_or(core::ptr::null(), |table| table.as_ptr()),
            1 => TABLES_1
                .get_value(slot.table(), &0)
                .map_or(core::ptr::null(), |table| table.as_ptr()),
            2 => TABLES_2
                .get_value(slot.table(), &0)
                .map_or(core::ptr::null(), |table| table.as_ptr()),
            _ => TABLES_3
                .get_value(slot.table(), &0)
                .map_or(core::ptr::null(), |table| table.as_ptr()),
        };
        let class = within::<3>(u64::from(slot.class()));
        // SAFETY: this task owns the buffer.
        unsafe {
            (&raw mut (*scratch).table).write_volatile(table as u64);
            (&raw mut (*scratch).table_mask).write_volatile((0x4000 << (class * 2)) - 1);
        }
        if table.is_null() { Outcome::STALE } else { judge_from_afar(scratch, slot.generation()) }
    });
    judged(scratch, outcome)
}

/// VERIFIER: a global function, looked at once.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn judge_from_afar(scratch: *mut Scratch, generation: u32) -> u32 {
    if scratch.is_null() {
        return Outcome::STRICT;
    }
    // SAFETY: plain fields of the buffer that this task owns.
    let (source, operation, wanted) = unsafe {
        let source = Remote { table: (*scratch).table, mask: (*scratch).table_mask };
        (source, (*scratch).event.operation, Access((*scratch).event.access))
    };
    let kernel = Kernel { source, scratch };
    if kernel.word(image::H_GENERATION) != generation {
        return Outcome::STALE;
    }
    // SAFETY: as above.
    unsafe { (*scratch).event.generation = generation };
    let Some(operation) = Operation::from_raw(operation) else { return Outcome::STALE };
    decide::matches(&kernel, operation);
    judge_kept(&kernel, wanted, kernel.word(image::H_FLAGS))
}

#[inline(always)]
fn judged(scratch: *mut Scratch, outcome: Option<u32>) -> Outcome {
    if let Some(outcome) = outcome {
        return Outcome(outcome);
    }
    // SAFETY: this task owns the buffer.
    unsafe { (*scratch).event.generation = 0 };
    Outcome(note(scratch, raw::DENY, Reason::NoPolicy as u8, event::NO_RULE, 0))
}

/// Whether the selectors of `profile` match the subject in `scratch`.
#[inline(always)]
pub fn selects(scratch: *mut Scratch, profile: u32) -> bool {
    let outcome = with_image(profile, |slot| match slot.class() {
        0 => select_class_0(scratch, slot.0),
        1 => select_class_1(scratch, slot.0),
        2 => select_class_2(scratch, slot.0),
        _ => select_class_3(scratch, slot.0),
    });
    outcome == Some(Outcome::SELECTED)
}

/// What `body` says of the profile's slot; `None` if no image is there, or none that stays.
#[inline(always)]
fn with_image(profile: u32, mut body: impl FnMut(Slot) -> u32) -> Option<u32> {
    for _ in 0..TRIES {
        let slot = Slot(SLOTS.get(profile.wrapping_sub(1)).copied()?);
        if !slot.is_used() {
            return None;
        }
        let outcome = body(slot);
        if outcome & Outcome::STALE == 0 {
            return Some(outcome);
        }
    }
    None
}

#[inline(always)]
fn select_before<const FAST: bool>(kernel: &Kernel<Direct<FAST>>) -> u32 {
    // SAFETY: a plain field of the buffer that this task owns.
    let operation = unsafe { (*kernel.scratch).event.operation };
    match Operation::from_raw(operation) {
        Some(operation) if decide::selects(kernel, operation) => Outcome::SELECTED,
        _ => 0,
    }
}

#[inline(always)]
fn examine_before<const FAST: bool>(kernel: &Kernel<Direct<FAST>>) -> u32 {
    decide::matches_below(kernel, Operation::File);
    note_side(kernel, 0);
    decide::matches_below(kernel, Operation::Exec);
    note_side(kernel, 1);
    decide::matches_below(kernel, Operation::Unix);
    note_side(kernel, 2);
    0
}

#[inline(always)]
fn note_side<const FAST: bool>(kernel: &Kernel<Direct<FAST>>, operation: usize) {
    let scratch = kernel.scratch;
    let rights = decide::rights(kernel);
    // SAFETY: this task owns the buffer; there are two sides.
    unsafe {
        let sides = (&raw mut (*scratch).sides).cast::<[Side; 3]>();
        let side = within::<1>(u64::from((*scratch).side)) as usize;
        let side = (&raw mut (*sides.add(side))).cast::<Side>().add(operation);
        (*side).rights = rights;
        for lane in 0..SETS {
            (&raw mut (*side).sets).cast::<u32>().add(lane).write_volatile((*scratch).kept[lane]);
            (&raw mut (*side).below).cast::<u32>().add(lane).write_volatile((*scratch).below[lane]);
        }
    }
}

#[inline(always)]
fn judge_before<const FAST: bool>(kernel: &Kernel<Direct<FAST>>) -> u32 {
    let scratch = kernel.scratch;
    // SAFETY: plain fields of the buffer that this task owns.
    let (operation, wanted, reason) = unsafe {
        let header = &raw const (*scratch).event;
        ((*header).operation, Access((*header).access), (*header).reason)
    };
    let flags = kernel.word(image::H_FLAGS);
    if reason != Reason::None as u8 {
        return note(scratch, raw::DENY, reason, event::NO_RULE, flags);
    }
    let Some(operation) = Operation::from_raw(operation) else { return Outcome::STALE };
    decide::matches(kernel, operation);
    if flags & image::FLAG_RECORD_ALL == 0 && decide::allowed_at_once(kernel, wanted) {
        return 0;
    }
    judge_kept(kernel, wanted, flags)
}

/// Notes where the image is and what matches the subject, for [`judge_matched`].
#[inline(always)]
fn match_before<const FAST: bool>(kernel: &Kernel<Direct<FAST>>) -> u32 {
    let scratch = kernel.scratch;
    // SAFETY: this task owns the buffer.
    let (operation, reason) = unsafe {
        (&raw mut (*scratch).table).write_volatile(kernel.source.table as u64);
        (&raw mut (*scratch).table_mask).write_volatile(kernel.source.mask);
        ((*scratch).event.operation, (*scratch).event.reason)
    };
    if reason == Reason::None as u8 {
        let Some(operation) = Operation::from_raw(operation) else { return Outcome::STALE };
        decide::matches(kernel, operation);
    }
    0
}

/// VERIFIER: a global function, looked at once.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn judge_matched(scratch: *mut Scratch) -> u32 {
    if scratch.is_null() {
        return Outcome::STRICT;
    }
    // SAFETY: plain fields of the buffer that this task owns.
    let (source, wanted, reason) = unsafe {
        let source = Remote { table: (*scratch).table, mask: (*scratch).table_mask };
        (source, Access((*scratch).event.access), (*scratch).event.reason)
    };
    let kernel = Kernel { source, scratch };
    let flags = kernel.word(image::H_FLAGS);
    if reason != Reason::None as u8 {
        return note(scratch, raw::DENY, reason, event::NO_RULE, flags);
    }
    judge_kept(&kernel, wanted, flags)
}

/// Judges by what is kept.
#[inline(always)]
fn judge_kept<S: Source>(kernel: &Kernel<S>, wanted: Access, flags: u32) -> u32 {
    let scratch = kernel.scratch;
    // SAFETY: this task owns the buffer.
    unsafe {
        (*scratch).uid = cred::euid();
        (*scratch).minute = clock::minute();
        let profile = (*scratch).event.profile;
        (*scratch).budgets = profile.wrapping_sub(1).wrapping_mul(MAX_BUDGETS);
    }
    // SAFETY: as above; nobody else refers to the tally.
    let verdict = decide::judge_matches(kernel, wanted, unsafe { &mut (*scratch).tally });
    let rule = verdict.rule().map_or(event::NO_RULE, |rule| u32::from(rule.0));
    note(scratch, verdict.raw(), verdict.reason() as u8, rule, flags)
}

/// Writes the answer into the record.
#[inline(always)]
fn note(scratch: *mut Scratch, verdict: u8, reason: u8, rule: u32, flags: u32) -> u32 {
    let monitor = flags & image::FLAG_MONITOR != 0;
    let records_all = flags & image::FLAG_RECORD_ALL != 0;
    let must_be_recorded = verdict == raw::ASK || verdict == raw::ALLOW && records_all;
    let (verdict, reason) = match must_be_recorded && !monitor && told(daemon::UNRECORDED) != 0 {
        true => (raw::DENY, Reason::Unrecorded as u8),
        false => (verdict, reason),
    };
    // SAFETY: this task owns the buffer.
    unsafe {
        let header = &mut (*scratch).event;
        header.verdict = verdict;
        header.reason = reason;
        header.rule = rule;
        if monitor {
            header.flags |= event::EVENT_MONITOR;
        }
    }
    let strict = verdict != raw::ALLOW;
    let record = strict || records_all;
    (u32::from(strict) * Outcome::STRICT)
        | (u32::from(verdict == raw::ASK) * Outcome::ASK)
        | (u32::from(record) * Outcome::RECORD)
        | (u32::from(monitor) * Outcome::MONITOR)
}
