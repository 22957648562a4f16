//! A program that does nothing at every hook of the gate: what being asked costs at all, for
//! `cargo xtask bench`. Must never do anything else.
#![no_std]
#![no_main]
#![allow(missing_docs, unreachable_pub, reason = "nothing here is a public interface")]
#![allow(unsafe_code, reason = "a kernel program is found by its section")]

mod frame;

use aya_ebpf::{macros::lsm, programs::LsmContext};

macro_rules! empty {
    ($($name:ident $hook:literal)*) => { $(
        #[lsm(hook = $hook)]
        pub fn $name(_ctx: LsmContext) -> i32 {
            0
        }
    )* };
}

empty! {
    task_alloc "task_alloc"
    task_free "task_free"
    exec_select "bprm_creds_for_exec"
    bprm_check "bprm_check_security"
    bprm_committed "bprm_committed_creds"
    file_open "file_open"
    file_fcntl "file_fcntl"
    path_mknod "path_mknod"
    path_unlink "path_unlink"
    path_rmdir "path_rmdir"
    path_mkdir "path_mkdir"
    path_symlink "path_symlink"
    path_link "path_link"
    path_rename "path_rename"
    path_truncate "path_truncate"
    path_chmod "path_chmod"
    path_chown "path_chown"
    file_truncate "file_truncate"
    file_receive "file_receive"
    file_ioctl "file_ioctl"
    file_ioctl_32 "file_ioctl_compat"
    inode_setattr_2 "inode_setattr"
    inode_setattr_3 "inode_setattr"
    inode_setxattr "inode_setxattr"
    inode_removexattr "inode_removexattr"
    inode_set_acl "inode_set_acl"
    inode_remove_acl "inode_remove_acl"
    inode_set_flags "inode_file_setattr"
    inode_anonymous "inode_init_security_anon"
    mmap_file "mmap_file"
    file_mprotect "file_mprotect"
    socket_create "socket_create"
    socket_bind "socket_bind"
    socket_listen "socket_listen"
    socket_accept "socket_accept"
    socket_send "socket_sendmsg"
    trace "ptrace_access_check"
    trace_me "ptrace_traceme"
    task_kill "task_kill"
    capable "capable"
    user_namespace "userns_create"
    path_chroot "path_chroot"
    perf_event "perf_event_open"
    key_permission "key_permission"
    socket_connect "socket_connect"
    unix_connect "unix_stream_connect"
    unix_send "unix_may_send"
    guard_signal "file_send_sigiotask"
    guard_bpf "bpf"
    guard_unlink "inode_unlink"
    guard_rmdir "inode_rmdir"
    guard_rename "inode_rename"
}

/// Sleeps, as the gate's own does.
#[lsm(hook = "bprm_check_security", sleepable)]
pub fn exec_measure(_ctx: LsmContext) -> i32 {
    0
}
