//! A daemon that comes back finds the gate as it left it.

use crate::framework::Lane;
use crate::gate::{Gate, all_but, policy};
use crate::raw::{address, call, forked, owned, text};
use crate::trail;
use anyhow::{Context, Result, ensure};
use aya::programs::links::LinkError;
use aya::programs::loaded_links;
use execlayer_common::question::daemon;
use nix::libc;
use nix::mount::{MsFlags, mount, umount};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

crate::tests! {
    a_restart_leaves_what_is_pinned => .lanes(&[Lane::Hold]).limit(290).fresh(),
    an_upgrade_leaves_no_moment_without_a_gate => .lanes(&[Lane::Hold]).limit(290).fresh(),
    whoever_takes_the_gate_down_or_keeps_it_down_is_recorded => .lanes(&[Lane::Hold]).limit(290).fresh(),
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
    fs::remove_file("/sys/fs/bpf/execlayer/links/path_unlink")?;
    let _gate = Gate::start()?;
    let after = links()?;
    ensure!(
        after.len() == before.len() && after.is_disjoint(&before),
        "{before:?}, then {after:?}"
    );
    Ok(())
}

/// A daemon of another version comes, while governed processes try what they may not and what they may.
fn an_upgrade_leaves_no_moment_without_a_gate() -> Result<()> {
    const TRIES: usize = 2;
    for (name, text) in [("free", "free"), ("secret", "secret")] {
        fs::create_dir_all("/srv/upgrade")?;
        fs::write(format!("/srv/upgrade/{name}"), text)?;
    }
    let mut gate = Gate::start()?;
    let policy = policy("upgrade", "cgroup = \"/upgrade\"", &all_but("/srv/upgrade/secret"))?;
    ensure!(gate.run(&policy, &["--quiet"], &["true"]).status()?.success(), "no policy");
    fs::create_dir_all("/sys/fs/cgroup/upgrade")?;
    fs::write("/sys/fs/cgroup/upgrade/cgroup.procs", "0")?;
    let governed = (0..TRIES).map(|_| forked(tries)).collect::<Result<Vec<_>, _>>()?;
    fs::write("/sys/fs/cgroup/cgroup.procs", "0")?;
    let before = links()?;
    // The next daemon finds the gate of one that it does not know.
    set_object(1)?;
    // A program that it does not have.
    fs::rename(
        "/sys/fs/bpf/execlayer/links/path_unlink",
        "/sys/fs/bpf/execlayer/links/path_of_old",
    )?;
    gate.kill()?;
    gate = Gate::start()?;
    let after = links()?;
    ensure!(after.is_disjoint(&before), "{:?} stayed", after.intersection(&before));
    ensure!(after.len() == before.len(), "{} programs, then {}", before.len(), after.len());
    ensure!(!gate.run(&policy, &["--quiet"], &["cat", "/srv/upgrade/secret"]).status()?.success());
    File::create(DONE)?;
    for process in governed {
        let end = waitpid(process, None)?;
        ensure!(end == WaitStatus::Exited(process, 0), "{end:?}: 1 is the secret, 2 a denial");
    }
    Ok(())
}

const DONE: &str = "/srv/upgrade/done";

/// Opens what is forbidden and what is not, until it is time.
fn tries() -> u8 {
    let mut tries = 0;
    while !Path::new(DONE).exists() {
        if File::open("/srv/upgrade/secret").is_ok() {
            return 1;
        }
        if File::open("/srv/upgrade/free").is_err() {
            return 2;
        }
        tries += 1;
        // The new programs are verified meanwhile.
        sleep(Duration::from_millis(5));
    }
    if tries > 100 { 0 } else { 3 }
}

/// Writes which object the gate is of.
pub(crate) fn set_object(object: u64) -> Result<()> {
    const OBJ_GET: usize = 7;
    const UPDATE_ELEM: usize = 2;
    let path = text("/sys/fs/bpf/execlayer/maps/DAEMON")?;
    let mut attributes = [0_u64; 16];
    attributes[0] = path as u64;
    let bpf = |command: usize, attributes: &[u64; 16]| {
        call(libc::SYS_bpf, [command, address(attributes), size_of_val(attributes)])
    };
    let map = owned(i32::try_from(bpf(OBJ_GET, &attributes).context("no such pin")?)?);
    // union bpf_attr: map_fd, key, value, flags.
    let (key, value) = ([daemon::OBJECT], [object]);
    let words = [map.as_raw_fd() as u64, address(&key) as u64, address(&value) as u64, 0];
    attributes = [0; 16];
    attributes[..4].copy_from_slice(&words);
    bpf(UPDATE_ELEM, &attributes)?;
    Ok(())
}

fn whoever_takes_the_gate_down_or_keeps_it_down_is_recorded() -> Result<()> {
    const TOOL: &str = "/opt/execlayer/bin/execlayer";
    let unload = || Command::new(TOOL).args(["unload", "--yes"]).status();
    trail::forget();
    // Booted without.
    let line = fs::read_to_string("/proc/cmdline")?;
    fs::write("/run/cmdline", format!("{} execlayer=off\n", line.trim_end()))?;
    mount(Some("/run/cmdline"), "/proc/cmdline", None::<&str>, MsFlags::MS_BIND, None::<&str>)?;
    let status = Command::new("/opt/execlayer/bin/execlayerd").status();
    umount("/proc/cmdline")?;
    ensure!(status?.code() == Some(16), "it starts");
    ensure!(links()?.is_empty(), "something is attached");
    ensure!(gate_lines()? == ["switched-off"], "{:?}", gate_lines()?);
    let mut gate = Gate::again_in(&[], &[])?;
    ensure!(!links()?.is_empty(), "nothing is attached");
    ensure!(unload()?.success(), "it is not taken down");
    ensure!(gate.wait()?.success(), "the daemon does not end well");
    ensure!(links()?.is_empty(), "something is attached");
    ensure!(gate_lines()? == ["switched-off", "up", "down"], "{:?}", gate_lines()?);
    // Without its daemon.
    let mut gate = Gate::start()?;
    gate.kill()?;
    ensure!(!links()?.is_empty(), "nothing is attached");
    ensure!(unload()?.success(), "it is not taken down without a daemon");
    ensure!(links()?.is_empty(), "something is attached");
    ensure!(gate_lines()? == ["up", "down"], "{:?}", gate_lines()?);
    Ok(())
}

/// What the audit trail says of the gate.
fn gate_lines() -> Result<Vec<String>> {
    let mut found = Vec::new();
    for line in trail::records()? {
        if line["kind"] == "gate" {
            found.push(line["what"].as_str().unwrap_or_default().to_owned());
        }
    }
    Ok(found)
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
    fs::remove_file(SOCKET)?;
    Ok(())
}

/// Numbers of the links that there are. The kernel lets go of one a moment after its last holder: such a one is still
/// listed, and not there.
pub(crate) fn links() -> Result<BTreeSet<u32>> {
    let is_there = |link: &Result<_, LinkError>| !matches!(link, Err(LinkError::SyscallError(error)) if error.io_error.kind() == ErrorKind::NotFound);
    let links = loaded_links().filter(is_there).map(|link| Ok(link?.id()));
    links.collect()
}
