//! Calls that ask more than once: scripts whose interpreters are scripts, a connect that is called again,
//! a file that is another one when the answer comes.

use super::super::{FILE, Held, TOP, answer, finish, none_is_left, pending, printed, question};
use super::{python, says};
use crate::framework::Lane;
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::thread::sleep;
use std::time::Duration;

crate::tests! { hold_each_question_of_a_call_by_itself => .lanes(&[Lane::Subjects]).limit(280) }

const LOOKS: usize = 300;
const PAUSE: Duration = Duration::from_millis(100);
const CONNECT: &str = r"
import errno, select, socket
s = socket.socket()
s.setblocking(False)
def connect():
    code = s.connect_ex(('127.0.0.1', 7001))
    print(errno.errorcode.get(code, code))
connect()
select.select([], [s], [])
connect()
s = socket.socket()
";

fn hold_each_question_of_a_call_by_itself() -> Result<()> {
    let held = Held::start(&["--hold", "60"])?;
    scripts(&held).context("scripts of scripts")?;
    let listener = TcpListener::bind("127.0.0.1:7001")?;
    let said = |answers: &[&str]| python(&held, CONNECT, answers);
    says(&said(&["approve", "approve"])?, "EINPROGRESS\n0\n").context("connect, twice")?;
    says(&said(&["approve", "deny"])?, "EINPROGRESS\nEACCES\n").context("connect, once")?;
    drop(listener);
    replaced(&held).context("a file that is replaced")?;
    renamed(&held).context("a rename with two names")?;
    none_is_left()
}

/// Each level asks, and the last interpreter does, too.
fn scripts(held: &Held) -> Result<()> {
    let levels = ["script-2", "script-3", "/usr/bin/dash"];
    for (number, interpreter) in (1..).zip(levels) {
        let file = format!("{TOP}/script-{number}");
        let top = if number < levels.len() { format!("{TOP}/") } else { String::new() };
        fs::write(&file, format!("#!{top}{interpreter}\necho $# of them\n"))?;
        fs::set_permissions(&file, Permissions::from_mode(0o755))?;
    }
    let run = |answers: &[&str]| {
        let child = held.spawn(&format!("{TOP}/script-1 x"))?;
        let mut subjects = Vec::new();
        for how in answers {
            let question = question()?;
            subjects.push(question["subject"].as_str().unwrap_or_default().to_owned());
            answer(&question, how)?;
            gone(&question)?;
        }
        anyhow::Ok((finish(child)?, subjects))
    };
    let (output, subjects) = run(&["approve"; 4])?;
    says(&output, "3 of them\n")?;
    let expected = ["script-1", "script-2", "script-3"].map(|name| format!("{TOP}/{name}"));
    ensure!(subjects.starts_with(&expected), "asked about {subjects:?}");
    ensure!(subjects.last().is_some_and(|last| last == "/usr/bin/dash"), "{subjects:?}");
    for denied in 0..4 {
        let mut answers = vec!["approve"; denied];
        answers.push("deny");
        let (output, _subjects) = run(&answers)?;
        let said = printed(&output);
        ensure!(said.contains("Permission denied"), "level {denied} was denied: {said}");
        ensure!(!said.contains("of them"), "level {denied} was denied: {said}");
    }
    none_is_left()
}

/// The answer to the question about the old file is none about the new one.
fn replaced(held: &Held) -> Result<()> {
    let new = format!("{TOP}/new");
    for (how, expected) in [("approve", "new\n"), ("deny", "")] {
        fs::write(FILE, "old\n")?;
        fs::write(&new, "new\n")?;
        let child = held.spawn(&format!("cat {FILE} 2>&-"))?;
        let about_old = question()?;
        fs::rename(&new, FILE)?;
        answer(&about_old, "approve")?;
        gone(&about_old)?;
        answer(&question()?, how)?;
        says(&finish(child)?, expected).with_context(|| format!("the new one: {how}"))?;
    }
    // The twin that was not replaced is asked about once.
    fs::write(FILE, "content\n")?;
    let child = held.spawn(&format!("cat {FILE}"))?;
    answer(&question()?, "approve")?;
    says(&finish(child)?, "content\n")
}

/// Both names ask, one after the other; the second time around the first answer still counts.
fn renamed(held: &Held) -> Result<()> {
    let (old, new) = (format!("{TOP}/asked-old"), format!("{TOP}/asked-new"));
    let code = format!(
        "import os\ntry: os.rename('{old}', '{new}'); print('moved')\nexcept OSError as e: print(e.errno)\n"
    );
    for (answers, expected, is_moved) in [
        (&["approve", "approve"][..], "moved\n", true),
        (&["approve", "deny"], "13\n", false),
        (&["deny"], "13\n", false),
    ] {
        let _ = fs::remove_file(&new);
        fs::write(&old, "content\n")?;
        let child = held.command(&["/usr/bin/python3", "-ISc", &code]).spawn()?;
        let mut subjects = Vec::new();
        for how in answers {
            let question = question()?;
            subjects.push(question["subject"].as_str().unwrap_or_default().to_owned());
            answer(&question, how)?;
            gone(&question)?;
        }
        says(&finish(child)?, expected).with_context(|| format!("{answers:?}"))?;
        ensure!(
            [&old, &new].iter().zip(&subjects).all(|(name, asked)| *name == asked),
            "{subjects:?}"
        );
        ensure!(fs::exists(&new)? == is_moved && fs::exists(&old)? != is_moved, "{answers:?}");
    }
    none_is_left()
}

/// Waits for the question's end.
fn gone(question: &Value) -> Result<()> {
    for _ in 0..LOOKS {
        if pending()?.iter().all(|open| open["id"] != question["id"]) {
            return Ok(());
        }
        sleep(PAUSE);
    }
    bail!("it was answered and is open: {question}")
}
