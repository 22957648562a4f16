//! What being held costs: an asked open whose decider answers at once, beside one that is allowed and a
//! bare SIGSTOP and SIGCONT, and how many questions the daemon settles. `cargo xtask bench hold` runs it.
//! Prints JSON; asserts nothing about the numbers.

mod load;
mod trip;

use super::{Held, TOP, none_is_left};
use anyhow::{Context, Result, ensure};
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::time::{ClockId, clock_gettime};
use nix::unistd::close;
use serde_json::{Value, json};
use std::fs;
use std::process::{Command, ExitCode, Stdio};
use std::thread::sleep;
use std::time::Duration;

const PROGRAM: &str = "/opt/execlayer/vm";
const ROLE: &str = "hold-cost";
const RELEASE: &str = "/proc/sys/kernel/osrelease";
const CLOCK: &str = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
/// Every part has its turn in each round: what else the machine does meets all of them.
const ROUNDS: usize = 3;
/// What has to settle after a load.
const SETTLE: Duration = Duration::from_secs(2);
/// Questions of one measurement of throughput.
const QUESTIONS: usize = 2_000;
const CROWDS: [usize; 2] = [2, 200];

/// The decider answers at once, always yes; nothing is remembered.
const RULES: &str = r#"
[[decider]]
name = "plenty"
at_most = "1000000/s"

[[rule]]
id = "all"
allow = ["read", "modify", "exec", "ioctl"]
path = "/**"

[[rule]]
id = "asked-files"
ask = ["read"]
path = "/srv/hold/asked*"
deciders = ["plenty"]
"#;

/// The program as a part of the measurement, if its first argument says so.
pub(crate) fn role() -> Option<ExitCode> {
    let mut arguments = std::env::args().skip(1);
    if arguments.next()? != ROLE {
        return None;
    }
    let part = arguments.next()?;
    let mut word = || arguments.next().context("a word is missing");
    let done = match part.as_str() {
        "all" => all(),
        "bare" => trip::bare(),
        "stops" => trip::stops(),
        "opens" => word().and_then(|file| trip::opens(&file)),
        "crowd" => word().and_then(|count| load::crowd(count.parse()?, word()?.parse()?)),
        "member" => word().and_then(|number| load::member(number.parse()?, word()?.parse()?)),
        _ => return None,
    };
    Some(match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    })
}

fn all() -> Result<()> {
    let held = Held::with_rules(RULES)?;
    sleep(SETTLE);
    let word = |path: &str| fs::read_to_string(path).map(|text| text.trim().to_owned());
    let cpus = std::thread::available_parallelism()?;
    println!("{}", json!({ "kernel": word(RELEASE)?, "cpus": cpus, "clock": word(CLOCK)? }));

    let own = |part: &str| {
        let mut command = Command::new(PROGRAM);
        command.args([ROLE, part]);
        command
    };
    let governed = |words: &[&str]| {
        let command: Vec<&str> = [PROGRAM, ROLE].into_iter().chain(words.iter().copied()).collect();
        held.gate.run(&held.policy, &["--quiet"], &command)
    };
    let (free, asked) = (format!("{TOP}/free"), format!("{TOP}/asked"));
    let (mut bare, mut allowed, mut answered) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        bare.extend(times(&mut own("bare"))?);
        allowed.extend(times(&mut governed(&["opens", &free]))?);
        answered.extend(times(&mut governed(&["opens", &asked]))?);
    }
    say("SIGSTOP and SIGCONT, bare", bare)?;
    say("open and close, allowed", allowed)?;
    say("open and close, asked and allowed", answered)?;

    for count in CROWDS {
        for number in 0..count {
            fs::write(load::file(number), "")?;
        }
        let words = ["crowd", &count.to_string(), &held.gate.pid().to_string()];
        println!("{}", printed(&mut governed(&words))?);
        none_is_left()?;
    }
    Ok(())
}

/// A measurement's line.
fn printed(command: &mut Command) -> Result<Value> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
    ensure!(output.status.success(), "{command:?}: {}", output.status);
    serde_json::from_slice(&output.stdout)
        .with_context(|| format!("{command:?}: {}", String::from_utf8_lossy(&output.stdout)))
}

fn times(command: &mut Command) -> Result<Vec<u64>> {
    Ok(serde_json::from_value(printed(command)?)?)
}

/// Prints the line of what was measured so often, in ns.
fn say(what: &str, mut times: Vec<u64>) -> Result<()> {
    times.sort_unstable();
    let at = |percent: usize| times.get(times.len() * percent / 100).context("no times");
    let trip = json!({
        "count": times.len(),
        "median_ns": at(50)?,
        "p99_ns": at(99)?,
        "lowest_ns": at(0)?,
    });
    println!("{}", json!({ "what": what, "trip": trip }));
    Ok(())
}

/// CLOCK_MONOTONIC in ns.
fn now() -> Result<u64> {
    Ok(u64::try_from(Duration::from(clock_gettime(ClockId::CLOCK_MONOTONIC)?).as_nanos())?)
}

fn open_and_close(file: &str) -> Result<()> {
    Ok(close(open(file, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())?)?)
}
