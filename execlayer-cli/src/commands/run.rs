//! `run`: a program under a policy, from the policy's text to the summary at the end. Reads top to
//! bottom; must not leave anything half-done: nothing starts before its scope is open.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::ExitCode,
};

use execlayer_api::{Summary, places};
use execlayer_common::provenance::{DeciderKind, Provenance};
use nix::unistd::geteuid;

use crate::{
    compile::{self, Filling},
    daemon::{Places, Start},
    domain,
    error::{CliError, Exit},
    files,
    output::{Screen, to_json},
    scope::{self, Signals, User},
    summary,
};

/// Runs a program under a policy
///
/// Compiles the policy, signs it with this machine's own key (made on first use), starts a daemon if
/// none runs, and executes COMMAND in a scope of its own. From its first moment on, the kernel denies
/// COMMAND and all its descendants what the policy does not allow. Input, output, signals and the exit
/// code pass through; at the end the denials are summed up on standard error.
///
/// A daemon that was started for this ends when nothing is governed any more.
///
/// Needs root. COMMAND runs as root too unless `--user` says otherwise.
///
/// Exits with COMMAND's exit code, 128+n if signal n ended it, 125 if execlayer failed, 126 if
/// COMMAND cannot be executed, 127 if it was not found.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_long_help = "\
Examples:
  sudo execlayer run --policy policies/coding-agent --user \"$USER\" -- bash
  sudo execlayer run --policy coding-agent --var WORKSPACE=\"$PWD\" --user \"$USER\" -- \\
      python3 agent.py
  sudo execlayer run --policy coding-agent --quiet --summary-json denied.json -- make"
)]
pub(crate) struct Args {
    /// A file, a folder with a `policy.toml`, or the name of a policy
    #[arg(long, short, value_name = "POLICY")]
    policy: String,
    #[command(flatten)]
    filling: Filling,
    /// User that COMMAND runs as, by name or number
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// Name for this agent, instead of the policy's: lets one policy run twice with other variables
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
    /// Put this policy in force for programs, too, that run under another version of it
    #[arg(long)]
    replace: bool,
    /// Fail if no service runs, instead of starting a daemon
    #[arg(long)]
    service: bool,
    /// Keep COMMAND in a control group below the one that this runs in, whose limits hold for it then: for units with
    /// `Delegate=yes`
    #[arg(long)]
    in_unit: bool,
    /// End what COMMAND left running when it has ended, and all of it 20 s after SIGTERM: for services
    #[arg(long)]
    end_rest: bool,
    /// Print no summary
    #[arg(long, short)]
    quiet: bool,
    /// Write the summary to a file, as one JSON object
    #[arg(long, value_name = "FILE")]
    summary_json: Option<PathBuf>,
    #[command(flatten)]
    places: Places,
    /// Folder of this machine's own key
    #[arg(long, value_name = "DIR", default_value = places::STATE_DIR)]
    state_dir: PathBuf,
    /// Folder of the audit trail, if a daemon is started
    #[arg(long, value_name = "DIR")]
    audit: Option<PathBuf>,
    /// The program and its arguments
    #[arg(value_name = "COMMAND", required = true, last = true)]
    command: Vec<OsString>,
}

pub(crate) fn run(args: &Args, screen: &Screen) -> Result<ExitCode, CliError> {
    if !geteuid().is_root() {
        return Err(CliError::new(Exit::Run, "`run` needs root: it puts a policy in the kernel")
            .help("sudo execlayer run --policy ... --user \"$USER\" -- COMMAND"));
    }
    let user = args.user.as_deref().map(find_user).transpose()?;
    let (_, mut lowered) = compile::lowered_or_fail(&args.policy, &args.filling, screen)?;
    if let Some(agent) = &args.agent {
        lowered.provenance.agent.clone_from(agent);
    }
    if !args.quiet && asks_people(&lowered.provenance) {
        screen.note(
            "execlayer: calls that this policy asks about wait: answer with `sudo execlayer ask`",
        );
    }
    let (bundle, agent) = domain::sign(&args.state_dir, lowered)?;
    let signals = Signals::hold()?;
    let start = Start {
        places: &args.places,
        state_dir: &args.state_dir,
        audit: args.audit.as_deref(),
        remark: (!args.quiet).then_some(screen),
        may_start: !args.service,
    };
    let refuse = || in_use(&agent);
    let refuse: Option<&dyn Fn() -> CliError> = if args.replace { None } else { Some(&refuse) };
    let scope = domain::open(&start, &bundle, &agent, refuse, args.in_unit)?;
    let cgroup = Path::new(&scope.cgroup);
    let rest = args.end_rest.then(|| cgroup.to_owned());
    let status = scope::start(cgroup, user.as_ref(), &args.command)
        .and_then(|mut child| signals.wait(&mut child, rest.as_deref()));
    if let Some(cgroup) = &rest {
        scope::end_all(cgroup)?;
    }
    let summary = domain::close(&args.places, &scope);
    // The program's end counts for more than a summary that could not be had.
    let code = ExitCode::from(scope::exit_code(status?));
    match summary {
        Ok(summary) => show(args, &agent, &summary, screen)?,
        Err(error) => error.print(screen),
    }
    Ok(code)
}

/// Whether a call may wait for a person.
fn asks_people(provenance: &Provenance) -> bool {
    let is_human = |index: &u32| {
        let decider = provenance.deciders.get(*index as usize);
        decider.is_some_and(|decider| matches!(decider.kind, DeciderKind::Human {}))
    };
    let mut asking = provenance.rules.iter().filter_map(|rule| rule.asking.as_ref());
    asking.any(|asking| asking.deciders.is_empty() || asking.deciders.iter().any(is_human))
}

fn find_user(name: &str) -> Result<User, CliError> {
    use nix::unistd::{Uid, User as Entry};
    let entry = match name.parse() {
        Ok(uid) => Entry::from_uid(Uid::from_raw(uid)),
        Err(_) => Entry::from_name(name),
    };
    match entry {
        Ok(Some(entry)) => Ok(User {
            name: entry.name,
            uid: entry.uid.as_raw(),
            gid: entry.gid.as_raw(),
            home: entry.dir.into_os_string(),
        }),
        Ok(None) => Err(CliError::new(Exit::Run, format!("there is no user `{name}`"))),
        Err(error) => {
            Err(CliError::new(Exit::Run, format!("user `{name}` cannot be looked up: {error}")))
        }
    }
}

fn in_use(agent: &str) -> CliError {
    let message = format!(
        "agent `{agent}` is running under another version of this policy, or with other variables"
    );
    CliError::failure(message)
        .help(format!("run this one beside it: `--agent {agent}-2`"))
        .help("or change the policy of both: `--replace`")
}

fn show(args: &Args, agent: &str, summary: &Summary, screen: &Screen) -> Result<(), CliError> {
    if let Some(path) = &args.summary_json {
        files::write_whole(path, (to_json(summary)? + "\n").as_bytes(), 0o644)?;
    }
    if !args.quiet {
        screen.note(&summary::text(agent, summary, screen.on_error));
    }
    Ok(())
}
