//! Runs of all acts, as the process sees them that prepared everything: starting them, waiting, reading
//! what they say. Must not know single acts.

use std::{
    ffi::{OsStr, OsString},
    io::Read,
    path::Path,
    process::{Command, Stdio},
    thread,
};

use super::trial::{self, Trials};
use crate::{
    error::CliError,
    scope::{self, Signals},
};

/// Tries all acts of a plan with nothing in their way.
pub(crate) fn ungoverned(signals: &Signals, plan: &Path) -> Result<Trials, CliError> {
    let words = own_command(plan)?;
    let mut words = words.iter();
    let mut command = Command::new(words.next().map_or(OsStr::new(""), OsString::as_os_str));
    trials(signals, command.args(words))
}

/// Tries them in a scope.
pub(crate) fn governed(signals: &Signals, plan: &Path, cgroup: &Path) -> Result<Trials, CliError> {
    trials(signals, &mut scope::helper(cgroup, None, &own_command(plan)?)?)
}

/// This executable as the process that starts the acts.
fn own_command(plan: &Path) -> Result<Vec<OsString>, CliError> {
    let own = std::env::current_exe()
        .map_err(|error| CliError::failure(format!("own executable not found: {error}")))?;
    Ok([own.into()].into_iter().chain(trial::arguments(plan)).collect())
}

/// Runs that process, and reads what it says.
fn trials(signals: &Signals, command: &mut Command) -> Result<Trials, CliError> {
    let lost = |error| CliError::failure(format!("the acts are lost: {error}"));
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| lost(error.to_string()))?;
    let output = child.stdout.take();
    let reader = thread::spawn(move || {
        let mut text = String::new();
        output.map(|mut output| output.read_to_string(&mut text)).transpose().map(|_| text)
    });
    let status = signals.wait(&mut child, None)?;
    if !status.success() {
        return Err(CliError::failure(format!("the acts ended early: {status}")));
    }
    match reader.join() {
        Ok(Ok(text)) => Trials::read(&text),
        Ok(Err(error)) => Err(lost(error.to_string())),
        Err(_) => Err(lost("their reader ended".to_owned())),
    }
}
