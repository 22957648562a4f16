//! What a machine needs to enforce, and whether it has it. Only reads, below a root that tests can
//! exchange; must not try anything out.

mod kernel;
mod lsm;
mod mounts;
mod rights;
#[cfg(test)]
mod tests;

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use serde::Serialize;

/// How a thing stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    /// As it must be.
    Ok,
    /// Not as it must be.
    Fix,
    /// It could not be looked at.
    Unknown,
}

/// What was found about one thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    pub(crate) name: &'static str,
    pub(crate) state: State,
    pub(crate) detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) remedy: Option<String>,
}

impl Finding {
    fn ok(name: &'static str, detail: impl Into<String>) -> Self {
        Self { name, state: State::Ok, detail: detail.into(), remedy: None }
    }

    fn fix(name: &'static str, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        let (detail, remedy) = (detail.into(), Some(remedy.into()));
        Self { name, state: State::Fix, detail, remedy }
    }

    fn unknown(name: &'static str, detail: impl Into<String>) -> Self {
        Self { name, state: State::Unknown, detail: detail.into(), remedy: None }
    }
}

/// The machine that is looked at.
#[derive(Debug)]
pub(crate) struct Machine {
    root: PathBuf,
    arch: &'static str,
    daemon: Option<PathBuf>,
}

/// Bytes of a file in /proc or /sys that are looked at; a kernel's configuration is the longest.
const MAX_BYTES: u64 = 1 << 20;

impl Machine {
    /// This one.
    pub(crate) fn this() -> Self {
        Self {
            root: PathBuf::from("/"),
            arch: std::env::consts::ARCH,
            daemon: crate::daemon::find_executable(),
        }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    fn text(&self, path: &str) -> io::Result<String> {
        let mut bytes = Vec::new();
        fs::File::open(self.at(path))?.take(MAX_BYTES).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
    }

    /// Release of the running kernel, or nothing.
    fn release(&self) -> String {
        self.text("/proc/sys/kernel/osrelease").unwrap_or_default()
    }
}

/// Looks at everything, in the order in which it is put right.
pub(crate) fn examine(machine: &Machine) -> Vec<Finding> {
    vec![
        kernel::version(machine),
        kernel::architecture(machine),
        kernel::config(machine),
        kernel::btf(machine),
        mounts::securityfs(machine),
        lsm::active(machine),
        lsm::lockdown(machine),
        kernel::jit(machine),
        mounts::cgroup2(machine),
        mounts::bpffs(machine),
        rights::capabilities(machine),
        daemon(machine.daemon.as_deref()),
    ]
}

fn daemon(found: Option<&Path>) -> Finding {
    match found {
        Some(path) => Finding::ok("daemon", path.display().to_string()),
        None => Finding::fix(
            "daemon",
            format!("`{}` is not beside `execlayer` nor in PATH", crate::daemon::EXECUTABLE),
            "install it there",
        ),
    }
}
