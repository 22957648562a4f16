//! `audit top`: what is denied most. Must not show single records.

use std::{borrow::Cow, cmp::Reverse, collections::BTreeMap};

use serde::Serialize;

use super::Place;
use crate::{
    error::{CliError, Exit},
    output::{Screen, Table},
    trail::{
        Log,
        filter::{Filter, Record},
    },
    words,
};

/// Counts verdicts by rule, agent, subject or program
///
/// Denials, unless --verdict says otherwise. What was counted instead of written out counts with its number.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_long_help = "\
Examples:
  sudo execlayer audit top
  sudo execlayer audit top --by subject --agent claude-code --since 7d"
)]
pub(crate) struct Args {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    filter: Filter,
    /// What to count by
    #[arg(long, value_enum, default_value_t = By::Rule)]
    by: By,
    /// How many rows
    #[arg(long, short = 'n', value_name = "NUMBER", default_value_t = 20)]
    rows: usize,
    /// Print one JSON array
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum By {
    /// The rule that decided, or the reason if none did
    Rule,
    /// The agent
    Agent,
    /// What it was about
    Subject,
    /// The program
    Program,
}

#[derive(Debug, Serialize)]
struct Row {
    count: u64,
    agent: String,
    what: String,
    last: String,
}

pub(crate) fn run(args: &Args, screen: &Screen) -> Result<Exit, CliError> {
    let log = Log::at(&args.place.folder)?;
    let mut rows = BTreeMap::new();
    log.wanted(&args.filter.or_denials(), |record| {
        count(&mut rows, record, args.by);
        Ok(())
    })?;
    let mut rows: Vec<Row> = rows.into_values().collect();
    rows.sort_by_key(|row| Reverse(row.count));
    rows.truncate(args.rows);
    if args.json {
        screen.print_json(&rows)?;
        return Ok(Exit::Done);
    }
    let mut table = Table::new(&["count", "agent", "what", "last"]);
    for Row { count, agent, what, last } in rows {
        table.row([count.to_string(), agent, what, last]);
    }
    screen.print(&table.render(screen.on_output))?;
    Ok(Exit::Done)
}

fn count(rows: &mut BTreeMap<(String, String), Row>, record: &Record<'_>, by: By) {
    let text = |text: &Option<Cow<'_, str>>| text.as_deref().unwrap_or("-").to_owned();
    let agent = text(&record.agent);
    let what = match by {
        By::Agent => String::new(),
        By::Subject => words::act(&record.access, record.subject.as_deref().unwrap_or_default()),
        By::Program => text(&record.exe),
        By::Rule => match record.rule.as_deref() {
            Some(rule) => words::rule(Some(rule), record.file.as_deref(), record.line),
            None => format!("no rule ({})", record.reason.as_deref().unwrap_or_default()),
        },
    };
    let key = (agent.clone(), what.clone());
    let row = rows.entry(key).or_insert(Row { count: 0, agent, what, last: String::new() });
    row.count += record.times();
    row.last = record.time.get(..19).unwrap_or_default().to_owned();
}
