//! `approve` and `deny`: somebody's answer to a call that is held. Must not choose it.

use execlayer_api::{Outcome, Request};

use crate::{
    daemon::{self, Places},
    error::{CliError, Exit},
    output::Screen,
};

/// Lets a call that is held go on, this once
///
/// The same call is asked about again the next time.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_long_help = "\
Examples:
  sudo execlayer pending
  sudo execlayer approve 7 8"
)]
pub(crate) struct Approve {
    /// Numbers of the questions (`execlayer pending` lists them)
    #[arg(required = true, value_name = "ID")]
    ids: Vec<u64>,
    #[command(flatten)]
    places: Places,
}

/// Denies a call that is held, this once
///
/// The call fails with "permission denied".
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_long_help = "\
Examples:
  sudo execlayer deny 7
  sudo execlayer deny 8 --reason 'not this host'"
)]
pub(crate) struct Deny {
    /// Numbers of the questions (`execlayer pending` lists them)
    #[arg(required = true, value_name = "ID")]
    ids: Vec<u64>,
    /// Why, for the event log
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    places: Places,
}

pub(crate) fn approve(args: &Approve, screen: &Screen) -> Result<Exit, CliError> {
    answer(&args.places, &args.ids, true, None, screen)
}

pub(crate) fn deny(args: &Deny, screen: &Screen) -> Result<Exit, CliError> {
    answer(&args.places, &args.ids, false, args.reason.as_deref(), screen)
}

fn answer(
    places: &Places,
    ids: &[u64],
    allow: bool,
    message: Option<&str>,
    screen: &Screen,
) -> Result<Exit, CliError> {
    for &id in ids {
        let request = Request::Answer {
            id,
            allow,
            remember: Default::default(),
            message: message.map(str::to_owned),
        };
        match daemon::ask(places, &request)? {
            Outcome::Answered(answered) => {
                let word = if answered.allowed { "goes on" } else { "is denied" };
                screen.print(&format!("{}: {word}\n", answered.id))?;
            }
            other => return Err(daemon::unexpected(&other)),
        }
    }
    Ok(Exit::Done)
}
