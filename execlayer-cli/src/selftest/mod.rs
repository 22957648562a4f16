//! The self-test: ways around a gate, tried on this machine in a domain of its own. Owns what an act is
//! and how it may end; must not ask the daemon, nor print.

pub(crate) mod acts;
pub(crate) mod compare;
pub(crate) mod plan;
mod policy;
pub(crate) mod report;
pub(crate) mod runs;
#[cfg(test)]
mod tests;
pub(crate) mod trial;
pub(crate) mod yard;

use nix::errno::Errno;
use serde::{Deserialize, Serialize};

pub(crate) use plan::Plan;
pub(crate) use policy::lowered;

/// On which side of the policy an act is tried: both differ in what is judged alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Side {
    /// What the policy allows.
    Open,
    /// What it forbids.
    Shut,
}

impl Side {
    /// Its folder, and its part of other names.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Shut => "shut",
        }
    }
}

/// A way around the gate, which must not lead anywhere.
#[derive(Debug)]
pub(crate) struct Act {
    /// What it tries, for people. No two acts have the same.
    pub(crate) name: &'static str,
    /// The call that counts.
    pub(crate) call: &'static str,
    /// The kernel's answer to it on the shut side.
    pub(crate) expected: Errno,
    /// Whether there is an allowed twin.
    pub(crate) has_twin: bool,
    pub(crate) try_it: fn(&Plan, Side) -> Result<(), Stop>,
}

impl Act {
    /// Denied by the policy on one side, allowed on the other.
    const fn pair(
        name: &'static str,
        call: &'static str,
        try_it: fn(&Plan, Side) -> Result<(), Stop>,
    ) -> Self {
        Self { name, call, expected: Errno::EACCES, has_twin: true, try_it }
    }

    /// Denied whatever it is about; ungoverned it is its own twin.
    const fn lone(
        name: &'static str,
        call: &'static str,
        try_it: fn(&Plan, Side) -> Result<(), Stop>,
    ) -> Self {
        Self { name, call, expected: Errno::EACCES, has_twin: false, try_it }
    }

    /// With another answer.
    const fn by(mut self, expected: Errno) -> Self {
        self.expected = expected;
        self
    }

    /// The sides that it is tried on.
    pub(crate) const fn sides(&self) -> &'static [Side] {
        if self.has_twin { &[Side::Open, Side::Shut] } else { &[Side::Shut] }
    }
}

/// Why an act was not done.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The call that counts failed.
    Here(Errno),
    /// It did not come to that call.
    Before(String),
}

impl From<Errno> for Stop {
    fn from(error: Errno) -> Self {
        Self::Here(error)
    }
}

impl From<std::io::Error> for Stop {
    fn from(error: std::io::Error) -> Self {
        match error.raw_os_error() {
            Some(number) => Self::Here(Errno::from_raw(number)),
            None => Self::Before(error.to_string()),
        }
    }
}

/// A step on the way to the call that counts.
fn before<T, E: std::fmt::Display>(what: &str, result: Result<T, E>) -> Result<T, Stop> {
    result.map_err(|error| Stop::Before(format!("{what}: {error}")))
}

/// What came of an act.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Outcome {
    /// It was done.
    Done,
    /// The kernel's answer was this error.
    Failed(i32),
    /// It did not come to the call that counts.
    Lost(String),
}

impl From<Result<(), Stop>> for Outcome {
    fn from(result: Result<(), Stop>) -> Self {
        match result {
            Ok(()) => Self::Done,
            Err(Stop::Here(error)) => Self::Failed(error as i32),
            Err(Stop::Before(why)) => Self::Lost(why),
        }
    }
}

/// The name of an error, as in manuals.
pub(crate) fn errno_name(number: i32) -> String {
    match Errno::from_raw(number) {
        // No descriptor arrived: that is seen, and not said by an error.
        Errno::ENOMSG => "not received".to_owned(),
        Errno::UnknownErrno => format!("error {number}"),
        known => format!("{known:?}"),
    }
}
