//! `audit timeline`: one session of an agent as a tree of processes, with what each tried. Must not count.

use std::collections::BTreeMap;

use super::Place;
use crate::{
    error::{CliError, Exit},
    output::{Screen, printable},
    trail::{
        Log,
        filter::{Filter, Record},
    },
    words,
};

/// Shows a session's processes as a tree, with what each tried
///
/// Only processes that a record is about, and those above them, are known. Without a filter, all sessions are shown.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_long_help = "\
Examples:
  sudo execlayer audit timeline --agent claude-code --since 1h
  sudo execlayer audit timeline --session 17"
)]
pub(crate) struct Args {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    filter: Filter,
}

/// A process, and what it tried.
#[derive(Debug, Default)]
struct Process {
    name: String,
    acts: Vec<String>,
    children: BTreeMap<u32, Process>,
}

pub(crate) fn run(args: &Args, screen: &Screen) -> Result<Exit, CliError> {
    let log = Log::at(&args.place.folder)?;
    let mut sessions: BTreeMap<(String, u64), Process> = BTreeMap::new();
    log.wanted(&args.filter, |record| {
        if let (Some(session), Some(_any)) = (record.session, record.verdict.as_deref()) {
            let agent = record.agent.as_deref().unwrap_or("-").to_owned();
            note(sessions.entry((agent, session)).or_default(), record);
        }
        Ok(())
    })?;
    let (bold, reset) = (screen.on_output.bold(), screen.on_output.reset());
    for ((agent, session), root) in &sessions {
        screen.print(&format!("{bold}{}, session {session}{reset}", printable(agent)))?;
        show(root, 1, screen)?;
    }
    Ok(Exit::Done)
}

/// Puts a record to its process, below those above it.
fn note(root: &mut Process, record: &Record<'_>) {
    let mut at = root;
    for above in record.ancestors.iter().rev() {
        at = at.children.entry(above.pid).or_default();
        if at.name.is_empty() {
            at.name.clone_from(&above.comm);
        }
    }
    let process = at.children.entry(record.tgid.unwrap_or_default()).or_default();
    process.name = record.argv.as_ref().map_or_else(
        || record.comm.as_deref().unwrap_or_default().to_owned(),
        |argv| words::command(argv),
    );
    let times = record.count.map(|count| format!(" {count} times more")).unwrap_or_default();
    process.acts.push(format!(
        "{} {}{times}: {}, {}",
        record.time.get(11..19).unwrap_or_default(),
        record.verdict.as_deref().unwrap_or_default(),
        words::act(&record.access, record.subject.as_deref().unwrap_or_default()),
        words::rule(record.rule.as_deref(), record.file.as_deref(), record.line),
    ));
}

fn show(process: &Process, depth: usize, screen: &Screen) -> Result<(), CliError> {
    let indent = "  ".repeat(depth);
    for (pid, child) in &process.children {
        screen.print(&format!("{indent}{}[{pid}]", printable(&child.name)))?;
        for act in &child.acts {
            screen.print(&format!("{indent}  - {}", printable(act)))?;
        }
        show(child, depth + 1, screen)?;
    }
    Ok(())
}
