//! Names for the kernel's structures and constants. No layout: every offset comes from BTF.

macro_rules! opaque_structs {
    ($($name:ident)*) => {
        $(
            #[repr(C)]
            pub struct $name {
                _opaque: [u8; 0],
            }
        )*
    };
}

opaque_structs! { Bprm Cgroup Cred CssSet Dentry File Fs Inode KernfsNode Mm Path Pid Regs Message Iattr Vma Qstr Sock Socket SuperBlock UnixSock VfsMount }

pub use aya_ebpf::bindings::task_struct as Task;

pub mod fields {
    //! Structure fields, whose byte offsets the loader writes into the instructions.
    execlayer_common::declare_fields!(crate::kread::Field);
}

/// KERNEL: include/uapi/asm-generic/errno-base.h.
pub const EACCES: i32 = 13;
pub const ENOMEM: i32 = 12;
pub const EPERM: i32 = 1;
pub const EXDEV: i32 = 18;
/// KERNEL: include/linux/errno.h: restarts the call without the program's knowing.
pub const ERESTARTNOINTR: i32 = 513;
/// KERNEL: arch/x86/include/uapi/asm/signal.h, include/uapi/asm-generic/signal.h (arm64).
pub const SIGSTOP: u32 = 19;
pub const SIGCONT: u32 = 18;
/// KERNEL: include/linux/fs.h, `FMODE_CREATED`; the same from 6.1 to 7.3.
pub const FMODE_CREATED: u32 = 1 << 20;
pub const O_CREAT: u32 = 0o100;
pub const O_EXCL: u32 = 0o200;
/// KERNEL: include/linux/sched.h, `PF_KTHREAD`, `PF_IO_WORKER`, `PF_EXITING`, `PF_DUMPCORE`; the same from
/// 6.1 to 7.3.
pub const PF_CANNOT_HOLD: u32 = 0x0020_0000 | 0x0000_0010 | 0x0000_0004 | 0x0000_0200;

/// KERNEL: include/linux/fs.h, `FMODE_READ`, `FMODE_WRITE`; the same since 2.6.
pub const FMODE_READ: u32 = 1;
pub const FMODE_WRITE: u32 = 2;
/// KERNEL: include/linux/fs.h, `__FMODE_EXEC`, in `f_flags`.
pub const FMODE_EXEC: u32 = 0x20;
/// KERNEL: include/uapi/asm-generic/fcntl.h; the same on x86-64 and arm64.
pub const O_TRUNC: u32 = 0o1000;
pub const O_APPEND: u32 = 0o2000;
pub const F_SETFL: u32 = 4;
/// KERNEL: include/uapi/asm-generic/fcntl.h, `__O_TMPFILE`.
pub const O_TMPFILE: u32 = 0o20_000_000;
/// KERNEL: include/linux/fs.h, `FMODE_PATH`; the same since 2.6.39.
pub const FMODE_PATH: u32 = 1 << 14;
/// KERNEL: include/uapi/linux/stat.h.
pub const S_IFMT: u16 = 0o170_000;
pub const S_IFDIR: u16 = 0o040_000;
pub const S_IFSOCK: u16 = 0o140_000;
pub const S_IFCHR: u16 = 0o020_000;
pub const S_IFBLK: u16 = 0o060_000;
/// KERNEL: include/uapi/asm-generic/mman-common.h.
pub const PROT_WRITE: u64 = 2;
pub const PROT_EXEC: u64 = 4;
pub const MAP_SHARED: u64 = 1;
/// KERNEL: include/linux/mm.h.
pub const VM_EXEC: u64 = 4;
pub const VM_SHARED: u64 = 8;
/// KERNEL: include/uapi/linux/fs.h, `RENAME_EXCHANGE`.
pub const RENAME_EXCHANGE: u32 = 2;
/// KERNEL: include/linux/sched.h.
pub const PF_IO_WORKER: u32 = 0x10;
/// KERNEL: include/uapi/linux/fs.h: FS_IOC_SETFLAGS, FS_IOC32_SETFLAGS, FS_IOC_SETVERSION and
/// FS_IOC_FSSETXATTR, which set what chattr(1) does.
pub const SET_INODE_FLAGS: [u32; 4] = [0x4008_6602, 0x4004_6602, 0x4008_7602, 0x401c_5820];
/// KERNEL: include/uapi/asm-generic/ioctls.h.
pub const TIOCSTI: u32 = 0x5412;
/// KERNEL: include/linux/fs.h, `ATTR_MODE | ATTR_UID | ATTR_GID | ATTR_SIZE` and `ATTR_ATIME | ATTR_MTIME`.
pub const ATTR_OTHERS: u32 = 0xf;
pub const ATTR_TIMES: u32 = 0x30;
/// KERNEL: include/linux/binfmts.h via include/linux/security.h: an exec whose working directory others share, and
/// one that is traced, and one of a task with `no_new_privs` (fs/exec.c, `check_unsafe_exec`, 6.1, before the first hook of an exec).
pub const LSM_UNSAFE_SHARE: u32 = 1;
pub const LSM_UNSAFE_PTRACE: u32 = 2;
pub const LSM_UNSAFE_NO_NEW_PRIVS: u32 = 4;
/// KERNEL: include/linux/ptrace.h.
pub const PTRACE_MODE_NOAUDIT: u32 = 4;
/// KERNEL: include/linux/security.h.
pub const CAP_OPT_NOAUDIT: u32 = 2;

/// KERNEL: include/linux/fs.h, `SB_NOUSER`: no user mounts such a file system; pipes, memfds and
/// anonymous inodes live on them.
pub const SB_NOUSER: u64 = 1 << 31;
/// KERNEL: fs/mount.h, `MNT_NS_INTERNAL`, which is `ERR_PTR(-EINVAL)`.
pub const MNT_NS_INTERNAL: u64 = (-22_i64) as u64;

/// KERNEL: include/uapi/linux/magic.h.
pub const PIPEFS_MAGIC: u64 = 0x5049_5045;
/// KERNEL: from 6.9 on pidfds are opened files.
pub const PID_FS_MAGIC: u64 = 0x5049_4446;
pub const BPF_FS_MAGIC: u64 = 0xcafe_4a11;
pub const ANON_INODE_FS_MAGIC: u64 = 0x0904_1934;
pub const FUSE_SUPER_MAGIC: u64 = 0x6573_5546;
/// KERNEL: include/uapi/linux/elf.h, `ELFMAG`, as a little-endian word.
pub const ELF_MAGIC: u32 = 0x464c_457f;
/// KERNEL: include/uapi/linux/hash_info.h, `HASH_ALGO_SHA256`.
pub const HASH_ALGO_SHA256: i64 = 4;

/// KERNEL: include/linux/socket.h.
pub const AF_UNSPEC: u16 = 0;
pub const AF_UNIX: u16 = 1;
pub const AF_INET: u16 = 2;
pub const AF_INET6: u16 = 10;
pub const AF_NETLINK: u16 = 16;
pub const AF_PACKET: u16 = 17;
pub const AF_VSOCK: u16 = 40;
/// KERNEL: include/uapi/linux/in.h.
pub const IPPROTO_TCP: u16 = 6;
pub const IPPROTO_ICMP: u16 = 1;
pub const IPPROTO_UDP: u16 = 17;
pub const IPPROTO_ICMPV6: u16 = 58;
pub const IPPROTO_UDPLITE: u16 = 136;
pub const IPPROTO_MPTCP: u16 = 262;
