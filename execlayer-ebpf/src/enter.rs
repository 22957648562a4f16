//! Going to another policy by executing a program: the only way in which a label that is in force changes.
//! Must not judge whether the program may be executed: that is done as always, and under the old label.

use execlayer_common::{
    access::{Access, Operation},
    label::Label,
    question::Hook,
    reason::Reason,
    verdict::raw,
};

use crate::{
    emit,
    enforce::ON_FAILURE,
    gate::{self, Call},
    judge,
    kernel::{
        Bprm, ENOMEM, LSM_UNSAFE_NO_NEW_PRIVS, LSM_UNSAFE_PTRACE, LSM_UNSAFE_SHARE, Task, fields,
    },
    kread::{offset, read, typed},
    label,
    maps::{LEADING, PASSAGES},
    place::returned,
    scratch::{self, Scratch},
    walk,
};

/// Finds out whether the program leads to another policy, and notes that it does. The profile whose task it will
/// be, or the hook's return value.
#[inline(always)]
pub fn at_exec(task: *const Task, label: Label, bprm: *const Bprm) -> Result<u32, i32> {
    if label.pending != 0 {
        // An earlier exec led somewhere, and failed.
        label::store(task, Label { pending: 0, ..label }).map_err(|()| -ENOMEM)?;
    }
    if LEADING.get(0).copied().unwrap_or(0) >> (label.profile.wrapping_sub(1) & 63) & 1 == 0 {
        return Ok(label.profile);
    }
    let call = call(label);
    let Some(scratch) = gate::take(&call) else { return Err(ON_FAILURE) };
    gate::ask(&call, scratch, Reason::None);
    let (mnt, dentry) = walk::place_of(typed(bprm, &fields::OFF_BPRM_FILE));
    let led = match walk::path(scratch, walk::root_of(task), mnt, dentry) {
        Ok(()) => target(scratch, label.profile),
        // Another policy may allow less: nobody stays here by a name that cannot be read just now.
        Err(reason) => {
            gate::unnamed(scratch, reason);
            Err(reason)
        }
    };
    let led = match led {
        Ok(target) if target != 0 && has_a_hand_in_it(task, bprm) => Err(Reason::UnsafeTransition),
        led => led,
    };
    let result = match led {
        Ok(0) => Ok(label.profile),
        Ok(target) => {
            emit::record(scratch);
            let led = label::store(task, Label { pending: target, ..label });
            led.map(|()| target).map_err(|()| -ENOMEM)
        }
        Err(reason) => refused(scratch, label.profile, reason),
    };
    scratch::release(scratch);
    result
}

/// Whether somebody who stays behind could act on the program that is led: by tracing it, by its working directory, by
/// its descriptors, which the kernel parts from others' later than this (fs/exec.c, `begin_new_exec`, 6.1), or by a
/// filter of its system calls, which survives an exec and which a governed task needs `no_new_privs` for.
#[inline(always)]
fn has_a_hand_in_it(task: *const Task, bprm: *const Bprm) -> bool {
    const HANDS: u32 = LSM_UNSAFE_SHARE | LSM_UNSAFE_PTRACE | LSM_UNSAFE_NO_NEW_PRIVS;
    let hands: u32 = typed(bprm, &fields::OFF_BPRM_UNSAFE);
    let files: u64 = typed(task, &fields::OFF_TASK_FILES);
    let sharers: u32 =
        read(files.wrapping_add(offset(&fields::OFF_FILES_COUNT))).unwrap_or(u32::MAX);
    hands & HANDS != 0 || sharers > 1
}

/// Refuses to take an interpreter for the program that leads to another policy: what it reads is named by whoever
/// executes, who may put something else there meanwhile.
#[inline(always)]
pub fn interpreted(task: *const Task, label: Label, bprm: *const Bprm) -> i32 {
    // KERNEL: both are one string until an interpreter takes the program's place (fs/exec.c, `alloc_bprm` and
    // `bprm_change_interp`, 6.1).
    let program: u64 = typed(bprm, &fields::OFF_BPRM_FILENAME);
    let interpreter: u64 = typed(bprm, &fields::OFF_BPRM_INTERP);
    if label.pending == 0 || program == interpreter {
        return 0;
    }
    if label::store(task, Label { pending: 0, ..label }).is_err() {
        return ON_FAILURE;
    }
    let call = call(label);
    let Some(scratch) = gate::take(&call) else { return ON_FAILURE };
    gate::ask(&call, scratch, Reason::None);
    let (mnt, dentry) = walk::place_of(typed(bprm, &fields::OFF_BPRM_FILE));
    if walk::path(scratch, walk::root_of(task), mnt, dentry).is_err() {
        gate::unnamed(scratch, Reason::NoName);
    }
    let result = match refused(scratch, label.profile, Reason::UnsafeTransition) {
        Ok(_in_monitor_mode) => 0,
        Err(result) => result,
    };
    scratch::release(scratch);
    result
}

/// The profile to which the program in scratch leads, or 0. `Err`: to one that cannot be entered.
#[inline(always)]
fn target(scratch: *mut Scratch, profile: u32) -> Result<u32, Reason> {
    let _recorded_by_the_caller = judge::judge_slowly(scratch, profile);
    // SAFETY: this task owns the buffer.
    let (verdict, rule, generation) = unsafe {
        let header = &raw const (*scratch).event;
        ((*header).verdict, (*header).rule, (*header).generation)
    };
    if verdict != raw::ALLOW {
        return Ok(0);
    }
    let passage = u64::from(generation) << 16 | u64::from(rule & 0xffff);
    // SAFETY: a plain integer; a stale one is at worst the target of a moment ago.
    match unsafe { PASSAGES.get(passage) } {
        Some(&target) if target != 0 => Ok(target),
        _ => Err(Reason::NoTransition),
    }
}

/// Refuses the exec, unless the policy only watches: then it stays under this one.
#[inline(always)]
fn refused(scratch: *mut Scratch, profile: u32, reason: Reason) -> Result<u32, i32> {
    // SAFETY: this task owns the buffer.
    unsafe { (*scratch).event.reason = reason as u8 };
    let outcome = judge::judge_slowly(scratch, profile);
    match returned(gate::settle(scratch, Hook::Never as u32, outcome)) {
        0 => Ok(profile),
        result => Err(result),
    }
}

#[inline(always)]
const fn call(label: Label) -> Call {
    let (operation, wanted) = (Operation::Exec, Access::ENTER);
    Call { label, operation, wanted, flags: 0, hook: Hook::Never }
}
