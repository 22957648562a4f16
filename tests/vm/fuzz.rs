//! Names that change while they are followed: governed processes read by many names and change names
//! themselves while an outsider renames, links and mounts. Owns the places, the oracle and the comparison
//! with the reference evaluator; who does what is in `fuzz/`.
//!
//! The oracle: a secret is a file that the outsider never moves, links or mounts to a name that may be
//! read, so whoever reads one was let through. A visitor is a file that the outsider moves in and out of
//! forbidden names: it may not be read by an open that lies between two of its moves.
//!
//! `cargo xtask vm --lane bypass fuzz seed=7` does the operations of that seed; who is faster is not
//! repeated.

mod board;
mod governed;
mod outsider;

use crate::framework::{Lane, full, note, seed};
use crate::gate::{Gate, policy};
use anyhow::{Context, Result, ensure};
use board::Board;
use execlayer_common::access::{Access, Operation};
use execlayer_common::verdict::Verdict;
use execlayer_policy::evaluate::{Facts, evaluate};
use harness::prepare::Prepared;
use serde_json::Value;
use std::fs;

pub(crate) use governed::role;

crate::tests! {
    forbidden_files_are_never_obtained => .lanes(&[Lane::Bypass]).limit(10_000)
}

const TOP: &str = "/srv/fuzz";
const PROGRAM: &str = "/opt/execlayer/vm";
const ROLE: &str = "fuzz";
/// Operations of each governed process.
const OPERATIONS: u64 = 400;
const OPERATIONS_FULL: u64 = 20_000;
/// How each secret's and each visitor's content begins.
const SECRET: &str = "secret";
const VISITOR: &str = "visitor";
/// In `shut` and below nothing is read, in `sealed` nothing is changed either, and keys are read nowhere.
const RULES: &str = r#"
[[rule]]
id = "all"
allow = ["read", "modify", "exec", "ioctl", "mknod"]
path = ["/", "/**"]

[[rule]]
id = "shut"
deny = ["read"]
path = "/srv/fuzz/shut/**"

[[rule]]
id = "sealed"
deny = ["read", "modify"]
path = "/srv/fuzz/sealed/**"

[[rule]]
id = "keys"
deny = ["read"]
path = "/srv/fuzz/**/*.key"
"#;

fn forbidden_files_are_never_obtained() -> Result<()> {
    let seed = seed();
    note(&format!("seed={seed}"));
    outsider::prepare()?;
    let board = Board::make()?;
    let gate = Gate::start()?;
    let policy = policy("fuzz", "", RULES)?;
    let count = if full() { OPERATIONS_FULL } else { OPERATIONS };
    let words = [PROGRAM, ROLE, &seed.to_string(), &count.to_string()];
    let run =
        gate.run(&policy, &["--quiet"], &words).stdout(std::process::Stdio::piped()).spawn()?;
    let outsider = std::thread::spawn(move || outsider::changes(&board, seed));
    let output = run.wait_with_output()?;
    Board::open()?.stop();
    let changes = outsider.join().ok().context("the outsider panicked")??;
    let said = String::from_utf8(output.stdout)?;
    ensure!(output.status.success(), "seed={seed}, {}:\n{said}", output.status);
    said.lines().for_each(note);
    note(&format!("the outsider changed {changes} names"));
    ensure!(changes > 0, "the outsider could change nothing");
    let known = gate.events(|_| false)?;
    let judged = as_the_reference(&known).with_context(|| format!("seed={seed}"))?;
    note(&format!("{judged} denials as the reference evaluator judges"));
    ensure!(judged > 0, "no denial was recorded");
    Ok(())
}

/// Judges each recorded denial's subject again; how many there were.
fn as_the_reference(events: &[Value]) -> Result<usize> {
    let prepared = Prepared::from_rules(RULES)?;
    let mut judged = 0;
    let mut wrong = Vec::new();
    for event in events {
        let text = |key: &str| event.get(key).and_then(Value::as_str).unwrap_or_default();
        // Other reasons are about the way to a name, or about two names.
        if text("agent") != "fuzz"
            || text("operation") != Operation::File.name()
            || !["rule", "unlisted"].contains(&text("reason"))
        {
            continue;
        }
        let names = event.get("access").and_then(Value::as_array).context("no access")?;
        let wanted = names.iter().filter_map(Value::as_str);
        let wanted =
            wanted.filter_map(|name| Access::NAMES.iter().find(|(known, _)| *known == name));
        let wanted = wanted.fold(Access::default(), |all, (_, bits)| all.union(*bits));
        let facts = Facts { uid: 0, minute: 0 };
        let subject = text("subject").as_bytes();
        let verdict =
            evaluate(prepared.policy(), Operation::File, subject, wanted, facts, &mut |_, _| true);
        let rule = match verdict {
            Verdict::Deny(_, rule) => rule.map(|rule| prepared.rule_id(rule.0)),
            Verdict::Allow(_) | Verdict::Ask(_) => Some("none: it is not denied"),
        };
        if rule != event.get("rule").and_then(Value::as_str) {
            wrong.push(format!("the reference says {rule:?}: {event}"));
        }
        judged += 1;
    }
    ensure!(wrong.is_empty(), "{} of {judged}:\n{}", wrong.len(), wrong.join("\n"));
    Ok(judged)
}

fn at(name: &str) -> String {
    format!("{TOP}/{name}")
}

/// The secrets' names when nobody has moved one yet.
fn secrets() -> Vec<String> {
    let below = |folder: &'static str| (0..3).map(move |number| at(&format!("{folder}/s{number}")));
    let keys = ["open/k0.key", "open/d0/k0.key", "open/d1/k0.key"].into_iter().map(at);
    ["shut", "shut/d0", "shut/d1", "sealed"].into_iter().flat_map(below).chain(keys).collect()
}

/// Makes a file so that its content is there with its name.
fn put(path: &str, content: &str) -> Result<()> {
    let (folder, _) = path.rsplit_once('/').context("no folder")?;
    let new = format!("{folder}/new.key");
    fs::write(&new, content)?;
    Ok(fs::rename(new, path)?)
}
