//! Claims about `run` where no daemon is there: whom it starts, and what it says if that fails. The
//! daemon's executable is a script beside a copy of the tool.

use std::{
    fs,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use crate::harness::{Called, Daemon, Place, TOOL, answer, copy_program, is_root, needs_root};

/// A copy of the tool in `bin`, with this script as its daemon if there is one.
fn install(place: &Place, daemon: Option<&str>) -> PathBuf {
    let bin = place.at("bin");
    fs::create_dir(&bin).unwrap();
    let tool = bin.join("execlayer");
    copy_program(TOOL, &tool);
    if let Some(script) = daemon {
        let written = place.write("script", &format!("#!/bin/sh\n{script}\n"));
        fs::set_permissions(&written, fs::Permissions::from_mode(0o755)).unwrap();
        copy_program(&written, &bin.join("execlayerd"));
    }
    tool
}

fn run(place: &Place, tool: &Path) -> std::process::Command {
    run_with(place, tool, &[])
}

fn run_with(place: &Place, tool: &Path, options: &[&str]) -> std::process::Command {
    let mut command = place.command(
        tool,
        &["run", "--policy", "small", "--var", "WORKSPACE=/w", "--run-dir", "run", "--state-dir"],
    );
    command.arg("state").args(options).args(["--", "touch", "started"]);
    command.env("PATH", "/usr/bin:/bin");
    command
}

#[test]
fn who_is_not_root_is_told_so_with_125() {
    let place = Place::new();
    let tool = install(&place, None);
    let mut command = run(&place, &tool);
    if is_root() {
        fs::set_permissions(place.at(""), fs::Permissions::from_mode(0o755)).unwrap();
        let nobody = nix::unistd::User::from_name("nobody").unwrap().unwrap();
        command.uid(nobody.uid.as_raw()).gid(nobody.gid.as_raw());
    }
    let called = Called::from(command.output().unwrap());
    assert_eq!(called.code, Some(125));
    assert!(called.err.contains("needs root") && called.err.contains("sudo"), "{called:?}");
    assert!(called.out.is_empty() && !place.at("started").exists());
}

#[test]
fn mistakes_in_the_arguments_of_run_give_125_too() {
    let place = Place::new();
    assert_eq!(place.call(&["run", "--polciy", "small", "--", "true"]).code, Some(125));
    assert_eq!(place.call(&["run", "--help"]).code, Some(0));
}

#[test]
fn a_daemon_that_cannot_enforce_is_quoted_and_nothing_starts() {
    if !needs_root("a_daemon_that_cannot_enforce_is_quoted_and_nothing_starts") {
        return;
    }
    let place = Place::new();
    let script = "echo 'error: BPF LSM is not active' >&2; echo 'add lsm=...,bpf' >&2; exit 10";
    let tool = install(&place, Some(script));
    let called = Called::from(run(&place, &tool).output().unwrap());
    assert_eq!(called.code, Some(125));
    for part in ["did not start", "BPF LSM is not active", "add lsm=...,bpf", "doctor"] {
        assert!(called.err.contains(part), "{part}: {called:?}");
    }
    assert!(!place.at("started").exists());
}

#[test]
fn where_only_a_service_will_do_no_daemon_is_started() {
    if !needs_root("where_only_a_service_will_do_no_daemon_is_started") {
        return;
    }
    let place = Place::new();
    let script = format!("touch '{}'; exit 10", place.at("daemon-started").display());
    let tool = install(&place, Some(&script));
    let called = Called::from(run_with(&place, &tool, &["--service"]).output().unwrap());
    assert_eq!(called.code, Some(125));
    assert!(called.err.contains("systemctl start execlayerd"), "{called:?}");
    assert!(!place.at("daemon-started").exists() && !place.at("started").exists());
    // The twin: without the option it is.
    let called = Called::from(run(&place, &tool).output().unwrap());
    assert!(place.at("daemon-started").exists(), "{called:?}");
}

#[test]
fn without_the_daemons_executable_nothing_starts() {
    if !needs_root("without_the_daemons_executable_nothing_starts") {
        return;
    }
    let place = Place::new();
    let tool = install(&place, None);
    let called = Called::from(run(&place, &tool).output().unwrap());
    assert_eq!(called.code, Some(125));
    assert!(called.err.contains("install `execlayerd`"), "{called:?}");
    assert!(!place.at("started").exists());
}

#[test]
fn a_daemon_is_started_apart_from_the_terminal_and_waited_for() {
    if !needs_root("a_daemon_is_started_apart_from_the_terminal_and_waited_for") {
        return;
    }
    let place = Place::new();
    let script = "echo \"$@\" > arguments.new; ps -o pgid= -p $$ >> arguments.new; \
                  echo $$ >> arguments.new; mv arguments.new arguments; exec sleep 600";
    let script = format!("cd '{}'\n{script}", place.at("").display());
    let tool = install(&place, Some(&script));
    let cgroup = place.at("cgroup");
    fs::create_dir(&cgroup).unwrap();
    fs::write(cgroup.join("cgroup.procs"), "").unwrap();
    let mut child = run(&place, &tool).spawn().unwrap();
    let begin = Instant::now();
    while !place.at("arguments").exists() {
        assert!(begin.elapsed() < Duration::from_secs(60), "the daemon was not started");
        std::thread::sleep(Duration::from_millis(10));
    }
    let text = fs::read_to_string(place.at("arguments")).unwrap();
    let mut lines = text.lines().map(str::trim);
    let (run_dir, state_dir) = (place.at("run"), place.at("state"));
    let (run_dir, state_dir) = (run_dir.display(), state_dir.display());
    let arguments = format!("--ephemeral --run-dir {run_dir} --state-dir {state_dir}");
    assert_eq!(lines.next(), Some(arguments.as_str()));
    let (group, pid) = (lines.next(), lines.next());
    let sleeper = nix::unistd::Pid::from_raw(pid.unwrap().parse().unwrap());
    let _daemon = Daemon::listen(&place.at("run"), move |request| answer(request, &cgroup));
    let code = child.wait().unwrap().code();
    nix::sys::signal::kill(sleeper, nix::sys::signal::Signal::SIGKILL).unwrap();
    assert_eq!(group, pid, "the daemon is in the tool's process group");
    assert_eq!(code, Some(0));
    assert!(place.at("started").exists());
}
