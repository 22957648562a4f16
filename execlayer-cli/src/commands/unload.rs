//! `unload`: takes the gate down for good. Must not do so unless somebody said that it shall.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use execlayer_api::{Outcome, Request};

use crate::{
    daemon::{self, AskError, EXECUTABLE, Places},
    error::{CliError, Exit},
    files,
    output::Screen,
    terminal::Terminal,
};

/// Takes the gate down: nothing is enforced afterwards
///
/// Calls that are held are denied and go on, new ones that would be asked about are denied, and then
/// everything is detached: every process that was governed is free. Who did it stands in the audit trail.
/// Stopping the service does not do this: what it pinned enforces without it. Needs root, and a process
/// that is not governed.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_long_help = "\
Examples:
  sudo execlayer unload
  sudo execlayer unload --yes && sudo systemctl disable execlayerd"
)]
pub(crate) struct Args {
    /// Do not ask whether it is meant
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    places: Places,
    /// Where the bpf file system is, if the daemon was told
    #[arg(long, value_name = "DIR", default_value = "/sys/fs/bpf")]
    bpffs: PathBuf,
}

/// A daemon that ends denies what is held first.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(50);

pub(crate) fn run(args: &Args, screen: &Screen) -> Result<Exit, CliError> {
    if !args.yes && !is_meant(screen)? {
        screen.note("nothing was changed");
        return Ok(Exit::Failure);
    }
    match daemon::ask(&args.places, &Request::Stop { force: true }) {
        Ok(Outcome::Stopping {}) => wait(args)?,
        Ok(other) => return Err(daemon::unexpected(&other)),
        Err(AskError::Nobody(error)) if error.kind() != std::io::ErrorKind::PermissionDenied => {
            if !is_pinned(args) {
                screen.print("nothing is loaded")?;
                return Ok(Exit::Done);
            }
            without_daemon(args)?;
        }
        Err(error) => return Err(error.into()),
    }
    screen.print("the gate is taken down: nothing is enforced")?;
    Ok(Exit::Done)
}

/// Until the daemon is gone and has left nothing.
fn wait(args: &Args) -> Result<(), CliError> {
    let begin = Instant::now();
    while begin.elapsed() < PATIENCE {
        let is_gone = daemon::ask(&args.places, &Request::Hello {}).is_err();
        if is_gone && !is_pinned(args) {
            return Ok(());
        }
        std::thread::sleep(PAUSE);
    }
    Err(CliError::failure("the daemon was told to end, and the gate still stands")
        .help("its log says why: `journalctl -u execlayerd`"))
}

/// Whether a service's gate stands, with or without its daemon.
fn is_pinned(args: &Args) -> bool {
    let links = args.bpffs.join("execlayer/links");
    std::fs::read_dir(links).is_ok_and(|mut links| links.next().is_some())
}

fn is_meant(screen: &Screen) -> Result<bool, CliError> {
    let Some(terminal) = Terminal::open() else {
        return Err(CliError::new(Exit::Usage, "nobody can be asked whether this is meant")
            .help("say so: `execlayer unload --yes`"));
    };
    screen.prompt("Every governed process will be free. Take the gate down? [y/N] ")?;
    terminal.forget_typed()?;
    let answer = terminal.line()?.unwrap_or_default();
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// What a daemon that does not run left in the kernel.
fn without_daemon(args: &Args) -> Result<(), CliError> {
    let executable = daemon::find_executable().ok_or_else(|| {
        CliError::failure(format!("no daemon answers, and there is no `{EXECUTABLE}`"))
            .help(format!("install `{EXECUTABLE}` beside `execlayer` or in PATH"))
    })?;
    let mut command = Command::new(&executable);
    command.arg("--unload").arg("--run-dir").arg(&args.places.run_dir);
    command.arg("--bpffs").arg(&args.bpffs).stdin(Stdio::null());
    let status = command.status().map_err(|error| files::cannot("execute", &executable, &error))?;
    if status.success() {
        return Ok(());
    }
    Err(CliError::failure(format!("`{EXECUTABLE} --unload` could not do it ({status})")))
}
