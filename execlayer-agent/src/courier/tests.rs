//! The daemon's half with a real child: this very program, started again as the test [`the_child`].

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    process, thread,
    time::{Duration, Instant},
};

use execlayer_common::provenance::DeciderKind;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::json;

use super::{
    Answer, Courier, MAX_TASKS, Reply, Settings, Task, child,
    server::{SECRET, Server},
};

/// What the child is known by: a name that no test has.
const MARK: &str = "courier-child-of-";

#[test]
fn the_child() {
    let parent = std::env::args().find_map(|word| word.strip_prefix(MARK)?.parse().ok());
    if let Some(parent) = parent {
        child::run(parent).unwrap();
    }
}

fn courier() -> Courier {
    let mark = format!("{MARK}{}", process::id());
    let words = ["courier::tests::the_child", "--exact", "--nocapture", "--skip", &mark];
    let arguments = words.iter().map(Into::into).collect();
    Courier { settings: Settings { arguments, ..Settings::default() }, ..Courier::default() }
}

fn shell(id: u64, script: &str) -> Task {
    let argv = ["/bin/sh", "-c", script].iter().map(|&word| word.to_owned()).collect();
    task(id, DeciderKind::Command { argv, timeout: 60 })
}

fn task(id: u64, decider: DeciderKind) -> Task {
    Task { id, decider, question: json!({ "subject": "/bin/true" }), address: None }
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// Whether a process ends that was killed. One that nobody has waited for yet has ended, too.
pub(super) fn is_gone(pid: &str) -> bool {
    (0..1_000).any(|_| {
        let state = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
        let is_gone = state.is_empty() || state.contains(") Z ") || state.contains(") X ");
        if !is_gone {
            thread::sleep(Duration::from_millis(10));
        }
        is_gone
    })
}

async fn ask(courier: &mut Courier, task: Task) -> Reply {
    let id = task.id;
    courier.send(task);
    let reply = courier.next().await;
    assert_eq!(reply.id, id);
    reply
}

#[test]
fn deciders_are_asked_at_once_and_each_task_has_one_reply() {
    run(async {
        let mut courier = courier();
        courier.send(shell(1, "read line; echo \"$line\"; exit 0"));
        courier.send(shell(2, "exit 1"));
        let host = DeciderKind::Host { hosts: vec!["127.0.0.9".to_owned()] };
        let address = Some("127.0.0.9".parse().unwrap());
        courier.send(Task { address, ..task(3, host.clone()) });
        courier.send(task(4, host));
        courier.send(task(5, DeciderKind::Human {}));
        let mut replies = Vec::new();
        for _ in 0..5 {
            replies.push(courier.next().await);
        }
        replies.sort_by_key(|reply| reply.id);
        let answers: Vec<_> = replies.iter().map(|reply| (reply.id, reply.answer)).collect();
        let (yes, no, unknown) = (Answer::Allow, Answer::Deny, Answer::Unknown);
        assert_eq!(answers, [(1, yes), (2, no), (3, yes), (4, unknown), (5, unknown)]);
        assert_eq!(replies[0].note, r#"{"subject":"/bin/true"}"#);
        assert!(courier.open.is_empty());
    });
}

#[test]
fn the_child_is_nobody_has_no_environment_and_gains_no_privileges() {
    run(async {
        let mut courier = courier();
        let script = "echo $(tr '\\0' ' ' < /proc/$$/environ) $(pwd) $(grep -h -e NoNewPrivs \
                      -e CapEff -e CapPrm -e Groups /proc/$$/status) $(id -u) $(id -g) \
                      $(cat /proc/$PPID/environ > /dev/null 2>&1 && echo open || echo closed)";
        let reply = ask(&mut courier, shell(1, script)).await;
        let words: Vec<&str> = reply.note.split_whitespace().collect();
        assert_eq!(words[..2], [&*format!("PATH={}", super::command::PATH), "/"]);
        if nix::unistd::geteuid().is_root() {
            let none = "0000000000000000";
            let status = ["Groups:", "CapPrm:", none, "CapEff:", none, "NoNewPrivs:", "1"];
            assert_eq!(words[2..9], status);
            // Secrets are in the child's memory, and other programs run as the same user.
            assert_eq!(words[9..], ["65534", "65534", "closed"]);
        }
        // The child itself, which the daemon started.
        let pid = courier.running.as_ref().unwrap().pid();
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap();
        assert_eq!(environment, format!("PATH={}\0", super::command::PATH).as_bytes());
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        if nix::unistd::geteuid().is_root() {
            assert!(status.contains("\nUid:\t65534\t65534\t65534\t65534\n"), "{status}");
            assert!(status.contains("\nGid:\t65534\t65534\t65534\t65534\n"), "{status}");
        }
        let group = nix::unistd::getpgid(Some(Pid::from_raw(pid.try_into().unwrap()))).unwrap();
        assert_eq!(group.as_raw().unsigned_abs(), pid);
    });
}

#[test]
fn a_child_that_is_killed_knows_nothing_and_another_one_comes() {
    run(async {
        let mut courier = courier();
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let file = folder.path().join("started");
        let script = format!("echo $$ > {}; exec sleep 1000", file.display());
        courier.send(shell(1, &script));
        courier.send(shell(2, &script));
        let started = async {
            while !file.exists() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::select! {
            reply = courier.next() => panic!("{reply:?}"),
            () = started => {}
        }
        let pid = courier.running.as_ref().unwrap().pid();
        kill(Pid::from_raw(pid.try_into().unwrap()), Signal::SIGKILL).unwrap();
        for id in [1, 2] {
            let reply = courier.next().await;
            assert_eq!((reply.id, reply.answer), (id, Answer::Unknown));
            assert!(reply.note.contains("the courier ended"), "{}", reply.note);
        }
        assert!(is_gone(&fs::read_to_string(&file).unwrap()));
        // It is not started again and again without a pause.
        assert!(courier.not_before.is_some());
        courier.not_before = Some(Instant::now() + Duration::from_secs(3_600));
        let reply = ask(&mut courier, shell(3, "exit 0")).await;
        assert_eq!(reply.answer, Answer::Unknown);
        assert!(reply.note.contains("in a moment"), "{}", reply.note);
        courier.not_before = Some(Instant::now());
        assert_eq!(ask(&mut courier, shell(4, "exit 0")).await.answer, Answer::Allow);
        assert_ne!(courier.running.as_ref().unwrap().pid(), pid);
    });
}

#[test]
fn a_child_that_is_stopped_does_not_keep_a_task() {
    run(async {
        let mut courier = courier();
        assert_eq!(ask(&mut courier, shell(1, "exit 0")).await.answer, Answer::Allow);
        let pid = courier.running.as_ref().unwrap().pid();
        kill(Pid::from_raw(pid.try_into().unwrap()), Signal::SIGSTOP).unwrap();
        courier.settings.slack = Duration::ZERO;
        let argv = vec!["/bin/true".to_owned()];
        let reply = ask(&mut courier, task(2, DeciderKind::Command { argv, timeout: 0 })).await;
        assert_eq!(reply.answer, Answer::Unknown);
        assert_eq!(reply.note, "the courier did not reply in time");
        assert!(courier.running.is_none());
    });
}

#[test]
fn what_cannot_be_started_and_what_is_too_much_knows_nothing() {
    run(async {
        let settings = Settings { program: "/nonexistent".into(), ..Settings::default() };
        let mut courier = Courier { settings, ..Courier::default() };
        for id in 0..=MAX_TASKS {
            courier.send(shell(id.try_into().unwrap(), "exit 0"));
        }
        let full = courier.next().await;
        assert_eq!(full.id, u64::try_from(MAX_TASKS).unwrap());
        assert!(full.note.contains("too many"), "{}", full.note);
        for id in 0..MAX_TASKS {
            let reply = courier.next().await;
            assert_eq!((reply.id, reply.answer), (id.try_into().unwrap(), Answer::Unknown));
            assert!(reply.note.contains("cannot start the courier"), "{}", reply.note);
        }
    });
}

#[test]
fn a_webhook_is_asked_with_what_only_root_can_read() {
    run(async {
        let server = Server::start(|_, request| request.answer(r#"{"answer":"allow"}"#));
        let folder = tempfile::tempdir().unwrap();
        let (secret, ca) = (folder.path().join("secret"), folder.path().join("ca.pem"));
        fs::write(&secret, SECRET).unwrap();
        fs::write(&ca, &server.ca).unwrap();
        let hook = DeciderKind::Webhook {
            url: server.url.clone(),
            secret: secret.display().to_string(),
            ca: Some(ca.display().to_string()),
            timeout: 60,
            retries: 0,
        };
        let mut courier = courier();
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o640)).unwrap();
        let reply = ask(&mut courier, task(1, hook.clone())).await;
        assert_eq!(reply.answer, Answer::Unknown);
        assert!(reply.note.contains("chmod 600") || reply.note.contains("chown"), "{}", reply.note);
        assert!(server.requests().is_empty());
        if nix::unistd::geteuid().is_root() {
            fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
            let reply = ask(&mut courier, task(2, hook)).await;
            assert_eq!((reply.answer, &*reply.note), (Answer::Allow, "127.0.0.1 said so"));
        }
    });
}
