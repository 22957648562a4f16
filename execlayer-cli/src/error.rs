//! How the tool fails: a message, what to do about it, and the exit code. Must not know which command
//! failed.

use std::process::ExitCode;

use crate::output::{Screen, printable};

/// Every exit code of the tool, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// It was done.
    Done = 0,
    /// It failed.
    Failure = 1,
    /// The arguments make no sense; or `hook` failed, which every agent takes as "blocked".
    Usage = 2,
    /// The policy has errors, or a limit refuses it.
    Policy = 3,
    /// A policy's test case, or an act of `selftest`, did not end as expected.
    Expectation = 4,
    /// It needs root.
    NeedsRoot = 5,
    /// This machine cannot enforce; `doctor` says what to change.
    CannotEnforce = 6,
    /// No daemon answers.
    Unreachable = 7,
    /// `selftest`: something forbidden went through.
    WentThrough = 8,
    /// `selftest`: something could not be tried.
    NotTried = 9,
    /// `audit`: the log is not what its device wrote.
    Tampered = 10,
    /// `run` itself failed. Every smaller number is COMMAND's own, 128+n means that signal n ended it.
    Run = 125,
    /// `run`: COMMAND was found and could not be executed.
    NotExecutable = 126,
    /// `run`: COMMAND was not found.
    NotFound = 127,
}

/// What `--help` says about them.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0    done
  1    failure
  2    the arguments make no sense
  3    the policy has errors
  4    a test case of a policy, or an act of `selftest`, did not end as expected
  5    needs root
  6    this machine cannot enforce (`execlayer doctor` says what to change)
  7    no daemon answers
  8    `selftest`: something forbidden went through
  9    `selftest`: something could not be tried
  10   `audit`: the log, or the proof, is not what its device wrote
  `execlayer run` ends with COMMAND's own code, 128+n if signal n ended it, and with
  125 if it failed itself, 126 if COMMAND cannot be executed, 127 if it was not found
  `execlayer hook` ends with 0 if it answered, with 2 whatever else happened: that blocks";

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// A failure.
#[derive(Debug)]
pub(crate) struct CliError {
    pub(crate) exit: Exit,
    message: String,
    quote: String,
    help: Vec<String>,
}

impl CliError {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), quote: String::new(), help: Vec::new() }
    }

    pub(crate) fn failure(message: impl Into<String>) -> Self {
        Self::new(Exit::Failure, message)
    }

    /// For a failure that was printed already.
    pub(crate) const fn silent(exit: Exit) -> Self {
        Self { exit, message: String::new(), quote: String::new(), help: Vec::new() }
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    pub(crate) fn help_if(mut self, help: Option<String>) -> Self {
        self.help.extend(help);
        self
    }

    /// What another program said about it.
    pub(crate) fn quote(mut self, text: impl Into<String>) -> Self {
        self.quote = text.into();
        self
    }

    /// With another exit code.
    pub(crate) fn with_exit(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    pub(crate) fn print(&self, screen: &Screen) {
        if self.message.is_empty() {
            return;
        }
        let (bold, reset) = (screen.on_error.bold(), screen.on_error.reset());
        let red = screen.on_error.red();
        screen.note(&format!("{red}error{reset}: {}", printable(&self.message)));
        for line in self.quote.lines() {
            screen.note(&format!("  | {}", printable(line)));
        }
        for line in self.help.iter().flat_map(|help| help.lines()) {
            screen.note(&format!("  {bold}help{reset}: {}", printable(line)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_lists_every_exit_code() {
        for exit in [
            Exit::Done,
            Exit::Failure,
            Exit::Usage,
            Exit::Policy,
            Exit::Expectation,
            Exit::NeedsRoot,
            Exit::CannotEnforce,
            Exit::Unreachable,
            Exit::WentThrough,
            Exit::NotTried,
            Exit::Run,
            Exit::NotExecutable,
            Exit::NotFound,
        ] {
            let number = (exit as u8).to_string();
            let listed = |word: &str| word.trim_matches(|c: char| !c.is_ascii_digit()) == number;
            assert!(EXIT_CODES.split_whitespace().any(listed), "{number}");
        }
    }
}
