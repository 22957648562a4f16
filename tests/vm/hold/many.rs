//! Many holds, answered at random, late, never or with a kill, while the daemon is killed again and again:
//! each call ends as its answer said or as a denial, and nothing is left. Owns the plan and the comparison;
//! `many/crowd.rs` has the governed processes.

pub(crate) mod crowd;

use super::answerer::{Answerer, Given, Reply};
use super::{Held, TOP, nobody_is_stopped, none_is_left};
use crate::framework::{Lane, full, note};
use crate::gate::Gate;
use anyhow::{Context, Result, bail, ensure};
use crowd::{Crowd, End};
use execlayer_api::Question;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::fs;
use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

crate::tests! { hold_many_holds => .lanes(&[Lane::Subjects]).limit(7_000) }

const HOLDS: usize = 200;
const HOLDS_FULL: usize = 10_000;
/// Held at once.
const AT_ONCE: usize = 12;
const AT_ONCE_FULL: usize = 60;
const KILLS: usize = 3;
const KILLS_FULL: usize = 60;
const LIMIT: &[&str] = &["--hold", "2"];
/// So late an answer may be: some come when time has denied the call.
const LATEST: u64 = 2_500;
const LOOKS: usize = 60_000;
const PAUSE: Duration = Duration::from_millis(10);
/// kB that the daemon may hold more at the end than after the first questions: answers are kept for seconds.
const GROWTH: u64 = 4_096;

/// What happens to the question of one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Plan {
    Allow(Duration),
    Deny(Duration),
    Never,
    Kill(Duration),
}

/// A xorshift generator: the same numbers for the same seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        for (left, by) in [(true, 13), (false, 7), (true, 17)] {
            self.0 ^= if left { self.0 << by } else { self.0 >> by };
        }
        (self.0 >> 8) % bound
    }

    fn plan(&mut self) -> Plan {
        let late = match self.below(2) {
            0 => Duration::ZERO,
            _ => Duration::from_millis(self.below(LATEST)),
        };
        match self.below(20) {
            0..9 => Plan::Allow(late),
            9..14 => Plan::Deny(late),
            14 => Plan::Never,
            _ => Plan::Kill(late),
        }
    }
}

fn hold_many_holds() -> Result<()> {
    let (holds, at_once, kills) = match full() {
        true => (HOLDS_FULL, AT_ONCE_FULL, KILLS_FULL),
        false => (HOLDS, AT_ONCE, KILLS),
    };
    let seed = u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos())? | 1;
    note(&format!("seed {seed}"));
    let mut dice = Dice(seed);
    let plans: Vec<Plan> = (0..holds).map(|_| dice.plan()).collect();
    // Not before the first has ended: nobody is governed yet. And the last half of the calls is left in peace:
    // then the daemon's memory can be compared.
    let mut kills: Vec<usize> = (0..kills)
        .map(|_| Ok(usize::try_from(dice.below(holds as u64 / 2 - 1))? + 1))
        .collect::<Result<_>>()?;
    kills.sort_unstable();

    let mut held = Held::start(LIMIT)?;
    for number in 0..holds {
        fs::write(crowd::file(number), "")?;
    }
    let answerer = Answerer::start({
        let plans = plans.clone();
        move |question, age| reply(&plans, question, age)
    });
    let mut crowd = Crowd::start(&held, holds, at_once)?;
    for at in kills {
        crowd.wait_for(at)?;
        crowd.daemon_goes()?;
        held.gate.kill()?;
        // Sometimes it is away for so long that new questions are denied.
        sleep(Duration::from_millis(dice.below(3_000)));
        held.gate = Gate::start_with(LIMIT)?;
        crowd.daemon_is_back()?;
    }
    crowd.wait_for(holds.min(crowd.ended()?.max(holds / 2) + holds / 8))?;
    let warm = resident(held.gate.pid())?;
    let ends = crowd.wait()?;
    none_is_left()?;
    nobody_is_stopped()?;
    let grown = resident(held.gate.pid())?.saturating_sub(warm);
    let given = answerer.stop()?;
    let mut counts: BTreeMap<End, usize> = BTreeMap::new();
    ends.iter().for_each(|call| *counts.entry(call.end).or_default() += 1);
    let disturbed = ends.iter().filter(|call| call.is_disturbed).count();
    note(&format!("{counts:?}, {disturbed} of them while the daemon was killed"));
    note(&format!("{warm} kB of the daemon, and {grown} more at the end"));
    compare(&plans, &ends, &given)?;
    ensure!(grown < GROWTH, "the daemon grew by {grown} kB");
    Ok(())
}

/// What to do with a question, by the number in its file's name.
fn reply(plans: &[Plan], question: &Question, age: Duration) -> Reply {
    let plan = crowd::number(&question.subject).and_then(|number| plans.get(number));
    match plan {
        Some(Plan::Allow(late)) if age >= *late => Reply::Allow,
        Some(Plan::Deny(late)) if age >= *late => Reply::Deny,
        Some(Plan::Kill(late)) if age >= *late => {
            // Gone already, or denied in time and gone: then there is nobody to kill.
            let pid = i32::try_from(question.pid).unwrap_or(i32::MAX);
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            Reply::Wait
        }
        _ => Reply::Wait,
    }
}

/// Each call ended as its answer said, or as a denial; and as its answer said if no daemon was killed
/// meanwhile.
fn compare(plans: &[Plan], ends: &[crowd::Call], given: &[Given]) -> Result<()> {
    let mut answers: BTreeMap<usize, Vec<&Given>> = BTreeMap::new();
    for answer in given {
        let number = crowd::number(&answer.question.subject).context("another question")?;
        answers.entry(number).or_default().push(answer);
    }
    for ((number, call), plan) in ends.iter().enumerate().zip(plans) {
        let answers = answers.remove(&number).unwrap_or_default();
        let was_allowed = answers.iter().any(|answer| answer.allow);
        let is_allowed = answers.iter().any(|answer| answer.allow && answer.taken);
        let tells = || format!("call {number}, {plan:?}, ended as {call:?}; answers: {answers:?}");
        ensure!(call.end != End::Opened || was_allowed, "allowed by nobody: {}", tells());
        let is_right = match (plan, call.end) {
            (Plan::Allow(_), End::Opened) => true,
            (Plan::Allow(_), End::Denied) => !is_allowed,
            (Plan::Deny(_) | Plan::Never, End::Denied) => true,
            (Plan::Kill(_), End::Killed | End::Denied) => true,
            _ => false,
        };
        let is_excused = call.is_disturbed && call.end == End::Denied;
        ensure!(is_right || is_excused, "{}", tells());
    }
    Ok(())
}

fn until(mut done: impl FnMut() -> Result<bool>) -> Result<()> {
    for _ in 0..LOOKS {
        if done()? {
            return Ok(());
        }
        sleep(PAUSE);
    }
    bail!("it does not come to an end")
}

/// kB of memory that a process holds.
fn resident(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
