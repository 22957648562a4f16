//! A thousand processes that are held at once, each of which gets its own answer.

use super::super::answerer::Line;
use super::super::{FILE, Held, answer, finish, nobody_is_stopped, none_is_left, pending, printed};
use crate::framework::Lane;
use anyhow::{Context, Result, bail, ensure};
use execlayer_api::Question;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::thread::sleep;
use std::time::Duration;

crate::tests! {
    hold_a_thousand_at_once => .lanes(&[Lane::Subjects]).limit(900),
    hold_equal_calls_with_one_answer => .lanes(&[Lane::Subjects]).limit(280),
}

const COUNT: usize = 1_000;
const LOOKS: usize = 1_200;
const PAUSE: Duration = Duration::from_millis(200);
/// Starts the children, and says how each ended.
const CODE: &str = r"
import os
for number in range(1000):
    if os.fork() == 0:
        try:
            os.open(f'/srv/hold/asked-{number}', os.O_RDONLY)
        except PermissionError:
            os._exit(13)
        os._exit(0)
for _ in range(1000):
    pid, status = os.wait()
    print(pid, os.waitstatus_to_exitcode(status))
";

fn hold_a_thousand_at_once() -> Result<()> {
    let held = Held::start(&["--hold", "600"])?;
    // A file for each: equal questions would have one answer.
    for number in 0..COUNT {
        fs::write(format!("{FILE}-{number}"), "")?;
    }
    let child = held.command(&["/usr/bin/python3", "-ISc", CODE]).spawn()?;
    let mut line = Line::open()?;
    let questions = all(&mut line)?;
    let mut allowed = BTreeMap::new();
    for question in &questions {
        let allow = question.id % 3 != 0;
        ensure!(line.answer(question.id, allow)?, "{question:?} has ended by itself");
        allowed.insert(question.pid, allow);
    }
    ensure!(allowed.len() == COUNT, "{} processes asked", allowed.len());
    let output = finish(child)?;
    let mut ends = 0;
    for said in printed(&output).lines() {
        let (pid, code) = said.split_once(' ').with_context(|| format!("it said `{said}`"))?;
        let allow = allowed.get(&pid.parse()?).with_context(|| format!("{pid} did not ask"))?;
        ensure!(code == if *allow { "0" } else { "13" }, "{pid} ended with {code}: {allow}");
        ends += 1;
    }
    ensure!(ends == COUNT, "{ends} processes ended: {}", printed(&output));
    none_is_left()?;
    nobody_is_stopped()
}

/// How many of twenty could open one file.
const EQUAL: &str = r"
import os
for _ in range(20):
    if os.fork() == 0:
        try:
            os.open('/srv/hold/asked', os.O_RDONLY)
        except PermissionError:
            os._exit(13)
        os._exit(0)
codes = [os.waitstatus_to_exitcode(os.wait()[1]) for _ in range(20)]
print(codes.count(0), codes.count(13))
";

fn hold_equal_calls_with_one_answer() -> Result<()> {
    let held = Held::start(&["--hold", "600"])?;
    for (how, expected) in [("approve", "20 0\n"), ("deny", "0 20\n")] {
        let child = held.command(&["/usr/bin/python3", "-ISc", EQUAL]).spawn()?;
        let asked = all_equal()?;
        answer(&asked, how)?;
        let output = finish(child)?;
        ensure!(printed(&output) == expected, "{how}: {}", printed(&output));
    }
    none_is_left()?;
    nobody_is_stopped()
}

/// The one question, once all twenty wait for its answer.
fn all_equal() -> Result<Value> {
    for _ in 0..LOOKS {
        let questions = pending()?;
        ensure!(questions.len() < 2, "{questions:?}");
        if let Some(asked) = questions.into_iter().find(|asked| asked["calls"] == 20) {
            return Ok(asked);
        }
        sleep(PAUSE);
    }
    bail!("they do not all wait: {:?}", pending()?)
}

/// The questions, once all wait.
fn all(line: &mut Line) -> Result<Vec<Question>> {
    let mut count = 0;
    for _ in 0..LOOKS {
        let questions = line.questions()?;
        count = questions.len();
        if count == COUNT {
            return Ok(questions);
        }
        sleep(PAUSE);
    }
    bail!("{count} questions")
}
