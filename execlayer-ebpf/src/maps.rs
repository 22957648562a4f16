//! Every map: who writes it, who reads it, its bound. Must not know when.

use aya_ebpf::{
    bindings::{BPF_F_NO_PREALLOC, BPF_F_RDONLY_PROG},
    btf_maps::{Array, ArrayOfMaps, HashMap, LruHashMap, RingBuf},
    macros::btf_map,
};
use execlayer_common::{
    event::Counts,
    label::Label,
    limits,
    question::{Calls, Grant, GrantKey, Key, Question, daemon},
};

use crate::{scratch::Scratch, storage::TaskStorage};

const NO_PREALLOC: usize = BPF_F_NO_PREALLOC as usize;
const RDONLY: usize = BPF_F_RDONLY_PROG as usize;
const TABLES: usize = limits::MAX_TABLES as usize;

/// An image of one size class.
pub type Table<const WORDS: usize> = Array<[u32; WORDS], 1, RDONLY>;

#[btf_map]
pub static LABELS: TaskStorage<Label> = TaskStorage::new();
#[btf_map]
pub static TASKS: HashMap<u64, Label, { limits::MAX_GOVERNED_TASKS as usize }, NO_PREALLOC> =
    HashMap::new();
#[btf_map]
pub static LATE: HashMap<u64, Label, { limits::MAX_LATE_TASKS as usize }> = HashMap::new();
#[btf_map]
pub static LATE_COUNT: Array<u64, 1> = Array::new();
#[btf_map]
pub static SCOPES: HashMap<u64, u32, { limits::MAX_SCOPES as usize }> = HashMap::new();
#[btf_map]
pub static CGROUPS: LruHashMap<u64, u64, { limits::MAX_CGROUP_CACHE as usize }> = LruHashMap::new();
#[btf_map]
pub static SELECTORS: Array<u64, 3> = Array::new();
#[btf_map]
pub static LEADING: Array<u64, 1> = Array::new();
#[btf_map]
pub static PASSAGES: HashMap<u64, u32, { limits::MAX_PASSAGES as usize }> = HashMap::new();
#[btf_map]
pub static SLOTS: Array<u64, { limits::MAX_PROFILES as usize }> = Array::new();
#[btf_map]
pub static TABLES_0: ArrayOfMaps<Table<{ limits::CLASS_WORDS[0] as usize }>, TABLES> =
    ArrayOfMaps::new();
#[btf_map]
pub static TABLES_1: ArrayOfMaps<Table<{ limits::CLASS_WORDS[1] as usize }>, TABLES> =
    ArrayOfMaps::new();
#[btf_map]
pub static TABLES_2: ArrayOfMaps<Table<{ limits::CLASS_WORDS[2] as usize }>, TABLES> =
    ArrayOfMaps::new();
#[btf_map]
pub static TABLES_3: ArrayOfMaps<Table<{ limits::CLASS_WORDS[3] as usize }>, TABLES> =
    ArrayOfMaps::new();
#[btf_map]
pub static BUDGETS: Array<u64, { (limits::MAX_PROFILES * limits::MAX_BUDGETS) as usize }> =
    Array::new();
#[btf_map]
pub static EVENTS: RingBuf<u8, { limits::RING_BYTES as usize }> = RingBuf::new();
#[btf_map]
pub static COUNTS: Array<Counts, { limits::MAX_PROFILES as usize + 1 }> = Array::new();
#[btf_map]
pub static SCRATCH: Array<Scratch, { limits::SCRATCH_SLOTS as usize }> = Array::new();
#[btf_map]
pub static QUESTIONS: HashMap<Key, Question, { limits::MAX_QUESTIONS as usize }, NO_PREALLOC> =
    HashMap::new();
#[btf_map]
pub static CALLS: HashMap<u64, Calls, { limits::MAX_GOVERNED_TASKS as usize }, NO_PREALLOC> =
    HashMap::new();
#[btf_map]
pub static MEASURE: HashMap<u32, u64, { limits::MAX_QUESTIONS as usize }, NO_PREALLOC> =
    HashMap::new();
#[btf_map]
pub static GRANTS: HashMap<GrantKey, Grant, { limits::MAX_GRANTS as usize }, NO_PREALLOC> =
    HashMap::new();
#[btf_map]
pub static DAEMON: Array<u64, { daemon::WORDS as usize }> = Array::new();
#[btf_map]
pub static CLOCK: Array<u64, 1> = Array::new();
