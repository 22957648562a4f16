//! Answers that are remembered: whether one is about the call in scratch. Must not make any.

use aya_ebpf::helpers::generated::bpf_ktime_get_boot_ns;
use execlayer_common::question::{ANY_OPERATION, Grant, GrantKey, STATE_ALLOW, STATE_DENY};

use crate::{maps::GRANTS, scratch::Scratch};

/// What the grants say. A no beats a yes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Said(u32);

impl Said {
    pub const NOTHING: Self = Self(0);
    pub const YES: Self = Self(1);
    pub const NO: Self = Self(2);
}

/// Looks for a grant for the call in scratch, whose hash is there, and puts its number into the record.
#[inline(always)]
pub fn look(scratch: *mut Scratch) -> Said {
    Said(look_for_grant(scratch))
}

/// VERIFIER: a global function, looked at once (see [`crate::judge`]).
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn look_for_grant(scratch: *mut Scratch) -> u32 {
    if scratch.is_null() {
        return Said::NOTHING.0;
    }
    // SAFETY: a helper without arguments.
    let now = unsafe { bpf_ktime_get_boot_ns() };
    // A constant number of kinds, each looked up by code of its own: this is off the common path.
    let mut said = Said::NOTHING;
    for kind in 0..KINDS {
        // SAFETY: this task owns the buffer.
        let key = unsafe { key(scratch, kind) };
        let Some((state, expires, id)) = read(&key) else { continue };
        if expires <= now {
            continue;
        }
        let found = match state {
            STATE_ALLOW => Said::YES,
            STATE_DENY => Said::NO,
            _ => continue,
        };
        if said != Said::NO {
            said = found;
            // SAFETY: as above.
            unsafe { (*scratch).event.question = id };
        }
    }
    said.0
}

/// State, end and number of a grant.
///
/// KERNEL: an element that is removed is used again at once, for any key (kernel/bpf/memalloc.c, 6.1): what
/// was read counts if the same one is still there afterwards.
#[inline(always)]
fn read(key: &GrantKey) -> Option<(u32, u64, u64)> {
    // SAFETY: memory of this type, whoever's it is; compared below.
    let grant: *const Grant = unsafe { GRANTS.get(key) }?;
    // SAFETY: as above.
    let (state, expires, id) =
        unsafe { ((*grant).state, (&raw const (*grant).expires).read_volatile(), (*grant).id) };
    // SAFETY: as above.
    let again: *const Grant = unsafe { GRANTS.get(key) }?;
    // SAFETY: as above.
    let is_same = unsafe { (&raw const (*again).id).read_volatile() } == id;
    if is_same { Some((state, expires, id)) } else { None }
}

/// This tree's or everybody's; this subject or all that the rule asks about.
const KINDS: u32 = 4;

/// # Safety
///
/// This task owns the buffer.
#[inline(always)]
unsafe fn key(scratch: *const Scratch, kind: u32) -> GrantKey {
    // SAFETY: the caller's promise.
    unsafe {
        let header = &raw const (*scratch).event;
        let is_rule = kind & 2 != 0;
        GrantKey {
            profile: (*header).profile,
            operation: if is_rule { ANY_OPERATION } else { (*header).operation.into() },
            access: if is_rule { 0 } else { (*header).access },
            reserved: if is_rule { 0 } else { (*scratch).place },
            session: if kind & 1 != 0 { 0 } else { (*header).session },
            subject: if is_rule {
                [(*header).rule.into(), (*header).generation.into()]
            } else {
                (*scratch).grant
            },
        }
    }
}
