//! `why`: what was denied to a process tree lately, as the daemon says. Must not judge anything.

use std::io;

use execlayer_api::{Advice, Denial, Outcome, Request, places};

use crate::{
    daemon::{self, AskError, Places},
    error::{CliError, Exit},
    output::{Screen, printable},
    words,
};

/// Says what was denied lately, by which rule, and whether to try again
///
/// Without --pid it is about the process tree that calls it, and needs no rights: an agent can find
/// out itself why its call failed. With --pid it needs root.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_long_help = "\
Examples:
  execlayer why
  execlayer why --json | jq '.[] | {subject, advice}'
  sudo execlayer why --pid 4711"
)]
pub(crate) struct Args {
    /// A process of the tree [default: the caller]
    #[arg(long, value_name = "PID")]
    pid: Option<u32>,
    /// Print one JSON array
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    places: Places,
}

pub(crate) fn run(args: &Args, screen: &Screen) -> Result<Exit, CliError> {
    let outcome = match args.pid {
        Some(pid) => daemon::ask(&args.places, &Request::Why { pid })?,
        None => daemon::listen(&args.places.run_dir.join(places::WHY_SOCKET)).map_err(kept_away)?,
    };
    let denials = match outcome {
        Outcome::Why(denials) => denials,
        other => return Err(daemon::unexpected(&other)),
    };
    if args.json {
        screen.print_json(&denials)?;
    } else if denials.is_empty() {
        screen.print("nothing was denied lately")?;
    } else {
        let texts: Vec<String> = denials.iter().map(text).collect();
        screen.print(&texts.join("\n"))?;
    }
    Ok(Exit::Done)
}

/// The socket is everybody's: who may not use it is kept from it by something else.
fn kept_away(error: AskError) -> CliError {
    match error {
        AskError::Nobody(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            CliError::failure("this process may not connect to the daemon's socket")
                .help("ask a person for the reason: `sudo execlayer why --pid PID`")
        }
        other => other.into(),
    }
}

fn text(denial: &Denial) -> String {
    let times = match denial.count {
        0 | 1 => String::new(),
        count => format!(", {count} times in a row"),
    };
    let mut text = format!(
        "{}{times}: {} (process {}) wanted to {}\n",
        words::ago(denial.time),
        printable(&denial.program),
        denial.pid,
        words::act(&denial.access, &denial.subject),
    );
    if denial.rule.is_some() {
        let rule = words::rule(denial.rule.as_deref(), denial.file.as_deref(), denial.line);
        text.push_str(&format!("  {rule}: "));
    } else {
        text.push_str("  ");
    }
    text.push_str(&format!("{}\n", printable(&denial.meaning)));
    if let Some(message) = &denial.message {
        text.push_str(&format!("  {}\n", printable(message)));
    }
    text.push_str(match denial.advice {
        Advice::RetryAfterApproval => {
            "  retry after approval: a person can approve it with `execlayer approve`\n"
        }
        Advice::DoNotRetry => "  do not retry: it will be denied again\n",
    });
    text
}
