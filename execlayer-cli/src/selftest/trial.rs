//! Trials: each act in a process of its own, all of them one after another in a process that is governed
//! or not. Owns what these processes say to each other; must not judge.

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use super::{Act, Outcome, Plan, Side, acts};
use crate::error::CliError;

/// Name of the hidden command.
const COMMAND: &str = "selftest-act";
const SELF: &str = "/proc/self/exe";
/// An act that takes longer hangs.
const LIMIT: Duration = Duration::from_secs(20);

/// A line of the process that starts the acts.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Trial {
    pub(crate) act: String,
    pub(crate) side: Side,
    pub(crate) outcome: Outcome,
}

/// What came of one run of all acts.
#[derive(Debug, Default)]
pub(crate) struct Trials(pub(crate) Vec<Trial>);

impl Trials {
    /// From what that process said.
    pub(crate) fn read(text: &str) -> Result<Self, CliError> {
        let trials = text.lines().map(serde_json::from_str).collect::<Result<_, _>>();
        trials.map(Self).map_err(|error| CliError::failure(format!("an act said `{error}`")))
    }

    pub(crate) fn of(&self, act: &str, side: Side) -> Outcome {
        let found = self.0.iter().find(|trial| trial.act == act && trial.side == side);
        found.map_or_else(|| Outcome::Lost("not reached".to_owned()), |trial| trial.outcome.clone())
    }
}

/// Arguments of the process that starts the acts.
pub(crate) fn arguments(plan: &Path) -> [std::ffi::OsString; 3] {
    [COMMAND.into(), "--plan".into(), plan.as_os_str().to_owned()]
}

pub(crate) fn read_plan(path: &Path) -> Result<Plan, String> {
    let bytes = fs::read(path).map_err(|error| error.to_string())?;
    serde_json::from_slice(&bytes).map_err(|error| error.to_string())
}

/// Tries all acts of a plan, and calls `said` after each.
pub(crate) fn all(
    path: &Path,
    plan: &Plan,
    said: &mut dyn FnMut(&Trial) -> Result<(), CliError>,
) -> Result<(), CliError> {
    let is_planned = |act: &&Act| plan.acts.iter().any(|name| name == act.name);
    for act in acts::all().map(|(_, act)| act).filter(is_planned) {
        for side in act.sides() {
            let outcome = by_child(path, act.name, *side)
                .unwrap_or_else(|error| Outcome::Lost(format!("no process for it: {error}")));
            said(&Trial { act: act.name.to_owned(), side: *side, outcome })?;
        }
    }
    Ok(())
}

/// The process of one act.
pub(super) fn child(plan: &Path, act: &str, side: Side) -> Command {
    let mut command = Command::new(SELF);
    command.args(arguments(plan)).args(["--act", act, "--side", side.name()]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    command
}

fn by_child(plan: &Path, act: &str, side: Side) -> io::Result<Outcome> {
    let mut child = child(plan, act, side).spawn()?;
    let status = wait(&mut child)?;
    let mut said = String::new();
    if let Some(output) = &mut child.stdout {
        output.read_to_string(&mut said)?;
    }
    Ok(serde_json::from_str(&said).unwrap_or(Outcome::Lost(status)))
}

fn wait(child: &mut Child) -> io::Result<String> {
    let end = Instant::now() + LIMIT;
    while Instant::now() < end {
        if let Some(status) = child.try_wait()? {
            return Ok(status.to_string());
        }
        thread::sleep(Duration::from_millis(1));
    }
    child.kill()?;
    child.wait()?;
    Ok("it hung".to_owned())
}

/// Tries one act in this process.
pub(crate) fn one(plan: &Plan, act: &str, side: Side) -> Outcome {
    let known = acts::all().map(|(_, known)| known).find(|known| known.name == act);
    match known.or_else(|| acts::part(act)) {
        Some(act) => Outcome::from((act.try_it)(plan, side)),
        None => Outcome::Lost("there is no such act".to_owned()),
    }
}

/// Where the plan of a yard lies.
pub(crate) fn plan_file(plan: &Plan) -> PathBuf {
    plan.at(Plan::FILE)
}
