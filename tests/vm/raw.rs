//! System calls by number, for those that no crate offers: the attempts need also the odd ones. Owns
//! the tests' unsafe code; must not know what a call is for.

#![cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "for tests of x86-64 only"))]
#![allow(unsafe_code, reason = "a system call by its number has no safe form")]

use anyhow::{Result, ensure};
use nix::errno::Errno;
use nix::libc;
use nix::unistd::{ForkResult, Pid, fork};
#[cfg(target_arch = "x86_64")]
use std::arch::asm;
use std::ffi::{CString, c_long};
use std::os::fd::{FromRawFd, OwnedFd};

/// A call with up to six arguments. Addresses in them come from [`address`], [`map`] or [`text`]; what
/// they point to lives until the call is over, and is as large as the call says.
pub(crate) fn call<const N: usize>(number: c_long, given: [usize; N]) -> Result<usize, Errno> {
    let mut all = [0; 6];
    for (place, argument) in all.iter_mut().zip(given) {
        *place = argument;
    }
    let [a, b, c, d, e, f] = all;
    // SAFETY: the kernel checks every address; what it writes to belongs to the caller, as said above.
    let result = unsafe { libc::syscall(number, a, b, c, d, e, f) };
    Errno::result(result).map(c_long::cast_unsigned).map(|result| result as usize)
}

/// Where something is, for the kernel to read.
pub(crate) fn address<T: ?Sized>(thing: &T) -> usize {
    std::ptr::from_ref(thing).cast::<u8>().expose_provenance()
}

/// Where something is, for the kernel to write.
pub(crate) fn address_mut<T: ?Sized>(thing: &mut T) -> usize {
    std::ptr::from_mut(thing).cast::<u8>().expose_provenance()
}

/// A string for the kernel; it lives as long as the process.
pub(crate) fn text(text: &str) -> Result<usize> {
    Ok(CString::new(text)?.into_raw().expose_provenance())
}

/// Memory of the process; it is never given back. No file if `fd` is -1.
pub(crate) fn map(length: usize, protection: i32, flags: i32, fd: i32) -> Result<usize, Errno> {
    map_at(length, protection, flags, fd, 0)
}

/// The same, from an offset in the file.
pub(crate) fn map_at(
    length: usize,
    protection: i32,
    flags: i32,
    fd: i32,
    offset: usize,
) -> Result<usize, Errno> {
    let (protection, flags) = (protection as usize, flags as usize);
    call(libc::SYS_mmap, [0, length, protection, flags, fd as usize, offset])
}

/// Writes to memory from [`map`], which is as large.
pub(crate) fn put<T: Copy>(at: usize, value: T) {
    // SAFETY: the caller mapped it to be written, and nothing else in the process refers to it.
    unsafe { std::ptr::with_exposed_provenance_mut::<T>(at).write_volatile(value) }
}

/// Reads from memory from [`map`], which is as large.
pub(crate) fn get<T: Copy>(at: usize) -> T {
    // SAFETY: the caller mapped it to be read; only numbers are read, which any bytes are.
    unsafe { std::ptr::with_exposed_provenance::<T>(at).read_volatile() }
}

#[cfg(target_arch = "x86_64")]
/// Bytes at an address of 32 bits, for [`call_i386`].
pub(crate) fn low(bytes: &[u8]) -> Result<u32> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_32BIT;
    let at = map(bytes.len().max(1), libc::PROT_READ | libc::PROT_WRITE, flags, -1)?;
    for (offset, byte) in bytes.iter().enumerate() {
        put(at + offset, *byte);
    }
    Ok(u32::try_from(at)?)
}

#[cfg(target_arch = "x86_64")]
/// A call by the entry for 32-bit programs. `ENOSYS` where the kernel has none.
pub(crate) fn call_i386(number: u32, given: [u32; 5]) -> Result<u32, Errno> {
    let [first, second, third, fourth, fifth] = given;
    let mut result = number;
    // SAFETY: the kernel checks every address. The compiler keeps RBX for itself, hence the exchange;
    // older kernels clear R8 to R11 on this way.
    unsafe {
        asm!(
            "xchg rbx, {first}",
            "int 0x80",
            "xchg rbx, {first}",
            first = inout(reg) u64::from(first) => _,
            inout("eax") result,
            in("ecx") second,
            in("edx") third,
            in("esi") fourth,
            in("edi") fifth,
            out("r8") _, out("r9") _, out("r10") _, out("r11") _,
        );
    }
    match result.cast_signed() {
        error @ -4095..=-1 => Err(Errno::from_raw(-error)),
        _ => Ok(result),
    }
}

/// A child that runs `child` and ends with what it returns. The process has one thread.
pub(crate) fn forked(child: impl FnOnce() -> u8) -> nix::Result<Pid> {
    // SAFETY: no other thread holds a lock that the child would wait for.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => Ok(child),
        ForkResult::Child => std::process::exit(child().into()),
    }
}

/// Goes on in a child; the process that called ends. It has one thread.
pub(crate) fn handed_on() -> nix::Result<()> {
    // SAFETY: no other thread holds a lock that the child would wait for.
    match unsafe { fork() }? {
        ForkResult::Parent { .. } => std::process::exit(0),
        ForkResult::Child => Ok(()),
    }
}

/// A child made by `clone3` with these flags, in this cgroup's directory if it is not -1. It runs
/// `child` and ends; what comes back is what that returned.
pub(crate) fn child(
    flags: u64,
    cgroup: i32,
    child: impl FnOnce() -> Result<(), Errno>,
) -> Result<Result<(), Errno>> {
    const CLONE_INTO_CGROUP: u64 = 1 << 33;
    // struct clone_args: the flags, the signal at the end, and the cgroup at the end of all.
    let mut arguments = [0_u64; 11];
    arguments[0] = flags;
    arguments[4] = libc::SIGCHLD as u64;
    if cgroup >= 0 {
        arguments[0] |= CLONE_INTO_CGROUP;
        arguments[10] = cgroup as u64;
    }
    let made = call(libc::SYS_clone3, [address(&arguments), size_of_val(&arguments)]);
    let pid = match made {
        Ok(0) => {
            let code = child().map_or_else(|error| error as i32, |()| 0);
            // SAFETY: it ends the child; nothing of the parent's is dropped there.
            unsafe { libc::_exit(code) }
        }
        Ok(pid) => i32::try_from(pid)?,
        Err(error) => return Ok(Err(error)),
    };
    let mut status = 0_i32;
    call(libc::SYS_wait4, [pid as usize, address_mut(&mut status), 0, 0])?;
    ensure!(libc::WIFEXITED(status), "the child ended with {status:#x}");
    Ok(match libc::WEXITSTATUS(status) {
        0 => Ok(()),
        error => Err(Errno::from_raw(error)),
    })
}

/// A descriptor that a call made.
pub(crate) fn owned(fd: i32) -> OwnedFd {
    // SAFETY: the caller just got it from the kernel, and nothing else has it.
    unsafe { OwnedFd::from_raw_fd(fd) }
}
