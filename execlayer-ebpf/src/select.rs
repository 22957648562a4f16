//! Which policy an ungoverned task belongs to: by scope, by its cgroup's path, by what it executes.
//! Runs at fork, at exec and at adoption; never on a call that is judged.

use core::ffi::c_void;

use aya_ebpf::helpers::generated::{bpf_probe_read_kernel, bpf_probe_read_kernel_str};
use execlayer_common::{
    access::Operation,
    label::Label,
    limits::{MAX_COMPONENTS, MAX_PROFILES},
};

use crate::{
    judge,
    kernel::{Cgroup, CssSet, File, KernfsNode, Mm, Task, fields},
    kread::{offset, read, typed, within},
    label,
    maps::{CGROUPS, SCOPES, SELECTORS},
    scratch::{self, IN_PATH, PATH_END, Scratch},
    walk,
    world::repeat,
};

const BY_CGROUP: u32 = 0;
const BY_EXE: u32 = 1;
const EPOCH: u32 = 2;
/// Longest cgroup name. KERNEL: NAME_MAX, as for files (fs/kernfs/dir.c).
const NAME_MAX: u64 = 255;

/// A new label of `profile` whose session begins with `task`.
#[inline(always)]
pub fn label(task: *const Task, profile: u32) -> Label {
    let leader: *const Task = typed(task, &fields::OFF_TASK_LEADER);
    Label { profile, pending: 0, session: typed(leader, &fields::OFF_TASK_START) }
}

/// The profile that a task's cgroup selects. `Err`: it could not be found out. What is found is remembered, where
/// that is allowed: not under the run queue's lock.
#[inline(always)]
pub fn by_cgroup<const REMEMBER: bool>(task: *const Task) -> Result<Option<u32>, ()> {
    let set: *const CssSet = typed(task, &fields::OFF_TASK_CGROUPS);
    let cgroup: *const Cgroup = typed(set, &fields::OFF_CSS_DFL_CGRP);
    let node: *const KernfsNode = typed(cgroup, &fields::OFF_CGROUP_KN);
    let id: u64 = typed(node, &fields::OFF_KN_ID);
    // SAFETY: elements of both tables are plain integers; a stale one is at worst an older answer.
    if let Some(&profile) = unsafe { SCOPES.get(id) } {
        return Ok(Some(profile));
    }
    let selectors = SELECTORS.get(BY_CGROUP).copied().unwrap_or(0);
    if selectors == 0 {
        return Ok(None);
    }
    let epoch = SELECTORS.get(EPOCH).copied().unwrap_or(0) & 0xffff_ffff;
    // SAFETY: as above.
    if let Some(&known) = unsafe { CGROUPS.get(id) }
        && known >> 32 == epoch
    {
        let profile = known as u32;
        return Ok(if profile == 0 { None } else { Some(profile) });
    }
    // Nobody waits under the run queue's lock.
    let scratch = if REMEMBER { scratch::acquire() } else { scratch::acquire_at_once() };
    let scratch = scratch.ok_or(())?;
    let found = if cgroup_path(scratch, node as u64) {
        Ok(first_that_selects(scratch, selectors, Operation::SelectCgroup))
    } else {
        Err(())
    };
    scratch::release(scratch);
    if REMEMBER && let Ok(profile) = found {
        let _not_remembered =
            CGROUPS.insert(id, (epoch << 32) | u64::from(profile.unwrap_or(0)), 0);
    }
    found
}

/// Labels a task that is about to execute `file`, if a policy selects it; the label that it has once it has
/// executed.
#[inline(always)]
pub fn at_exec(task: *const Task, file: *const File) -> Result<Option<Label>, ()> {
    if let Some(profile) = by_cgroup::<true>(task)? {
        let label = label(task, profile);
        return label::store(task, label).map(|()| Some(label));
    }
    let profile = by_file(task, file)?.unwrap_or(0);
    if profile != 0 {
        // In force when the exec is committed; what may fail is done before.
        let label = label(task, profile);
        let pending = Label { profile: 0, pending: profile, ..label };
        return label::store(task, pending).map(|()| Some(label));
    }
    if label::found(task).is_some() {
        // An earlier exec selected, and failed.
        label::store(task, label(task, 0))?;
    }
    Ok(None)
}

/// Labels a task that already runs, if a policy selects it; whether it was not governed and is now.
#[inline(always)]
pub fn adopt(task: *const Task) -> Result<bool, ()> {
    // A late label can move to where the others are between the two looks of one look-up, not of two.
    if label::of(task).is_some() || label::of(task).is_some() {
        return Ok(false);
    }
    let mut profile = by_cgroup::<true>(task)?;
    if profile.is_none() {
        let mm: *const Mm = typed(task, &fields::OFF_TASK_MM);
        if !mm.is_null() {
            let file: *const File = typed(mm, &fields::OFF_MM_EXE);
            if !file.is_null() {
                profile = by_file(task, file)?;
            }
        }
    }
    let Some(profile) = profile else { return Ok(false) };
    label::store(task, label(task, profile)).map(|()| true)
}

#[inline(always)]
fn by_file(task: *const Task, file: *const File) -> Result<Option<u32>, ()> {
    let selectors = SELECTORS.get(BY_EXE).copied().unwrap_or(0);
    if selectors == 0 {
        return Ok(None);
    }
    let scratch = scratch::acquire().ok_or(())?;
    let (mnt, dentry) = walk::place_of(file);
    // A file without a name is selected by none.
    let found = if walk::path(scratch, walk::root_of(task), mnt, dentry).is_ok() {
        first_that_selects(scratch, selectors, Operation::SelectExe)
    } else {
        None
    };
    scratch::release(scratch);
    Ok(found)
}

#[repr(C)]
struct Search {
    scratch: *mut Scratch,
    selectors: u64,
    found: u32,
}

extern "C" fn try_profile(index: u64, search: *mut Search) -> i64 {
    // SAFETY: `bpf_loop` passes the context that `first_that_selects` owns.
    let search = unsafe { &mut *search };
    let index = index as u32 & (MAX_PROFILES - 1);
    if search.selectors >> index & 1 == 0 {
        return 0;
    }
    let profile = index.wrapping_add(1);
    if judge::selects(search.scratch, profile) {
        search.found = profile;
        return 1;
    }
    0
}

/// The first profile whose selector matches the subject in scratch.
#[inline(always)]
fn first_that_selects(scratch: *mut Scratch, selectors: u64, operation: Operation) -> Option<u32> {
    // SAFETY: this task owns the buffer.
    unsafe { (*scratch).event.operation = operation as u8 };
    let mut search = Search { scratch, selectors, found: 0 };
    repeat(MAX_PROFILES, try_profile as *const () as *mut c_void, (&raw mut search).cast());
    if search.found == 0 { None } else { Some(search.found) }
}

#[repr(C)]
struct Climb {
    scratch: *mut Scratch,
    node: u64,
    pos: u64,
    done: u32,
}

extern "C" fn climb(_turn: u64, climb: *mut Climb) -> i64 {
    // SAFETY: `bpf_loop` passes the context that `cgroup_path` owns.
    let climb = unsafe { &mut *climb };
    match name_of(climb) {
        Some(parent) if parent != 0 => {
            climb.node = parent;
            0
        }
        Some(_root) => {
            climb.done = 1;
            1
        }
        None => 1,
    }
}

/// Prepends a node's name, unless it is the root; its parent.
#[inline(always)]
fn name_of(climb: &mut Climb) -> Option<u64> {
    let parent: u64 = read(climb.node.wrapping_add(offset(&fields::OFF_KN_PARENT)))?;
    if parent == 0 {
        return Some(0);
    }
    let name: u64 = read(climb.node.wrapping_add(offset(&fields::OFF_KN_NAME)))?;
    let scratch = climb.scratch;
    // SAFETY: this task owns the buffer; `text` has room for a name, and the copy is masked.
    unsafe {
        let text = (&raw mut (*scratch).text).cast::<u8>();
        let read =
            bpf_probe_read_kernel_str(text.cast(), NAME_MAX as u32 + 1, name as *const c_void);
        let len = (read as u64).wrapping_sub(1);
        if read < 1 || len > NAME_MAX || climb.pos <= len {
            return None;
        }
        let path = (&raw mut (*scratch).path).cast::<u8>();
        let begin = within::<IN_PATH>(climb.pos.wrapping_sub(len));
        let copied = bpf_probe_read_kernel(
            path.add(begin as usize).cast(),
            (within::<NAME_MAX>(len)) as u32,
            text.cast(),
        );
        if copied != 0 {
            return None;
        }
        let slash = within::<IN_PATH>(begin.wrapping_sub(1));
        path.add(slash as usize).write(b'/');
        climb.pos = slash;
    }
    Some(parent)
}

/// Writes a cgroup's path below the cgroup2 root into scratch; whether it could be read.
#[inline(always)]
fn cgroup_path(scratch: *mut Scratch, node: u64) -> bool {
    let mut state = Climb { scratch, node, pos: PATH_END, done: 0 };
    repeat(MAX_COMPONENTS, climb as *const () as *mut c_void, (&raw mut state).cast());
    // SAFETY: this task owns the buffer.
    unsafe {
        let mut pos = state.pos;
        if pos == PATH_END {
            pos = PATH_END - 1;
            (&raw mut (*scratch).path).cast::<u8>().add(pos as usize).write(b'/');
        }
        (*scratch).pos = pos;
        (*scratch).len = PATH_END.wrapping_sub(pos);
    }
    state.done != 0
}
