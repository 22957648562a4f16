//! A call that is held goes on or fails by its answer, and by nothing else: not by signals, not by the
//! daemon's end. Time denies it.

use super::{Held, LOOKS, PAUSE, answer, none_is_left, pending, pid, printed, question};
use crate::framework::Lane;
use crate::gate::Gate;
use anyhow::{Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use serde_json::Value;
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};
use std::thread::sleep;
use std::time::Duration;

crate::tests! {
    hold_a_call_until_it_is_answered => .lanes(&[Lane::Hold]).limit(280),
    hold_survives_signals => .lanes(&[Lane::Hold]).limit(240),
    hold_outlives_the_daemon => .lanes(&[Lane::Hold]).limit(240),
    hold_is_denied_in_time_or_not_at_all => .lanes(&[Lane::Hold]).limit(240),
}

/// Runs a command whose questions are all answered like that; what it printed, and how many there were.
fn answered(held: &Held, command: &str, how: &str) -> Result<(Output, usize)> {
    let mut child = held.spawn(command)?;
    let mut answers = 0;
    // Less than the time limit: an answer that does not arrive must not pass for a denial in time.
    for _ in 0..LOOKS / 3 {
        if child.try_wait()?.is_some() {
            return Ok((child.wait_with_output()?, answers));
        }
        for question in pending()? {
            answer(&question, how)?;
            answers += 1;
        }
        sleep(PAUSE);
    }
    bail!("`{command}` does not end: {:?}\n{}", pending()?, held.last_events()?)
}

fn hold_a_call_until_it_is_answered() -> Result<()> {
    let held = Held::start(&["--hold", "60"])?;
    fs::write("/srv/hold/script", "#!/usr/bin/dash\necho from the script\n")?;
    Command::new("chmod").args(["755", "/srv/hold/script"]).status()?;
    let listener = ["127.0.0.1:7001", "127.0.0.1:6001"].map(TcpListener::bind);
    // What is asked for, how it ends if it may go on, and how many questions that takes.
    let acts = [
        ("cat /srv/hold/asked", "content\n", 1),
        ("/usr/bin/id -u", "0\n", 1),
        ("/srv/hold/script", "from the script\n", 2),
        ("set -C; echo new > /srv/hold/asked-new && cat /srv/hold/asked-new", "new\n", 2),
        ("exec 3<>/dev/tcp/127.0.0.1/7001 && echo connected", "connected\n", 1),
        // Made, and then emptied.
        (
            "echo 1 > /srv/hold/written && echo 2 > /srv/hold/written && cat /srv/hold/written",
            "2\n",
            3,
        ),
        ("cat /srv/hold/asked /srv/hold/asked", "content\ncontent\n", 2),
        // Equal questions at the same time have one answer.
        ("cat /srv/hold/asked & cat /srv/hold/asked && wait $!", "content\ncontent\n", 1),
    ];
    for (act, expected, questions) in acts {
        let (output, answers) = answered(&held, act, "approve")?;
        let said = String::from_utf8_lossy(&output.stdout);
        ensure!(said == expected, "`{act}`, approved, printed {}", printed(&output));
        ensure!(answers >= questions, "`{act}` was asked about {answers} times");
        let _ = fs::remove_file("/srv/hold/asked-new");
        let (output, answers) = answered(&held, act, "deny")?;
        ensure!(!output.status.success(), "`{act}` was denied and went on: {}", printed(&output));
        ensure!(printed(&output).contains("Permission denied"), "`{act}`: {}", printed(&output));
        ensure!(answers >= 1, "`{act}` was not asked about");
        ensure!(!Path::new("/srv/hold/asked-new").exists(), "a denial left a file");
    }
    // The twins that nobody asks about.
    for act in
        ["cat /srv/hold/free", "/usr/bin/true", "exec 3<>/dev/tcp/127.0.0.1/6001 && echo connected"]
    {
        let (output, answers) = answered(&held, act, "deny")?;
        ensure!(output.status.success() && answers == 0, "`{act}`: {}", printed(&output));
    }
    drop(listener);
    let events = held.gate.events(|event| event["kind"] == "answer")?;
    let by_rule = |event: &&Value| event["kind"] == "question" && event["rule"] == "asked-files";
    ensure!(events.iter().any(|event| by_rule(&event)), "no record of a question");
    none_is_left()
}

fn hold_survives_signals() -> Result<()> {
    let held = Held::start(&["--hold", "60"])?;
    let child = held.spawn("exec cat /srv/hold/asked")?;
    let asked = question()?;
    for _ in 0..5 {
        kill(pid(&asked)?, Signal::SIGCONT)?;
        sleep(PAUSE);
    }
    let still = question()?;
    ensure!(still["id"] == asked["id"], "a foreign SIGCONT changed the question");
    answer(&asked, "approve")?;
    let output = child.wait_with_output()?;
    ensure!(output.stdout == b"content\n", "after foreign wake-ups: {}", printed(&output));

    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        let child = held.spawn("exec cat /srv/hold/asked")?;
        kill(pid(&question()?)?, signal)?;
        let output = child.wait_with_output()?;
        ensure!(!output.status.success() && output.stdout.is_empty(), "{signal}");
        none_is_left()?;
    }
    Ok(())
}

fn hold_outlives_the_daemon() -> Result<()> {
    let mut held = Held::start(&["--hold", "60"])?;
    let mut child = held.spawn("cat /srv/hold/asked; cat /srv/hold/free")?;
    question()?;
    let late = held.spawn("sleep 9; cat /srv/hold/asked; cat /srv/hold/free")?;
    sleep(Duration::from_secs(2));
    held.gate.kill()?;
    let output = late.wait_with_output()?;
    ensure!(output.stdout == b"content\n", "nobody to ask: {}", printed(&output));
    ensure!(child.try_wait()?.is_none(), "killing the daemon let a held call go");
    held.gate = Gate::start_with(&["--hold", "60"])?;
    answer(&question()?, "approve")?;
    let output = child.wait_with_output()?;
    ensure!(
        output.stdout == b"content\ncontent\n",
        "asked again by the new daemon, and approved: {}",
        printed(&output)
    );
    none_is_left()
}

fn hold_is_denied_in_time_or_not_at_all() -> Result<()> {
    let held = Held::start(&["--hold", "2"])?;
    let output = held.spawn("cat /srv/hold/asked; cat /srv/hold/free")?.wait_with_output()?;
    ensure!(
        output.stdout == b"content\n" && printed(&output).contains("Permission denied"),
        "nobody answered: {}",
        printed(&output)
    );
    let ended = held.gate.events(|event| event["answer"] == "timed-out")?;
    ensure!(ended.iter().any(|event| event["answer"] == "timed-out"), "no record of its end");
    drop(held);
    let held = Held::start(&["--no-hold"])?;
    let output = held.spawn("cat /srv/hold/asked; cat /srv/hold/free")?.wait_with_output()?;
    ensure!(output.stdout == b"content\n", "nothing is held: {}", printed(&output));
    let events = held.gate.events(|event| event["reason"] == "ask-not-held")?;
    ensure!(events.iter().any(|event| event["reason"] == "ask-not-held"), "no such denial");
    Ok(())
}
