//! What being judged costs: the same acts without a gate, under a program that does nothing, under the
//! gate and under Landlock, in one guest whose clock counts instructions. Prints JSON; asserts nothing
//! about the numbers.
//!
//! `cargo xtask bench` boots the guest with `-icount shift=0`, so a nanosecond of its clock is one
//! instruction.

mod acts;
mod empty;
mod events;
mod landlock;
mod load;

use crate::gate::{Gate, policy};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::fs;
use std::process::{Command, ExitCode, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

const ROLE: &str = "cost";
const PROGRAM: &str = "/opt/execlayer/vm";
const SHIPPED: &str = "/opt/execlayer/policies/coding-agent";
/// Runs of a loop; the least counts: what comes in between only adds.
const RUNS: usize = 9;
/// What has to settle after a boot or a load.
const SETTLE: Duration = Duration::from_secs(2);

/// The rules that Landlock gets too.
const SAME_RULES: &str = r#"
[[rule]]
id = "system"
allow = ["read", "exec"]
path = "/usr/**"

[[rule]]
id = "programs"
allow = ["read", "exec"]
path = "/opt/**"

[[rule]]
id = "settings"
allow = ["read"]
path = "/etc/**"

[[rule]]
id = "processes"
allow = ["read"]
path = "/proc/**"

[[rule]]
id = "workspace"
allow = ["read", "modify"]
path = "/workspace/**"

[[rule]]
id = "port"
allow = ["connect"]
to = "*:9"
"#;

/// The program as a part of the measurement, if its first argument says so.
pub(crate) fn role() -> Option<ExitCode> {
    let mut arguments = std::env::args().skip(1);
    if arguments.next()? != ROLE {
        return None;
    }
    let part = arguments.next()?;
    let done = match part.as_str() {
        "nothing" => return Some(ExitCode::SUCCESS),
        "all" => all(),
        "acts" => acts::all().map(|acts| println!("{acts}")),
        "landlock" => landlock::enter().and_then(|()| acts::all()).map(|acts| println!("{acts}")),
        "denials" => load::denials(),
        "events" => events::all(),
        "flood" => {
            let pace = arguments.next().and_then(|pace| pace.parse().ok());
            pace.context("no pace").and_then(events::flood)
        }
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
    fs::create_dir_all("/workspace/a")?;
    fs::write(acts::FILE, "")?;
    sleep(SETTLE);
    let own = |part: &str| {
        let mut command = Command::new(PROGRAM);
        command.args([ROLE, part]);
        command
    };
    say("no gate", &mut own("acts"))?;
    let gate = empty::attach()?;
    sleep(SETTLE);
    say("empty LSM programs", &mut own("acts"))?;
    drop(gate);
    let gate = Gate::start()?;
    sleep(SETTLE);
    say("ungoverned", &mut own("acts"))?;
    let same = policy("same", "", SAME_RULES)?;
    let governed = |policy: &str| gate.run(policy, &["--quiet"], &[PROGRAM, ROLE, "acts"]);
    say("governed, the rules that Landlock has", &mut governed(&same))?;
    say("governed, coding-agent", &mut governed(SHIPPED))?;
    for line in load::resident(&gate, &same)? {
        println!("{line}");
    }
    drop(gate);
    empty::no_gate_is_left()?;
    sleep(SETTLE);
    say("Landlock", &mut own("landlock"))?;
    say("no gate, again", &mut own("acts"))
}

/// Runs a measurement and prints its line.
fn say(what: &str, command: &mut Command) -> Result<()> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
    ensure!(output.status.success(), "{what}: {}", output.status);
    let acts: Value = serde_json::from_slice(&output.stdout)
        .with_context(|| format!("{what}: {}", String::from_utf8_lossy(&output.stdout)))?;
    println!("{}", json!({ "what": what, "acts": acts }));
    Ok(())
}

/// Instructions of one act: the least of several loops.
fn least(turns: u32, act: impl Fn() -> Result<()>) -> Result<u64> {
    let mut runs = Vec::new();
    for _ in 0..RUNS {
        let begin = Instant::now();
        for _ in 0..turns {
            act()?;
        }
        runs.push(u64::try_from(begin.elapsed().as_nanos())? / u64::from(turns));
    }
    runs.into_iter().min().context("no run")
}
