//! Kernel structure fields that the gate reads. The loader looks each offset up in the running
//! kernel's BTF and writes it into the instructions that need it before it loads the programs; until
//! then a mark with the field's number stands there. A field that is not found is a refusal to start
//! that names it.
//!
//! The registers of a call go by their names on x86-64 (arch/x86/include/asm/ptrace.h, `pt_regs`), then on
//! arm64 (arch/arm64/include/asm/ptrace.h); what the programs make of them is in `hold/machine.rs` of theirs.
//!
//! KERNEL: an anonymous union or struct is looked through (`f_path` sits in one from 6.16 on).

/// One field: the structure, and the names that the field has had, newest last; the first that exists is
/// taken.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Structure tag.
    pub structure: &'static str,
    /// Member names; a dot goes into a named member, or with a number behind it into an array.
    pub members: &'static [&'static str],
}

/// What a `.rodata` variable holds until the loader writes it. Not 0: the compiler lays an anonymous
/// constant of equal content over the variable, and the constant would change with it. A variable that
/// the loader forgets is an offset that no verifier accepts.
pub const UNSET: u32 = 0xe7e7_e7e7;

/// Mark of field 0 in the offset of a load; the others follow. No structure of the programs' own is so
/// large.
pub const MARK: i16 = 0x7c00;
/// Mark of field 0 where a number is added or set; the others follow.
pub const WIDE_MARK: i32 = 0x7c7c_0000;

macro_rules! fields {
    ($($name:ident: $structure:literal $($member:literal)|+;)*) => {
        /// Every field, by its number.
        pub const FIELDS: &[Field] = &[
            $(Field { structure: $structure, members: &[$($member),+] },)*
        ];

        /// The fields' numbers.
        #[allow(non_camel_case_types, missing_docs, reason = "names of fields, each used as its number")]
        #[derive(Clone, Copy, Debug)]
        #[repr(u8)]
        pub enum Number {
            $($name,)*
        }

        /// Declares a type for each field that implements `$trait`; for the kernel crate only.
        #[macro_export]
        macro_rules! declare_fields {
            ($trait:path) => {
                $(
                    #[allow(non_camel_case_types, reason = "the name of a field")]
                    pub struct $name;

                    impl $trait for $name {
                        const NUMBER: u8 = $crate::fields::Number::$name as u8;
                    }
                )*
            };
        }
    };
}

fields! {
    OFF_TASK_STORAGE: "task_struct" "bpf_storage";
    OFF_TASK_FS: "task_struct" "fs";
    OFF_TASK_MM: "task_struct" "mm";
    OFF_TASK_FILES: "task_struct" "files";
    OFF_FILES_TABLE: "files_struct" "fdt";
    OFF_FILES_COUNT: "files_struct" "count";
    OFF_TABLE_MAX: "fdtable" "max_fds";
    OFF_TABLE_OPEN: "fdtable" "open_fds";
    OFF_TABLE_CLOEXEC: "fdtable" "close_on_exec";
    OFF_TASK_CRED: "task_struct" "cred";
    OFF_CRED_EUID: "cred" "euid";
    OFF_CRED_EGID: "cred" "egid";
    OFF_TASK_PARENT: "task_struct" "real_parent";
    OFF_TASK_LEADER: "task_struct" "group_leader";
    OFF_TASK_PID: "task_struct" "pid";
    OFF_TASK_TGID: "task_struct" "tgid";
    OFF_TASK_START: "task_struct" "start_boottime";
    OFF_TASK_FLAGS: "task_struct" "flags";
    OFF_TASK_STATUS: "task_struct" "thread_info.status" | "thread_info.flags";
    OFF_TASK_PTRACE: "task_struct" "ptrace";
    OFF_REGS_NUMBER: "pt_regs" "orig_ax" | "syscallno";
    OFF_REGS_IP: "pt_regs" "ip" | "pc";
    OFF_REGS_SP: "pt_regs" "sp";
    OFF_REGS_A: "pt_regs" "di" | "orig_x0";
    OFF_REGS_B: "pt_regs" "si" | "regs.1";
    OFF_REGS_C: "pt_regs" "dx" | "regs.2";
    OFF_REGS_D: "pt_regs" "r10" | "regs.3";
    OFF_REGS_E: "pt_regs" "r8" | "regs.4";
    OFF_DENTRY_INODE: "dentry" "d_inode";
    OFF_INODE_SB: "inode" "i_sb";
    OFF_SB_DEV: "super_block" "s_dev";
    OFF_INODE_INO: "inode" "i_ino";
    OFF_INODE_GENERATION: "inode" "i_generation";
    OFF_INODE_SIZE: "inode" "i_size";
    OFF_INODE_CTIME: "inode" "i_ctime.tv_sec" | "__i_ctime.tv_sec" | "i_ctime_sec";
    OFF_INODE_CTIME_NS: "inode" "i_ctime.tv_nsec" | "__i_ctime.tv_nsec" | "i_ctime_nsec";
    OFF_TASK_CGROUPS: "task_struct" "cgroups";
    OFF_CSS_DFL_CGRP: "css_set" "dfl_cgrp";
    OFF_CGROUP_KN: "cgroup" "kn";
    OFF_KN_ID: "kernfs_node" "id";
    OFF_KN_PARENT: "kernfs_node" "parent" | "__parent";
    OFF_KN_NAME: "kernfs_node" "name";
    OFF_FS_ROOT: "fs_struct" "root";
    OFF_FS_PWD: "fs_struct" "pwd";
    OFF_TASK_COMM: "task_struct" "comm";
    OFF_MM_EXE: "mm_struct" "exe_file";
    OFF_MM_ARG_START: "mm_struct" "arg_start";
    OFF_MM_ARG_END: "mm_struct" "arg_end";
    OFF_FILE_PATH: "file" "f_path";
    OFF_FILE_FLAGS: "file" "f_flags";
    OFF_FILE_MODE: "file" "f_mode";
    OFF_PATH_MNT: "path" "mnt";
    OFF_PATH_DENTRY: "path" "dentry";
    OFF_DENTRY_SEQ: "dentry" "d_seq";
    OFF_DENTRY_HASH: "dentry" "d_hash";
    OFF_DENTRY_PARENT: "dentry" "d_parent";
    OFF_DENTRY_NAME: "dentry" "d_name";
    OFF_DENTRY_INLINE: "dentry" "d_iname" | "d_shortname";
    OFF_DENTRY_SB: "dentry" "d_sb";
    OFF_SB_MAGIC: "super_block" "s_magic";
    OFF_SB_FLAGS: "super_block" "s_flags";
    OFF_VFSMOUNT_ROOT: "vfsmount" "mnt_root";
    OFF_MOUNT_MNT: "mount" "mnt";
    OFF_MOUNT_PARENT: "mount" "mnt_parent";
    OFF_MOUNT_NS: "mount" "mnt_ns";
    OFF_MOUNT_POINT: "mount" "mnt_mountpoint";
    OFF_BPRM_FILE: "linux_binprm" "file";
    OFF_BPRM_BUF: "linux_binprm" "buf";
    OFF_BPRM_UNSAFE: "linux_binprm" "unsafe";
    OFF_BPRM_FILENAME: "linux_binprm" "filename";
    OFF_BPRM_INTERP: "linux_binprm" "interp";
    OFF_SOCKET_SK: "socket" "sk";
    OFF_SOCK_PROTOCOL: "sock" "sk_protocol";
    OFF_SOCK_PEER_PID: "sock" "sk_peer_pid";
    OFF_PID_NUMBERS: "pid" "numbers";
    OFF_UNIX_ADDR: "unix_sock" "addr";
    OFF_UNIX_PATH: "unix_sock" "path";
    OFF_UNIX_ADDR_LEN: "unix_address" "len";
    OFF_UNIX_ADDR_NAME: "unix_address" "name";
    OFF_INODE_MODE: "inode" "i_mode";
    OFF_INODE_NLINK: "inode" "i_nlink";
    OFF_INODE_RDEV: "inode" "i_rdev";
    OFF_TASK_REAL_CRED: "task_struct" "real_cred";
    OFF_TASK_NSPROXY: "task_struct" "nsproxy";
    OFF_NSPROXY_MNT: "nsproxy" "mnt_ns";
    OFF_SB_MOUNTS: "super_block" "s_mounts";
    OFF_MOUNT_NEXT: "mount" "mnt_next_for_sb" | "mnt_instance";
    OFF_IATTR_VALID: "iattr" "ia_valid";
    OFF_VMA_FILE: "vm_area_struct" "vm_file";
    OFF_VMA_COPIES: "vm_area_struct" "anon_vma";
    OFF_VMA_FLAGS: "vm_area_struct" "vm_flags";
    OFF_MSG_NAME: "msghdr" "msg_name";
    OFF_MSG_NAMELEN: "msghdr" "msg_namelen";
    OFF_SOCK_FAMILY: "sock" "__sk_common.skc_family";
    OFF_SOCK_NUM: "sock" "__sk_common.skc_num";
    OFF_SOCK_LOCAL: "sock" "__sk_common.skc_rcv_saddr";
    OFF_SOCK_LOCAL_6: "sock" "__sk_common.skc_v6_rcv_saddr";
}
