//! Who asks: ids, credentials, name, and the governed processes above. Must not write records.

use aya_ebpf::helpers::generated::{
    bpf_get_current_cgroup_id, bpf_get_current_comm, bpf_ktime_get_boot_ns, bpf_probe_read_kernel,
};
use execlayer_common::event::{self, EventHeader, MAX_ANCESTORS};

use crate::{
    cred,
    kernel::{Task, fields},
    kread::{member, typed},
    label,
};

/// Fills in who asks.
#[inline(always)]
pub(super) fn note(header: *mut EventHeader) {
    // SAFETY: whoever calls this owns the buffer that it lies in.
    let header = unsafe { &mut *header };
    let task = label::current();
    let leader: *const Task = typed(task, &fields::OFF_TASK_LEADER);
    let parent: *const Task = typed(task, &fields::OFF_TASK_PARENT);
    header.abi = event::ABI;
    if header.kind == event::KIND_VERDICT {
        header.thread_start = 0;
        header.hash = [0; 2];
        header.grant = [0; 2];
    }
    // SAFETY: helpers without pointers.
    unsafe {
        header.time = bpf_ktime_get_boot_ns();
        header.cgroup = bpf_get_current_cgroup_id();
    }
    header.pid = typed(task, &fields::OFF_TASK_PID);
    header.tgid = typed(task, &fields::OFF_TASK_TGID);
    header.ppid = typed(parent, &fields::OFF_TASK_TGID);
    header.start = typed(leader, &fields::OFF_TASK_START);
    header.uid = cred::euid();
    header.gid = cred::egid();
    // SAFETY: the destination has 16 bytes. It cannot fail for 16 bytes and the current task.
    let _always_zero = unsafe { bpf_get_current_comm((&raw mut header.comm).cast(), 16) };
    ancestors(header, parent);
}

/// The governed processes from `above` on, up to the first that is not.
#[inline(always)]
fn ancestors(header: &mut EventHeader, above: *const Task) {
    let mut task = above;
    header.ancestors_len = 0;
    for place in 0..MAX_ANCESTORS {
        if task.is_null() || label::kept(task).is_none_or(|label| label.profile == 0) {
            return;
        }
        let ancestor = &mut header.ancestors[place];
        ancestor.pid = typed(task, &fields::OFF_TASK_TGID);
        let name = member(task, &fields::OFF_TASK_COMM);
        // SAFETY: the destination has 16 bytes; the helper checks the source.
        let _cleared_if_not =
            unsafe { bpf_probe_read_kernel((&raw mut ancestor.comm).cast(), 16, name) };
        header.ancestors_len = place as u32 + 1;
        task = typed(task, &fields::OFF_TASK_PARENT);
    }
}
