//! The gate's kernel programs: one line for each hook. Owns the order "an earlier denial stands";
//! what a hook does is in `hooks/`.
#![no_std]
#![no_main]
#![allow(
    clippy::multiple_unsafe_ops_per_block,
    reason = "fields of the one buffer that a task owns are filled together, for the same reason"
)]
#![feature(asm_experimental_arch, core_intrinsics)]
#![allow(internal_features, reason = "atomic.rs says why")]
#![allow(missing_docs, unreachable_pub, reason = "nothing here is a public interface")]
#![allow(
    unsafe_code,
    reason = "a kernel program reads kernel memory; each block says why it holds"
)]

mod address;
mod at_once;
mod atomic;
mod budget;
mod clock;
mod cred;
mod emit;
mod enforce;
mod enter;
mod feature;
mod frame;
mod gate;
mod guard;
mod hash;
mod hold;
mod hooks;
mod inherit;
mod judge;
mod kernel;
mod kread;
mod label;
mod maps;
mod place;
mod scratch;
mod select;
mod storage;
mod walk;
mod world;

use core::ffi::c_void;

use aya_ebpf::{
    helpers::generated::bpf_seq_write,
    macros::{btf_tracepoint, lsm},
    programs::{BtfTracePointContext, LsmContext},
};
use execlayer_common::adoption;

/// A program at `$hook`, whose previous return value is argument `$previous`.
///
/// INVARIANT(earlier denial): every program returns the previous program's non-zero result as it is.
macro_rules! hook {
    ($name:ident, $hook:literal, $previous:literal, $body:path) => {
        #[lsm(hook = $hook)]
        pub fn $name(ctx: LsmContext) -> i32 {
            let previous: i32 = ctx.arg($previous);
            if previous != 0 {
                return previous;
            }
            let result = $body(&ctx);
            #[cfg(feature = "kernel-log")]
            if result != 0 {
                aya_log_ebpf::info!(&ctx, "{} returns {}", stringify!($name), result);
            }
            result
        }
    };
    ($name:ident, $hook:literal, void, $body:path) => {
        #[lsm(hook = $hook)]
        pub fn $name(ctx: LsmContext) -> i32 {
            $body(&ctx)
        }
    };
}

hook!(task_alloc, "task_alloc", 2, hooks::task::alloc);
hook!(task_free, "task_free", void, hooks::task::free);
hook!(exec_select, "bprm_creds_for_exec", 1, hooks::exec::select);
hook!(bprm_check, "bprm_check_security", 1, hooks::exec::check);
hook!(bprm_committed, "bprm_committed_creds", void, hooks::exec::committed);
hook!(file_open, "file_open", 1, hooks::file::open);
hook!(file_fcntl, "file_fcntl", 3, hooks::file::fcntl);
hook!(path_mknod, "path_mknod", 4, hooks::file::mknod);
hook!(path_unlink, "path_unlink", 2, hooks::change::unlink);
hook!(path_rmdir, "path_rmdir", 2, hooks::change::rmdir);
hook!(path_mkdir, "path_mkdir", 3, hooks::change::mkdir);
hook!(path_symlink, "path_symlink", 3, hooks::change::symlink);
hook!(path_link, "path_link", 3, hooks::change::link);
hook!(path_rename, "path_rename", 5, hooks::change::rename);
hook!(path_truncate, "path_truncate", 1, hooks::change::truncate);
hook!(path_chmod, "path_chmod", 2, hooks::change::chmod);
hook!(path_chown, "path_chown", 3, hooks::change::chown);
hook!(file_truncate, "file_truncate", 1, hooks::change::file_truncate);
hook!(file_receive, "file_receive", 1, hooks::file::receive);
hook!(file_ioctl, "file_ioctl", 3, hooks::device::ioctl);
hook!(file_ioctl_32, "file_ioctl_compat", 3, hooks::device::ioctl);
hook!(inode_setattr_2, "inode_setattr", 2, hooks::inode::setattr_2);
hook!(inode_setattr_3, "inode_setattr", 3, hooks::inode::setattr_3);
hook!(inode_setxattr, "inode_setxattr", 6, hooks::inode::xattr);
hook!(inode_removexattr, "inode_removexattr", 3, hooks::inode::xattr);
hook!(inode_set_acl, "inode_set_acl", 4, hooks::inode::xattr);
hook!(inode_remove_acl, "inode_remove_acl", 3, hooks::inode::xattr);
hook!(inode_set_flags, "inode_file_setattr", 2, hooks::inode::flags);
hook!(inode_anonymous, "inode_init_security_anon", 3, hooks::inode::anonymous);
hook!(mmap_file, "mmap_file", 4, hooks::code::mmap);
hook!(file_mprotect, "file_mprotect", 3, hooks::code::mprotect);
hook!(socket_create, "socket_create", 4, hooks::socket::create);
hook!(socket_bind, "socket_bind", 3, hooks::inet::bind);
hook!(socket_listen, "socket_listen", 2, hooks::inet::serve);
hook!(socket_accept, "socket_accept", 2, hooks::inet::serve);
hook!(socket_send, "socket_sendmsg", 3, hooks::inet::send);
hook!(trace, "ptrace_access_check", 2, hooks::leave::trace);
hook!(trace_me, "ptrace_traceme", 1, hooks::leave::traceme);
hook!(task_kill, "task_kill", 4, hooks::leave::kill);
hook!(capable, "capable", 4, hooks::leave::capable);
hook!(user_namespace, "userns_create", 1, hooks::leave::user_namespace);
hook!(path_chroot, "path_chroot", 1, hooks::leave::chroot);
hook!(perf_event, "perf_event_open", void, hooks::leave::perf);
hook!(key_permission, "key_permission", 3, hooks::leave::key);
hook!(socket_connect, "socket_connect", 3, hooks::inet::connect);
hook!(unix_connect, "unix_stream_connect", 3, hooks::unix::connect);
hook!(unix_send, "unix_may_send", 2, hooks::unix::send);
hook!(guard_signal, "file_send_sigiotask", 3, hooks::leave::signal_of_descriptor);
hook!(guard_bpf, "bpf", void, hooks::guard::bpf);
hook!(guard_unlink, "inode_unlink", 2, hooks::guard::unlink);
hook!(guard_rmdir, "inode_rmdir", 2, hooks::guard::unlink);
hook!(guard_rename, "inode_rename", 4, hooks::guard::rename);

/// Sleeps: reads the whole file.
#[lsm(hook = "bprm_check_security", sleepable)]
pub fn exec_measure(ctx: LsmContext) -> i32 {
    hold::measure(&ctx)
}

/// Looks once more at a child that is there and does not run yet.
#[btf_tracepoint(function = "sched_wakeup_new")]
pub fn task_forked(ctx: BtfTracePointContext) -> i32 {
    hooks::task::forked(&ctx)
}

/// What every iterator is given. KERNEL: `struct bpf_iter_meta` (include/linux/bpf.h, 6.1).
#[repr(C)]
pub struct IteratorMeta {
    seq: *mut c_void,
}

/// What a task iterator is given. KERNEL: `struct bpf_iter__task` (kernel/bpf/task_iter.c, 6.1).
#[repr(C)]
pub struct TaskIterator {
    meta: *const IteratorMeta,
    task: *const kernel::Task,
}

/// Labels tasks that already run where a policy selects, and writes a byte of [`adoption`] for each.
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/task")]
extern "C" fn adopt(ctx: *const TaskIterator) -> i32 {
    // SAFETY: the kernel passes its iterator context; VERIFIER checks the access.
    let (meta, task) = unsafe { ((*ctx).meta, (*ctx).task) };
    if task.is_null() {
        return 0;
    }
    let outcome = match select::adopt(task) {
        Ok(false) => return 0,
        Ok(true) => adoption::ADOPTED,
        Err(()) => adoption::FAILED,
    };
    // SAFETY: the iterator's own file, and one byte of this function's.
    unsafe { bpf_seq_write((*meta).seq.cast(), (&raw const outcome).cast(), 1) };
    0
}
