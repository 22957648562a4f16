//! One call's time: held and answered, allowed, and without any gate a stop and what ends it.

use super::{PROGRAM, ROLE, now, open_and_close};
use anyhow::{Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getpid};
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

/// Of each round.
const TURNS: usize = 100;
/// Turns before those that count.
const WARM: usize = 10;
/// Between two turns, so that one does not wait for what the other left to do.
const PAUSE: Duration = Duration::from_millis(5);

/// Opens a file again and again; prints the time of each turn.
pub(super) fn opens(file: &str) -> Result<()> {
    say(|| open_and_close(file))
}

/// The child: stops itself, again and again; prints the time until each stop was over.
pub(super) fn stops() -> Result<()> {
    let own = getpid();
    say(|| Ok(kill(own, Signal::SIGSTOP)?))
}

/// The parent: lets its child go on each time that it sees it stopped.
pub(super) fn bare() -> Result<()> {
    let child = Command::new(PROGRAM).args([ROLE, "stops"]).spawn()?;
    let child = Pid::from_raw(i32::try_from(child.id())?);
    loop {
        match waitpid(child, Some(WaitPidFlag::WUNTRACED))? {
            WaitStatus::Stopped(_, Signal::SIGSTOP) => kill(child, Signal::SIGCONT)?,
            WaitStatus::Exited(_, code) => {
                ensure!(code == 0, "the child ended with {code}");
                return Ok(());
            }
            other => bail!("the child: {other:?}"),
        }
    }
}

fn say(act: impl Fn() -> Result<()>) -> Result<()> {
    let mut times = Vec::with_capacity(TURNS);
    for turn in 0..WARM + TURNS {
        sleep(PAUSE);
        let begin = now()?;
        act()?;
        let end = now()?;
        if turn >= WARM {
            times.push(end - begin);
        }
    }
    println!("{}", serde_json::to_string(&times)?);
    Ok(())
}
