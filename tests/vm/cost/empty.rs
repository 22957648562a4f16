//! Programs that do nothing, at every hook of the gate. They govern nobody: all that they return is 0.

use anyhow::{Context, Result, bail};
use aya::{Btf, Ebpf, EbpfLoader, programs::Lsm};
use execlayer_common::hooks::{Attach, PROGRAMS};
use std::{fs, thread::sleep, time::Duration};

const OBJECT: &str = "/opt/execlayer/empty.o";

/// Attaches them; they go when the value goes.
pub(super) fn attach() -> Result<Ebpf> {
    let btf = Btf::from_sys_fs()?;
    let mut object = EbpfLoader::new().load(&fs::read(OBJECT).context(OBJECT)?)?;
    for (name, attach) in PROGRAMS {
        let (hook, may_be_missing) = match attach {
            Attach::Lsm(hook) | Attach::LsmWith(hook, 3) => (hook, false),
            Attach::LsmFrom(hook, _) => (hook, true),
            Attach::LsmWith(..) | Attach::Tracepoint(_) | Attach::TaskIterator => continue,
        };
        let program: &mut Lsm = object.program_mut(name).context(*name)?.try_into()?;
        match program.load(hook, &btf) {
            Err(_) if may_be_missing => continue,
            loaded => loaded?,
        }
        program.attach()?;
    }
    Ok(object)
}

/// Ends a gate that outlives its daemon: removes its pins, and waits until no program is left.
pub(super) fn no_gate_is_left() -> Result<()> {
    fs::remove_dir_all("/sys/fs/bpf/execlayer").context("the gate's pins")?;
    let mut left = Vec::new();
    for _ in 0..600 {
        let ours = |name: &&str| PROGRAMS.iter().any(|(program, _)| program == name);
        let loaded = aya::programs::loaded_programs().filter_map(Result::ok);
        left = loaded
            .filter_map(|program| program.name_as_str().filter(ours).map(str::to_owned))
            .collect();
        if left.is_empty() {
            return Ok(());
        }
        sleep(Duration::from_millis(50));
    }
    bail!("programs of the gate are still loaded: {left:?}")
}
