//! `selftest`: ways around the gate, tried on this machine. Reads top to bottom: the yard, the acts
//! ungoverned, the same acts in a domain, the comparison. Must not leave anything behind.

use std::path::{Path, PathBuf};

use execlayer_api::{Outcome, Request, places};
use nix::unistd::geteuid;

use crate::{
    daemon::{self, Places, Start},
    domain,
    error::{CliError, Exit},
    files,
    output::{Screen, to_json},
    scope::Signals,
    selftest::{
        self, Plan, acts,
        compare::{Counts, Finding, compare},
        report::Report,
        runs, trial,
        yard::Yard,
    },
};

/// Tries ways around the gate, and says what the kernel answered
///
/// Makes a folder with files, programs and sockets, forbids half of them, and tries to reach those all
/// the same: by links, moves, descriptors, loaders, other processes, namespaces and much else. Each act
/// is tried ungoverned first, where it must work, and then in a domain of its own, where it must be
/// stopped; its twin, which is about something allowed, must pass. Takes some seconds, changes nothing
/// outside of that folder, and removes it.
///
/// Needs root. Starts a daemon if none runs.
///
/// Exits with 0 if all was stopped, 8 if something went through, 4 if something was stopped otherwise
/// than expected or a twin was, and 9 if something could not be tried.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_long_help = "\
Examples:
  sudo execlayer selftest
  sudo execlayer selftest --filter moving --filter ld_preload
  sudo execlayer selftest --folder /srv/agents     # on the file system that agents work on
  sudo execlayer selftest --monitor                # what goes through where nothing is enforced
  sudo execlayer selftest --json | jq '.findings[] | select(.verdict != \"stopped\")'"
)]
pub(crate) struct Args {
    /// Only acts whose group or name contains this; may be repeated
    #[arg(long, value_name = "TEXT")]
    filter: Vec<String>,
    /// Only judge and record, as policies with `mode = "monitor"` do: the acts go through, and are listed
    #[arg(long)]
    monitor: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Where the folder is made [default: `/tmp`, or `$TMPDIR`]
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    #[command(flatten)]
    places: Places,
    /// Folder of this machine's own key
    #[arg(long, value_name = "DIR", default_value = places::STATE_DIR)]
    state_dir: PathBuf,
    /// Folder of the audit trail, if a daemon is started
    #[arg(long, value_name = "DIR")]
    audit: Option<PathBuf>,
}

/// Another process reads it, or may not.
static BYTE: u8 = 7;

pub(crate) fn run(args: &Args, screen: &Screen) -> Result<Exit, CliError> {
    let chosen = chosen(&args.filter)?;
    if !geteuid().is_root() {
        let message = "`selftest` needs root: it puts a policy in the kernel";
        return Err(CliError::new(Exit::NeedsRoot, message).help("sudo execlayer selftest"));
    }
    let remark = (!args.json).then_some(screen);
    let (places, state_dir, audit) = (&args.places, &*args.state_dir, args.audit.as_deref());
    let start = Start { places, state_dir, audit, remark, may_start: true };
    // Before there is anything to remove: until it answers, Ctrl-C ends the tool.
    daemon::find_or_start(&start)?;
    let signals = Signals::hold()?;
    let mut yard = Yard::make(&args.folder.clone().unwrap_or_else(std::env::temp_dir))?;
    let plan = plan(args, &yard, &chosen)?;
    let (bundle, agent) = domain::sign(state_dir, selftest::lowered(&plan, args.monitor)?)?;
    let file = trial::plan_file(&plan);
    files::write_whole(&file, to_json(&plan)?.as_bytes(), 0o600)?;
    yard.furnish()?;
    let free = runs::ungoverned(&signals, &file)?;
    yard.furnish()?;
    let scope = domain::open(&start, &bundle, &agent, Some(&in_use), false)?;
    let governed = runs::governed(&signals, &file, Path::new(&scope.cgroup));
    let closed = domain::close(places, &scope);
    let governed = governed?;
    closed?;
    drop(yard);
    let compared = chosen.iter().map(|(group, act)| compare(group, act, &free, &governed));
    let findings: Vec<Finding> = compared.collect();
    let counts = Counts::of(&findings);
    let report = Report { monitor: args.monitor, counts, findings: &findings };
    if args.json {
        screen.print_json(&report)?;
    } else {
        screen.print(&report.text(screen.on_output))?;
    }
    Ok(counts.exit())
}

type Chosen = Vec<(&'static str, &'static selftest::Act)>;

fn chosen(filter: &[String]) -> Result<Chosen, CliError> {
    let filter: Vec<String> = filter.iter().map(|text| text.to_lowercase()).collect();
    let is_wanted = |text: &str| filter.iter().any(|part| text.to_lowercase().contains(part));
    let chosen: Chosen = acts::all()
        .filter(|(group, act)| filter.is_empty() || is_wanted(group) || is_wanted(act.name))
        .collect();
    if chosen.is_empty() {
        return Err(CliError::new(Exit::Usage, "no act's group or name contains that"));
    }
    Ok(chosen)
}

fn plan(args: &Args, yard: &Yard, chosen: &Chosen) -> Result<Plan, CliError> {
    let daemon = match daemon::ask(&args.places, &Request::Hello {})? {
        Outcome::Hello(hello) => hello.pid,
        other => return Err(daemon::unexpected(&other)),
    };
    files::own_folder(&args.state_dir, 0o700)?;
    let real =
        |path: &Path| path.canonicalize().map_err(|error| files::cannot("find", path, &error));
    let number = |pid: u32| {
        let number = i32::try_from(pid);
        number.map_err(|error| CliError::failure(format!("process {pid}: {error}")))
    };
    Ok(Plan {
        yard: yard.folder().to_owned(),
        ports: yard.ports(),
        outsider: number(std::process::id())?,
        byte: (&raw const BYTE).addr(),
        daemon: number(daemon)?,
        run_dir: real(&args.places.run_dir)?,
        state_dir: real(&args.state_dir)?,
        acts: chosen.iter().map(|(_, act)| act.name.to_owned()).collect(),
    })
}

fn in_use() -> CliError {
    CliError::failure("another self-test runs").help("wait for its end")
}
