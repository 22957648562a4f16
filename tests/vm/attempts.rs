//! Attempts: one system call each, made in a process of its own, ungoverned, governed and ungoverned
//! again. Owns how they are run and compared; must not know what they do.

use crate::gate::Gate;
use anyhow::{Context, Result, ensure};
use nix::errno::Errno;
use std::collections::BTreeMap;
use std::process::{Command, ExitCode, Stdio};

/// A module's attempts, by its name.
pub(crate) type Set = (&'static str, &'static [Attempt]);

/// Something that a process tries. Ungoverned, every attempt must succeed.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) name: &'static str,
    pub(crate) governed: Governed,
    /// The outer error is one on the way to the call that counts.
    pub(crate) act: fn() -> Result<Result<(), Errno>>,
}

/// How an attempt of a governed process must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Governed {
    Passes,
    /// EACCES, and an event of the process that names this reason.
    Denied(&'static str),
}

const PROGRAM: &str = "/opt/execlayer/vm";
/// Exit code of an attempt that did not get to its call. No error number is as large.
const LOST: u8 = 250;

/// A process and how it ended.
#[derive(Clone, Copy, Debug)]
struct Ended {
    pid: u32,
    code: i32,
}

/// Runs a set's attempts three times and says which ended otherwise than they must.
pub(crate) fn judge(gate: &Gate, set: Set, policy: &str) -> Result<()> {
    let (name, attempts) = set;
    let mut free = Command::new(PROGRAM);
    free.args(["attempts", name]);
    let before = ended(&mut free)?;
    let during = ended(&mut gate.run(policy, &["--quiet"], &[PROGRAM, "attempts", name]))?;
    let after = ended(&mut free)?;
    let last = attempts.iter().rfind(|attempt| attempt.governed != Governed::Passes);
    let last = last.and_then(|attempt| during.get(attempt.name)).map_or(0, |ended| ended.pid);
    let of = |event: &serde_json::Value, pid: u32| {
        ["tgid", "ppid"].iter().any(|key| event.get(*key) == Some(&pid.into()))
    };
    let events = gate.events(|event| of(event, last))?;
    let mut wrong = Vec::new();
    for attempt in attempts {
        let name = attempt.name;
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
        let (code, reason) = match attempt.governed {
            Governed::Passes => (0, None),
            Governed::Denied(reason) => (Errno::EACCES as i32, Some(reason)),
        };
        if ended.code != code {
            wrong.push(format!("{name}: {}, expected {code}", ended.code));
        }
        let mine = events.iter().filter(|event| of(event, ended.pid));
        let reasons: Vec<_> = mine.filter_map(|event| event.get("reason")?.as_str()).collect();
        if reason.is_some_and(|reason| !reasons.contains(&reason)) {
            wrong.push(format!("{name}: recorded as {reasons:?}, expected {reason:?}"));
        }
    }
    ensure!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), attempts.len(), wrong.join("\n"));
    Ok(())
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

/// The program as the process of all attempts or of one, if its first argument says so.
pub(crate) fn role(sets: &[Set]) -> Option<ExitCode> {
    let mut arguments = std::env::args().skip(1);
    let role = arguments.next()?;
    let set = arguments.next()?;
    let attempts = sets.iter().find(|(name, _)| *name == set)?.1;
    match role.as_str() {
        "attempts" => Some(all(&set, attempts)),
        "attempt" => {
            let name = arguments.next()?;
            Some(one(attempts.iter().find(|attempt| attempt.name == name)?))
        }
        _ => None,
    }
}

fn all(set: &str, attempts: &[Attempt]) -> ExitCode {
    for attempt in attempts {
        let child =
            Command::new(PROGRAM).args(["attempt", set, attempt.name]).stdin(Stdio::null()).spawn();
        match child.and_then(|mut child| Ok((child.id(), child.wait()?))) {
            Ok((pid, status)) => {
                println!("{}\t{pid}\t{}", attempt.name, status.code().unwrap_or(-1));
            }
            Err(error) => {
                eprintln!("cannot try `{}`: {error}", attempt.name);
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

fn one(attempt: &Attempt) -> ExitCode {
    match (attempt.act)() {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => ExitCode::from(u8::try_from(error as i32).unwrap_or(LOST)),
        Err(error) => {
            eprintln!("`{}`: {error:#}", attempt.name);
            ExitCode::from(LOST)
        }
    }
}

/// Executes a program to its end, which must be a success if it was executed at all.
pub(crate) fn execute(program: &str) -> Result<Result<(), Errno>> {
    match Command::new(program).stdin(Stdio::null()).output() {
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
