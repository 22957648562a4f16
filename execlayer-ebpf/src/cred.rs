//! The caller's credentials, as the initial user namespace sees them.

use crate::{
    kernel::{Cred, fields},
    kread::typed,
    label,
};

/// Effective uid.
#[inline(always)]
pub fn euid() -> u32 {
    let cred: *const Cred = typed(label::current(), &fields::OFF_TASK_CRED);
    typed(cred, &fields::OFF_CRED_EUID)
}

/// Effective gid.
#[inline(always)]
pub fn egid() -> u32 {
    let cred: *const Cred = typed(label::current(), &fields::OFF_TASK_CRED);
    typed(cred, &fields::OFF_CRED_EGID)
}
