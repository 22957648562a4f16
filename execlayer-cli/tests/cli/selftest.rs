//! Claims about `selftest` where nothing is enforced: the daemon is one that answers, and its scope is a
//! folder. What a kernel that enforces says is a matter of the guest tests.

use std::{
    fs,
    os::unix::process::CommandExt,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use execlayer_api::{Outcome, Request, Response};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::harness::{
    Called, Daemon, Place, TOOL, answer, copy_program, is_root, needs_root, tell,
};

/// A place with a daemon that governs nothing, and a folder for the yard.
struct Scene {
    place: Place,
    daemon: Daemon,
}

impl Scene {
    fn new() -> Self {
        let place = Place::new();
        let cgroup = place.at("cgroup");
        fs::create_dir(&cgroup).unwrap();
        fs::write(cgroup.join("cgroup.procs"), "").unwrap();
        fs::create_dir(place.at("yards")).unwrap();
        tell(&place.at("run"), Response::Done(Outcome::Why(Vec::new())));
        let own = std::process::id();
        let daemon =
            Daemon::listen(&place.at("run"), move |request| match answer(request, &cgroup) {
                // A daemon that may be sent signals.
                Some(Response::Done(Outcome::Hello(mut hello))) => {
                    hello.pid = own;
                    Some(Response::Done(Outcome::Hello(hello)))
                }
                other => other,
            });
        Self { place, daemon }
    }

    fn command(&self, options: &[&str]) -> Command {
        let mut arguments = vec!["selftest", "--run-dir", "run", "--state-dir", "state"];
        arguments.extend(["--folder", "yards"]);
        arguments.extend(options);
        self.place.tool(&arguments)
    }

    fn call(&self, options: &[&str]) -> Called {
        Called::from(self.command(options).output().unwrap())
    }

    fn left(&self) -> usize {
        fs::read_dir(self.place.at("yards")).unwrap().count()
    }
}

#[test]
fn where_nothing_is_enforced_the_acts_go_through_and_are_listed() {
    if !needs_root("where_nothing_is_enforced_the_acts_go_through_and_are_listed") {
        return;
    }
    let scene = Scene::new();
    let called = scene.call(&["--json"]);
    assert_eq!(called.code, Some(8), "{called:?}");
    let json = called.json();
    let findings = json["findings"].as_array().unwrap();
    for finding in findings {
        // What a machine lacks cannot be tried; all else goes through.
        let verdict = finding["verdict"].as_str().unwrap();
        assert!(matches!(verdict, "went-through" | "not-tried"), "{finding}");
        assert_eq!(finding["why"].is_string(), verdict == "not-tried", "{finding}");
        if verdict == "not-tried" {
            eprintln!("{finding}");
        }
    }
    assert_eq!(json["acts"], findings.len());
    assert!(findings.len() >= 60 && json["went_through"].as_u64() >= Some(50), "{json:#}");
    assert_eq!((json["stopped"].as_u64(), json["monitor"].as_bool()), (Some(0), Some(false)));
    assert_eq!(scene.left(), 0, "the yard was left behind");
    assert_eq!(fs::read_dir(scene.place.at("state/local-bundles")).unwrap().count(), 0);
    assert!(scene.daemon.asked().iter().any(|asked| matches!(asked, Request::CloseScope { .. })));
}

#[test]
fn people_get_a_row_for_each_act_and_a_summary() {
    if !needs_root("people_get_a_row_for_each_act_and_a_summary") {
        return;
    }
    let called = Scene::new().call(&["--filter", "DELETING", "--filter", "a mode"]);
    assert_eq!(called.code, Some(8), "{called:?}");
    let rows: Vec<_> = called.out.lines().filter(|line| line.ends_with("NOT STOPPED")).collect();
    assert_eq!(rows.len(), 3, "{}", called.out);
    assert!(rows[0].contains("deleting a file") && rows[0].contains("unlink"), "{}", rows[0]);
    assert!(rows[0].contains("EACCES") && rows[0].contains("done"), "{}", rows[0]);
    let summary = called.out.lines().last().unwrap();
    assert_eq!(summary, "NOT STOPPED: 0 of 3 acts stopped, 3 allowed twins passed, 3 went through");
}

#[test]
fn a_filter_that_nothing_matches_is_a_mistake() {
    let called = Place::new().call(&["selftest", "--filter", "no such act"]);
    assert_eq!(called.code, Some(2));
    assert!(called.err.contains("no act"), "{called:?}");
}

#[test]
fn selftest_needs_root() {
    let place = Place::new();
    let tool = place.at("execlayer");
    copy_program(TOOL, &tool);
    let mut command = place.command(&tool, &["selftest"]);
    if is_root() {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(place.at(""), fs::Permissions::from_mode(0o755)).unwrap();
        command.uid(65_534).gid(65_534);
    }
    let called = Called::from(command.output().unwrap());
    assert_eq!(called.code, Some(5));
    assert!(called.err.contains("sudo execlayer selftest"), "{called:?}");
}

#[test]
fn an_interrupted_selftest_cleans_up() {
    if !needs_root("an_interrupted_selftest_cleans_up") {
        return;
    }
    let scene = Scene::new();
    let mut command = scene.command(&[]);
    // As a shell does: Ctrl-C is for the whole group.
    let mut child = command.process_group(0).stdout(Stdio::null()).spawn().unwrap();
    let begin = Instant::now();
    while scene.left() == 0 {
        assert!(begin.elapsed() < Duration::from_secs(60), "there is no yard");
        std::thread::sleep(Duration::from_millis(1));
    }
    while child.try_wait().unwrap().is_none() {
        // Until its acts run there is nobody to end.
        kill(Pid::from_raw(-child.id().cast_signed()), Signal::SIGINT).unwrap();
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert_eq!(scene.left(), 0, "the yard was left behind");
}
