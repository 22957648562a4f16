//! `pending`: the calls that are held, as the daemon says. Must not answer any.

use std::{collections::BTreeSet, time::Duration};

use execlayer_api::Question;

use crate::{
    daemon::Places,
    error::{CliError, Exit},
    held::{self, FAILED_ALREADY},
    output::{Screen, Table, printable},
    words,
};

/// Between two looks.
const PAUSE: Duration = Duration::from_secs(1);

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
  sudo execlayer pending --watch --agent coding-agent
  sudo execlayer approve 7
  sudo execlayer deny 8 --reason 'not this host'
  sudo execlayer pending --json | jq '.[].id'
  sudo execlayer pending --watch --json | jq --unbuffered -r .subject"
)]
pub(crate) struct Args {
    /// Only questions of this agent
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
    /// Go on until Ctrl-C: the list anew each second on a terminal, each new question once elsewhere
    #[arg(long)]
    watch: bool,
    /// Print one JSON array; with --watch one JSON object a line for each new question
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    places: Places,
}

pub(crate) fn run(args: &Args, screen: &Screen) -> Result<Exit, CliError> {
    let questions = || held::questions(&args.places, args.agent.as_deref());
    if !args.watch {
        let questions = questions()?;
        if args.json {
            screen.print_json(&questions)?;
        } else {
            screen.print(&text(&questions, screen))?;
        }
        return Ok(Exit::Done);
    }
    let mut seen = BTreeSet::new();
    loop {
        let questions = questions()?;
        if screen.is_live && !args.json {
            screen.redraw(&text(&questions, screen))?;
        } else {
            for question in questions.iter().filter(|question| !seen.contains(&question.id)) {
                if args.json {
                    screen.print_json_line(question)?;
                } else {
                    screen.print(&line(question))?;
                }
            }
            seen = questions.iter().map(|question| question.id).collect();
        }
        std::thread::sleep(PAUSE);
    }
}

fn text(questions: &[Question], screen: &Screen) -> String {
    if questions.is_empty() {
        return "no call is held\n".to_owned();
    }
    let mut table = Table::new(&[
        "id", "agent", "what", "program", "pid", "since", "left", "asked", "calls", "rule",
        "reason", "note",
    ]);
    for question in questions {
        table.row([
            question.id.to_string(),
            question.agent.clone(),
            format!("{} {}", question.access.join("+"), question.subject),
            question.program.clone(),
            question.pid.to_string(),
            words::span(question.waits),
            words::span(question.left),
            question.asked.clone(),
            question.calls.to_string(),
            question.rule.clone().unwrap_or_default(),
            question.message.clone().unwrap_or_default(),
            if question.held { String::new() } else { FAILED_ALREADY.to_owned() },
        ]);
    }
    table.render(screen.on_output)
}

/// A question for a log.
fn line(question: &Question) -> String {
    let mut line = format!(
        "{} {}: {} (process {}) wants to {}; {}; {} left",
        question.id,
        question.agent,
        question.program,
        question.pid,
        words::act(&question.access, &question.subject),
        words::rule(question.rule.as_deref(), question.file.as_deref(), question.line),
        words::span(question.left),
    );
    if let Some(message) = &question.message {
        line.push_str(&format!("; {message}"));
    }
    if !question.held {
        line.push_str(&format!("; {FAILED_ALREADY}"));
    }
    printable(&line)
}
