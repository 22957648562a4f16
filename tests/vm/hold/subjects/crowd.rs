//! A thousand processes that are held at once, each of which gets its own answer.

use super::super::answerer::Line;
use super::super::{Held, finish, nobody_is_stopped, none_is_left, printed};
use crate::framework::Lane;
use anyhow::{Context, Result, bail, ensure};
use execlayer_api::Question;
use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::Duration;

crate::tests! { hold_a_thousand_at_once => .lanes(&[Lane::Hold]).limit(900) }

const COUNT: usize = 1_000;
const LOOKS: usize = 1_200;
const PAUSE: Duration = Duration::from_millis(200);
/// Starts the children, and says how each ended.
const CODE: &str = r"
import os
for _ in range(1000):
    if os.fork() == 0:
        try:
            os.open('/srv/hold/asked', os.O_RDONLY)
        except PermissionError:
            os._exit(13)
        os._exit(0)
for _ in range(1000):
    pid, status = os.wait()
    print(pid, os.waitstatus_to_exitcode(status))
";

fn hold_a_thousand_at_once() -> Result<()> {
    let held = Held::start(&["--hold", "600"])?;
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
