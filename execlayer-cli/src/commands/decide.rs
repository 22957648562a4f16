//! `approve` and `deny`: somebody's answer to a call that is held. Must not choose it.

use std::{path::PathBuf, time::SystemTime};

use execlayer_api::{About, Remember, Whose};

use crate::{
    daemon::Places,
    error::{CliError, Exit},
    held::{self, Answer},
    output::Screen,
    proposals::{self, Proposal},
    words,
};

/// For how long an answer holds.
#[derive(Debug, clap::Args)]
struct Lasting {
    /// For this call, whatever the rule says
    #[arg(long, conflicts_with = "time")]
    once: bool,
    /// For a time, such as 30s, 10m, 2h or 7d: the same access to the same subject, of the process
    /// tree that asked
    #[arg(long = "for", value_name = "TIME", value_parser = words::duration)]
    time: Option<u64>,
    /// With --for: of everybody under this policy
    #[arg(long, requires = "time")]
    everywhere: bool,
    /// With --for: all that the same rule asks about
    #[arg(long, requires = "time")]
    whole_rule: bool,
}

impl Lasting {
    fn remember(&self) -> Remember {
        match self.time {
            Some(seconds) => Remember::For {
                seconds,
                scope: if self.everywhere { Whose::Profile } else { Whose::Tree },
                about: if self.whole_rule { About::Rule } else { About::Subject },
            },
            None if self.once => Remember::Once,
            None => Remember::AsRule,
        }
    }
}

/// Lets a call that is held go on
///
/// The answer holds for as long as the rule says with `remember`, or else for this call: the same
/// call is asked about again the next time. `execlayer grants` lists what is remembered.
///
/// `--always-this-subject` changes no policy. It lets the call go on once, and adds a rule to a file
/// of proposals, which a person has to put into the policy, sign and install.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_long_help = "\
Examples:
  sudo execlayer pending
  sudo execlayer approve 7 8
  sudo execlayer approve 7 --for 10m
  sudo execlayer approve 7 --for 2h --everywhere --whole-rule
  sudo execlayer approve 7 --always-this-subject --rules-file proposed.toml"
)]
pub(crate) struct Approve {
    /// Numbers of the questions (`execlayer pending` lists them)
    #[arg(required = true, value_name = "ID")]
    ids: Vec<u64>,
    #[command(flatten)]
    lasting: Lasting,
    /// Once, and propose a rule that would allow it
    #[arg(long, conflicts_with_all = ["once", "time"])]
    always_this_subject: bool,
    /// With --always-this-subject: where the proposed rule is added
    #[arg(
        long,
        value_name = "FILE",
        requires = "always_this_subject",
        default_value = proposals::FILE
    )]
    rules_file: PathBuf,
    #[command(flatten)]
    places: Places,
}

/// Denies a call that is held
///
/// The call fails with "permission denied". The same call is asked about again the next time, unless
/// `--for` says otherwise.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_long_help = "\
Examples:
  sudo execlayer deny 7
  sudo execlayer deny 8 --reason 'not this host'
  sudo execlayer deny 8 --for 1h --everywhere"
)]
pub(crate) struct Deny {
    /// Numbers of the questions (`execlayer pending` lists them)
    #[arg(required = true, value_name = "ID")]
    ids: Vec<u64>,
    #[command(flatten)]
    lasting: Lasting,
    /// Why, for the audit trail and for the agent
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    places: Places,
}

pub(crate) fn approve(args: &Approve, screen: &Screen) -> Result<Exit, CliError> {
    let remember = if args.always_this_subject {
        propose(args, screen)?;
        Remember::Once
    } else {
        args.lasting.remember()
    };
    let answer = Answer { allow: true, remember, message: None };
    answer_each(&args.places, &args.ids, &answer, screen)
}

pub(crate) fn deny(args: &Deny, screen: &Screen) -> Result<Exit, CliError> {
    let remember = args.lasting.remember();
    let answer = Answer { allow: false, remember, message: args.reason.as_deref() };
    answer_each(&args.places, &args.ids, &answer, screen)
}

/// Writes the rules first: a person who sees the call go on counts on them.
fn propose(args: &Approve, screen: &Screen) -> Result<(), CliError> {
    let questions = held::questions(&args.places, None)?;
    let mut proposed = Vec::new();
    for &id in &args.ids {
        let question = questions.iter().find(|question| question.id == id).ok_or_else(|| {
            CliError::failure(format!("there is no open question {id}; nothing was answered"))
                .help("`execlayer pending` lists those that are open")
        })?;
        proposed.push(Proposal::of(question)?);
    }
    let ids = proposals::append(&args.rules_file, &proposed, SystemTime::now())?;
    let names: Vec<String> = ids.iter().map(|id| format!("`{id}`")).collect();
    let file = args.rules_file.display();
    screen.note(&format!("proposed {} in `{file}`; no policy was changed", names.join(", ")));
    screen.note("  a person has to put it into the policy, sign that and install it");
    screen.note("  ask beats allow: the rule that asks has to leave this subject out, too");
    Ok(())
}

/// One that has ended meanwhile does not keep the others waiting.
fn answer_each(
    places: &Places,
    ids: &[u64],
    answer: &Answer<'_>,
    screen: &Screen,
) -> Result<Exit, CliError> {
    let mut exit = Exit::Done;
    for &id in ids {
        match held::answer(places, id, answer)? {
            Ok(answered) => screen.print(&held::outcome(&answered))?,
            Err(failure) => {
                CliError::failure(failure.message).help_if(failure.help).print(screen);
                exit = Exit::Failure;
            }
        }
    }
    Ok(exit)
}
