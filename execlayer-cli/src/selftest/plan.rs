//! What the processes that try the acts must know of the one that prepared them. Must not decide
//! anything.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Side;

/// A file in the yard: what the acts are about, and which of them are tried.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// The yard's folder, by the kernel's name.
    pub(crate) yard: PathBuf,
    pub(crate) ports: Ports,
    /// A process that is not governed: the one that made the yard.
    pub(crate) outsider: i32,
    /// Where that process has a byte.
    pub(crate) byte: usize,
    pub(crate) daemon: i32,
    pub(crate) run_dir: PathBuf,
    pub(crate) state_dir: PathBuf,
    /// Names of the acts.
    pub(crate) acts: Vec<String>,
}

/// Loopback ports.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Ports {
    /// Somebody listens there, over TCP and UDP, IPv4 and IPv6.
    pub(crate) open: u16,
    pub(crate) shut: u16,
    /// Nobody does.
    pub(crate) free_open: u16,
    pub(crate) free_shut: u16,
}

impl Plan {
    /// Its name below the yard.
    pub(crate) const FILE: &'static str = "plan";

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.yard.join(name)
    }

    /// A file of one side's.
    pub(crate) fn of(&self, side: Side, name: &str) -> PathBuf {
        self.yard.join(side.name()).join(name)
    }

    /// A file that may not be read, and may be moved; on the open side one like others.
    pub(crate) fn secret(&self, side: Side, name: &str) -> PathBuf {
        match side {
            Side::Open => self.of(side, name),
            Side::Shut => self.at("secret").join(name),
        }
    }

    /// A file that may not be executed, and may be read; on the open side one like others.
    pub(crate) fn inert(&self, side: Side, name: &str) -> PathBuf {
        match side {
            Side::Open => self.of(side, name),
            Side::Shut => self.at("inert").join(name),
        }
    }

    /// A file that may only be added to; on the open side one like others.
    pub(crate) fn log(&self, side: Side) -> PathBuf {
        match side {
            Side::Open => self.of(side, "log"),
            Side::Shut => self.at("log").join("log"),
        }
    }

    /// Where something listens.
    pub(crate) const fn port(&self, side: Side) -> u16 {
        match side {
            Side::Open => self.ports.open,
            Side::Shut => self.ports.shut,
        }
    }

    /// An abstract name of this yard.
    pub(crate) fn abstract_name(&self, side: Side) -> String {
        abstract_name(&self.yard, side.name())
    }
}

pub(super) fn abstract_name(yard: &Path, end: &str) -> String {
    let name = yard.file_name().unwrap_or_default().to_string_lossy();
    format!("{name}-{end}")
}
