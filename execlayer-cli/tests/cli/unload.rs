//! Claims about `unload`: that it is asked for twice, or said plainly.

use std::sync::atomic::{AtomicBool, Ordering};

use execlayer_api::Request;

use crate::{
    harness::{Daemon, Place, answer},
    pty::Pty,
};

const UNLOAD: [&str; 5] = ["unload", "--run-dir", "run", "--bpffs", "bpf"];

/// A place whose daemon does what it is told: once it is told to end, it answers nothing any more.
fn place() -> (Place, Daemon) {
    let place = Place::new();
    let is_there = AtomicBool::new(true);
    let daemon = Daemon::listen(&place.at("run"), move |request| {
        let was_there = match request {
            Request::Stop { .. } => is_there.swap(false, Ordering::Relaxed),
            _ => is_there.load(Ordering::Relaxed),
        };
        was_there.then(|| answer(request, "".as_ref())).flatten()
    });
    (place, daemon)
}

/// What the daemon was told, but for the looks whether it is gone.
fn told(daemon: &Daemon) -> Vec<Request> {
    daemon.asked().into_iter().filter(|request| *request != Request::Hello {}).collect()
}

#[test]
fn the_gate_is_taken_down_by_whoever_says_yes() {
    let (place, daemon) = place();
    let out = place.succeed(&[&UNLOAD[..], &["--yes"]].concat()).out;
    assert!(out.contains("nothing is enforced"), "{out}");
    assert_eq!(told(&daemon), [Request::Stop { force: true }]);
}

#[test]
fn without_a_terminal_nobody_can_be_asked() {
    let (place, daemon) = place();
    let called = place.call(&UNLOAD);
    assert_eq!(called.code, Some(2));
    assert!(called.err.contains("--yes"), "{called:?}");
    assert_eq!(told(&daemon), []);
}

#[test]
fn at_a_terminal_only_a_yes_behind_the_question_counts() {
    for (typed, said, code, asked) in [
        ("y\n", "\n", 1, vec![]),
        ("", "n\n", 1, vec![]),
        ("", "y\n", 0, vec![Request::Stop { force: true }]),
    ] {
        let (place, daemon) = place();
        let mut command = place.tool(&UNLOAD);
        command.env("TERM", "dumb");
        let mut pty = Pty::start(command, typed);
        pty.until("[y/N] ");
        // What is typed within a quarter of a second is for something else.
        std::thread::sleep(std::time::Duration::from_millis(600));
        pty.say(said);
        assert_eq!(pty.child.wait().unwrap().code(), Some(code), "{typed:?} {said:?}");
        assert_eq!(told(&daemon), asked);
    }
}

#[test]
fn a_gate_that_still_stands_is_not_said_to_be_down() {
    let (place, daemon) = place();
    std::fs::create_dir_all(place.at("bpf/execlayer/links/open")).unwrap();
    let mut tool = place.tool(&[&UNLOAD[..], &["--yes"]].concat()).spawn().unwrap();
    while told(&daemon).is_empty() {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert_eq!(tool.try_wait().unwrap(), None, "it does not wait for the pins' end");
    std::fs::remove_dir_all(place.at("bpf/execlayer")).unwrap();
    assert!(tool.wait().unwrap().success());
}

#[test]
fn without_a_daemon_what_one_left_is_looked_for() {
    let place = Place::new();
    let tool = place.at("execlayer");
    crate::harness::copy_program(crate::harness::TOOL, &tool);
    let seen = place.at("seen");
    let script = format!("#!/bin/sh\necho \"$@\" > {}\n", seen.display());
    let daemon = place.write("execlayerd", &script);
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&daemon, mode).unwrap();
    let mut command = place.command(&tool, &[&UNLOAD[..], &["--yes"]].concat());
    let output = command.output().unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains("nothing is loaded"), "{output:?}");
    assert!(!seen.exists());
    std::fs::create_dir_all(place.at("bpf/execlayer/links/open")).unwrap();
    assert!(command.output().unwrap().status.success());
    let arguments = std::fs::read_to_string(&seen).unwrap();
    assert_eq!(arguments, "--unload --run-dir run --bpffs bpf\n");
    place.write("execlayerd", "#!/bin/sh\nexit 1\n");
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("could not do it"));
}
