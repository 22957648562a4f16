//! Held at every open, every exec and every connect, and each time let go, real programs print the same
//! and end the same as without the gate. Owns the comparison; `same/programs.rs` has the programs.

mod files;
mod programs;

use super::answerer::{Answerer, Reply};
use super::{Held, nobody_is_stopped, none_is_left};
use crate::framework::{Lane, full, note};
use crate::gate::policy;
use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use programs::Program;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

crate::tests! {
    hold_changes_nothing_but_time => .lanes(&[Lane::Subjects]).limit(900),
    hold_is_seen_by_parents_that_watch => .lanes(&[Lane::Subjects]).limit(900),
}

const PLACE: &str = "/srv/same";
const WORK: &str = "/srv/same/work";
/// After that a question is answered.
const DELAY: Duration = Duration::from_millis(5);
/// Looks at a program that runs, with a pause between two.
const LOOKS: usize = 8_000;
const PAUSE: Duration = Duration::from_millis(5);
const RULES: &str = r#"
[[rule]]
id = "every-file"
ask = [
    "read", "write", "append", "create", "exec", "delete", "rename", "link", "symlink", "mkdir", "rmdir", "chmod",
    "chown",
]
path = ["/", "/**"]
"#;
/// The same, but for what is said at [`programs::EXCLUSIVE`].
const RULES_BUT_WRITE: &str = r#"
[[rule]]
id = "every-file"
ask = [
    "append", "create", "exec", "delete", "rename", "link", "symlink", "mkdir", "rmdir", "chmod", "chown",
]
path = ["/", "/**"]

[[rule]]
id = "every-file-that-is-there"
ask = ["read"]
path = ["/", "/**"]
except = ["/tmp/**", "/srv/same/work/**"]

[[rule]]
id = "what-is-made"
allow = ["read", "write"]
path = ["/tmp/**", "/srv/same/work/**", "/dev/**"]
"#;

/// What stands behind either.
const FOR_BOTH: &str = r#"
[[rule]]
id = "what-nobody-is-asked-about"
allow = ["utime", "xattr", "ioctl"]
path = ["/", "/**"]

[[rule]]
id = "features"
allow = ["use"]
feature = ["netlink-route", "netlink", "keyring", "cap-net-admin"]

[[rule]]
id = "every-peer"
ask = ["connect"]
to = ["*:*", "unix:/**", "unix:@**"]

[[rule]]
id = "every-place"
ask = ["bind"]
to = ["*:*", "unix:@**"]
"#;

/// What a program did.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Did {
    code: String,
    out: String,
    errors: String,
}

fn hold_changes_nothing_but_time() -> Result<()> {
    let (held, wrong) = compare(&[
        (programs::ALL, "all", RULES),
        (programs::STOPPING, "all", RULES),
        (programs::EXCLUSIVE, "some", RULES_BUT_WRITE),
    ])?;
    ensure!(wrong.is_empty(), "{} programs:\n{}", wrong.len(), wrong.join("\n\n"));
    none_is_left()?;
    nobody_is_stopped()?;
    drop(held);
    Ok(())
}

/// Tells of what is known to differ, and asserts only that nothing is left of it.
fn hold_is_seen_by_parents_that_watch() -> Result<()> {
    if !full() {
        return Ok(());
    }
    let (held, wrong) = compare(&[(programs::WATCHED, "all", RULES)])?;
    for wrong in wrong {
        note(&wrong.replace('\n', " "));
    }
    none_is_left()?;
    drop(held);
    Ok(())
}

/// Runs programs without and with the gate; those that did not do the same.
fn compare(lists: &[(&[Program], &str, &str)]) -> Result<(Held, Vec<String>)> {
    let mut all = Vec::new();
    for (programs, name, rules) in lists {
        let file = policy(name, "", &format!("{rules}{FOR_BOTH}"))?;
        for program in programs.iter().filter(|program| !program.is_heavy || full()) {
            let mut command = Command::new(program.shell);
            all.push((program, file.clone(), run(command.args(["-c", program.script]))?));
        }
    }
    let mut held = Held::start(&["--hold", "60"])?;
    let answerer = Answerer::always(Reply::Allow, DELAY);
    let mut wrong = Vec::new();
    for (program, policy, before) in &all {
        held.policy.clone_from(policy);
        let (so_far, begin) = (answerer.taken(), Instant::now());
        let recorded = held.gate.records()?;
        let name = program.name;
        match run(&mut held.command(&[program.shell, "-c", program.script])) {
            Ok(did) if did == *before => {}
            Ok(did) => wrong.push(format!(
                "`{name}`: {did:?}\nwithout the gate: {before:?}\ndenied: {}",
                held.gate.denials_behind(recorded)?
            )),
            Err(error) => wrong.push(format!("`{name}`: {error:#}")),
        }
        let asked = answerer.taken() - so_far;
        println!("`{name}`: {asked} questions, {} ms", begin.elapsed().as_millis());
        println!("{} {:?} {:?}", before.code, before.out, before.errors);
        ensure!(asked > 0, "`{name}` was not asked about");
    }
    note(&format!("{} programs, {} questions", all.len(), answerer.stop()?.len()));
    Ok((held, wrong))
}

/// Runs a program in a fresh folder.
pub(crate) fn run(command: &mut Command) -> Result<Did> {
    let _ = fs::remove_dir_all(PLACE);
    let _ = fs::remove_dir_all("/tmp/same");
    fs::create_dir_all(WORK)?;
    fs::create_dir_all("/tmp/same")?;
    for (file, text) in files::FILES {
        let file = Path::new(WORK).join(file);
        fs::create_dir_all(file.parent().context("no folder")?)?;
        fs::write(file, text)?;
    }
    let place = |what: &str| format!("/run/same-{what}");
    for what in ["out", "errors"] {
        // Whoever is left of the program before keeps a file of its own.
        let _ = fs::remove_file(place(what));
    }
    command
        .current_dir(WORK)
        .env_clear()
        .envs(files::ENVIRONMENT.iter().copied())
        .stdin(Stdio::null())
        .stdout(File::create(place("out"))?)
        .stderr(File::create(place("errors"))?);
    let mut child = command.spawn()?;
    for _ in 0..LOOKS {
        if let Some(status) = child.try_wait()? {
            return Ok(Did {
                code: status.to_string(),
                out: fs::read_to_string(place("out"))?,
                errors: fs::read_to_string(place("errors"))?,
            });
        }
        sleep(PAUSE);
    }
    let tasks = end_stopped()?;
    child.kill()?;
    child.wait()?;
    let out = fs::read_to_string(place("out"))?;
    let errors = fs::read_to_string(place("errors"))?;
    bail!("it does not end; it said {out:?} and {errors:?}\n{tasks}")
}

/// Kills whoever is stopped: nobody will wake them. The processes that there were.
fn end_stopped() -> Result<String> {
    let tasks = Command::new("ps").args(["-eo", "pid,ppid,stat,wchan,args"]).output()?;
    let tasks = String::from_utf8(tasks.stdout)?;
    let tasks: Vec<&str> = tasks.lines().filter(|line| !line.contains('[')).collect();
    for task in &tasks {
        let words: Vec<&str> = task.split_whitespace().collect();
        let [number, _parent, state, ..] = words.as_slice() else { continue };
        if state.starts_with('T') {
            kill(Pid::from_raw(number.parse()?), Signal::SIGKILL)?;
        }
    }
    Ok(tasks.join("\n"))
}
