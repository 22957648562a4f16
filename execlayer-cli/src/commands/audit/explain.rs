//! `audit explain`: one record, from what was tried to the key that signed the rule. Must not judge anew.

use super::Place;
use crate::{
    error::{CliError, Exit},
    output::{Screen, printable},
    trail::{Line, Log, filter::Record},
    words,
};

/// Says why a call ended as it did
///
/// From the record to the rule that decided, the file and line where it stands, the policy and its digest, and the keys
/// that signed it.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_long_help = "\
Example:
  sudo execlayer audit show --verdict deny --last 5
  sudo execlayer audit explain 4711"
)]
pub(crate) struct Args {
    /// Number of the record
    #[arg(value_name = "SEQ")]
    seq: u64,
    #[command(flatten)]
    place: Place,
}

/// When the policy that judged came into force.
struct Policy {
    seq: u64,
    signers: Vec<String>,
}

pub(crate) fn run(args: &Args, screen: &Screen) -> Result<Exit, CliError> {
    let log = Log::at(&args.place.folder)?;
    let bytes = log.record(args.seq)?;
    let record = Record::of(&bytes)?;
    let policy = match record.digest.as_deref() {
        Some(digest) => in_force(&log, args.seq, digest)?,
        None => None,
    };
    screen.print(&text(&record, policy.as_ref()))?;
    Ok(Exit::Done)
}

/// The last record before `seq` that says that a policy with this digest came into force.
fn in_force(log: &Log, seq: u64, digest: &str) -> Result<Option<Policy>, CliError> {
    let needle = memchr::memmem::Finder::new(b"\"kind\":\"policy\"");
    let mut found = None;
    for first in log.segments()?.into_iter().take_while(|&first| first <= seq) {
        log.lines(first, 0, |line| {
            let Line::Whole(bytes) = line else { return Ok(()) };
            if needle.find(bytes).is_none() {
                return Ok(());
            }
            let record = Record::of(bytes)?;
            let is_it = record.kind == "policy" && record.digest.as_deref() == Some(digest);
            if is_it && record.seq < seq {
                found = Some(Policy { seq: record.seq, signers: record.signers });
            }
            Ok(())
        })?;
    }
    Ok(found)
}

fn text(record: &Record<'_>, policy: Option<&Policy>) -> String {
    let mut rows: Vec<(&str, String)> = Vec::new();
    let mut row = |name, value: Option<String>| rows.extend(value.map(|value| (name, value)));
    let owned = |value: Option<&str>| value.map(str::to_owned);
    row("record", Some(format!("{} ({}), {}", record.seq, record.kind, record.time)));
    row("agent", owned(record.agent.as_deref()));
    row("process", process(record));
    row("program", owned(record.exe.as_deref()));
    row("arguments", record.argv.as_ref().map(|argv| words::command(argv)));
    row("act", record.subject.as_deref().map(|subject| words::act(&record.access, subject)));
    row("verdict", verdict(record));
    let rule = record.rule.as_deref();
    row("rule", rule.map(|rule| words::rule(Some(rule), record.file.as_deref(), record.line)));
    row("its reason", owned(record.message.as_deref()));
    let version = record.version.unwrap_or_default();
    row("policy", record.policy.as_deref().map(|policy| format!("{policy} version {version}")));
    row("digest", owned(record.digest.as_deref()));
    row("in force", policy.map(|policy| format!("since record {}", policy.seq)));
    row("signed by", policy.map(|policy| policy.signers.join(", ")));
    rows.iter().map(|(name, value)| format!("{name:<11}{}\n", printable(value))).collect()
}

/// The process, and the governed ones above it.
fn process(record: &Record<'_>) -> Option<String> {
    let mut text = format!("{}[{}]", record.comm.as_deref()?, record.tgid?);
    for above in &record.ancestors {
        text.push_str(&format!(" < {}[{}]", above.comm, above.pid));
    }
    Some(text)
}

fn verdict(record: &Record<'_>) -> Option<String> {
    let mut text = format!(
        "{} ({})",
        record.verdict.as_deref()?,
        record.reason.as_deref().unwrap_or_default()
    );
    if let Some(count) = record.count {
        text.push_str(&format!(", {count} times"));
    }
    if record.enforced == Some(false) {
        text.push_str(", not enforced (monitor mode)");
    }
    Some(text)
}
