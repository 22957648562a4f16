//! Numbers of system calls, which x86-64 and arm64 have each their own of. Must not know what is held.
//!
//! KERNEL: arch/x86/entry/syscalls/syscall_64.tbl, in which calls of x32 have bit 30, and
//! arch/x86/entry/syscalls/syscall_32.tbl; for arm64 include/uapi/asm-generic/unistd.h, which has none of the
//! oldest calls, and arch/arm64/include/asm/unistd32.h (6.4). Numbers never change.

use crate::{
    kernel::{Task, fields},
    kread::{UNSET, typed, variable},
};

/// Whether this machine is arm64. VERIFIER: a constant there, so that of each pair one is cut out.
#[unsafe(no_mangle)]
static IS_ARM64: u32 = UNSET;

/// Calls of x86-64, then of arm64.
macro_rules! calls {
    ($($(#[$about:meta])* $name:ident: [$($x86:literal)|+] $([$($arm:literal)|+])?;)*) => {
        $(
            $(#[$about])*
            #[inline(always)]
            pub fn $name(number: u32) -> bool {
                match is_arm64() {
                    true => false $(|| matches!(number, $($arm)|+))?,
                    false => matches!(number, $($x86)|+),
                }
            }
        )*
    };
}

calls! {
    /// execve, execveat.
    executes: [59 | 322] [221 | 281];
    executes_at: [322] [281];
    /// execve, execveat of a task that [`is_in_32_bits`].
    executes_in_32_bits: [11 | 358] [11 | 387];
    /// execve, execveat.
    executes_by_x32: [0x4000_0208 | 0x4000_0221];
    /// openat, openat2, open_by_handle_at; open, creat.
    opens: [257 | 437 | 304 | 2 | 85] [56 | 437 | 265];
    /// mknodat, bind; mknod.
    makes_a_node: [259 | 49 | 133] [33 | 200];
    connects: [42] [203];
    /// sendto, sendmsg, sendmmsg.
    sends: [44 | 46 | 307] [206 | 211 | 269];
    /// bind, listen, accept, accept4.
    serves: [49 | 50 | 43 | 288] [200 | 201 | 202 | 242];
    /// mmap, mprotect, pkey_mprotect.
    maps: [9 | 10 | 329] [222 | 226 | 288];
    /// unlinkat, mkdirat, symlinkat; fchmod, fchmodat, fchmodat2; fchown, fchownat; truncate, ftruncate; unlink,
    /// rmdir, mkdir, symlink, chmod, chown, lchown.
    changes_a_name: [
        263 | 258 | 266 | 91 | 268 | 452 | 93 | 260 | 76 | 77 | 87 | 84 | 83 | 88 | 90 | 92 | 94
    ] [35 | 34 | 36 | 52 | 53 | 452 | 55 | 54 | 45 | 46];
    /// renameat, renameat2, linkat; rename, link.
    moves_a_name: [264 | 316 | 265 | 82 | 86] [38 | 276 | 37];
}

/// Whether a task is in a system call of the 32-bit table.
#[inline(always)]
pub fn is_in_32_bits(task: *const Task) -> bool {
    // KERNEL: arch/x86/include/asm/thread_info.h, for the call, and arch/arm64/include/asm/thread_info.h, for
    // the program (6.12).
    const TS_COMPAT: u32 = 2;
    const TIF_32BIT: u32 = 1 << 22;
    let status: u32 = typed(task, &fields::OFF_TASK_STATUS);
    status & if is_arm64() { TIF_32BIT } else { TS_COMPAT } != 0
}

/// Whether an exec changes what [`is_in_32_bits`] says before it maps the program. KERNEL: on arm64 `load_elf_binary`
/// sets the flag of the new program (`SET_PERSONALITY`, fs/binfmt_elf.c, 6.12); neither table has a call that maps
/// under the other's number for an exec.
#[inline(always)]
pub fn changes_mode_within() -> bool {
    is_arm64()
}

#[inline(always)]
fn is_arm64() -> bool {
    variable(&IS_ARM64) != 0
}
