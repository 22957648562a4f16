//! Many governed processes that ask at once: how many questions a second, and what each costs the daemon.

use super::{PROGRAM, QUESTIONS, ROLE, TOP, now, open_and_close};
use anyhow::{Context, Result, ensure};
use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;
use serde_json::json;
use std::io::{Read as _, stdin};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

pub(super) fn file(number: usize) -> String {
    format!("{TOP}/asked-{number}")
}

/// The first governed process: starts the others, lets them begin together, and prints the line.
pub(super) fn crowd(count: usize, daemon: i32) -> Result<()> {
    let each = QUESTIONS / count;
    let start = |number: usize| {
        let mut command = Command::new(PROGRAM);
        command.args([ROLE, "member", &number.to_string(), &each.to_string()]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("cannot start")
    };
    let mut members = (0..count).map(start).collect::<Result<Vec<Child>>>()?;
    for member in &mut members {
        let mut ready = [0];
        member.stdout.as_mut().context("no pipe")?.read_exact(&mut ready)?;
    }
    let (begin, busy_before) = (now()?, busy(daemon)?);
    members.iter_mut().for_each(|member| drop(member.stdin.take()));
    let mut end = begin;
    for member in &mut members {
        let mut said = String::new();
        member.stdout.as_mut().context("no pipe")?.read_to_string(&mut said)?;
        ensure!(member.wait()?.success(), "a process failed");
        end = end.max(said.trim().parse()?);
    }
    let load = json!({
        "processes": count,
        "questions": each * count,
        "elapsed_ns": end - begin,
        "daemon_cpu_ns": busy(daemon)? - busy_before,
    });
    println!("{}", json!({ "what": format!("{count} processes"), "load": load }));
    Ok(())
}

/// One of them: waits for the beginning, and prints when it had its last answer.
pub(super) fn member(number: usize, questions: usize) -> Result<()> {
    let file = file(number);
    println!("r");
    stdin().read_to_end(&mut Vec::new())?;
    for _ in 0..questions {
        open_and_close(&file)?;
    }
    println!("{}", now()?);
    Ok(())
}

/// ns that the process was on a CPU, in user space and in the kernel.
fn busy(pid: i32) -> Result<u64> {
    let spent = clock_gettime(clock_getcpuclockid(Pid::from_raw(pid))?)?;
    Ok(u64::try_from(Duration::from(spent).as_nanos())?)
}
