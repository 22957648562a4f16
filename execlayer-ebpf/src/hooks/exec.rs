//! Executing: selection of tasks that are not governed yet, judgement of those that are and where it leads them.

use aya_ebpf::programs::LsmContext;
use execlayer_common::{
    access::{Access, Operation},
    event, feature as common,
    label::Label,
    question::Hook,
};

use crate::{
    enforce::ON_FAILURE,
    enter, feature,
    hold::{self, calls},
    inherit,
    kernel::{Bprm, ENOMEM, File, fields},
    kread::{member, typed, typed_at},
    label,
    place::{Change, Kind},
    select, walk,
};

/// `int bprm_creds_for_exec(struct linux_binprm *bprm)`: once per exec, before any file is judged.
#[inline(always)]
pub fn select(ctx: &LsmContext) -> i32 {
    let task = label::current();
    label::settle(task);
    let bprm: *const Bprm = ctx.arg(0);
    let label = match label::of(task) {
        // The first label wins, unless a rule of its policy leads on.
        Some(label) => match enter::at_exec(task, label, bprm) {
            Ok(profile) => Label { profile, ..label },
            Err(result) => return result,
        },
        None => {
            let file: *const File = typed(bprm, &fields::OFF_BPRM_FILE);
            match select::at_exec(task, file) {
                Ok(Some(label)) => label,
                Ok(None) => return 0,
                Err(()) => return -ENOMEM,
            }
        }
    };
    if inherit::any(task) { feature::used(label, &common::INHERITED) } else { 0 }
}

/// `int bprm_check_security(struct linux_binprm *bprm)`: once for each interpreter level.
#[inline(always)]
pub fn check(ctx: &LsmContext) -> i32 {
    let Some(label) = label::of(label::current()) else { return 0 };
    let bprm: *const Bprm = ctx.arg(0);
    let file: *const File = typed(bprm, &fields::OFF_BPRM_FILE);
    let result = enter::interpreted(label::current(), label, bprm);
    if result != 0 {
        return result;
    }
    // KERNEL: `buf` has the first bytes of the file (fs/exec.c, `prepare_binprm`, 6.1).
    let first: u32 = typed_at(member(bprm, &fields::OFF_BPRM_BUF), 0);
    let change = Change {
        label,
        operation: Operation::Exec,
        wanted: Access::EXEC,
        kind: Kind::Named,
        hook: Hook::BprmCheck,
        flags: if hold::is_measurable(file, first) { event::EVENT_MEASURABLE } else { 0 },
    };
    let (mnt, dentry) = walk::place_of(file);
    let result = change.at(mnt, dentry);
    if result != 0 {
        return result;
    }
    if calls::checked(label::current(), first) { 0 } else { ON_FAILURE }
}

/// `void bprm_committed_creds(struct linux_binprm *bprm)`: the exec cannot fail any more.
#[inline(always)]
pub fn committed(_ctx: &LsmContext) -> i32 {
    let task = label::current();
    if label::commit(task) {
        calls::committed(task);
        label::settle(task);
    }
    // A policy that came after `select` did not find this file at the task.
    let _found_by_a_pass_otherwise = select::adopt(task);
    0
}
