//! A call that the policy asks about waits in the kernel until somebody answers, and unmodified programs
//! only see that it takes long. Owns what these tests share; the tests are below.

pub(crate) mod answerer;
pub(crate) mod basic;
pub(crate) mod cost;
pub(crate) mod deciders;
pub(crate) mod many;
pub(crate) mod odd;
pub(crate) mod own;
pub(crate) mod remembered;
pub(crate) mod same;
pub(crate) mod subjects;

use self::answerer::Line;
use crate::gate::{Gate, policy};
use anyhow::{Context, Result, bail, ensure};
use execlayer_api::{Outcome, Remember, Request, Response};
use nix::unistd::Pid;
use serde_json::Value;
use std::fs;
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::Duration;

const TOOL: &str = "/opt/execlayer/bin/execlayer";
const TOP: &str = "/srv/hold";
const FILE: &str = "/srv/hold/asked";
const FREE: &str = "/srv/hold/free";
const RULES: &str = r#"
[[rule]]
id = "all"
allow = ["read", "modify", "exec", "ioctl"]
path = "/**"

[[rule]]
id = "all-sockets"
allow = ["connect"]
to = "unix:/**"

[[rule]]
id = "asked-files"
ask = ["read", "create", "rename", "delete"]
path = "/srv/hold/asked*"

[[rule]]
id = "asked-writes"
ask = ["create", "write"]
path = "/srv/hold/written"

[[rule]]
id = "asked-programs"
ask = ["exec"]
path = ["/usr/bin/id", "/srv/hold/script*", "/usr/bin/dash"]

[[rule]]
id = "asked-port"
ask = ["connect"]
to = "tcp:127.0.0.1:7000-7999"

[[rule]]
id = "free-port"
allow = ["connect"]
to = "tcp:127.0.0.1:6000-6999"
"#;
const LOOKS: usize = 300;
const PAUSE: Duration = Duration::from_millis(100);

/// The gate, and a policy that asks about a few things.
struct Held {
    gate: Gate,
    policy: String,
}

impl Held {
    fn start(options: &[&str]) -> Result<Self> {
        fs::create_dir_all(TOP)?;
        for file in [FILE, FREE] {
            fs::write(file, "content\n")?;
        }
        Ok(Self { gate: Gate::start_with(options)?, policy: policy("hold", "", RULES)? })
    }

    /// With other rules.
    fn with_rules(rules: &str) -> Result<Self> {
        Ok(Self { policy: policy("rules", "", rules)?, ..Self::start(&[])? })
    }

    /// What a shell command printed and how it ended, answered by nobody.
    fn output(&self, command: &str) -> Result<Output> {
        Ok(self.spawn(command)?.wait_with_output()?)
    }

    /// A program under the policy, whose output is read.
    fn command(&self, words: &[&str]) -> Command {
        let mut run = self.gate.run(&self.policy, &["--quiet"], words);
        run.stdout(Stdio::piped()).stderr(Stdio::piped());
        run
    }

    /// A shell command under the policy.
    fn spawn(&self, command: &str) -> Result<Child> {
        Ok(self.command(&["/usr/bin/bash", "-c", command]).spawn()?)
    }

    /// The last lines of the audit trail, for the error of a test that fails.
    fn last_events(&self) -> Result<String> {
        let log = self.gate.events(|_event| false)?;
        let last: Vec<String> = log.iter().rev().take(12).map(Value::to_string).collect();
        Ok(last.join("\n"))
    }
}

pub(crate) fn tool(arguments: &[&str]) -> Result<String> {
    let output = Command::new(TOOL).args(arguments).output()?;
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{arguments:?}: {errors}");
    Ok(String::from_utf8(output.stdout)?)
}

pub(crate) fn pending() -> Result<Vec<Value>> {
    Ok(serde_json::from_str(&tool(&["pending", "--json"])?)?)
}

/// The questions, once there are so many.
fn questions(count: usize) -> Result<Vec<Value>> {
    for _ in 0..LOOKS {
        let questions = pending()?;
        if questions.len() >= count {
            return Ok(questions);
        }
        sleep(PAUSE);
    }
    bail!("there are no {count} questions, but {:?}", pending()?)
}

/// The one question that there is, once there is one.
fn question() -> Result<Value> {
    questions(1)?.into_iter().next().context("no question")
}

/// What a program printed, once it has ended; it must be about to.
pub(crate) fn finish(mut child: Child) -> Result<Output> {
    for _ in 0..LOOKS {
        if child.try_wait()?.is_some() {
            return Ok(child.wait_with_output()?);
        }
        sleep(PAUSE);
    }
    child.kill()?;
    bail!("it does not end; open: {:?}", pending()?)
}

/// Answers a question with `approve` or `deny`.
fn answer(question: &Value, how: &str) -> Result<()> {
    tool(&[how, &question["id"].to_string()]).map(|_said| ())
}

/// Asks the daemon one thing.
fn ask(request: &Request) -> Result<Outcome> {
    match Line::open()?.say(request)? {
        Response::Done(outcome) => Ok(outcome),
        Response::Error(failure) => bail!("{request:?} is refused: {failure:?}"),
    }
}

/// Answers a question by number.
fn settle(question: &Value, allow: bool, remember: Remember) -> Result<()> {
    let id = question["id"].as_u64().context("no id")?;
    ask(&Request::Answer { id, allow, remember, message: None }).map(|_answered| ())
}

/// The process that waits.
fn pid(question: &Value) -> Result<Pid> {
    Ok(Pid::from_raw(i32::try_from(question["pid"].as_i64().context("no pid")?)?))
}

fn none_is_left() -> Result<()> {
    for _ in 0..LOOKS {
        if pending()?.is_empty() {
            return Ok(());
        }
        sleep(PAUSE);
    }
    bail!("questions are left: {:?}", pending()?)
}

/// No process of this guest is stopped.
fn nobody_is_stopped() -> Result<()> {
    let mut stopped = Vec::new();
    for _ in 0..LOOKS {
        stopped.clear();
        for entry in fs::read_dir("/proc")? {
            let stat = fs::read_to_string(entry?.path().join("stat")).unwrap_or_default();
            let state = stat.rsplit_once(") ").map_or("", |(_name, rest)| rest);
            if state.starts_with('T') {
                stopped.push(stat.split(" 0 ").next().unwrap_or_default().to_owned());
            }
        }
        if stopped.is_empty() {
            return Ok(());
        }
        sleep(PAUSE);
    }
    bail!("stopped for ever: {stopped:?}")
}

fn printed(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}
