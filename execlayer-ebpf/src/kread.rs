//! The only raw kernel reads: typed loads at offsets that the loader took from BTF, and reads of
//! untyped addresses that can fail. Must not know what the fields mean for a verdict.

use core::{ffi::c_void, ptr::read_volatile};

use aya_ebpf::helpers::generated::bpf_probe_read_kernel;
use execlayer_common::fields;

/// A structure field ([`execlayer_common::fields`]).
///
/// VERIFIER: the loader writes the field's offset into the instruction itself, so it is a constant there,
/// without a load and in one instruction less than any variable.
pub trait Field {
    const NUMBER: u8;
    /// What stands in a load's offset until then.
    const MARK: i16 = fields::MARK + Self::NUMBER as i16;
    /// What stands in an operand until then.
    const WIDE_MARK: i32 = fields::WIDE_MARK + Self::NUMBER as i32;
}

/// What a variable holds until the loader sets it. Not 0: the compiler lays an anonymous constant of equal
/// content over the variable, and the constant would change with it.
pub const UNSET: u32 = 0xe7e7_e7e7;

/// The value of a variable that the loader sets.
///
/// VERIFIER: `.rodata` is frozen before load, so the loaded value is a known constant to the
/// verifier; the volatile read keeps the compiler from folding what stands here.
#[inline(always)]
pub fn variable(variable: &'static u32) -> u32 {
    // SAFETY: a reference to an initialised static of that type.
    unsafe { read_volatile(variable) }
}

/// The offset of a field.
#[inline(always)]
pub fn offset<F: Field>(_field: &F) -> u64 {
    let offset: u64;
    // SAFETY: one instruction.
    unsafe {
        core::arch::asm!("{0} = {1}", out(reg) offset, const F::WIDE_MARK, options(pure, nomem, nostack));
    }
    offset
}

/// The address of a member that is embedded in `base`.
#[inline(always)]
pub fn member<T, F: Field>(base: *const T, _field: &F) -> *const c_void {
    let mut member: *const c_void = base.cast();
    // SAFETY: one instruction on the operand.
    unsafe {
        core::arch::asm!("{0} += {1}", inout(reg) member, const F::WIDE_MARK, options(pure, readonly, nostack));
    }
    member
}

/// Loads a member through a pointer that the verifier knows the kernel type of. A fault reads as 0:
/// the kernel handles it in its exception table.
#[inline(always)]
pub fn typed<T: Copy, B>(base: *const B, field: &impl Field) -> T {
    const { assert!(matches!(size_of::<T>(), 2 | 4 | 8)) };
    let value = match size_of::<T>() {
        2 => load_16(base, field),
        4 => load_32(base, field),
        _ => load_64(base, field),
    };
    // SAFETY: a plain integer or pointer of that size, in the low bytes: the target is little-endian.
    unsafe { core::mem::transmute_copy(&value) }
}

macro_rules! load {
    ($name:ident, $instruction:literal) => {
        #[inline(always)]
        fn $name<B, F: Field>(base: *const B, _field: &F) -> u64 {
            let value: u64;
            // SAFETY: VERIFIER: only a load through a BTF-typed pointer at a constant offset passes the
            // verifier here; such a load cannot fault the kernel. Not pure: what is loaded may change.
            unsafe {
                core::arch::asm!($instruction, out(reg) value, in(reg) base, const F::MARK, options(nostack, readonly));
            }
            value
        }
    };
}

load!(load_16, "{0} = *(u16 *)({1} + {2})");
load!(load_32, "{0} = *(u32 *)({1} + {2})");
load!(load_64, "{0} = *(u64 *)({1} + {2})");

/// Loads at a constant distance from a member.
#[inline(always)]
pub fn typed_at<T: Copy>(member: *const c_void, distance: usize) -> T {
    // SAFETY: VERIFIER: as in `typed`.
    unsafe { read_volatile(member.wrapping_byte_add(distance).cast::<T>()) }
}

/// Reads from an untyped kernel address; `None` if it faults.
#[inline(always)]
pub fn read<T: Copy>(address: u64) -> Option<T> {
    let mut value = core::mem::MaybeUninit::<T>::uninit();
    let size = size_of::<T>() as u32;
    // SAFETY: the destination is this function's own and has `size` bytes; the source may be anything,
    // the helper checks it.
    let failed =
        unsafe { bpf_probe_read_kernel(value.as_mut_ptr().cast(), size, address as *const c_void) };
    if failed != 0 {
        return None;
    }
    // SAFETY: the helper filled all of it, and `T` is a plain integer wherever this is called.
    Some(unsafe { value.assume_init() })
}

/// Reads from an untyped kernel address; zero if it faults.
///
/// KERNEL: bpf_probe_read_kernel clears the destination on a fault (kernel/trace/bpf_trace.c,
/// `bpf_probe_read_kernel_common`, 6.1).
#[inline(always)]
pub fn read_or_zero(address: u64) -> u64 {
    let mut value = 0_u64;
    // SAFETY: the destination has 8 bytes; the helper checks the source.
    let _cleared_on_failure =
        unsafe { bpf_probe_read_kernel((&raw mut value).cast(), 8, address as *const c_void) };
    value
}

/// A member of eight bytes of the structure at an untyped address; zero if it cannot be read.
#[inline(always)]
pub fn load(base: u64, field: &impl Field) -> u64 {
    read_or_zero(base.wrapping_add(offset(field)))
}

/// `value & mask`, in an instruction that the compiler cannot leave out because it knows the range:
/// the verifier must see it.
#[inline(always)]
pub fn masked(value: u64, mask: u64) -> u64 {
    let mut value = value;
    // SAFETY: one instruction on the operands.
    unsafe {
        core::arch::asm!("{0} &= {1}", inout(reg) value, in(reg) mask, options(pure, nomem, nostack));
    }
    value
}

/// [`masked`] with a constant.
#[inline(always)]
pub fn within<const MASK: u64>(value: u64) -> u64 {
    let mut value = value;
    // SAFETY: one instruction on the operand.
    unsafe {
        core::arch::asm!("{0} &= {1}", inout(reg) value, const MASK, options(pure, nomem, nostack));
    }
    value
}

/// Hides a value's range from the compiler, so that it keeps the comparison that the verifier needs.
#[inline(always)]
pub fn opaque(value: u64) -> u64 {
    let mut value = value;
    // SAFETY: adds nothing. An instruction must stand here: the kernel refuses two line records for
    // one place (kernel/bpf/verifier.c, `check_btf_line`, 6.12).
    unsafe { core::arch::asm!("{0} += 0", inout(reg) value, options(pure, nomem, nostack)) };
    value
}

/// The 32-bit word at `index & MASK` of `table`, in as many instructions as that takes.
///
/// # Safety
///
/// `table` has `MASK + 1` words. VERIFIER proves it, too.
#[inline(always)]
pub unsafe fn word_of<const MASK: u32>(table: *const u32, index: u32) -> u32 {
    let mut word = u64::from(index);
    // SAFETY: the caller's promise.
    unsafe {
        core::arch::asm!(
            "{0} &= {2}",
            "{0} <<= 2",
            "{0} += {1}",
            "{0} = *(u32 *)({0} + 0)",
            inout(reg) word,
            in(reg) table,
            const MASK,
            options(nostack, readonly),
        );
    }
    word as u32
}

/// Loads eight bytes at any address of the program's own memory: an aligned load in Rust's eyes must be
/// aligned, and an unaligned one becomes eight.
///
/// # Safety
///
/// Eight bytes lie there. VERIFIER proves it, too.
#[inline(always)]
pub unsafe fn load_word(from: *const u8) -> u64 {
    let value: u64;
    // SAFETY: the caller's promise; the instruction takes any address on machines whose kernel has
    // HAVE_EFFICIENT_UNALIGNED_ACCESS (kernel/bpf/verifier.c, `check_ptr_alignment`, 6.1), and the
    // verifier refuses it elsewhere.
    unsafe {
        core::arch::asm!("{0} = *(u64 *)({1} + 0)", out(reg) value, in(reg) from, options(nostack, readonly));
    }
    value
}

/// Stores eight bytes at any address `AT` behind `to`; see [`load_word`].
///
/// # Safety
///
/// As for [`load_word`], at `AT`.
#[inline(always)]
pub unsafe fn store_word<const AT: i16>(to: *mut u8, value: u64) {
    // SAFETY: as in `load_word`.
    unsafe {
        core::arch::asm!("*(u64 *)({0} + {2}) = {1}", in(reg) to, in(reg) value, const AT, options(nostack));
    }
}
