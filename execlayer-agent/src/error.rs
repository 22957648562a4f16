//! Why the daemon ends, and the exit code that says so. One enum for each; the codes are part of the
//! interface.

use std::{io, path::PathBuf, process::ExitCode};

use crate::{
    canary::CanaryError,
    kernel::{FeatureError, LoadError},
    record::trail::TrailError,
};

/// Exit codes of `execlayerd`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Ended as asked.
    Done = 0,
    /// Anything without a code of its own.
    Failed = 1,
    /// The command line is wrong.
    Usage = 2,
    /// This machine cannot enforce.
    CannotEnforce = 10,
    /// The running kernel lacks a field or a hook that the programs need.
    KernelDiffers = 11,
    /// The kernel refused the programs.
    Load = 12,
    /// A denied act went through, or the canary could not be run.
    Canary = 13,
    /// A bundle was refused.
    Bundle = 14,
    /// A daemon runs already, or the gate of one is still pinned.
    AlreadyRunning = 15,
    /// The kernel's command line says that there is to be no gate.
    SwitchedOff = 16,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why the daemon does not run.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The machine.
    #[error(transparent)]
    Features(#[from] FeatureError),
    /// The programs.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The try.
    #[error(transparent)]
    Canary(#[from] CanaryError),
    /// The audit trail.
    #[error(transparent)]
    Trail(#[from] TrailError),
    /// It sees other process numbers than the kernel's programs.
    #[error("the daemon must run in the initial pid namespace")]
    PidNamespace,
    /// Whoever booted the machine wants no gate.
    #[error("the machine was booted with `execlayer=off`: nothing is enforced")]
    SwitchedOff,
    /// There is no such group.
    #[error("there is no group `{0}`")]
    UnknownGroup(String),
    /// Another daemon.
    #[error("a daemon runs already (it holds `{}`)", .0.display())]
    AlreadyRunning(PathBuf),
    /// A service's gate without its service.
    #[error("a service's gate is pinned below `{}`, and its daemon does not run", .0.display())]
    Pinned(PathBuf),
    /// A file or folder.
    #[error("cannot {what} `{}`", path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The system.
    #[error("cannot {what}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// A bundle that the command line names.
    #[error("bundle `{}` is refused: {message}", path.display())]
    Bundle {
        /// Its file.
        path: PathBuf,
        /// Why.
        message: String,
    },
}

impl DaemonError {
    /// The exit code.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Features(FeatureError::Field { .. }) | Self::Load(LoadError::Hook { .. }) => {
                Exit::KernelDiffers
            }
            Self::Features(_) | Self::Load(LoadError::NoObject) => Exit::CannotEnforce,
            Self::Load(_) => Exit::Load,
            Self::Canary(_) => Exit::Canary,
            Self::Trail(TrailError::Io { .. }) => Exit::Failed,
            Self::UnknownGroup(_) => Exit::Usage,
            Self::PidNamespace => Exit::CannotEnforce,
            Self::AlreadyRunning(_) | Self::Pinned(_) | Self::Trail(TrailError::InUse(_)) => {
                Exit::AlreadyRunning
            }
            Self::Bundle { .. } => Exit::Bundle,
            Self::SwitchedOff => Exit::SwitchedOff,
            Self::File { .. } | Self::System { .. } => Exit::Failed,
        }
    }

    /// What to do about it, if that can be said.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Features(error) => error.help(),
            Self::Load(error) => error.help(),
            Self::Canary(error) => Some(error.help().to_owned()),
            Self::PidNamespace => {
                Some("run it on the host, or in a container with the host's pids".to_owned())
            }
            Self::UnknownGroup(_) => Some("make it first: groupadd --system NAME".to_owned()),
            Self::SwitchedOff => Some("boot without that word".into()),
            Self::AlreadyRunning(_) => Some("execlayer status shows it".to_owned()),
            Self::Trail(TrailError::InUse(_)) => {
                Some("give this one others: --audit DIR --state-dir DIR".to_owned())
            }
            Self::Trail(TrailError::Io { .. }) => None,
            Self::Pinned(_) => Some(
                "start the service (execlayerd), or take its gate down: execlayer unload".into(),
            ),
            Self::File { .. } | Self::System { .. } | Self::Bundle { .. } => None,
        }
    }
}
