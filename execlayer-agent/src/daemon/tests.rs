//! The daemon over the gate in memory: calls in, answers out, with real bundles and real folders.

use std::{fs, path::PathBuf};

use clap::Parser;
use execlayer_api::{ErrorCode, Outcome, Remember, Request, Response, State};
use execlayer_bundle::{PrivateKey, UnsignedBundle, sign};
use execlayer_common::{
    access::{Access, Operation},
    image::{Effect, FLAG_SELECTS_EXE},
    provenance::{Asking, Decider, Provenance, RuleOrigin},
};
use tokio::sync::oneshot;
use zeroize::Zeroizing;

use super::Daemon;
use crate::{
    canary::image::{Draft, exactly},
    control::Call,
    kernel::{Layout, Pass, events::tests::denied, fake::Fake},
    options::Options,
    profiles::Profiles,
    record,
    scopes::Scopes,
};

mod admit;
mod calls;
mod held;
mod trail;
mod ways;

struct Bench {
    folder: tempfile::TempDir,
    key: PrivateKey,
    daemon: Daemon,
    /// Who asks.
    uid: u32,
    /// Of the bundles' policies: who can be asked, and how the rule `a` asks.
    deciders: Vec<Decider>,
    asking: Option<Asking>,
}

impl Bench {
    fn new(ephemeral: bool) -> Self {
        Self::over(tempfile::tempdir().unwrap(), ephemeral, Fake::default())
    }

    fn over(folder: tempfile::TempDir, ephemeral: bool, gate: Fake) -> Self {
        let at = |name: &str| folder.path().join(name).display().to_string();
        let key = PrivateKey::from_random(Zeroizing::new([7; 32]), "test");
        fs::write(at("local.pub"), key.public().to_text()).unwrap();
        let mut arguments =
            vec!["execlayerd".to_owned(), "--state-dir".into(), at(""), "--keys-dir".into()];
        arguments.extend([at("keys"), "--audit".to_owned(), at("audit")]);
        arguments.extend(["--run-dir".to_owned(), at(""), "--root".into(), at("first-root.json")]);
        arguments.extend(["--bundles-dir".to_owned(), at("dropped")]);
        arguments.extend(ephemeral.then(|| "--ephemeral".to_owned()));
        let options = Options::parse_from(arguments);
        let scopes = Scopes::new(folder.path(), 1);
        let profiles = Profiles::new(Layout::read(&gate).unwrap());
        let trail = record::trail::open(options.trail()).unwrap();
        let mut daemon =
            Daemon::new(options, Box::new(gate), profiles, scopes, trail, "6.1".to_owned());
        daemon.up();
        Self { folder, key, daemon, uid: 0, deciders: Vec::new(), asking: None }
    }

    /// A bundle for `agent` that selects `exe`.
    fn bundle(&self, agent: &str, exe: Option<&str>) -> PathBuf {
        self.bundle_with(agent, exe, |_provenance| ())
    }

    /// The same, and more said of it.
    fn bundle_with(
        &self,
        agent: &str,
        exe: Option<&str>,
        say: impl FnOnce(&mut Provenance),
    ) -> PathBuf {
        let mut draft = Draft::new(if exe.is_some() { FLAG_SELECTS_EXE } else { 0 }, 3);
        let set = draft.set(Effect::Deny, Access::of(Operation::File), 2);
        draft.automaton(Operation::File, &exactly(b"/etc/shadow", set, 0));
        if let Some(exe) = exe {
            let set = draft.set(Effect::Allow, Access::GOVERN, 0);
            draft.automaton(Operation::SelectExe, &exactly(exe.as_bytes(), set, 0));
        }
        let rule = |id: &str| RuleOrigin {
            id: id.into(),
            file: 0,
            line: 4,
            reason: None,
            transition: None,
            asking: None,
        };
        let mut provenance = Provenance {
            format: execlayer_common::provenance::FORMAT,
            policy: format!("policy-of-{agent}"),
            version: 3,
            agent: agent.to_owned(),
            files: vec!["policy.toml".to_owned()],
            cgroups: Vec::new(),
            executables: exe.into_iter().map(str::to_owned).collect(),
            accepts_from: Vec::new(),
            deciders: self.deciders.clone(),
            context: Vec::new(),
            rules: vec![
                RuleOrigin { asking: self.asking.clone(), ..rule("a") },
                rule("b"),
                rule("no-shadow"),
            ],
        };
        say(&mut provenance);
        let bundle = UnsignedBundle::new(draft.finish(), provenance).unwrap();
        let path = self.folder.path().join(format!("{agent}.bundle"));
        fs::write(&path, sign::sign(&bundle, &self.key).unwrap().bytes()).unwrap();
        path
    }

    fn ask(&mut self, request: Request) -> Result<Outcome, (ErrorCode, String)> {
        let (reply, mut answer) = oneshot::channel();
        self.daemon.answer(Call { pid: 4_711, uid: self.uid, request, reply });
        match answer.try_recv().unwrap() {
            Response::Done(outcome) => Ok(outcome),
            Response::Error(failure) => Err((failure.code, failure.message)),
        }
    }

    fn install(&mut self, path: &std::path::Path) -> Result<Outcome, (ErrorCode, String)> {
        self.ask(Request::Install { path: path.display().to_string() })
    }

    fn status(&mut self) -> execlayer_api::Status {
        match self.ask(Request::Status {}) {
            Ok(Outcome::Status(status)) => *status,
            other => panic!("{other:?}"),
        }
    }

    fn lines(&mut self) -> Vec<serde_json::Value> {
        self.daemon.settle();
        let text = fs::read_to_string(self.records()).unwrap_or_default();
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        lines.filter(|line: &serde_json::Value| line["kind"] != "trail").collect()
    }
}

impl Bench {
    /// The daemon is gone; what it left.
    fn ended(self) -> tempfile::TempDir {
        self.folder
    }

    /// The audit trail's file of records.
    fn records(&self) -> PathBuf {
        self.folder.path().join("audit/records").join(execlayer_audit::segment::name(0))
    }
}

fn code(answer: Result<Outcome, (ErrorCode, String)>) -> ErrorCode {
    answer.unwrap_err().0
}

/// The key of a test belongs to whoever runs it; the daemon trusts only root's.
fn is_root() -> bool {
    let is_root = nix::unistd::geteuid().is_root();
    if !is_root {
        println!("not run here: trusted keys must belong to root");
    }
    is_root
}

#[test]
fn a_bundle_is_put_in_force_and_again_in_the_same_profile() {
    if !is_root() {
        return;
    }
    let mut bench = Bench::new(true);
    let path = bench.bundle("claude", None);
    for generation in 1..=2 {
        let Ok(Outcome::Installed(installed)) = bench.install(&path) else { panic!() };
        assert_eq!((installed.profile, installed.generation), (1, generation));
        assert_eq!((installed.agent.as_str(), installed.version), ("claude", 3));
    }
    let other = bench.bundle("codex", None);
    let Ok(Outcome::Installed(installed)) = bench.install(&other) else { panic!() };
    assert_eq!(installed.profile, 2);
    let status = bench.status();
    assert_eq!(status.state, State::Enforcing, "{:?}", status.degraded);
    assert_eq!(status.profiles.len(), 2);
    assert_eq!(status.profiles[0].rules, 3);
}

#[test]
fn a_bundle_of_an_unknown_key_or_with_one_changed_byte_changes_nothing() {
    if !is_root() {
        return;
    }
    let mut bench = Bench::new(true);
    let path = bench.bundle("claude", None);
    bench.install(&path).unwrap();
    let good = fs::read(&path).unwrap();
    for at in [good.len() / 4, good.len() / 2, good.len() - 20] {
        let mut bad = good.clone();
        bad[at] ^= 1;
        fs::write(&path, &bad).unwrap();
        assert_eq!(code(bench.install(&path)), ErrorCode::BundleRefused, "byte {at}");
    }
    bench.key = PrivateKey::from_random(Zeroizing::new([8; 32]), "stranger");
    let strange = bench.bundle("claude", None);
    let (code, message) = bench.install(&strange).unwrap_err();
    assert_eq!(code, ErrorCode::BundleRefused);
    assert!(message.contains("trusted key"), "{message}");
    assert_eq!(bench.status().profiles[0].generation, 1);
    let relative = bench.ask(Request::Install { path: "x.bundle".into() }).unwrap_err();
    assert_eq!(relative.0, ErrorCode::BundleRefused);
}

#[test]
fn a_second_agent_that_selects_the_same_program_is_refused_by_name() {
    if !is_root() {
        return;
    }
    let mut bench = Bench::new(true);
    let first = bench.bundle("claude", Some("/usr/bin/agent"));
    bench.install(&first).unwrap();
    let second = bench.bundle("codex", Some("/usr/bin/agent"));
    let (code, message) = bench.install(&second).unwrap_err();
    assert_eq!(code, ErrorCode::Overlap);
    assert!(message.contains("/usr/bin/agent") && message.contains("claude"), "{message}");
    let other = bench.bundle("codex", Some("/usr/bin/codex"));
    bench.install(&other).unwrap();
    bench.install(&first).unwrap();
}

fn open_scope(agent: &str) -> Request {
    Request::OpenScope { agent: agent.into(), owner_pid: std::process::id(), below_owner: false }
}

#[test]
fn a_scope_counts_what_is_denied_in_it_and_names_the_rule() {
    if !is_root() {
        return;
    }
    let mut bench = Bench::new(true);
    assert_eq!(code(bench.ask(open_scope("claude"))), ErrorCode::UnknownAgent);
    let path = bench.bundle("claude", None);
    for _ in 0..7 {
        bench.install(&path).unwrap();
    }
    let Ok(Outcome::Scope(scope)) = bench.ask(open_scope("claude")) else { panic!() };
    let cgroup = std::os::unix::fs::MetadataExt::ino(&fs::metadata(&scope.cgroup).unwrap());
    let mut record = denied(b"/etc/shadow", b"/bin/cat");
    let at = std::mem::offset_of!(execlayer_common::event::EventHeader, cgroup);
    record[at..at + 8].copy_from_slice(&cgroup.to_ne_bytes());
    bench.daemon.observe(&record);
    bench.daemon.observe(&record);
    let close = || Request::CloseScope { id: scope.id };
    let Ok(Outcome::Summary(summary)) = bench.ask(close()) else { panic!() };
    let row = &summary.denied[0];
    assert_eq!((row.count, row.subject.as_str()), (2, "/etc/shadow"));
    assert_eq!((row.rule.as_deref(), row.line), (Some("no-shadow"), Some(4)));
    assert_eq!(code(bench.ask(close())), ErrorCode::UnknownScope);
    let lines = bench.lines();
    let verdict = lines.iter().find(|line| line["kind"] == "verdict").unwrap();
    assert_eq!(verdict["rule"], "no-shadow", "{lines:?}");
    let place = format!("/execlayer.slice/run-{}", scope.id);
    assert_eq!(verdict["cgroup_path"], place.as_str(), "{lines:?}");
}

#[test]
fn an_ephemeral_daemon_ends_when_its_last_scope_is_closed_and_nothing_is_governed() {
    if !is_root() {
        return;
    }
    let mut bench = Bench::new(true);
    let path = bench.bundle("claude", None);
    bench.install(&path).unwrap();
    assert!(!bench.daemon.is_done());
    let Ok(Outcome::Scope(scope)) = bench.ask(open_scope("claude")) else { panic!() };
    bench.daemon.tick();
    assert!(!bench.daemon.is_done());
    bench.ask(Request::CloseScope { id: scope.id }).unwrap();
    assert!(bench.daemon.is_done());
}

#[test]
fn an_ephemeral_daemon_whose_first_scope_never_comes_ends_too() {
    let mut bench = Bench::new(true);
    for _ in 0..super::FIRST_SCOPE {
        assert!(!bench.daemon.is_done());
        bench.daemon.tick();
    }
    assert!(bench.daemon.is_done());
}

#[test]
fn governed_tasks_keep_an_ephemeral_daemon() {
    let folder = tempfile::tempdir().unwrap();
    let mut gate = Fake::default();
    gate.governed.insert(1, 2);
    let mut bench = Bench::over(folder, true, gate);
    let (scopes, gate) = (&mut bench.daemon.scopes, bench.daemon.gate.as_mut());
    let (id, _path) = scopes.open(gate, 1, std::process::id(), false, 0).unwrap();
    scopes.close(gate, id);
    assert!(!bench.daemon.is_done());
}

#[test]
fn a_governed_caller_is_refused_whatever_it_asks() {
    let mut gate = Fake::default();
    gate.sessions.insert(4_711, 77);
    let mut bench = Bench::over(tempfile::tempdir().unwrap(), true, gate);
    for request in [Request::Hello {}, Request::Status {}, Request::Stop { force: true }] {
        assert_eq!(code(bench.ask(request)), ErrorCode::Forbidden);
    }
    assert!(!bench.daemon.is_done());
}

#[test]
fn whoever_may_use_the_socket_may_answer_and_only_root_may_change_policies() {
    let mut bench = Bench::new(true);
    bench.uid = 1_000;
    let all = [Request::Hello {}, Request::Status {}, Request::Questions {}, Request::Grants {}];
    for request in all {
        assert!(bench.ask(request.clone()).is_ok(), "{request:?}");
    }
    let answer = Request::Answer { id: 1, allow: true, remember: Remember::Once, message: None };
    assert_eq!(code(bench.ask(answer)), ErrorCode::UnknownQuestion);
    for request in [Request::Install { path: "/x".into() }, Request::Stop { force: true }] {
        assert_eq!(code(bench.ask(request)), ErrorCode::Forbidden);
    }
}

#[test]
fn a_caller_of_whom_nothing_can_be_told_is_refused() {
    let mut gate = Fake::default();
    gate.failing.insert("label");
    let mut bench = Bench::over(tempfile::tempdir().unwrap(), true, gate);
    assert_eq!(code(bench.ask(Request::Status {})), ErrorCode::Internal);
}

#[test]
fn a_service_is_stopped_only_with_force_and_then_takes_nothing_new() {
    let mut bench = Bench::new(false);
    assert_eq!(code(bench.ask(Request::Stop { force: false })), ErrorCode::NotEphemeral);
    assert!(!bench.daemon.is_done());
    bench.ask(Request::Stop { force: true }).unwrap();
    assert!(bench.daemon.is_done());
    let install = Request::Install { path: "/x".into() };
    assert_eq!(code(bench.ask(install)), ErrorCode::Unavailable);
    assert_eq!(bench.status().state, State::Stopping);
}

#[test]
fn who_took_the_gate_down_is_in_the_event_log() {
    let mut bench = Bench::new(false);
    let gate = |bench: &mut Bench| -> Vec<(String, String)> {
        let lines = bench.lines().into_iter().filter(|line| line["kind"] == "gate");
        let text = |line: &serde_json::Value, key| line[key].as_str().unwrap().to_owned();
        lines.map(|line| (text(&line, "what"), text(&line, "by"))).collect()
    };
    let up = ("up".to_owned(), "execlayerd".to_owned());
    assert_eq!(gate(&mut bench), std::slice::from_ref(&up));
    bench.ask(Request::Stop { force: true }).unwrap();
    // Not before it is done.
    assert_eq!(gate(&mut bench), std::slice::from_ref(&up));
    bench.daemon.taken_down();
    let down = ("down".to_owned(), "root (uid 0, process 4711)".to_owned());
    assert_eq!(gate(&mut bench), [up, down]);
}

#[test]
fn a_service_puts_its_bundles_in_force_again_in_the_same_profiles() {
    if !is_root() {
        return;
    }
    let mut bench = Bench::new(false);
    for agent in ["first", "second"] {
        let path = bench.bundle(agent, None);
        bench.install(&path).unwrap();
        fs::remove_file(path).unwrap();
    }
    fs::remove_file(bench.folder.path().join("profiles/1.bundle")).unwrap();
    let folder = bench.ended();
    let mut again = Bench::over(folder, false, Fake::default());
    again.daemon.restore();
    let status = again.status();
    let profiles: Vec<_> = status.profiles.iter().map(|p| (p.number, p.agent.as_str())).collect();
    assert_eq!(profiles, [(2, "second")]);
    assert_eq!(status.state, State::Enforcing);
}

#[test]
fn a_bundle_of_the_command_line_is_kept_by_a_service_and_by_nobody_else() {
    if !is_root() {
        return;
    }
    for ephemeral in [false, true] {
        let mut bench = Bench::new(ephemeral);
        let path = bench.bundle("named", None);
        bench.daemon.put_named_in_force(&path).unwrap();
        assert_eq!(bench.folder.path().join("profiles/1.bundle").exists(), !ephemeral);
    }
}

#[test]
fn a_stored_bundle_that_is_refused_degrades_the_service() {
    let mut bench = Bench::new(false);
    fs::create_dir(bench.folder.path().join("profiles")).unwrap();
    fs::write(bench.folder.path().join("profiles/1.bundle"), b"cut").unwrap();
    bench.daemon.restore();
    let status = bench.status();
    assert_eq!(status.state, State::Degraded);
    assert!(status.degraded[0].contains("1.bundle"), "{:?}", status.degraded);
}

#[test]
fn a_policy_in_its_slot_whose_bundle_is_gone_keeps_its_profile_from_others() {
    if !is_root() {
        return;
    }
    let mut gate = Fake::default();
    gate.slots.insert(1, execlayer_common::slot::Slot::new(0, 0, 41).0);
    let mut bench = Bench::over(tempfile::tempdir().unwrap(), false, gate);
    bench.daemon.restore();
    let status = bench.status();
    assert!(status.degraded[0].contains("govern on: {1}"), "{:?}", status.degraded);
    let path = bench.bundle("claude", None);
    let Ok(Outcome::Installed(installed)) = bench.install(&path) else { panic!() };
    assert_eq!((installed.profile, installed.generation), (2, 42));
}

#[test]
fn records_that_are_not_known_are_counted_and_degrade() {
    let mut bench = Bench::new(false);
    bench.daemon.observe(b"short");
    let status = bench.status();
    assert_eq!((status.unknown_events, status.state), (1, State::Degraded));
}

fn adopted(adopted: u64) -> Pass {
    Pass { adopted, failed: 0 }
}

#[test]
fn tasks_that_a_new_policy_selects_are_adopted_until_a_pass_finds_none() {
    if !is_root() {
        return;
    }
    let gate = Fake { adoptions: [5, 2, 0, 9].map(adopted).to_vec(), ..Fake::default() };
    let mut bench = Bench::over(tempfile::tempdir().unwrap(), true, gate);
    let path = bench.bundle("claude", Some("/usr/bin/agent"));
    bench.install(&path).unwrap();
    assert_eq!(bench.status().profiles[0].governed_tasks, 7, "the pass after none is not made");
}

#[test]
fn a_task_that_cannot_be_adopted_is_tried_again_and_then_shown() {
    if !is_root() {
        return;
    }
    let failed = Pass { adopted: 0, failed: 3 };
    let gate = Fake { adoptions: vec![failed, adopted(3)], ..Fake::default() };
    let mut bench = Bench::over(tempfile::tempdir().unwrap(), true, gate);
    let path = bench.bundle("claude", Some("/usr/bin/agent"));
    bench.install(&path).unwrap();
    assert_eq!(bench.status().profiles[0].governed_tasks, 3);
    assert!(bench.status().degraded.is_empty());

    let gate = Fake { adoptions: vec![failed; 1_000], ..Fake::default() };
    let mut bench = Bench::over(tempfile::tempdir().unwrap(), true, gate);
    let path = bench.bundle("claude", Some("/usr/bin/agent"));
    bench.install(&path).unwrap();
    assert!(bench.status().degraded[0].contains("3 tasks"), "{:?}", bench.status().degraded);
}

#[test]
fn adoption_that_never_ends_is_given_up_and_shown() {
    if !is_root() {
        return;
    }
    let gate = Fake { adoptions: vec![adopted(1); 1_000], ..Fake::default() };
    let mut bench = Bench::over(tempfile::tempdir().unwrap(), true, gate);
    let path = bench.bundle("claude", Some("/usr/bin/agent"));
    bench.install(&path).unwrap();
    let status = bench.status();
    assert!(status.degraded[0].contains("adopted"), "{:?}", status.degraded);
}
