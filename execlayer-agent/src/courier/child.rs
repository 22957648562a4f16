//! The child: gives up its privileges, then takes errands from its standard input and has a few
//! threads ask. Must not be more than a user that owns nothing, from its first line on.

use std::{
    env, fs,
    io::{self, BufRead, BufReader, Write},
    os::fd::{AsFd, RawFd},
    os::unix::net::UnixStream,
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
    time::Instant,
};

use execlayer_common::provenance::DeciderKind;
use nix::{
    sys::{
        prctl,
        signal::Signal,
        stat::{self, Mode},
    },
    unistd::{self, Gid, Pid, Uid},
};
use ureq::Agent;

use super::{
    Answer, WORD,
    circuit::Circuits,
    command, host,
    line::{self, Errand, IN_LINE, Said},
    webhook::{self, Agents},
};

/// Errands at once.
const THREADS: usize = 8;
/// The user and the group that own nothing.
const NOBODY: u32 = 65_534;

/// A question with an answer.
pub(super) type Answered = (Answer, String);

struct Job {
    errand: Errand,
    agent: Option<Result<Agent, String>>,
    since: Instant,
}

/// If this process was started as the courier's child, asks until the daemon has gone.
pub fn run_child() -> Option<ExitCode> {
    let mut arguments = env::args().skip(1);
    if arguments.next()? != WORD {
        return None;
    }
    let parent = arguments.next().and_then(|pid| pid.parse().ok());
    Some(match parent.map(run) {
        Some(Ok(())) => ExitCode::SUCCESS,
        Some(Err(_)) | None => ExitCode::FAILURE,
    })
}

/// Gives privileges up and works.
pub(super) fn run(parent: i32) -> io::Result<()> {
    give_up_privileges(parent)?;
    let stream = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    serve(stream)
}

fn give_up_privileges(parent: i32) -> io::Result<()> {
    close_what_was_inherited()?;
    // Whoever is not root has nothing to give up: tests.
    if unistd::geteuid().is_root() {
        let (uid, gid) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
        unistd::setgroups(&[])?;
        unistd::setresgid(gid, gid, gid)?;
        unistd::setresuid(uid, uid, uid)?;
    }
    prctl::set_no_new_privs()?;
    // The daemon's leaves its group something to read.
    stat::umask(Mode::from_bits_truncate(0o077));
    // After the change of users, which resets it.
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    if unistd::getppid() != Pid::from_raw(parent) {
        return Err(io::Error::other("the daemon has gone already"));
    }
    Ok(())
}

/// The daemon's own descriptors close themselves; what it was started with may not.
fn close_what_was_inherited() -> io::Result<()> {
    let mut open = Vec::new();
    for entry in fs::read_dir("/proc/self/fd")? {
        open.extend(entry?.file_name().to_str().and_then(|name| name.parse::<RawFd>().ok()));
    }
    for fd in open.into_iter().filter(|fd| *fd > 2) {
        // The one that the folder was read through has gone.
        let _ = unistd::close(fd);
    }
    Ok(())
}

/// Asks until nobody is left to reply to.
fn serve(stream: UnixStream) -> io::Result<()> {
    let replies = Arc::new(Mutex::new(stream.try_clone()?));
    let circuits = Arc::new(Circuits::default());
    let (sender, receiver) = mpsc::channel::<Job>();
    let receiver = Arc::new(Mutex::new(receiver));
    for _ in 0..THREADS {
        let (receiver, replies) = (Arc::clone(&receiver), Arc::clone(&replies));
        let circuits = Arc::clone(&circuits);
        thread::Builder::new().spawn(move || {
            loop {
                let next = receiver.lock().unwrap_or_else(PoisonError::into_inner).recv();
                let Ok(job) = next else { return };
                let number = job.errand.number;
                let (answer, note) = ask(&job, &circuits);
                let mut line =
                    serde_json::to_vec(&Said { number, answer, note: line::note(&note) })
                        .unwrap_or_default();
                line.push(b'\n');
                let mut stream = replies.lock().unwrap_or_else(PoisonError::into_inner);
                // The reader notices first that the daemon has gone.
                let _ = stream.write_all(&line);
            }
        })?;
    }
    let mut agents = Agents::default();
    let mut lines = BufReader::new(stream);
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line)? > 0 {
        let mut errand: Errand = serde_json::from_slice(&line)?;
        line.clear();
        // Certificates are large: they do not wait with their errands.
        let agent = match (&errand.decider, errand.ca.take()) {
            (DeciderKind::Webhook { timeout, .. }, ca) => Some(agents.get(ca, *timeout)),
            _ => None,
        };
        let job = Job { errand, agent, since: Instant::now() };
        sender.send(job).map_err(|_gone| io::Error::other("no thread is left"))?;
    }
    command::kill_all();
    Ok(())
}

fn ask(job: &Job, circuits: &Circuits) -> Answered {
    let unknown = |note: &str| (Answer::Unknown, note.to_owned());
    if job.since.elapsed() > IN_LINE {
        return unknown("too many deciders are being asked at once");
    }
    let Job { errand, agent, .. } = job;
    match &errand.decider {
        DeciderKind::Host { hosts } => host::ask(hosts, errand.address),
        DeciderKind::Command { argv, timeout } => {
            command::ask(argv, line::seconds(*timeout), &errand.question)
        }
        DeciderKind::Webhook { url, retries, .. } => {
            let (Some(agent), Some(secret)) = (agent, &errand.secret) else {
                return unknown("the errand has no secret");
            };
            match agent {
                Ok(agent) => {
                    let hook = webhook::Hook { url, secret, agent };
                    webhook::ask(&hook, *retries, &errand.question, circuits)
                }
                Err(problem) => unknown(problem),
            }
        }
        _ => unknown("this decider is not asked outside of the daemon"),
    }
}
