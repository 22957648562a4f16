//! `status`: what is in force, as the daemon says. Must not look at the kernel itself.

use execlayer_api::{Canary, Outcome, Request, State, Status};

use crate::{
    daemon::{self, Places},
    error::{CliError, Exit},
    output::{Screen, Table, printable, size},
    words::{self, ago},
};

/// Shows what is in force: daemon, kernel programs, policies, canary
///
/// Needs root, as the daemon's socket does. Exits with 7 if no daemon answers.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_long_help = "\
Examples:
  sudo execlayer status
  sudo execlayer status --json | jq '.profiles[] | {agent, mode, \"governed-tasks\"}'"
)]
pub(crate) struct Args {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    places: Places,
}

pub(crate) fn run(args: &Args, screen: &Screen) -> Result<Exit, CliError> {
    let status = match daemon::ask(&args.places, &Request::Status {})? {
        Outcome::Status(status) => status,
        other => return Err(daemon::unexpected(&other)),
    };
    if args.json {
        screen.print_json(&status)?;
    } else {
        screen.print(&text(&status, screen))?;
    }
    Ok(Exit::Done)
}

fn text(status: &Status, screen: &Screen) -> String {
    let paint = screen.on_output;
    let colour = match status.state {
        State::Enforcing => paint.green(),
        State::Starting | State::Stopping => paint.yellow(),
        State::Degraded => paint.red(),
    };
    let kind = if status.ephemeral { "ephemeral" } else { "service" };
    let mut text = format!(
        "{colour}{}{}: execlayerd {} ({kind}, process {}, started {}) on kernel {}\n",
        status.state.name(),
        paint.reset(),
        printable(&status.release),
        status.pid,
        ago(status.started),
        printable(&status.kernel),
    );
    for why in &status.degraded {
        text.push_str(&format!("  {}degraded{}: {}\n", paint.red(), paint.reset(), printable(why)));
    }
    text.push_str(&canary(status.canary.as_ref(), screen));
    let attached = status.programs.iter().filter(|program| program.attached).count();
    text.push_str(&format!("programs: {attached} of {} attached\n", status.programs.len()));
    for program in status.programs.iter().filter(|program| !program.attached) {
        let (name, hook) = (printable(&program.name), printable(&program.hook));
        text.push_str(&format!(
            "  {}not attached{}: {name} ({hook})\n",
            paint.red(),
            paint.reset()
        ));
    }
    let audit = &status.audit;
    text.push_str(&format!(
        "audit trail: {}, {}, {} signed\n",
        printable(&audit.folder),
        words::count(audit.records, "record"),
        audit.signed
    ));
    if audit.unwritten > 0 {
        text.push_str(&format!("records that could not be written: {}\n", audit.unwritten));
    }
    if status.unknown_events > 0 {
        text.push_str(&format!("unknown events: {}\n", status.unknown_events));
    }
    text.push_str(&format!("open scopes: {}\n\n", status.scopes));
    if status.profiles.is_empty() {
        text.push_str("no policy is in force\n");
        return text;
    }
    let mut table = Table::new(&[
        "agent",
        "policy",
        "version",
        "mode",
        "rules",
        "image",
        "tasks",
        "lost",
        "generation",
    ]);
    for profile in &status.profiles {
        table.row([
            profile.agent.clone(),
            profile.policy.clone(),
            profile.version.to_string(),
            profile.mode.name().to_owned(),
            profile.rules.to_string(),
            size(profile.image_bytes),
            profile.governed_tasks.to_string(),
            profile.lost_events.to_string(),
            profile.generation.to_string(),
        ]);
    }
    text + &table.render(paint)
}

fn canary(canary: Option<&Canary>, screen: &Screen) -> String {
    let paint = screen.on_output;
    let Some(canary) = canary else {
        return format!("canary: {}not tried yet{}\n", paint.yellow(), paint.reset());
    };
    let (colour, word) =
        if canary.passed { (paint.green(), "passed") } else { (paint.red(), "FAILED") };
    let mut text = format!("canary: {colour}{word}{} {}\n", paint.reset(), ago(canary.time));
    for act in &canary.acts {
        text.push_str(&format!("  {}\n", printable(act)));
    }
    text
}
