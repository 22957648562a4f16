//! `doctor`: can this machine enforce, and what must change if not? Must only read.

use serde::Serialize;

use crate::{
    doctor::{Finding, Machine, State, examine},
    error::{CliError, Exit},
    output::{Screen, printable},
};

/// Says what this machine lacks to enforce policies, and how to change it
///
/// Looks at the kernel, its security modules, mounts and rights; changes nothing. Each line begins
/// with `ok`, with `fix` and what to do, or with `?` where this user may not look: try it with `sudo`.
///
/// Exits with 6 if something must be fixed.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_long_help = "\
Examples:
  sudo execlayer doctor
  sudo execlayer doctor --json | jq '.findings[] | select(.state == \"fix\")'"
)]
pub(crate) struct Args {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Record<'a> {
    ready: bool,
    findings: &'a [Finding],
}

pub(crate) fn run(args: &Args, screen: &Screen) -> Result<Exit, CliError> {
    let findings = examine(&Machine::this());
    let fixes = findings.iter().filter(|finding| finding.state == State::Fix).count();
    if args.json {
        screen.print_json(&Record { ready: fixes == 0, findings: &findings })?;
    } else {
        let lines: String = findings.iter().map(|finding| line(finding, screen)).collect();
        let end = match fixes {
            0 => "this machine can enforce".to_owned(),
            1 => "1 thing to fix".to_owned(),
            many => format!("{many} things to fix"),
        };
        screen.print(&format!("{lines}\n{end}"))?;
    }
    Ok(if fixes == 0 { Exit::Done } else { Exit::CannotEnforce })
}

fn line(finding: &Finding, screen: &Screen) -> String {
    let paint = screen.on_output;
    let (colour, word) = match finding.state {
        State::Ok => (paint.green(), "ok"),
        State::Fix => (paint.red(), "fix"),
        State::Unknown => (paint.yellow(), "?"),
    };
    let detail = printable(&finding.detail);
    let mut text = format!("{colour}{word:<4}{}{:<12} {detail}\n", paint.reset(), finding.name);
    for step in finding.remedy.iter().flat_map(|remedy| remedy.lines()) {
        text.push_str(&format!("    {:<12} -> {}\n", "", printable(step)));
    }
    text
}
