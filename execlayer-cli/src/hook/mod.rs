//! A verdict for an agent that is about to call a tool: from the agent's words to its words. Reads top
//! to bottom; nothing here may end with 0 before the daemon has said what to do.

mod claude_code;
mod client;
mod codex;
mod cursor;
mod deadline;
mod fault;
mod gemini;
mod json;
mod mapping;
mod verdict;

use std::{
    fs::File,
    io::{self, Read, Write},
    os::{fd::AsFd, unix::fs::MetadataExt},
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use clap::ValueEnum;
use nix::sys::stat::makedev;
use serde_json::Value;

use self::{
    client::Client,
    deadline::Deadline,
    json::Object,
    mapping::Call,
    verdict::{Decision, State, Verdict},
};
use crate::error::Exit;
pub(crate) use fault::{Fault, block_on_panic};

/// An agent says more only about a file that it would write.
const MAX_INPUT: u64 = 4 << 20;
/// The daemon waits at most a minute at a time; less shows sooner that it is gone.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// Between two looks at a question, if the daemon does not wait.
const PAUSE: Duration = Duration::from_millis(250);

/// Whose protocol is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Agent {
    /// Claude Code, event `PreToolUse`
    ClaudeCode,
    /// Codex CLI, event `PreToolUse`
    Codex,
    /// Gemini CLI, event `BeforeTool`
    Gemini,
    /// Cursor, events `preToolUse` and `before...`
    Cursor,
}

/// What is done about a call that is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnHold {
    /// Let the agent ask whoever sits before it
    Ask,
    /// Wait for the answer until the deadline, then deny
    Wait,
    /// Deny at once; the question stays open
    Deny,
}

/// How the hook was called.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) agent: Agent,
    pub(crate) socket: PathBuf,
    /// Seconds.
    pub(crate) deadline: u64,
    pub(crate) on_hold: OnHold,
}

/// What an agent wants to know, and how it wants to be told.
struct Heard {
    call: Call,
    /// Whether the agent takes "ask" for an answer here.
    may_ask: bool,
    answer: fn(&Verdict) -> Value,
}

/// Ends with 0 if the agent has its answer, with 2 and a reason if not.
pub(crate) fn run(settings: &Settings) -> ExitCode {
    match judge(settings).and_then(|answer| print(&answer)) {
        Ok(()) => Exit::Done.into(),
        Err(fault) => {
            fault.print();
            Exit::Usage.into()
        }
    }
}

fn judge(settings: &Settings) -> Result<Value, Fault> {
    let deadline = Deadline::begin(Duration::from_secs(settings.deadline))?;
    let asks = settings.on_hold == OnHold::Ask;
    if asks && matches!(settings.agent, Agent::Codex | Agent::Gemini) {
        return Err(Fault::new("this agent knows no `ask`: use `--on-hold wait` or `deny`"));
    }
    let input = input()?;
    let said = Object::parse(&input)?;
    let heard = match settings.agent {
        Agent::ClaudeCode => claude_code::hear(said),
        Agent::Codex => codex::hear(said),
        Agent::Gemini => gemini::hear(said),
        Agent::Cursor => cursor::hear(said),
    }?;
    if asks && !heard.may_ask {
        return Err(Fault::new("this event knows no `ask`: use `--on-hold wait` or `deny`"));
    }
    let client = Client { socket: &settings.socket, deadline: &deadline };
    let verdict = match client.evaluate(&heard.call)? {
        Decision::Allow => Verdict::Allow,
        Decision::Deny(why) => Verdict::Deny(why),
        Decision::Hold { question, why } => match settings.on_hold {
            OnHold::Ask => Verdict::Ask(format!("{why} (question {question})")),
            OnHold::Deny => Verdict::Deny(open(question)),
            OnHold::Wait => wait(&client, question, &deadline)?,
        },
    };
    Ok((heard.answer)(&verdict))
}

/// Everything on standard input.
fn input() -> Result<String, Fault> {
    let mut bytes = Vec::new();
    let cannot = |error| Fault::new(format!("standard input cannot be read: {error}"));
    io::stdin().lock().take(MAX_INPUT + 1).read_to_end(&mut bytes).map_err(cannot)?;
    if bytes.len() as u64 > MAX_INPUT {
        return Err(Fault::new(format!("the call is longer than {MAX_INPUT} bytes")));
    }
    String::from_utf8(bytes).map_err(|_invalid| Fault::new("the call is not UTF-8"))
}

/// What became of a question, or that it is still open when time is up.
fn wait(client: &Client<'_>, question: u64, deadline: &Deadline) -> Result<Verdict, Fault> {
    while let Some(left) = deadline.left_to_wait() {
        let asked = Instant::now();
        match client.question(question, left.min(LONGEST_WAIT))? {
            State::Open => {}
            State::Allowed => return Ok(Verdict::Allow),
            State::Denied(why) => return Ok(Verdict::Deny(why)),
        }
        std::thread::sleep(PAUSE.saturating_sub(asked.elapsed()));
    }
    Ok(Verdict::Deny(open(question)))
}

fn open(question: u64) -> String {
    format!(
        "question {question} is still open: answer it with `execlayer approve {question}` and try again"
    )
}

/// Past the buffers: what cannot be written must be known before this ends. That is so, too, for an
/// output that leads nowhere (Linux, `devices.txt`: 1:3 is `/dev/null`), which is what a closed one is
/// replaced with when a program starts.
fn print(answer: &Value) -> Result<(), Fault> {
    let written = io::stdout().as_fd().try_clone_to_owned().and_then(|output| {
        let mut output = File::from(output);
        if output.metadata()?.rdev() == makedev(1, 3) {
            return Err(io::Error::other("it is closed, or `/dev/null`"));
        }
        output.write_all(format!("{answer}\n").as_bytes())
    });
    written.map_err(|error| Fault::new(format!("standard output cannot be written: {error}")))
}

#[cfg(test)]
mod tests;
