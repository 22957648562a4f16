//! A daemon that comes back finds the gate as it left it.

use crate::framework::Lane;
use crate::gate::Gate;
use anyhow::{Result, ensure};
use aya::programs::loaded_links;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeSet;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

crate::tests! {
    a_restart_leaves_what_is_pinned => .lanes(&[Lane::Hold]).limit(290).fresh(),
    a_service_manager_is_told_how_the_daemon_fares => .lanes(&[Lane::Hold]).limit(290),
}

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

fn a_service_manager_is_told_how_the_daemon_fares() -> Result<()> {
    const SOCKET: &str = "/run/manager.sock";
    let manager = UnixDatagram::bind(SOCKET)?;
    manager.set_read_timeout(Some(Duration::from_secs(20)))?;
    let hears = |wanted: &str| -> Result<bool> {
        let mut message = [0; 512];
        let length = manager.recv(&mut message)?;
        let said = String::from_utf8_lossy(message.get(..length).unwrap_or_default()).into_owned();
        Ok(said.lines().any(|line| line == wanted))
    };
    let gate = Gate::start_in(&[], &[("NOTIFY_SOCKET", SOCKET), ("WATCHDOG_USEC", "20000000")])?;
    ensure!(hears("READY=1")?, "something else is said first");
    for _ in 0..3 {
        ensure!(hears("WATCHDOG=1")?, "the daemon does not say that it is alive");
    }
    kill(Pid::from_raw(i32::try_from(gate.pid())?), Signal::SIGTERM)?;
    while !hears("STOPPING=1")? {}
    drop(gate);
    // Without a watchdog nobody needs to hear that it is alive.
    let _gate = Gate::start_in(&[], &[("NOTIFY_SOCKET", SOCKET)])?;
    ensure!(hears("READY=1")?, "something else is said first");
    manager.set_read_timeout(Some(Duration::from_secs(4)))?;
    ensure!(hears("").is_err(), "something is said that nobody asked for");
    std::fs::remove_file(SOCKET)?;
    Ok(())
}

fn links() -> Result<BTreeSet<u32>> {
    Ok(loaded_links()
        .map(|link| Ok(link?.id()))
        .collect::<Result<_, aya::programs::links::LinkError>>()?)
}
