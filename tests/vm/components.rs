//! A file is judged alike by its components and by its whole name. A policy that records all calls is
//! always asked about the whole name; one that does not asks about components first, where it can.

use crate::framework::Lane;
use crate::gate::{Gate, policy};
use anyhow::{Context, Result, ensure};
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::ExitCode;

crate::tests! {
    components_and_whole_names_end_alike => .lanes(&[Lane::Plain, Lane::Overlay, Lane::Subjects]).limit(240)
}

const PROGRAM: &str = "/opt/execlayer/vm";
const ROLE: &str = "components";
const TOP: &str = "/srv/components";
/// Around the words that names are read by, what lies in a dentry at all, and NAME_MAX.
const LENGTHS: [usize; 17] = [1, 2, 7, 8, 9, 15, 16, 17, 24, 25, 31, 32, 33, 39, 40, 41, 200];
/// Folders above the file; eight components is what is looked at.
const DEPTHS: [usize; 5] = [2, 4, 7, 8, 9];
/// One rule for each way of reading: from the front, from behind, with a byte that others go on without.
const RULES: &str = r#"
[[rule]]
id = "all"
allow = ["read", "exec"]
path = "/**"

[[rule]]
id = "keys"
deny = ["read"]
path = "/**/*.key"

[[rule]]
id = "hidden"
deny = ["read"]
path = "/**/.*"

[[rule]]
id = "closed"
deny = ["read"]
path = "/srv/components/**/closed/[!x]*"
"#;

/// The program that opens each file and says which ones it got.
pub(crate) fn role() -> Option<ExitCode> {
    if std::env::args().nth(1)? != ROLE {
        return None;
    }
    println!("{}", opened());
    Some(ExitCode::SUCCESS)
}

/// A file, and whether the rules allow reading it.
struct Case {
    path: PathBuf,
    allowed: bool,
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for depth in DEPTHS {
        let folder = |last: &str| {
            let mut folder = PathBuf::from(TOP);
            folder.extend((3..depth).map(|level| format!("d{level}")));
            folder.join(last)
        };
        for length in LENGTHS {
            let ending = |ending: &str| "n".repeat(length.saturating_sub(ending.len())) + ending;
            cases.push(Case { path: folder("open").join(ending("")), allowed: true });
            cases.push(Case { path: folder("closed").join(ending("")), allowed: false });
            if length > 4 {
                cases.push(Case { path: folder("open").join(ending(".key")), allowed: false });
                cases.push(Case { path: folder("open").join(ending(".kez")), allowed: true });
                let name = format!(".{}", ending(""));
                cases.push(Case { path: folder("open").join(name), allowed: false });
                let name = format!("x{}", ending(""));
                cases.push(Case { path: folder("closed").join(name), allowed: true });
            }
        }
    }
    // Folders of every length, with more behind them than a word has.
    for length in 1..=40 {
        let folder = PathBuf::from(TOP).join("f".repeat(length));
        for (name, allowed) in [("of-the-server.key", false), ("of-the-server.kez", true)] {
            cases.push(Case { path: folder.join(name), allowed });
        }
    }
    cases
}

/// A letter for each case: whether it could be opened.
fn opened() -> String {
    let open = |case: &Case| if File::open(&case.path).is_ok() { 'y' } else { 'n' };
    cases().iter().map(open).collect()
}

fn components_and_whole_names_end_alike() -> Result<()> {
    let cases = cases();
    for case in &cases {
        fs::create_dir_all(case.path.parent().context("no folder")?)?;
        fs::write(&case.path, "")?;
    }
    let all: String = cases.iter().map(|_| 'y').collect();
    let expected: String = cases.iter().map(|case| if case.allowed { 'y' } else { 'n' }).collect();
    ensure!(opened() == all, "before");
    let gate = Gate::start()?;
    ensure!(opened() == all, "ungoverned");
    for record in ["denied", "all"] {
        let agent = format!("record = \"{record}\"");
        let policy = policy(&format!("record-{record}"), &agent, RULES)?;
        let run = gate.run(&policy, &["--quiet"], &[PROGRAM, ROLE]).output()?;
        ensure!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        let found = String::from_utf8(run.stdout)?;
        let differ: Vec<_> = cases
            .iter()
            .zip(found.trim().chars().zip(expected.chars()))
            .filter(|(_, (found, expected))| found != expected)
            .map(|(case, _)| case.path.display().to_string())
            .collect();
        ensure!(differ.is_empty(), "recorded {record}: {differ:#?}");
        ensure!(found.trim().len() == cases.len(), "recorded {record}: {found}");
    }
    drop(gate);
    ensure!(opened() == all, "after");
    Ok(())
}
