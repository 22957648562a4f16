//! Code that is not executed but mapped to be: shared libraries, a loader's program, memory.

use aya_ebpf::programs::LsmContext;
use execlayer_common::{
    access::{Access, Operation},
    feature as common,
    label::Label,
    question::Hook,
};

use crate::{
    feature,
    hold::call,
    kernel::{File, MAP_SHARED, PROT_EXEC, PROT_WRITE, VM_EXEC, VM_SHARED, Vma, fields},
    kread::typed,
    label,
    place::{Change, Kind},
};

/// `int mmap_file(struct file *file, unsigned long reqprot, unsigned long prot, unsigned long flags)`
///
/// What counts is what the pages will be (`prot`): a personality can make everything executable that may be
/// read (mm/util.c, `mmap_prot`, 6.1).
#[inline(always)]
pub fn mmap(ctx: &LsmContext) -> i32 {
    let prot: u64 = ctx.arg(2);
    let flags: u64 = ctx.arg(3);
    let is_shared = prot & PROT_WRITE != 0 && flags & MAP_SHARED != 0;
    if prot & PROT_EXEC == 0 && !is_shared {
        return 0;
    }
    let task = label::current();
    let Some(label) = label::of(task) else { return 0 };
    let executes = prot & PROT_EXEC != 0 && !call::is_executing(task);
    let is_memory = prot & PROT_WRITE != 0 && !is_shared;
    judged(label, ctx.arg(0), executes, is_memory, is_shared)
}

/// `int file_mprotect(struct vm_area_struct *vma, unsigned long reqprot, unsigned long prot)`
#[inline(always)]
pub fn mprotect(ctx: &LsmContext) -> i32 {
    let prot: u64 = ctx.arg(2);
    if prot & (PROT_EXEC | PROT_WRITE) == 0 {
        return 0;
    }
    let task = label::current();
    let Some(label) = label::of(task) else { return 0 };
    let vma: *const Vma = ctx.arg(0);
    let now: u64 = typed(vma, &fields::OFF_VMA_FLAGS);
    let file: *const File = typed(vma, &fields::OFF_VMA_FILE);
    let executes = prot & PROT_EXEC != 0 && now & VM_EXEC == 0 && !call::is_executing(task);
    let writes = prot & PROT_WRITE != 0;
    let is_shared = now & VM_SHARED != 0;
    // Pages that were written since, or may be from now on, are no file's any more.
    let copies: u64 = typed(vma, &fields::OFF_VMA_COPIES);
    judged(label, file, executes, copies != 0 || writes && !is_shared, writes && is_shared)
}

/// Judges pages of a file: to be executed, of which some are memory and no file's, or written for all who
/// have the file.
#[inline(always)]
fn judged(
    label: Label,
    file: *const File,
    executes: bool,
    is_memory: bool,
    is_written: bool,
) -> i32 {
    if executes {
        let result = executable(label).mapped(file);
        if result != 0 {
            return result;
        }
        if is_memory {
            return feature::used(label, &common::EXECUTABLE_MEMORY);
        }
    }
    if is_written { written(label).appended(file) } else { 0 }
}

#[inline(always)]
const fn executable(label: Label) -> Change {
    let (operation, wanted) = (Operation::Exec, Access::EXEC);
    Change { label, operation, wanted, kind: Kind::Named, hook: Hook::MapFile, flags: 0 }
}

/// What is mapped to be written is not only appended to.
#[inline(always)]
const fn written(label: Label) -> Change {
    let (operation, wanted) = (Operation::File, Access::WRITE);
    Change { label, operation, wanted, kind: Kind::There, hook: Hook::Never, flags: 0 }
}
