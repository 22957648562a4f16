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
    kernel::{File, MAP_SHARED, PROT_EXEC, PROT_WRITE, VM_EXEC, Vma, fields},
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
    let file: *const File = ctx.arg(0);
    if prot & PROT_EXEC != 0 && !call::is_executing(task) {
        let result = executable(label).mapped(file);
        if result != 0 {
            return result;
        }
        if prot & PROT_WRITE != 0 && !is_shared {
            return feature::used(label, &common::EXECUTABLE_MEMORY);
        }
    }
    if is_shared { written(label).appended(file) } else { 0 }
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
    if prot & PROT_EXEC != 0 && now & VM_EXEC == 0 && !call::is_executing(task) {
        let result = executable(label).mapped(file);
        if result != 0 {
            return result;
        }
        // Pages that were written since, or may be from now on, are no file's any more.
        let copies: u64 = typed(vma, &fields::OFF_VMA_COPIES);
        if copies != 0 || prot & PROT_WRITE != 0 && now & VM_SHARED == 0 {
            return feature::used(label, &common::EXECUTABLE_MEMORY);
        }
    }
    if prot & PROT_WRITE != 0 && now & VM_SHARED != 0 { written(label).appended(file) } else { 0 }
}

/// KERNEL: include/linux/mm.h.
const VM_SHARED: u64 = 8;

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
