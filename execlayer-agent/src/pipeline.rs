//! The flow, from top to bottom: look at the machine, load, restore, try, and then one loop over
//! records, calls, time and signals. Each step is one call; what it does is elsewhere.

use std::{
    fs::{self, DirBuilder, File, TryLockError},
    io,
    os::unix::fs::DirBuilderExt,
    path::Path,
};

use execlayer_api::places;
use nix::unistd::{Gid, Group, User};
use tokio::net::UnixListener;

use crate::{
    attend::{Ending, Listeners, attend},
    canary::{self, CanaryError},
    control,
    daemon::{self, Daemon},
    error::DaemonError,
    kernel::{self, Layout, Loaded, Ring, features, load::load, pins::Pins},
    manager,
    options::Options,
    profiles::Profiles,
    record::{line, time, trail},
    scopes::Scopes,
    store, why,
};

/// Runs the daemon until it is asked to end.
///
/// # Errors
///
/// Why it cannot run. What it had attached by then is detached again.
pub async fn run(options: Options) -> Result<(), DaemonError> {
    kernel::refuse_huge_pages();
    let pins = Pins::below(&options.bpffs);
    if options.unload {
        return unload(&options, &pins);
    }
    if !is_initial_pid_namespace() {
        return Err(DaemonError::PidNamespace);
    }
    if !options.ephemeral && is_switched_off(&fs::read_to_string(COMMAND_LINE).unwrap_or_default())
    {
        write_of_gate(&options, "switched-off", "the kernel's command line");
        return Err(DaemonError::SwitchedOff);
    }
    let features = features::probe(options.cgroup_root.as_deref())?;
    let _lock = claim(&options)?;
    folder(&options.state_dir, 0o700)?;
    let trail = trail::open(options.trail())?;
    let service = (!options.ephemeral).then_some(&pins);
    if service.is_some() {
        features::ensure_bpffs(&options.bpffs)?;
    }
    let was_pinned = pins.exist();
    if options.ephemeral && was_pinned {
        return Err(DaemonError::Pinned(options.bpffs));
    }

    let Loaded { mut gate, mut ring } = load(&features, service, &options.state_dir)?;
    let layout = Layout::read(&gate).map_err(|source| system("read the policy slots", source))?;
    let mut scopes = Scopes::new(&features.cgroup_root, time::now());
    scopes.find_left(&mut gate).map_err(|source| system("find earlier scopes", source))?;
    let (cgroup_root, release) = (features.cgroup_root.clone(), features.release.clone());
    drop(features);
    let mut profiles = Profiles::new(layout);
    profiles.keeps_images = options.api_user.is_some();
    let mut daemon =
        Daemon::new(options.clone(), Box::new(gate), profiles, scopes, trail, release.clone());
    if let Err(error) = try_and_fill(&mut daemon, &mut ring, &options, &cgroup_root) {
        daemon.failed(error.to_string());
        daemon.stop();
        if let Some(pins) = service
            && !was_pinned
            && let Err(left) = pins.remove_all()
        {
            tracing::error!("cannot remove what was pinned: {left}");
        }
        return Err(error);
    }
    kernel::return_free_memory();

    let socket = options.run_dir.join(places::SOCKET);
    let group = options.group.as_deref().map(group).transpose()?;
    let listener = control::bind(&socket, group).map_err(|source| file("make", &socket, source))?;
    let why_socket = options.run_dir.join(places::WHY_SOCKET);
    let why = why::bind(&why_socket).map_err(|source| file("make", &why_socket, source))?;
    let status_socket = options.run_dir.join(places::STATUS_SOCKET);
    let status = control::bind(&status_socket, readers(&mut daemon, &options)?)
        .map_err(|source| file("make", &status_socket, source))?;
    let link_socket = options.run_dir.join(places::LINK_SOCKET);
    let link = link(&options, &link_socket)?;
    daemon.up();
    manager::ready(&release);
    let listeners = Listeners { control: listener, why, status, link };
    let ended = attend(&mut daemon, &mut ring, listeners).await;
    manager::stopping();
    daemon.stop();
    for socket in [&socket, &why_socket, &status_socket, &link_socket] {
        if let Err(error) = fs::remove_file(socket)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!("cannot remove `{}`: {error}", socket.display());
        }
    }
    if ended? == Ending::TakeDown {
        if let Some(pins) = service {
            pins.remove_all().map_err(kernel::LoadError::from)?;
        }
        daemon.taken_down();
    }
    Ok(())
}

/// The socket of the process that serves the evaluation API.
fn link(options: &Options, path: &Path) -> Result<Option<UnixListener>, DaemonError> {
    let Some(name) = options.api_user.as_deref() else { return Ok(None) };
    let user = match User::from_name(name) {
        Ok(Some(user)) => user.uid,
        // Without an API the gate is as strict as with it: nothing waits for that.
        Ok(None) => {
            tracing::warn!("there is no user `{name}`: no evaluation API can reach this daemon");
            return Ok(None);
        }
        Err(error) => return Err(system("look up the user", error.into())),
    };
    let bound = control::bind(path, None).and_then(|listener| {
        std::os::unix::fs::chown(path, Some(user.as_raw()), None)?;
        Ok(listener)
    });
    bound.map(Some).map_err(|source| file("make", path, source))
}

/// Tries the empty gate, and then puts the policies into it.
fn try_and_fill(
    daemon: &mut Daemon,
    ring: &mut Ring,
    options: &Options,
    cgroup_root: &Path,
) -> Result<(), DaemonError> {
    let acts = try_canary(daemon, ring, &options.state_dir, cgroup_root)?;
    daemon.canary_passed(acts);
    if !options.ephemeral {
        daemon.restore();
    }
    for path in &options.bundle {
        daemon
            .put_named_in_force(path)
            .map_err(|message| DaemonError::Bundle { path: path.clone(), message })?;
    }
    Ok(())
}

fn try_canary(
    daemon: &mut Daemon,
    ring: &mut Ring,
    state_dir: &Path,
    cgroup_root: &Path,
) -> Result<Vec<String>, CanaryError> {
    let (gate, profiles, mut witness) = daemon.parts_for_canary();
    let mut unwritten = None;
    let mut drain = |profiles: &Profiles| {
        let mut seen = Vec::new();
        while ring.next(&mut |record| match witness.observe(record, profiles) {
            Ok(observed) => seen.extend(observed),
            Err(error) => unwritten = Some(error),
        }) {}
        seen
    };
    let done = canary::run(gate, profiles, state_dir, cgroup_root, &mut drain);
    if let Some(error) = unwritten {
        tracing::warn!("the canary's events are not in the audit trail: {error}");
    }
    done
}

/// One daemon at a time: held until the process ends, however it ends.
fn claim(options: &Options) -> Result<File, DaemonError> {
    folder(&options.run_dir, 0o755)?;
    let path = options.run_dir.join("execlayerd.lock");
    let lock = store::lock_file(&path).map_err(|source| file("make", &path, source))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(DaemonError::AlreadyRunning(path)),
        Err(TryLockError::Error(source)) => Err(file("lock", &path, source)),
    }
}

fn unload(options: &Options, pins: &Pins) -> Result<(), DaemonError> {
    let _lock = claim(options)?;
    if !pins.exist() {
        tracing::info!("nothing is loaded");
        return Ok(());
    }
    match pins.holding() {
        Ok(mut holding) => {
            let denied = daemon::held::deny_all(&mut holding);
            denied.map_err(|source| system("deny the calls that are held", source))?;
        }
        Err(error) => tracing::warn!("calls that are held stay so until they are ended: {error}"),
    }
    pins.remove_all().map_err(kernel::LoadError::from)?;
    let uid = nix::unistd::getuid();
    let by = format!("execlayerd --unload (uid {uid}, process {})", std::process::id());
    write_of_gate(options, "down", &by);
    tracing::info!("the gate is taken down: nothing is enforced");
    Ok(())
}

/// What the machine was booted with.
const COMMAND_LINE: &str = "/proc/cmdline";
/// The word on it that keeps a service from putting up its gate, for whoever has locked themselves out.
const SWITCHED_OFF: &str = "execlayer=off";

fn is_switched_off(command_line: &str) -> bool {
    command_line.split_ascii_whitespace().any(|word| word == SWITCHED_OFF)
}

/// Says in the audit trail what became of the gate, where there is no daemon that could. It is so also if that cannot
/// be written down.
fn write_of_gate(options: &Options, what: &'static str, by: &str) {
    if let Err(error) = try_write_of_gate(options, what, by) {
        tracing::error!("the audit trail does not say that the gate is {what}: {error}");
    }
}

fn try_write_of_gate(options: &Options, what: &'static str, by: &str) -> Result<(), DaemonError> {
    folder(&options.state_dir, 0o700)?;
    let (mut trail, found) = trail::open(options.trail())?;
    let now = time::now().saturating_mul(1_000_000_000);
    for record in [line::trail(&found, options.audit_sync, now), line::gate(what, by, now)] {
        let written =
            record.map_err(io::Error::from).and_then(|record| trail.append(&record, None));
        written.map_err(|source| file("write to", &options.audit, source))?;
    }
    trail.checkpoint().map_err(|source| file("write to", &options.audit, source))
}

/// KERNEL: the initial one has a number of its own (include/linux/proc_ns.h, `PROC_PID_INIT_INO`, 6.1).
fn is_initial_pid_namespace() -> bool {
    const INITIAL: &str = "pid:[4026531836]";
    fs::read_link("/proc/self/ns/pid").is_ok_and(|name| name.as_os_str() == INITIAL)
}

/// The group that may ask how the daemon is. Without it the gate is as strict as with it: nothing waits for that.
fn readers(daemon: &mut Daemon, options: &Options) -> Result<Option<Gid>, DaemonError> {
    match options.audit_group.as_deref().map(group).transpose() {
        Err(DaemonError::UnknownGroup(name)) => {
            daemon.lacks_group(&name);
            Ok(None)
        }
        found => found,
    }
}

fn group(name: &str) -> Result<Gid, DaemonError> {
    match Group::from_name(name) {
        Ok(Some(group)) => Ok(group.gid),
        Ok(None) => Err(DaemonError::UnknownGroup(name.to_owned())),
        Err(error) => Err(system("look up the group", error.into())),
    }
}

fn folder(path: &Path, mode: u32) -> Result<(), DaemonError> {
    let made = DirBuilder::new().recursive(true).mode(mode).create(path);
    made.map_err(|source| file("make", path, source))
}

fn file(what: &'static str, path: &Path, source: io::Error) -> DaemonError {
    DaemonError::File { what, path: path.to_owned(), source }
}

fn system(what: &'static str, source: io::Error) -> DaemonError {
    DaemonError::System { what, source }
}

#[cfg(test)]
mod tests {
    use super::is_switched_off;

    #[test]
    fn only_the_whole_word_switches_the_gate_off() {
        assert!(is_switched_off("root=/dev/sda1 execlayer=off quiet\n"));
        for other in ["", "execlayer=offline", "noexeclayer=off", "execlayer=on", "execlayer =off"]
        {
            assert!(!is_switched_off(other), "{other}");
        }
    }
}
