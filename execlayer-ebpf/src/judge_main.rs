//! The decision behind an XDP program, for `BPF_PROG_TEST_RUN` on hosts that refuse LSM programs. The
//! same `decide`, the same surroundings as in the gate; only where the facts come from differs.
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
#![allow(dead_code, reason = "the gate uses the rest of the shared modules")]

mod atomic;
mod budget;
mod frame;
mod kread;
mod scratch;
mod world;

use aya_ebpf::{
    EbpfContext, bindings::xdp_action, helpers::generated::bpf_xdp_load_bytes, macros::xdp,
    programs::XdpContext,
};
use execlayer_common::{
    access::{Access, Operation},
    decide, event,
    limits::{CLASS_WORDS, MAX_PATH},
    verdict::{RuleIndex, Verdict},
};

use crate::{
    kread::within,
    scratch::{IN_PATH, Scratch},
    world::{Direct, Kernel, Remote, Source},
};

mod maps {
    //! Maps of the judge, by the names that its callers know.
    use aya_ebpf::{
        bindings::BPF_F_RDONLY_PROG,
        btf_maps::{Array, ArrayOfMaps},
        macros::btf_map,
    };
    use execlayer_common::limits::{CLASS_WORDS, MAX_BUDGETS};

    use crate::scratch::Scratch;

    pub type Table<const WORDS: usize> = Array<[u32; WORDS], 1, { BPF_F_RDONLY_PROG as usize }>;

    #[btf_map(name = "JUDGE_TABLES_0")]
    pub static TABLES_0: ArrayOfMaps<Table<{ CLASS_WORDS[0] as usize }>, 1> = ArrayOfMaps::new();
    #[btf_map(name = "JUDGE_TABLES_1")]
    pub static TABLES_1: ArrayOfMaps<Table<{ CLASS_WORDS[1] as usize }>, 1> = ArrayOfMaps::new();
    #[btf_map(name = "JUDGE_TABLES_2")]
    pub static TABLES_2: ArrayOfMaps<Table<{ CLASS_WORDS[2] as usize }>, 1> = ArrayOfMaps::new();
    #[btf_map(name = "JUDGE_TABLES_3")]
    pub static TABLES_3: ArrayOfMaps<Table<{ CLASS_WORDS[3] as usize }>, 1> = ArrayOfMaps::new();
    #[btf_map(name = "JUDGE_BUDGETS")]
    pub static BUDGETS: Array<u64, { MAX_BUDGETS as usize }> = Array::new();
    #[btf_map(name = "JUDGE_ANSWER")]
    pub static ANSWER: Array<[u32; 4], 1> = Array::new();
    #[btf_map(name = "JUDGE_SCRATCH")]
    pub static SCRATCH: Array<Scratch, 1> = Array::new();
}

/// Set in [`Request::mode`]: only what an allowed call costs in the gate, without naming the rule.
const FAST: u8 = 1;
/// Set in [`Request::mode`]: as most hooks of the gate do it. The subject is walked a byte in each turn, and what
/// matches is read by the image's address; of features, all is.
const BY_ADDRESS: u8 = 2;
/// Operation that does nothing: what the frame itself costs.
const NOTHING: u8 = u8::MAX;

/// What a frame begins with; the subject follows.
#[derive(Clone, Copy)]
#[repr(C)]
struct Request {
    operation: u8,
    mode: u8,
    subject_len: u16,
    wanted: u32,
    uid: u32,
    minute: u32,
    class: u32,
}

#[xdp]
pub fn judge(ctx: XdpContext) -> u32 {
    match answer(&ctx) {
        Some(answer) => {
            if let Some(place) = maps::ANSWER.get_ptr_mut(0) {
                // SAFETY: a live map value of this type.
                unsafe { place.write(answer) };
            }
            xdp_action::XDP_PASS
        }
        None => xdp_action::XDP_ABORTED,
    }
}

fn answer(ctx: &XdpContext) -> Option<[u32; 4]> {
    let scratch = maps::SCRATCH.get_ptr_mut(0)?;
    let request = request(ctx, scratch)?;
    if request.operation == NOTHING {
        return Some([0; 4]);
    }
    let operation = Operation::from_raw(request.operation)?;
    let (table, mask) = table(request.class)?;
    // SAFETY: plain fields of the buffer, which only one run at a time uses.
    unsafe {
        (*scratch).pos = 0;
        (*scratch).len = u64::from(request.subject_len);
        (*scratch).uid = request.uid;
        (*scratch).minute = request.minute;
        (*scratch).budgets = 0;
    }
    let wanted = Access(request.wanted);
    if request.mode == BY_ADDRESS {
        // SAFETY: as above. VERIFIER: what is read back is a number, and no pointer to a map's value any more.
        let address = unsafe {
            (&raw mut (*scratch).table).write_volatile(table as u64);
            (&raw mut (*scratch).table_mask).write_volatile(mask);
            (&raw const (*scratch).table).read_volatile()
        };
        let remote = Kernel { source: Remote { table: address, mask }, scratch };
        if matches!(operation, Operation::Feature) {
            decide::matches(&remote, operation);
        } else {
            let direct = Kernel { source: Direct::<false> { table, mask }, scratch };
            decide::matches(&direct, operation);
        }
        return Some(decided(&remote, wanted));
    }
    let kernel = Kernel { source: Direct::<true> { table, mask }, scratch };
    decide::matches(&kernel, operation);
    if request.mode == FAST {
        let allowed = decide::allowed_at_once(&kernel, wanted);
        return Some([u32::from(allowed), 0, event::NO_RULE, 0]);
    }
    Some(decided(&kernel, wanted))
}

#[inline(always)]
fn decided<S: Source>(kernel: &Kernel<S>, wanted: Access) -> [u32; 4] {
    // SAFETY: a plain field of the buffer, which only one run at a time uses.
    let tally = unsafe { &mut (*kernel.scratch).tally };
    pack(decide::judge_matches(kernel, wanted, tally))
}

fn request(ctx: &XdpContext, scratch: *mut Scratch) -> Option<Request> {
    let mut request = core::mem::MaybeUninit::<Request>::uninit();
    // SAFETY: the destination has the size that is given.
    let failed = unsafe {
        bpf_xdp_load_bytes(
            ctx.as_ptr().cast(),
            0,
            request.as_mut_ptr().cast(),
            size_of::<Request>() as u32,
        )
    };
    if failed != 0 {
        return None;
    }
    // SAFETY: filled above; every bit pattern is a request.
    let request = unsafe { request.assume_init() };
    if u32::from(request.subject_len) > MAX_PATH {
        return None;
    }
    // VERIFIER: the length is masked and not zero.
    let len = within::<IN_PATH>(u64::from(request.subject_len)) as u32;
    if len == 0 {
        return Some(request);
    }
    // SAFETY: the buffer is longer than the mask.
    let failed = unsafe {
        let to = (&raw mut (*scratch).path).cast();
        bpf_xdp_load_bytes(ctx.as_ptr().cast(), size_of::<Request>() as u32, to, len)
    };
    if failed == 0 { Some(request) } else { None }
}

fn table(class: u32) -> Option<(*const u32, u64)> {
    Some(match class {
        0 => (maps::TABLES_0.get_value(0, &0)?.as_ptr(), u64::from(CLASS_WORDS[0] - 1)),
        1 => (maps::TABLES_1.get_value(0, &0)?.as_ptr(), u64::from(CLASS_WORDS[1] - 1)),
        2 => (maps::TABLES_2.get_value(0, &0)?.as_ptr(), u64::from(CLASS_WORDS[2] - 1)),
        _ => (maps::TABLES_3.get_value(0, &0)?.as_ptr(), u64::from(CLASS_WORDS[3] - 1)),
    })
}

fn pack(verdict: Verdict) -> [u32; 4] {
    let number = |rule: RuleIndex| u32::from(rule.0);
    let rule = verdict.rule().map_or(event::NO_RULE, number);
    [u32::from(verdict.raw()), verdict.reason() as u32, rule, 0]
}
