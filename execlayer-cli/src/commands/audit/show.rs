//! `audit show`: records for people and for programs. Must not check them; `audit verify` does.

use std::{collections::VecDeque, thread, time::Duration};

use super::Place;
use crate::{
    error::{CliError, Exit},
    output::{Screen, printable},
    trail::{
        Line, Log,
        filter::{Filter, Record, Sieve},
    },
    words,
};

/// How often a followed log is looked at.
const PAUSE: Duration = Duration::from_millis(200);

/// Shows records
///
/// One line each: number, time, agent, verdict, what it was about, and the rule. With --json they are printed as they
/// are stored.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_long_help = "\
Examples:
  sudo execlayer audit show --verdict deny --since 1h
  sudo execlayer audit show --agent claude-code --path '/etc/**'
  sudo execlayer audit show --last 20 --follow
  sudo execlayer audit show --verdict deny --json | jq -r .subject | sort | uniq -c"
)]
pub(crate) struct Args {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    filter: Filter,
    /// Only the last so many of them
    #[arg(long, short = 'n', value_name = "NUMBER")]
    last: Option<usize>,
    /// Go on with what is written from now on, until Ctrl-C
    #[arg(long, short)]
    follow: bool,
    /// Print the records as they are stored, a line of JSON each
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args, screen: &Screen) -> Result<Exit, CliError> {
    let log = Log::at(&args.place.folder)?;
    let sieve = args.filter.sieve();
    let mut kept = VecDeque::new();
    let mut at = (0, 0);
    for first in log.segments()? {
        let end = log.lines(first, 0, |line| {
            let Some(text) = shown(line, &sieve, args.json, screen)? else { return Ok(()) };
            let Some(most) = args.last else { return screen.print(&text) };
            kept.push_back(text);
            if kept.len() > most {
                kept.pop_front();
            }
            Ok(())
        })?;
        at = (first, end);
    }
    kept.iter().try_for_each(|text| screen.print(text))?;
    if args.follow { follow(&log, &sieve, args.json, at, screen) } else { Ok(Exit::Done) }
}

/// What is added behind a byte of a segment, for ever.
fn follow(
    log: &Log,
    sieve: &Sieve<'_>,
    is_json: bool,
    (mut segment, mut end): (u64, u64),
    screen: &Screen,
) -> Result<Exit, CliError> {
    loop {
        // Whatever is in this segment was written before the next one was begun.
        let next = log.segments()?.into_iter().find(|&first| first > segment);
        end = log.lines(segment, end, |line| {
            shown(line, sieve, is_json, screen)?.map_or(Ok(()), |text| screen.print(&text))
        })?;
        match next {
            Some(next) => (segment, end) = (next, 0),
            None => thread::sleep(PAUSE),
        }
    }
}

/// A record as it is printed, if it is wanted.
fn shown(
    line: Line<'_>,
    sieve: &Sieve<'_>,
    is_json: bool,
    screen: &Screen,
) -> Result<Option<String>, CliError> {
    let Line::Whole(bytes) = line else { return Ok(None) };
    let Some(record) = sieve.take(bytes)? else { return Ok(None) };
    Ok(Some(if is_json {
        String::from_utf8_lossy(bytes).into_owned()
    } else {
        text(&record, screen)
    }))
}

fn text(record: &Record<'_>, screen: &Screen) -> String {
    let time = record.time.get(..19).unwrap_or(&record.time).replace('T', " ");
    let agent = record.agent.as_deref().unwrap_or("-");
    printable_line(&format!("{:>8}  {time}  {agent}", record.seq), &about(record), screen)
}

/// What happened, and the colour of its verdict.
fn about(record: &Record<'_>) -> (String, Option<bool>) {
    let by = record.by.as_deref().unwrap_or_default();
    let what = record.what.as_deref().unwrap_or_default();
    match &*record.kind {
        "verdict" | "question" | "repeat" => {
            let act = words::act(&record.access, record.subject.as_deref().unwrap_or_default());
            let verdict = record.verdict.as_deref().unwrap_or_default();
            let monitor = if record.enforced == Some(false) { " (not enforced)" } else { "" };
            let rule = match record.rule.as_deref() {
                Some(_) => words::rule(record.rule.as_deref(), record.file.as_deref(), record.line),
                None => record.reason.as_deref().unwrap_or_default().to_owned(),
            };
            let who = format!(
                "{}[{}]",
                record.comm.as_deref().unwrap_or_default(),
                record.tgid.unwrap_or_default()
            );
            let number = record.question.map(|id| format!(" question {id}")).unwrap_or_default();
            let times =
                record.count.map(|count| format!(" {count} times more")).unwrap_or_default();
            (
                format!("{verdict}{monitor}{number}{times}  {who}  {act}  {rule}"),
                Some(verdict == "deny"),
            )
        }
        "answer" => {
            let answer =
                record.answer.as_ref().and_then(|answer| answer.as_str()).unwrap_or_default();
            (
                format!(
                    "question {} ended: {answer}, by {by}",
                    record.question.unwrap_or_default()
                ),
                Some(answer != "allowed"),
            )
        }
        "lost" => (
            format!(
                "{} records are missing ({})",
                record.lost.unwrap_or_default(),
                record.cause.as_deref().unwrap_or_default()
            ),
            Some(true),
        ),
        "trail" => match &record.set_aside {
            Some(problem) => (format!("the trail was set aside: {problem}"), Some(true)),
            None => (
                format!("the trail goes on after {} records", record.size.unwrap_or_default()),
                None,
            ),
        },
        "state" => (
            format!("the daemon: {what}: {}", record.reasons.join("; ")),
            Some(matches!(what, "failed" | "degraded")),
        ),
        "removed" => {
            (format!("records before {} are removed", record.first.unwrap_or_default()), None)
        }
        "policy" => (
            format!(
                "policy `{}` version {} is in force",
                record.policy.as_deref().unwrap_or_default(),
                record.version.unwrap_or_default()
            ),
            None,
        ),
        kind => (format!("{kind} {what}, by {by}"), None),
    }
}

fn printable_line(head: &str, about: &(String, Option<bool>), screen: &Screen) -> String {
    let paint = screen.on_output;
    let (text, is_bad) = about;
    let (on, off) = match is_bad {
        Some(true) => (paint.red(), paint.reset()),
        _ => ("", ""),
    };
    format!("{}  {on}{}{off}", printable(head), printable(text))
}
