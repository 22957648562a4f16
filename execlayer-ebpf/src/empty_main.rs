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
    socket_connect "socket_connect"
    unix_connect "unix_stream_connect"
    unix_send "unix_may_send"
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
