//! `pending`: the calls that are held, as the daemon says. Must not answer any.

use execlayer_api::{Outcome, Question, Request};

use crate::{
    daemon::{self, Places},
    error::{CliError, Exit},
    output::{Screen, Table, printable},
};

/// Lists the calls that are held until somebody answers
///
/// A policy that says `ask` has the call wait in the kernel, if the daemon holds calls
/// (`execlayerd --hold SECONDS`). The program only sees that it takes long. Whoever does not answer
/// in time has denied that one call.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_long_help = "\
Examples:
  sudo execlayer pending
  sudo execlayer approve 7
  sudo execlayer deny 8 --reason 'not this host'
  sudo execlayer pending --json | jq '.[].id'"
)]
pub(crate) struct Args {
    /// Print one JSON array
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    places: Places,
}

pub(crate) fn run(args: &Args, screen: &Screen) -> Result<Exit, CliError> {
    let questions = match daemon::ask(&args.places, &Request::Questions {})? {
        Outcome::Questions(questions) => questions,
        other => return Err(daemon::unexpected(&other)),
    };
    if args.json {
        screen.print_json(&questions)?;
    } else {
        screen.print(&text(&questions, screen))?;
    }
    Ok(Exit::Done)
}

fn text(questions: &[Question], screen: &Screen) -> String {
    if questions.is_empty() {
        return "no call is held\n".to_owned();
    }
    let mut table =
        Table::new(&["id", "agent", "what", "program", "pid", "rule", "waits", "left", "reason"]);
    for question in questions {
        table.row([
            question.id.to_string(),
            question.agent.clone(),
            format!("{} {}", question.access.join("+"), question.subject),
            question.program.clone(),
            question.pid.to_string(),
            question.rule.clone().unwrap_or_default(),
            format!("{} s", question.waits),
            format!("{} s", question.left),
            printable(question.message.as_deref().unwrap_or_default()).to_string(),
        ]);
    }
    table.render(screen.on_output)
}
