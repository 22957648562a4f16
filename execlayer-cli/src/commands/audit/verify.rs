//! `audit verify`: whether a log is what its device wrote. Must not need the daemon, or the machine it ran on.

use std::{path::PathBuf, thread, time::Duration};

use execlayer_audit::{
    LogKey, segment,
    verify::{Report, Verification},
};
use memchr::memmem;
use serde::Serialize;

use super::Place;
use crate::{
    error::{CliError, Exit},
    output::{Screen, printable},
    trail::{self, Line, Log, filter::Record},
};

/// Checks that no record was changed, removed, moved or put in
///
/// Works on any machine, on a copy of the folder, with nothing but the device's public key: a line such as
/// `host/execlayer/1a2b3c4d+5e6f7a8b+AZ...`, which `log.pub` in the folder holds. Keep a copy elsewhere: without --key,
/// the folder's own is used, and whoever replaced the whole log replaced that, too.
///
/// A checkpoint that was kept elsewhere (--checkpoint; every copy of the file `checkpoint` is one) shows that nothing
/// up to it was rewritten even by someone who has the device's private key.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_long_help = "\
Examples:
  sudo execlayer audit verify
  execlayer audit verify ./copy-of-audit --key log.pub --checkpoint checkpoint-of-last-week
  execlayer audit verify ./copy-of-audit --key log.pub --json | jq .findings"
)]
pub(crate) struct Args {
    #[command(flatten)]
    place: Place,
    /// File of the device's public key [default: log.pub in the folder]
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// File of a checkpoint that was kept elsewhere; may be repeated
    #[arg(long, value_name = "FILE")]
    checkpoint: Vec<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// How often something that a daemon may be about to finish is looked at, and with what pause.
const LOOKS: u32 = 10;
const PAUSE: Duration = Duration::from_millis(100);

#[derive(Debug, Serialize)]
struct Verified {
    origin: Option<String>,
    /// Records before this number were removed by the daemon itself, as its settings ask.
    removed: u64,
    /// How many were written.
    records: u64,
    /// How many of them a signed head covers.
    proved: u64,
    /// What should not be.
    findings: Vec<String>,
}

pub(crate) fn run(args: &Args, screen: &Screen) -> Result<Exit, CliError> {
    let log = Log::at(&args.place.folder)?;
    let key = args.key.as_deref().map_or_else(|| log.own_key(), trail::read_key)?;
    let mut kept = Vec::new();
    for path in &args.checkpoint {
        kept.push((format!("--checkpoint {}", path.display()), trail::read_text(path)?));
    }
    let mut report = check(&log, &key, &kept);
    // A daemon that removes closed segments meanwhile has signed another head before.
    for _ in 1..LOOKS {
        if report.as_ref().is_ok_and(|(report, _heads)| report.findings.is_empty()) {
            break;
        }
        thread::sleep(PAUSE);
        match (&report, log.heads()?) {
            (Ok((_report, heads)), now) if *heads == now => break,
            _ => report = check(&log, &key, &kept),
        }
    }
    let (report, _heads) = report?;
    let mut findings: Vec<String> = report.findings.iter().map(ToString::to_string).collect();
    let stranger =
        |name: &String| format!("`{name}` lies beside the records, and is no part of the log");
    findings.extend(log.strangers()?.iter().map(stranger));
    let verified = Verified {
        origin: report.origin,
        removed: report.removed,
        records: report.end,
        proved: report.proved,
        findings,
    };
    if args.json {
        screen.print_json(&verified)?;
    } else {
        screen.print(&text(&verified, screen))?;
        if args.key.is_none() {
            screen.note(&format!(
                "remark: the key is the folder's own, `{}`; with --key and a copy kept elsewhere, a replaced log is \
                 found, too",
                args.place.folder.join(segment::PUBLIC_KEY).display()
            ));
        }
    }
    Ok(if verified.findings.is_empty() { Exit::Done } else { Exit::Tampered })
}

type Heads = Vec<(String, String)>;

/// Looks at all of it once; with the heads that it was compared with.
fn check(log: &Log, key: &LogKey, kept: &Heads) -> Result<(Report, Heads), CliError> {
    // Before the records: a daemon may be adding to them.
    let heads = log.heads()?;
    let mut walk = Verification::new(&[&*heads, kept].concat(), key);
    let mut leaves = log.leaves();
    let mut leaf = |seq| leaves.of(seq);
    let segments = log.segments()?;
    for &first in &segments {
        walk.missing(first, &mut leaf);
        let is_last = segments.last() == Some(&first);
        if let Err(error) = read(log, first, is_last, &mut walk, &mut leaf) {
            walk.unreadable(&format!("{}/{first:020}", segment::FOLDER), error.message());
        }
    }
    Ok((walk.finish(&mut leaf), heads))
}

/// The records of a segment; the end of the last one may just be written.
fn read(
    log: &Log,
    first: u64,
    is_last: bool,
    walk: &mut Verification,
    leaf: &mut impl FnMut(u64) -> Option<execlayer_audit::Hash>,
) -> Result<(), CliError> {
    let removal = memmem::Finder::new("\"kind\":\"removed\"");
    let mut end = 0;
    for look in 1..=LOOKS {
        let mut is_torn = false;
        end = log.lines(first, end, |line| {
            match line {
                Line::Whole(bytes) => {
                    walk.line(bytes, leaf);
                    if removal.find(bytes).is_some()
                        && let Ok(Record { seq, kind, first: Some(left), .. }) = Record::of(bytes)
                        && kind == "removed"
                    {
                        walk.removal(seq, left);
                    }
                }
                Line::Torn => is_torn = true,
            }
            Ok(())
        })?;
        if !is_torn {
            break;
        }
        if !is_last || look == LOOKS {
            walk.torn();
            break;
        }
        thread::sleep(PAUSE);
    }
    Ok(())
}

fn text(verified: &Verified, screen: &Screen) -> String {
    let paint = screen.on_output;
    let mut text = format!(
        "log:     {}\nrecords: {}\nproved:  {} by a checkpoint that the device signed\n",
        printable(verified.origin.as_deref().unwrap_or("unknown")),
        verified.records,
        verified.proved.min(verified.records),
    );
    if verified.removed != 0 {
        text.push_str(&format!(
            "removed: {} by the daemon, as its settings ask\n",
            verified.removed
        ));
    }
    let behind = verified.records.saturating_sub(verified.proved);
    if behind != 0 {
        text.push_str(&format!("behind:  {behind} that no checkpoint covers yet\n"));
    }
    for finding in &verified.findings {
        text.push_str(&format!(
            "{}wrong{}:   {}\n",
            paint.red(),
            paint.reset(),
            printable(finding)
        ));
    }
    if verified.findings.is_empty() {
        text.push_str(&format!("{}nothing was changed{}\n", paint.green(), paint.reset()));
    }
    text
}
