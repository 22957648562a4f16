//! Verdicts under load: two agents with different policies and ungoverned work, on all cores at once,
//! where the kernel preempts everywhere. Each process checks every verdict of its own.

use crate::framework::{Lane, full};
use crate::gate::{Gate, policy};
use anyhow::{Context, Result, anyhow, ensure};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use std::fs;
use std::process::{Child, Command, ExitCode, Stdio};

crate::tests! {
    no_verdict_is_wrong_under_load => .lanes(&[Lane::Stress]).limit(10_000),
    many_are_judged_at_once => .lanes(&[Lane::Stress]).limit(600)
}

const TOP: &str = "/srv/stress";
pub(crate) const PROGRAM: &str = "/opt/execlayer/vm";
pub(crate) const ROLE: &str = "stress";
const CROWD: &str = "stress-crowd";
/// Threads of the crowd, and what each of them opens.
const CROWD_SIZE: usize = 500;
const CROWD_EACH: u64 = 400;
/// Files of each kind. Their names have different lengths, so that a buffer which two tasks share
/// holds another verdict's name whatever the moment.
const FILES: usize = 24;
/// Verdicts of both agents together.
const VERDICTS: u32 = 1_000_000;
const VERDICTS_FULL: u32 = 10_000_000;
/// Processes of each kind; more than cores, so that they take each other's place.
const PROCESSES: u32 = 2;

fn no_verdict_is_wrong_under_load() -> Result<()> {
    prepare()?;
    let gate = Gate::start()?;
    let each = if full() { VERDICTS_FULL } else { VERDICTS } / (2 * PROCESSES);
    let each = each.to_string();
    let mut governed = Vec::new();
    let mut load = Vec::new();
    for kind in ["a", "b"] {
        let policy = policy(&format!("only-{kind}"), "", &rules(kind))?;
        for _ in 0..PROCESSES {
            let words = [PROGRAM, ROLE, kind, &each];
            governed.push(gate.run(&policy, &["--quiet"], &words).spawn()?);
        }
    }
    for _ in 0..PROCESSES {
        let mut free = Command::new(PROGRAM);
        load.push(free.args([ROLE, "free", "0"]).stdin(Stdio::null()).spawn()?);
    }
    let wrong = governed.iter_mut().map(Child::wait).collect::<Result<Vec<_>, _>>()?;
    for child in &mut load {
        ensure!(child.try_wait()?.is_none(), "an ungoverned process was denied something");
        child.kill()?;
    }
    ensure!(wrong.iter().all(|status| status.success()), "see above: {wrong:?}");
    Ok(())
}

/// Far more than cores: the kernel takes the processor from many of them in the middle of a verdict, and each of those
/// keeps what it needs for that until it is its turn again.
fn many_are_judged_at_once() -> Result<()> {
    prepare()?;
    let gate = Gate::start()?;
    let policy = policy("only-a", "", &rules("a"))?;
    let words = [PROGRAM, CROWD, "a", &CROWD_EACH.to_string()];
    let status = gate.run(&policy, &["--quiet"], &words).status()?;
    ensure!(status.success(), "see above: {status}");
    Ok(())
}

/// Makes the files that are opened.
pub(crate) fn prepare() -> Result<()> {
    fs::create_dir_all(TOP)?;
    for kind in ["a", "b"] {
        for number in 0..FILES {
            fs::write(file(kind, number), "")?;
        }
    }
    Ok(())
}

/// Allows the files of one kind and what a program needs to start.
fn rules(kind: &str) -> String {
    format!(
        "[[rule]]\nid = \"start\"\nallow = [\"read\", \"exec\"]\n\
         path = [\"{PROGRAM}\", \"/usr/**\", \"/proc/**\", \"/dev/null\", \"/etc/**\"]\n\n\
         [[rule]]\nid = \"own\"\nallow = [\"read\"]\npath = \"{TOP}/{kind}-**\"\n"
    )
}

fn file(kind: &str, number: usize) -> String {
    format!("{TOP}/{kind}-{}", "n".repeat(1 + number * 9))
}

/// The program as one process of the stress, if its first argument says so.
pub(crate) fn role() -> Option<ExitCode> {
    let mut arguments = std::env::args().skip(1);
    let role = arguments.next()?;
    if ![ROLE, CROWD].contains(&role.as_str()) {
        return None;
    }
    let (kind, count) = (arguments.next()?, arguments.next()?.parse().ok()?);
    let done = if role == CROWD { crowd(&kind, count) } else { opens(&kind, count) };
    Some(match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("agent `{kind}`: {error:#}");
            ExitCode::FAILURE
        }
    })
}

/// Many who open files, in one process.
fn crowd(kind: &str, each: u64) -> Result<()> {
    let all: Vec<_> = (0..CROWD_SIZE)
        .map(|_number| {
            let kind = kind.to_owned();
            std::thread::spawn(move || opens(&kind, each))
        })
        .collect();
    let results =
        all.into_iter().map(|one| one.join().map_err(|_panic| anyhow!("one panicked"))?);
    let failed: Vec<_> = results.filter_map(Result::err).collect();
    ensure!(failed.is_empty(), "{} of {CROWD_SIZE}, the first: {:#}", failed.len(), failed[0]);
    Ok(())
}

/// Opens files of both kinds in turn, `count` times or for ever, and counts wrong verdicts.
fn opens(kind: &str, count: u64) -> Result<()> {
    let kinds = ["a", "b"];
    let files: Vec<(bool, String)> = (0..FILES)
        .flat_map(|number| kinds.map(|of| (kind == "free" || of == kind, file(of, number))))
        .collect();
    let mut wrong = 0_u64;
    let mut example = String::new();
    for (turn, (allowed, path)) in (0_u64..).zip(files.iter().cycle()) {
        if count != 0 && turn >= count {
            break;
        }
        let result = open(path.as_str(), OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty());
        let right = match &result {
            Ok(_) => *allowed,
            Err(Errno::EACCES) => !allowed,
            Err(other) => return Err(*other).with_context(|| path.clone()),
        };
        if !right {
            wrong += 1;
            example.clone_from(path);
            ensure!(kind != "free", "`{path}` was denied to an ungoverned process");
        }
    }
    ensure!(wrong == 0, "{wrong} of {count} verdicts were wrong, the last one on `{example}`");
    Ok(())
}
