//! Somebody else's kernel programs, attached: they make and take away task storage of their own. Must not know the
//! gate.

use anyhow::{Context, Result};
use aya::maps::Array;
use aya::programs::{BtfTracePoint, Lsm};
use aya::{Btf, Ebpf, EbpfLoader};
use std::fs;

const OBJECT: &str = "/opt/execlayer/foreign.o";
const HOOKS: [(&str, &str); 4] = [
    ("opens", "file_open"),
    ("executes", "bprm_creds_for_exec"),
    ("executed", "bprm_committed_creds"),
    ("begins", "task_alloc"),
];

/// They go when the value goes.
#[derive(Debug)]
pub(super) struct Foreign {
    object: Ebpf,
}

impl Foreign {
    pub(super) fn attach() -> Result<Self> {
        let btf = Btf::from_sys_fs()?;
        let content = fs::read(OBJECT).context(OBJECT)?;
        let mut object = EbpfLoader::new().allow_unsupported_maps().load(&content)?;
        for (name, hook) in HOOKS {
            let program: &mut Lsm = object.program_mut(name).context(name)?.try_into()?;
            program.load(hook, &btf).context(name)?;
            program.attach()?;
        }
        let calls: &mut BtfTracePoint = object.program_mut("calls").context("calls")?.try_into()?;
        calls.load("sys_enter", &btf)?;
        calls.attach()?;
        Ok(Self { object })
    }

    /// How often storage was made, how often it could not be, and how often it was taken away.
    pub(super) fn counts(&self) -> Result<[u64; 3]> {
        let counts: Array<_, u64> = self.object.map("COUNTS").context("COUNTS")?.try_into()?;
        Ok([counts.get(&0, 0)?, counts.get(&1, 0)?, counts.get(&2, 0)?])
    }
}
