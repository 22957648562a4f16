//! The acts, and the child that does them: the daemon's own program, started anew with a hidden
//! word instead of options (a fork without an exec is not safe beside an allocator). The child says
//! what came of each act on its standard output.

use std::{
    env,
    ffi::OsString,
    fmt, fs,
    io::{self, Read},
    net::{Ipv4Addr, TcpStream},
    os::unix::{net::UnixStream, process::CommandExt},
    path::Path,
    process::{Child, Command, ExitCode, Stdio},
    thread,
    time::{Duration, Instant},
};

use super::{CanaryError, yard::Yard};
use crate::scopes::Cgroup;

/// First argument of the child.
const WORD: &str = "canary-child";
const SELF: &str = "/proc/self/exe";
/// A child that takes longer hangs.
const LIMIT: Duration = Duration::from_secs(20);

/// What is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Execute a program.
    Exec,
    /// Open a file.
    Open,
    /// Connect to a loopback port.
    Connect,
    /// Connect to a unix socket.
    ConnectUnix,
}

impl Act {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Exec, Self::Open, Self::Connect, Self::ConnectUnix];

    /// For people and for the child's output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exec => "exec",
            Self::Open => "open",
            Self::Connect => "connect",
            Self::ConnectUnix => "connect-unix",
        }
    }

    /// What it is about, in the yard.
    pub(super) const fn file(self) -> &'static str {
        match self {
            Self::Exec => "program",
            Self::Open => "file",
            Self::Connect => "port",
            Self::ConnectUnix => "socket",
        }
    }

    fn try_it(self, folder: &Path, port: u16) -> io::Result<()> {
        let path = folder.join(self.file());
        match self {
            Self::Exec => Command::new(path).env_clear().status().and_then(|status| {
                if status.success() { Ok(()) } else { Err(io::Error::other(status.to_string())) }
            }),
            Self::Open => fs::File::open(path).map(|_file| ()),
            Self::Connect => TcpStream::connect((Ipv4Addr::LOCALHOST, port)).map(|_connection| ()),
            Self::ConnectUnix => UnixStream::connect(path).map(|_connection| ()),
        }
    }
}

/// What came of an act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was done.
    Done,
    /// It failed with the gate's error.
    Denied,
    /// It failed otherwise.
    Failed(String),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => f.write_str("done"),
            Self::Denied => f.write_str("denied"),
            Self::Failed(error) => write!(f, "failed {error}"),
        }
    }
}

/// Does the acts ungoverned.
pub(super) fn free(yard: &Yard) -> Result<Vec<(Act, Outcome)>, CanaryError> {
    outcomes(Command::new(SELF).args(arguments(yard)))
}

/// Does the acts in a cgroup: joins it, and executes the daemon again, which labels it.
pub(super) fn in_cgroup(yard: &Yard, cgroup: &Cgroup) -> Result<Vec<(Act, Outcome)>, CanaryError> {
    let join = cgroup.path.join("cgroup.procs").into_os_string();
    outcomes(Command::new(SELF).args(arguments(yard)).arg(join))
}

/// Does the acts as a program that is selected by its path.
pub(super) fn by_selected_exe(yard: &Yard) -> Result<Vec<(Act, Outcome)>, CanaryError> {
    outcomes(Command::new(yard.agent()).args(arguments(yard)))
}

fn arguments(yard: &Yard) -> [OsString; 3] {
    [WORD.into(), yard.folder().as_os_str().to_owned(), yard.port().to_string().into()]
}

fn outcomes(command: &mut Command) -> Result<Vec<(Act, Outcome)>, CanaryError> {
    let failed = |error: io::Error| CanaryError::Child(error.to_string());
    let mut child = command
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(failed)?;
    let status = wait(&mut child).map_err(failed)?;
    let mut said = String::new();
    if let Some(output) = &mut child.stdout {
        output.read_to_string(&mut said).map_err(failed)?;
    }
    let outcomes: Vec<(Act, Outcome)> = said.lines().filter_map(outcome).collect();
    if outcomes.is_empty() {
        return Err(CanaryError::Child(format!("{status}, {}", said.trim())));
    }
    Ok(outcomes)
}

fn wait(child: &mut Child) -> io::Result<String> {
    let end = Instant::now() + LIMIT;
    while Instant::now() < end {
        if let Some(status) = child.try_wait()? {
            return Ok(status.to_string());
        }
        thread::sleep(Duration::from_millis(2));
    }
    child.kill()?;
    child.wait()?;
    Ok("it hung".to_owned())
}

fn outcome(line: &str) -> Option<(Act, Outcome)> {
    let (name, outcome) = line.split_once(' ')?;
    let act = Act::ALL.into_iter().find(|act| act.name() == name)?;
    Some((
        act,
        match outcome {
            "done" => Outcome::Done,
            "denied" => Outcome::Denied,
            other => Outcome::Failed(other.strip_prefix("failed ").unwrap_or(other).to_owned()),
        },
    ))
}

/// The child's whole life, if this process is the child: the first argument says so.
#[must_use]
pub fn run_child() -> Option<ExitCode> {
    let mut arguments = env::args_os().skip(1);
    if arguments.next()? != WORD {
        return None;
    }
    let rest: Vec<OsString> = arguments.collect();
    let (Some(folder), Some(port)) = (rest.first(), rest.get(1)) else {
        return Some(ExitCode::FAILURE);
    };
    if let Some(join) = rest.get(2) {
        match fs::write(join, "0") {
            Ok(()) => {
                let error = Command::new(SELF).arg(WORD).arg(folder).arg(port).exec();
                println!("the child could not execute the daemon again: {error}");
            }
            Err(error) => println!("the child could not join its cgroup: {error}"),
        }
        return Some(ExitCode::FAILURE);
    }
    let Some(port) = port.to_str().and_then(|port| port.parse().ok()) else {
        return Some(ExitCode::FAILURE);
    };
    for act in Act::ALL {
        let outcome = match act.try_it(Path::new(folder), port) {
            Ok(()) => Outcome::Done,
            Err(error) if error.raw_os_error() == Some(libc::EACCES) => Outcome::Denied,
            Err(error) => Outcome::Failed(error.to_string()),
        };
        println!("{} {outcome}", act.name());
    }
    Some(ExitCode::SUCCESS)
}
