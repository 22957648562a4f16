//! Claims about `run` with a daemon that is there: what it asks, and how the program fares. The scope
//! is a folder with a file where a cgroup would be.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    path::Path,
    process::Stdio,
};

use execlayer_api::{
    DeniedRow, DeniedVerdict, ErrorCode, Outcome, Request, Response, ScopeId, Status, Summary,
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::harness::{Called, Daemon, Place, answer, needs_root, refusal, status};

/// A place with a scope and a daemon.
struct Scene {
    place: Place,
    daemon: Daemon,
}

impl Scene {
    fn new() -> Self {
        Self::answering(|_| None)
    }

    /// With a daemon that answers as usual where `special` has no answer.
    fn answering(special: impl Fn(&Request) -> Option<Response> + Send + 'static) -> Self {
        let place = Place::new();
        let cgroup = place.at("cgroup");
        fs::create_dir(&cgroup).unwrap();
        fs::write(cgroup.join("cgroup.procs"), "").unwrap();
        let daemon = Daemon::listen(&place.at("run"), move |request| {
            special(request).or_else(|| answer(request, &cgroup))
        });
        Self { place, daemon }
    }

    fn command(&self, options: &[&str], command: &[&str]) -> std::process::Command {
        let mut arguments = vec!["run", "--policy", "small", "--var", "WORKSPACE=/srv/app"];
        arguments.extend(["--run-dir", "run", "--state-dir", "state"]);
        arguments.extend(options);
        arguments.push("--");
        arguments.extend(command);
        self.place.tool(&arguments)
    }

    fn run(&self, options: &[&str], command: &[&str]) -> Called {
        Called::from(self.command(options, command).output().unwrap())
    }

    /// Numbers of what was asked, in order: hello, status, install, open, close.
    fn asked(&self) -> Vec<&'static str> {
        let name = |request: &Request| match request {
            Request::Hello {} => "hello",
            Request::Install { .. } => "install",
            Request::OpenScope { .. } => "open-scope",
            Request::CloseScope { .. } => "close-scope",
            Request::Status {} => "status",
            _ => "something else",
        };
        self.daemon.asked().iter().map(name).collect()
    }
}

#[test]
fn the_policy_is_in_force_and_the_scope_open_before_the_program_starts() {
    if !needs_root("the_policy_is_in_force_and_the_scope_open_before_the_program_starts") {
        return;
    }
    let scene = Scene::new();
    let called = scene.run(&[], &["cat", "cgroup/cgroup.procs"]);
    assert_eq!(called.code, Some(0), "{called:?}");
    assert_eq!(called.out, "0", "the helper did not enter the scope");
    assert_eq!(scene.asked(), ["hello", "status", "install", "open-scope", "close-scope"]);
    assert!(called.err.contains("nothing was denied to `tester`"), "{called:?}");
    assert_eq!(scene.daemon.asked()[4], Request::CloseScope { id: ScopeId(7) });
}

#[test]
fn the_bundle_that_the_daemon_gets_is_signed_with_the_local_key() {
    if !needs_root("the_bundle_that_the_daemon_gets_is_signed_with_the_local_key") {
        return;
    }
    let keep = tempfile::tempdir().unwrap();
    let copy = keep.path().join("copy.bundle");
    let to = copy.clone();
    let scene = Scene::answering(move |request| {
        if let Request::Install { path } = request {
            assert!(Path::new(path).is_absolute());
            fs::copy(path, &to).unwrap();
        }
        None
    });
    assert_eq!(scene.run(&[], &["true"]).code, Some(0));
    let copy = copy.display().to_string();
    scene.place.succeed(&["verify", &copy, "--trust", "state/local.pub"]);
    let left = fs::read_dir(scene.place.at("state/local-bundles")).unwrap().count();
    assert_eq!(left, 0, "the bundle was left behind");
}

#[test]
fn input_output_and_exit_code_pass_through() {
    if !needs_root("input_output_and_exit_code_pass_through") {
        return;
    }
    let scene = Scene::new();
    let mut child = scene
        .command(&["--quiet"], &["sh", "-c", "cat; echo oops >&2; exit 42"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"hello").unwrap();
    let called = Called::from(child.wait_with_output().unwrap());
    assert_eq!(called.code, Some(42));
    assert_eq!((called.out.as_str(), called.err.as_str()), ("hello", "oops\n"));
}

#[test]
fn a_program_that_is_killed_by_a_signal_gives_128_and_its_number() {
    if !needs_root("a_program_that_is_killed_by_a_signal_gives_128_and_its_number") {
        return;
    }
    let scene = Scene::new();
    assert_eq!(scene.run(&[], &["sh", "-c", "kill -KILL $$"]).code, Some(137));
}

#[test]
fn a_program_that_is_not_there_gives_127_and_one_that_cannot_be_executed_126() {
    if !needs_root("a_program_that_is_not_there_gives_127") {
        return;
    }
    let scene = Scene::new();
    let called = scene.run(&[], &["/no/such/program"]);
    assert_eq!(called.code, Some(127));
    assert!(called.err.contains("`/no/such/program` was not executed"), "{called:?}");
    assert_eq!(scene.run(&[], &["/etc/passwd"]).code, Some(126));
    assert!(scene.asked().ends_with(&["close-scope"]));
}

#[test]
fn the_program_starts_with_no_signal_held_back() {
    if !needs_root("the_program_starts_with_no_signal_held_back") {
        return;
    }
    // Not through a shell: some shells reset the mask themselves.
    let called = Scene::new().run(&[], &["grep", "SigBlk", "/proc/self/status"]);
    let mask = called.out.split_whitespace().last();
    assert_eq!(mask, Some("0000000000000000"), "{called:?}");
}

#[test]
fn signals_reach_the_program() {
    if !needs_root("signals_reach_the_program") {
        return;
    }
    let scene = Scene::new();
    let script = "trap 'echo got; exit 9' TERM; echo ready; \
                  for i in $(seq 300); do sleep 0.1; done";
    let mut child =
        scene.command(&["-q"], &["sh", "-c", script]).stdout(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    kill(Pid::from_raw(child.id() as i32), Signal::SIGTERM).unwrap();
    let mut rest = String::new();
    out.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "got\n");
    assert_eq!(child.wait().unwrap().code(), Some(9));
    assert!(scene.asked().ends_with(&["close-scope"]));
}

#[test]
fn the_program_runs_as_the_user_that_is_named() {
    if !needs_root("the_program_runs_as_the_user_that_is_named") {
        return;
    }
    // So that there is something to lose.
    nix::unistd::setgroups(&[0, 1].map(nix::unistd::Gid::from_raw)).unwrap();
    let scene = Scene::new();
    let nobody = nix::unistd::User::from_name("nobody").unwrap().unwrap();
    let expected = format!("{} {} nobody", nobody.uid, nobody.gid);
    for name in ["nobody".to_owned(), nobody.uid.to_string()] {
        let script = "echo $(id -u) $(id -g) $USER; echo $HOME; id -G";
        let called = scene.run(&["--user", &name], &["sh", "-c", script]);
        let mut lines = called.out.lines();
        assert_eq!(lines.next(), Some(expected.as_str()), "{called:?}");
        assert_eq!(lines.next(), nobody.dir.to_str());
        assert_eq!(lines.next(), Some(nobody.gid.to_string().as_str()), "groups of root are kept");
    }
    let called = scene.run(&["--user", "no-such-user"], &["true"]);
    assert_eq!(called.code, Some(125));
}

fn denials() -> Summary {
    Summary {
        denied: vec![DeniedRow {
            count: 3,
            operation: "open".into(),
            access: vec!["read".into()],
            subject: "/root/.ssh/id_ed25519".into(),
            rule: Some("no-keys".into()),
            file: Some("small/policy.toml".into()),
            line: Some(19),
            reason: "rule".into(),
            message: Some("Keys stay private.".into()),
            verdict: DeniedVerdict::Denied,
        }],
        more: 0,
        allowed: 5,
        lost: 0,
    }
}

#[test]
fn denials_are_summed_up_on_standard_error_and_in_a_file() {
    if !needs_root("denials_are_summed_up_on_standard_error_and_in_a_file") {
        return;
    }
    let scene = Scene::answering(|request| match request {
        Request::CloseScope { .. } => Some(Response::Done(Outcome::Summary(denials()))),
        _ => None,
    });
    let called = scene.run(&["--summary-json", "denied.json"], &["echo", "done"]);
    assert_eq!((called.code, called.out.as_str()), (Some(0), "done\n"));
    for part in ["3", "/root/.ssh/id_ed25519", "no-keys", "small/policy.toml:19", "Keys stay"] {
        assert!(called.err.contains(part), "{part}: {}", called.err);
    }
    let json = fs::read(scene.place.at("denied.json")).unwrap();
    let summary: Summary = serde_json::from_slice(&json).unwrap();
    assert_eq!(summary, denials());
    assert_eq!(scene.run(&["--quiet"], &["true"]).err, "");
}

#[test]
fn a_refused_bundle_starts_nothing() {
    if !needs_root("a_refused_bundle_starts_nothing") {
        return;
    }
    let scene = Scene::answering(|request| match request {
        Request::Install { .. } => {
            Some(refusal(ErrorCode::Overlap, "selects what `other` selects", "narrow it"))
        }
        _ => None,
    });
    let called = scene.run(&[], &["touch", "started"]);
    assert_eq!(called.code, Some(125));
    assert!(called.err.contains("selects what `other`") && called.err.contains("narrow it"));
    assert!(!scene.place.at("started").exists());
}

#[test]
fn a_scope_that_cannot_be_entered_starts_nothing() {
    if !needs_root("a_scope_that_cannot_be_entered_starts_nothing") {
        return;
    }
    let scene = Scene::new();
    fs::remove_file(scene.place.at("cgroup/cgroup.procs")).unwrap();
    let called = scene.run(&[], &["touch", "started"]);
    assert_eq!(called.code, Some(125), "{called:?}");
    assert!(!scene.place.at("started").exists());
    assert!(!scene.place.at("cgroup/cgroup.procs").exists(), "a file was made");
}

fn running(digest: &str) -> Response {
    let mut status: Status = status();
    status.profiles[0].governed_tasks = 2;
    status.profiles[0].digest = digest.into();
    Response::Done(Outcome::Status(Box::new(status)))
}

#[test]
fn the_policy_of_programs_that_run_is_not_changed_unless_that_is_said() {
    if !needs_root("the_policy_of_programs_that_run_is_not_changed_unless_that_is_said") {
        return;
    }
    let scene = Scene::answering(|request| match request {
        Request::Status {} => Some(running("another")),
        _ => None,
    });
    let called = scene.run(&[], &["true"]);
    assert_eq!(called.code, Some(125));
    assert!(called.err.contains("--agent tester-2") && called.err.contains("--replace"));
    assert!(!scene.asked().contains(&"install"));
    assert_eq!(scene.run(&["--replace"], &["true"]).code, Some(0));
    assert_eq!(scene.run(&["--agent", "tester-2"], &["true"]).code, Some(0));
    let opened =
        scene.daemon.asked().iter().any(
            |request| matches!(request, Request::OpenScope { agent, .. } if agent == "tester-2"),
        );
    assert!(opened, "{:?}", scene.daemon.asked());
}

#[test]
fn the_scope_is_below_the_callers_cgroup_only_if_that_is_said() {
    if !needs_root("the_scope_is_below_the_callers_cgroup_only_if_that_is_said") {
        return;
    }
    for (options, said) in [(&["--in-unit"][..], true), (&[], false)] {
        let scene = Scene::new();
        assert_eq!(scene.run(options, &["true"]).code, Some(0));
        let is_asked = |request: &Request| match request {
            Request::OpenScope { below_owner, .. } => *below_owner == said,
            _ => false,
        };
        assert!(scene.daemon.asked().iter().any(is_asked), "{:?}", scene.daemon.asked());
    }
}

#[test]
fn a_broken_policy_starts_nothing_and_asks_nobody() {
    if !needs_root("a_broken_policy_starts_nothing_and_asks_nobody") {
        return;
    }
    let scene = Scene::new();
    scene.place.write("small/policy.toml", "name = ");
    let called = scene.run(&[], &["touch", "started"]);
    assert_eq!(called.code, Some(125));
    assert!(called.err.contains("small/policy.toml:1:"), "{called:?}");
    assert!(scene.asked().is_empty() && !scene.place.at("started").exists());
}
