//! The daemon in a guest, programs under its policies, and what it recorded. Must not judge.

use crate::trail;
use anyhow::{Context, Result, bail};
use execlayer_api::{Outcome, Request, Response, decode_response, encode_request, places};
use serde_json::Value;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::Duration;

const DAEMON: &str = "/opt/execlayer/bin/execlayerd";
const TOOL: &str = "/opt/execlayer/bin/execlayer";
const LOG: &str = "/run/execlayerd.log";
/// Looks at something that takes a moment, with a pause between two.
const LOOKS: usize = 600;
const PAUSE: Duration = Duration::from_millis(100);

/// A service daemon that enforces.
#[derive(Debug)]
pub(crate) struct Gate {
    daemon: Child,
}

impl Gate {
    pub(crate) fn start() -> Result<Self> {
        Self::start_with(&[])
    }

    /// With these options of the daemon.
    pub(crate) fn start_with(options: &[&str]) -> Result<Self> {
        Self::start_in(options, &[])
    }

    /// With these options, and these variables in its environment.
    pub(crate) fn start_in(options: &[&str], variables: &[(&str, &str)]) -> Result<Self> {
        trail::forget();
        Self::again_in(options, variables)
    }

    /// The same, with the audit trail that is there.
    pub(crate) fn again_in(options: &[&str], variables: &[(&str, &str)]) -> Result<Self> {
        let mut daemon = Command::new(DAEMON)
            .args(options)
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(LOG)?)
            .spawn()
            .context("cannot start the daemon")?;
        for _ in 0..LOOKS {
            if let Some(status) = daemon.try_wait()? {
                bail!("the daemon ended with {status}:\n{}", fs::read_to_string(LOG)?);
            }
            let status = Command::new(TOOL).arg("status").output()?;
            if status.status.success() {
                return Ok(Self { daemon });
            }
            sleep(PAUSE);
        }
        daemon.kill()?;
        bail!("the daemon does not answer:\n{}", fs::read_to_string(LOG)?)
    }

    /// A program under a policy, with these arguments for `execlayer run` before it.
    pub(crate) fn run(&self, policy: &str, options: &[&str], command: &[&str]) -> Command {
        let mut run = Command::new(TOOL);
        run.args(["run", "--policy", policy]).args(options).arg("--").args(command);
        run.stdin(Stdio::null());
        run
    }

    /// The trail's records, once there is one that `wanted` takes; all that there are if none comes.
    pub(crate) fn events(&self, wanted: impl Fn(&Value) -> bool) -> Result<Vec<Value>> {
        let mut lines = Vec::new();
        for _ in 0..50 {
            lines = trail::records()?;
            if lines.iter().any(&wanted) {
                break;
            }
            sleep(PAUSE);
        }
        Ok(lines)
    }

    pub(crate) fn is_running(&mut self) -> Result<bool> {
        Ok(self.daemon.try_wait()?.is_none())
    }

    pub(crate) fn pid(&self) -> u32 {
        self.daemon.id()
    }

    /// How many records there are.
    pub(crate) fn records(&self) -> Result<usize> {
        Ok(trail::text().unwrap_or_default().lines().count())
    }

    /// Denials that are recorded behind that many records, in short.
    pub(crate) fn denials_behind(&self, lines: usize) -> Result<String> {
        let text = trail::text()?;
        let events =
            text.lines().skip(lines).filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let denials =
            events.filter(|event| event["verdict"] == "deny" || event["answer"] == "deny");
        Ok(denials.map(|event| format!("{event}\n")).collect())
    }

    /// Waits for the daemon's end.
    pub(crate) fn wait(&mut self) -> Result<ExitStatus> {
        Ok(self.daemon.wait()?)
    }

    pub(crate) fn kill(&mut self) -> Result<()> {
        self.daemon.kill()?;
        self.daemon.wait()?;
        Ok(())
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        // It may have been killed already; the runner ends what is left.
        let _ = self.kill();
    }
}

/// Asks the daemon one thing.
pub(crate) fn ask(request: &Request) -> Result<Outcome> {
    let mut stream = UnixStream::connect(Path::new(places::RUN_DIR).join(places::SOCKET))?;
    stream.write_all(&encode_request(request)?)?;
    let mut line = Vec::new();
    BufReader::new(stream).read_until(b'\n', &mut line)?;
    match decode_response(&line)? {
        Response::Done(answer) => Ok(answer),
        Response::Error(failure) => bail!("{request:?}: {failure:?}"),
    }
}

/// Rules that allow everything but reading one file.
pub(crate) fn all_but(kept: &str) -> String {
    format!(
        "[[rule]]\nid = \"all\"\nallow = [\"read\", \"modify\", \"exec\", \"ioctl\"]\n\
         path = [\"/\", \"/**\"]\n\n\
         [[rule]]\nid = \"kept\"\ndeny = [\"read\"]\npath = \"{kept}\"\n"
    )
}

/// Writes the first version of a policy of these rules; the path of its file.
pub(crate) fn policy(name: &str, agent: &str, rules: &str) -> Result<String> {
    policy_of_version(1, name, agent, rules)
}

/// [`policy`], of any version.
pub(crate) fn policy_of_version(
    version: u64,
    name: &str,
    agent: &str,
    rules: &str,
) -> Result<String> {
    let folder = Path::new("/run/policies");
    fs::create_dir_all(folder)?;
    let path = folder.join(format!("{name}.toml"));
    let text = format!(
        "name = \"{name}\"\nversion = {version}\n\n[agent]\nname = \"{name}\"\n{agent}\n{rules}"
    );
    fs::write(&path, text)?;
    Ok(path.display().to_string())
}
