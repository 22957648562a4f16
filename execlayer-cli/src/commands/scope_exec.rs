//! `scope-exec`: the helper of `run` that enters the scope, becomes the user, and turns into the
//! command. Must do them in this order: entering needs root, and the policy begins with the exec.

use std::{
    ffi::{CString, OsString},
    fs::OpenOptions,
    io::{self, Write},
    os::unix::process::CommandExt,
    path::PathBuf,
    process::Command,
};

use nix::unistd::{Gid, Uid, initgroups, setgid, setgroups, setuid};

use crate::{
    error::{CliError, Exit},
    files, scope,
};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[arg(long)]
    cgroup: PathBuf,
    #[arg(long, requires = "uid")]
    user: Option<String>,
    #[arg(long, requires = "gid")]
    uid: Option<u32>,
    #[arg(long, requires = "user")]
    gid: Option<u32>,
    #[arg(required = true, last = true)]
    command: Vec<OsString>,
}

/// Returns only if it fails.
pub(crate) fn run(args: &Args) -> CliError {
    match prepare(args) {
        Ok(mut command) => failed(&args.command, &command.exec()),
        Err(error) => error,
    }
}

fn prepare(args: &Args) -> Result<Command, CliError> {
    let run = |message: String| CliError::new(Exit::Run, message);
    let procs = args.cgroup.join("cgroup.procs");
    // Must be there: a file made by opening it would govern nothing.
    OpenOptions::new()
        .write(true)
        .open(&procs)
        .and_then(|mut file| file.write_all(b"0"))
        .map_err(|error| files::cannot("enter", &procs, &error).with_exit(Exit::Run))?;
    if let (Some(user), Some(uid), Some(gid)) = (&args.user, args.uid, args.gid) {
        become_user(user, Uid::from_raw(uid), Gid::from_raw(gid))
            .map_err(|error| run(format!("cannot become user `{user}`: {error}")))?;
    }
    scope::release().map_err(|error| run(format!("signals stay held: {error}")))?;
    let (program, rest) =
        args.command.split_first().ok_or_else(|| run("there is no command".to_owned()))?;
    let mut command = Command::new(program);
    command.args(rest);
    Ok(command)
}

fn become_user(name: &str, uid: Uid, gid: Gid) -> nix::Result<()> {
    match CString::new(name) {
        Ok(name) => initgroups(&name, gid)?,
        Err(_) => setgroups(&[gid])?,
    }
    setgid(gid)?;
    setuid(uid)
}

fn failed(command: &[OsString], error: &io::Error) -> CliError {
    let program = command.first().map(|word| word.display().to_string()).unwrap_or_default();
    let exit = match error.kind() {
        io::ErrorKind::NotFound => Exit::NotFound,
        _ => Exit::NotExecutable,
    };
    let help = (error.kind() == io::ErrorKind::PermissionDenied)
        .then(|| "if its mode allows it, the policy does not: see the summary".to_owned());
    CliError::new(exit, format!("`{program}` was not executed: {error}")).help_if(help)
}
