//! A daemon that comes back finds the gate as it left it.

use crate::framework::Lane;
use crate::gate::Gate;
use anyhow::{Result, ensure};
use aya::programs::loaded_links;
use std::collections::BTreeSet;

crate::tests! { a_restart_leaves_what_is_pinned => .lanes(&[Lane::Hold]).limit(290).fresh() }

fn a_restart_leaves_what_is_pinned() -> Result<()> {
    ensure!(links()?.is_empty(), "something is attached before");
    let mut gate = Gate::start()?;
    let before = links()?;
    ensure!(before.len() > 40, "only {} programs are attached", before.len());
    gate.kill()?;
    ensure!(links()? == before, "the daemon's end detached something");
    let gate = Gate::start()?;
    ensure!(links()? == before, "the restart attached anew");
    // Without one of its pins it is not whole, and all of it is loaded again.
    drop(gate);
    std::fs::remove_file("/sys/fs/bpf/execlayer/links/path_unlink")?;
    let _gate = Gate::start()?;
    let after = links()?;
    ensure!(
        after.len() == before.len() && after.is_disjoint(&before),
        "{before:?}, then {after:?}"
    );
    Ok(())
}

fn links() -> Result<BTreeSet<u32>> {
    Ok(loaded_links()
        .map(|link| Ok(link?.id()))
        .collect::<Result<_, aya::programs::links::LinkError>>()?)
}
