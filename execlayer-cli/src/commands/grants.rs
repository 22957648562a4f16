//! `grants` and `revoke`: answers that the daemon remembers. Must not give any.

use execlayer_api::{About, Grant, Outcome, Request, Whose};

use crate::{
    daemon::{self, AskError, Places},
    error::{CliError, Exit},
    output::{Screen, Table},
    words,
};

/// Lists the answers that are remembered
///
/// A call that one of them is about is not asked about.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_long_help = "\
Examples:
  sudo execlayer grants
  sudo execlayer revoke 3
  sudo execlayer grants --json | jq '.[] | {id, agent, subject, left}'"
)]
pub(crate) struct Args {
    /// Print one JSON array
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    places: Places,
}

/// Forgets answers that are remembered
///
/// The next call is asked about again.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_long_help = "\
Examples:
  sudo execlayer grants
  sudo execlayer revoke 3 4"
)]
pub(crate) struct Revoke {
    /// Numbers of the grants (`execlayer grants` lists them)
    #[arg(required = true, value_name = "ID")]
    ids: Vec<u64>,
    #[command(flatten)]
    places: Places,
}

pub(crate) fn run(args: &Args, screen: &Screen) -> Result<Exit, CliError> {
    let grants = match daemon::ask(&args.places, &Request::Grants {})? {
        Outcome::Grants(grants) => grants,
        other => return Err(daemon::unexpected(&other)),
    };
    if args.json {
        screen.print_json(&grants)?;
    } else {
        screen.print(&text(&grants, screen))?;
    }
    Ok(Exit::Done)
}

/// One that has ended meanwhile does not keep the others.
pub(crate) fn revoke(args: &Revoke, screen: &Screen) -> Result<Exit, CliError> {
    let mut exit = Exit::Done;
    for &id in &args.ids {
        match daemon::ask(&args.places, &Request::Revoke { id }) {
            Ok(Outcome::Revoked(revoked)) => screen.print(&format!("{}: forgotten", revoked.id))?,
            Ok(other) => return Err(daemon::unexpected(&other)),
            Err(AskError::Refused(failure)) => {
                CliError::failure(failure.message).help_if(failure.help).print(screen);
                exit = Exit::Failure;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(exit)
}

fn text(grants: &[Grant], screen: &Screen) -> String {
    if grants.is_empty() {
        return "no answer is remembered\n".to_owned();
    }
    let mut table = Table::new(&["id", "agent", "answer", "whose", "what", "rule", "by", "left"]);
    for grant in grants {
        table.row([
            grant.id.to_string(),
            grant.agent.clone(),
            if grant.allows { "allows" } else { "denies" }.to_owned(),
            match grant.scope {
                Whose::Tree => "one process tree",
                Whose::Profile => "everybody",
            }
            .to_owned(),
            match grant.about {
                About::Subject => format!("{} {}", grant.access.join("+"), grant.subject),
                About::Rule => format!("all of the rule, such as {}", grant.subject),
            },
            grant.rule.clone().unwrap_or_default(),
            grant.by.clone(),
            words::span(grant.left),
        ]);
    }
    table.render(screen.on_output)
}
