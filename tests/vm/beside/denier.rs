//! Somebody else's program at a hook of the gate's: it refuses every open of one user, with an error that
//! nobody else returns. Must not know the gate.

use crate::raw::{address, call, owned};
use anyhow::{Context, Result};
use nix::libc;
use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};

pub(super) const USER: i32 = 4242;
pub(super) const REFUSED: i32 = libc::EHOSTDOWN;

/// The program, attached.
#[derive(Debug)]
pub(super) struct Denier {
    _link: OwnedFd,
}

/// An instruction: code, registers, offset, number.
const fn instruction(code: u8, registers: u8, offset: i16, number: i32) -> u64 {
    let [low, high] = offset.to_le_bytes();
    let [a, b, c, d] = number.to_le_bytes();
    u64::from_le_bytes([code, registers, low, high, a, b, c, d])
}

/// `file_open`: the previous result is its second argument.
const PROGRAM: [u64; 9] = [
    // r6 = previous
    instruction(0x79, 0x16, 8, 0),
    // r0 = bpf_get_current_uid_gid()
    instruction(0x85, 0, 0, 15),
    // r0 = (u32) r0
    instruction(0x67, 0, 0, 32),
    instruction(0x77, 0, 0, 32),
    // if r0 == USER goto refuse
    instruction(0x15, 0, 2, USER),
    // return previous
    instruction(0xbf, 0x60, 0, 0),
    instruction(0x95, 0, 0, 0),
    // refuse: return -REFUSED
    instruction(0xb7, 0, 0, -REFUSED),
    instruction(0x95, 0, 0, 0),
];

impl Denier {
    pub(super) fn attach() -> Result<Self> {
        const PROG_LOAD: usize = 5;
        const RAW_TRACEPOINT_OPEN: usize = 17;
        const LSM: u32 = 29;
        const LSM_MAC: u32 = 27;
        let types = fs::read("/sys/kernel/btf/vmlinux")?;
        let hook = function(&types, b"bpf_lsm_file_open").context("the hook has no type")?;
        let mut load = [0_u32; 36];
        let pointer = |at: usize| [at as u32, (at >> 32) as u32];
        load[0] = LSM;
        load[1] = u32::try_from(PROGRAM.len())?;
        load[2..4].copy_from_slice(&pointer(address(&PROGRAM)));
        load[4..6].copy_from_slice(&pointer(address(b"GPL\0")));
        // union bpf_attr: expected_attach_type and attach_btf_id.
        load[17] = LSM_MAC;
        load[27] = hook;
        let bpf = |command: usize, attributes: &[u32]| -> Result<OwnedFd> {
            let words = [command, address(attributes), size_of_val(attributes)];
            Ok(owned(i32::try_from(call(libc::SYS_bpf, words)?)?))
        };
        let program = bpf(PROG_LOAD, &load).context("the program is refused")?;
        let open = [0, 0, u32::try_from(program.as_raw_fd())?, 0];
        Ok(Self { _link: bpf(RAW_TRACEPOINT_OPEN, &open).context("it is not attached")? })
    }
}

/// The number of a function among the kernel's types.
///
/// KERNEL: `struct btf_header`, `struct btf_type` and what stands behind each kind of the latter
/// (include/uapi/linux/btf.h).
fn function(types: &[u8], name: &[u8]) -> Option<u32> {
    const FUNC: u32 = 12;
    let word = |at: usize| Some(u32::from_le_bytes(types.get(at..at + 4)?.try_into().ok()?));
    let header = word(4)? as usize;
    let (mut at, texts) = (header + word(8)? as usize, header + word(16)? as usize);
    let end = at + word(12)? as usize;
    let mut number = 1;
    while at < end {
        let (info, text) = (word(at + 4)?, texts + word(at)? as usize);
        let (kind, count) = (info >> 24 & 0x1f, (info & 0xffff) as usize);
        let named = types.get(text..=text + name.len());
        if kind == FUNC && named.and_then(|named| named.strip_suffix(b"\0")) == Some(name) {
            return Some(number);
        }
        at += 12
            + match kind {
                1 | 14 | 17 => 4,
                3 => 12,
                4 | 5 | 15 | 19 => 12 * count,
                6 | 13 => 8 * count,
                _ => 0,
            };
        number += 1;
    }
    None
}
