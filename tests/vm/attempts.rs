//! Attempts: one system call each, made in a process of its own, ungoverned, governed and ungoverned
//! again. Owns how they are run and compared; must not know what they do.

#![cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "for tests of x86-64 only"))]

use crate::framework::note;
use crate::gate::Gate;
use crate::raw;
use anyhow::{Context, Result, ensure};
use nix::errno::Errno;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::geteuid;
use std::collections::BTreeMap;
use std::fmt;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};

/// A module's attempts, by its name.
pub(crate) type Set = (&'static str, &'static [Attempt]);

/// How an act ended. The outer error is one on the way to the call that counts.
pub(crate) type Act = Result<Result<(), Errno>>;

/// Something that a process tries. Ungoverned, every attempt must succeed.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) name: &'static str,
    pub(crate) governed: Governed,
    pub(crate) act: fn() -> Act,
    by: By,
    reaches: Option<Errno>,
}

impl Attempt {
    pub(crate) const fn new(name: &'static str, governed: Governed, act: fn() -> Act) -> Self {
        Self { name, governed, act, by: By::Anybody, reaches: None }
    }

    /// Nobody else can do it.
    pub(crate) const fn by_root(mut self) -> Self {
        self.by = By::Root;
        self
    }

    /// Ungoverned it ends with that error, for want of an object: the question came before.
    pub(crate) const fn reaching(mut self, error: Errno) -> Self {
        self.reaches = Some(error);
        self
    }

    fn is_for(&self, user: User) -> bool {
        self.by == By::Anybody || user == User::Root
    }
}

/// Who may make an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Anybody,
    Root,
}

/// Who makes a set's attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum User {
    Root,
    /// Uid and gid 1000, no capability.
    Agent,
}

/// An attempt that this kernel does not offer, as an outer error: it is said and left out.
#[derive(Debug)]
pub(crate) struct Absent(pub(crate) &'static str);

impl fmt::Display for Absent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "left out: {}", self.0)
    }
}

impl std::error::Error for Absent {}

/// How an attempt of a governed process must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Governed {
    Passes,
    /// EACCES, and an event of the process that names this reason.
    Denied(&'static str),
    /// Another error, and an event of the process that names this reason.
    Fails(Errno, &'static str),
}

/// What an act returns when a descriptor that was sent to it did not arrive.
pub(crate) const NOT_RECEIVED: Errno = Errno::ENOMSG;

const PROGRAM: &str = "/opt/execlayer/vm";
/// Exit code of an attempt that did not get to its call. No error number is as large.
const LOST: u8 = 250;
/// Exit code of an attempt that this kernel does not offer.
const ABSENT: u8 = 251;
/// The agent's uid and gid.
const AGENT: u32 = 1000;

/// A process and how it ended.
#[derive(Clone, Copy, Debug)]
struct Ended {
    pid: u32,
    code: i32,
}

/// Runs a set's attempts three times as root and says which ended otherwise than they must.
pub(crate) fn judge(gate: &Gate, set: Set, policy: &str) -> Result<()> {
    judge_as(gate, set, policy, User::Root, |attempt| attempt.governed)
}

/// The same as some user, under a policy by which the attempts end as `expected` says.
pub(crate) fn judge_as(
    gate: &Gate,
    set: Set,
    policy: &str,
    user: User,
    expected: fn(&Attempt) -> Governed,
) -> Result<()> {
    let (name, attempts) = set;
    let attempts: Vec<_> = attempts.iter().filter(|attempt| attempt.is_for(user)).collect();
    let mut free = Command::new(PROGRAM);
    free.args(["attempts", name]).stdin(Stdio::null());
    let mut options = vec!["--quiet"];
    if user == User::Agent {
        free.uid(AGENT).gid(AGENT);
        options.extend(["--user", "1000"]);
    }
    let before = ended(&mut free)?;
    let during = ended(&mut gate.run(policy, &options, &[PROGRAM, "attempts", name]))?;
    let after = ended(&mut free)?;
    let last = attempts.iter().rfind(|attempt| expected(attempt) != Governed::Passes);
    let last = last.and_then(|attempt| during.get(attempt.name)).map_or(0, |ended| ended.pid);
    let events = gate.events(|event| is_of(event, last))?;
    let mut wrong = Vec::new();
    let mut absent = Vec::new();
    for attempt in &attempts {
        let name = attempt.name;
        if before.get(name).is_some_and(|ended| ended.code == i32::from(ABSENT)) {
            absent.push(name);
            continue;
        }
        for (when, all) in [("before", &before), ("after", &after)] {
            let code = all.get(name).map(|ended| ended.code);
            if code != Some(0) {
                wrong.push(format!("{name}: {code:?} {when}, ungoverned"));
            }
        }
        let Some(ended) = during.get(name) else {
            wrong.push(format!("{name}: not tried"));
            continue;
        };
        let (code, reason) = match expected(attempt) {
            Governed::Passes => (0, None),
            Governed::Denied(reason) => (Errno::EACCES as i32, Some(reason)),
            Governed::Fails(error, reason) => (error as i32, Some(reason)),
        };
        if ended.code != code {
            wrong.push(format!("{name}: {}, expected {code}", ended.code));
        }
        let mine = events.iter().filter(|event| is_of(event, ended.pid));
        let reasons: Vec<_> = mine.filter_map(|event| event.get("reason")?.as_str()).collect();
        if reason.is_some_and(|reason| !reasons.contains(&reason)) {
            wrong.push(format!("{name}: recorded as {reasons:?}, expected {reason:?}"));
        }
    }
    if !absent.is_empty() {
        note(&format!("{user:?}: this kernel has no {}", absent.join(", ")));
    }
    ensure!(
        wrong.is_empty(),
        "{user:?}, {} of {}:\n{}",
        wrong.len(),
        attempts.len(),
        wrong.join("\n")
    );
    Ok(())
}

/// Whether it is an event of the process or of one that it started.
fn is_of(event: &serde_json::Value, pid: u32) -> bool {
    ["tgid", "ppid"].iter().any(|key| event.get(*key) == Some(&pid.into()))
}

fn ended(command: &mut Command) -> Result<BTreeMap<String, Ended>> {
    let output = command.stderr(Stdio::inherit()).output()?;
    ensure!(output.status.success(), "{command:?} ended with {}", output.status);
    let text = String::from_utf8(output.stdout)?;
    let line = |line: &str| {
        let mut fields = line.split('\t');
        let mut next = || fields.next().context("a field is missing");
        Ok((next()?.to_owned(), Ended { pid: next()?.parse()?, code: next()?.parse()? }))
    };
    text.lines().map(line).collect()
}

/// The program as the process of a set's attempts, if its first argument says so.
pub(crate) fn role(sets: &[&[Set]]) -> Option<ExitCode> {
    let mut arguments = std::env::args().skip(1);
    if arguments.next()? != "attempts" {
        return None;
    }
    let set = arguments.next()?;
    Some(all(sets.iter().copied().flatten().find(|(name, _)| *name == set)?.1))
}

fn all(attempts: &[Attempt]) -> ExitCode {
    let user = if geteuid().is_root() { User::Root } else { User::Agent };
    for attempt in attempts.iter().filter(|attempt| attempt.is_for(user)) {
        // A fork, not an exec: under emulation that takes longer than the rest.
        let ended = raw::forked(|| one(attempt)).and_then(|pid| Ok((pid, waitpid(pid, None)?)));
        let code = match ended {
            Ok((_, WaitStatus::Exited(_, code))) => code,
            Ok((_, WaitStatus::Signaled(_, signal, _))) => -(signal as i32),
            _ => i32::from(LOST),
        };
        match ended {
            Ok((pid, _)) => println!("{}\t{pid}\t{code}", attempt.name),
            Err(error) => {
                eprintln!("cannot try `{}`: {error}", attempt.name);
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

fn one(attempt: &Attempt) -> u8 {
    match (attempt.act)() {
        Ok(Ok(())) => 0,
        Ok(Err(error)) if attempt.reaches == Some(error) => 0,
        Ok(Err(error)) => u8::try_from(error as i32).unwrap_or(LOST),
        Err(error) => {
            eprintln!("`{}`: {error:#}", attempt.name);
            if error.is::<Absent>() { ABSENT } else { LOST }
        }
    }
}

/// Executes a program to its end, which must be a success if it was executed at all.
pub(crate) fn execute(program: &str) -> Act {
    match Command::new(program).stdin(Stdio::null()).output() {
        // What a program says that executes another one and may not.
        Ok(output) if output.status.code() == Some(126) => Ok(Err(Errno::EACCES)),
        Ok(output) => {
            ensure!(output.status.success(), "`{program}` ended with {}", output.status);
            Ok(Ok(()))
        }
        Err(error) => {
            let number = error.raw_os_error().context("not an error of a system call")?;
            Ok(Err(Errno::from_raw(number)))
        }
    }
}
