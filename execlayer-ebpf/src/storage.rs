//! Task storage, which aya-ebpf does not define yet: the map type and its look-up.

use core::ffi::c_void;

use aya_ebpf::{
    bindings::{BPF_F_NO_PREALLOC, BPF_LOCAL_STORAGE_GET_F_CREATE, bpf_map_type, task_struct},
    helpers::generated::bpf_task_storage_get,
};

/// BTF definition of a `BPF_MAP_TYPE_TASK_STORAGE` map.
///
/// KERNEL: needs `BPF_F_NO_PREALLOC`, an int key and no max_entries (kernel/bpf/bpf_local_storage.c,
/// `bpf_local_storage_map_alloc_check`, 6.1).
#[repr(C)]
pub struct TaskStorage<T> {
    r#type: *const [i32; bpf_map_type::BPF_MAP_TYPE_TASK_STORAGE as usize],
    key: *const i32,
    value: *const T,
    max_entries: *const [i32; 0],
    map_flags: *const [i32; BPF_F_NO_PREALLOC as usize],
}

// SAFETY: the fields are placeholders for the loader and are never dereferenced.
unsafe impl<T> Sync for TaskStorage<T> {}

impl<T> TaskStorage<T> {
    pub const fn new() -> Self {
        Self {
            r#type: core::ptr::null(),
            key: core::ptr::null(),
            value: core::ptr::null(),
            max_entries: core::ptr::null(),
            map_flags: core::ptr::null(),
        }
    }

    fn as_ptr(&self) -> *mut c_void {
        core::ptr::from_ref(self).cast_mut().cast()
    }

    /// The task's value, or null.
    #[inline(always)]
    pub fn get(&self, task: *const task_struct) -> *mut T {
        // SAFETY: VERIFIER: `task` must be a BTF-typed task pointer, or the program does not load.
        unsafe {
            bpf_task_storage_get(self.as_ptr(), task.cast_mut(), core::ptr::null_mut(), 0).cast()
        }
    }

    /// The task's value, made from `initial` if there is none; null if it could not be made.
    #[inline(always)]
    pub fn get_or_insert(&self, task: *const task_struct, initial: &T) -> *mut T {
        // SAFETY: VERIFIER: as above; the kernel copies `initial`.
        unsafe {
            bpf_task_storage_get(
                self.as_ptr(),
                task.cast_mut(),
                core::ptr::from_ref(initial).cast_mut().cast(),
                BPF_LOCAL_STORAGE_GET_F_CREATE.into(),
            )
            .cast()
        }
    }
}
