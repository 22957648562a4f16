//! Threads, children and parents: who stops with a call that is held, and who does not.

use super::super::{
    FILE, FREE, Held, answer, finish, none_is_left, pending, pid, printed, question,
};
use super::{python, says};
use crate::framework::{Lane, note};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::fs;
use std::thread::sleep;
use std::time::Duration;

crate::tests! {
    hold_stops_all_threads_of_a_process => .lanes(&[Lane::Subjects]).limit(240),
    hold_a_child_and_not_its_parent => .lanes(&[Lane::Subjects]).limit(240),
}

const OUT: &str = "/srv/hold/out";
const LOOKS: usize = 300;
const PAUSE: Duration = Duration::from_millis(100);
const THREADS: &str = r"
import os, threading
ends = {}
def read(name):
    try:
        ends[name] = os.read(os.open('/srv/hold/' + name, os.O_RDONLY), 99)
    except PermissionError as error:
        ends[name] = error.strerror
all = [threading.Thread(target=read, args=(name,)) for name in ('asked-1', 'asked-2', 'free')]
[thread.start() for thread in all]
[thread.join() for thread in all]
print(sorted(ends.items()))
";
const SPAWN: &str = r"
import os
try:
    pid = os.posix_spawn('/usr/bin/id', ['id', '-u'], {})
    print(os.waitpid(pid, 0)[1])
except PermissionError as error:
    print(error.strerror)
";

/// The states of all threads of the process that asks, once none of them runs.
fn all_stop(question: &Value) -> Result<()> {
    let tasks = format!("/proc/{}/task", pid(question)?);
    let mut states = String::new();
    for _ in 0..LOOKS {
        states.clear();
        for entry in fs::read_dir(&tasks)? {
            let stat = fs::read_to_string(entry?.path().join("stat")).unwrap_or_default();
            let state = stat.rsplit_once(") ").and_then(|(_name, rest)| rest.chars().next());
            states.extend(state);
        }
        if !states.is_empty() && states.chars().all(|state| state == 'T') {
            return Ok(());
        }
        sleep(PAUSE);
    }
    anyhow::bail!("the threads are {states}")
}

fn hold_stops_all_threads_of_a_process() -> Result<()> {
    let held = Held::start(&["--hold", "60"])?;
    for name in ["1", "2"] {
        fs::write(format!("{FILE}-{name}"), name)?;
    }
    for denied in [None, Some("asked-1"), Some("asked-2")] {
        let child = held.command(&["/usr/bin/python3", "-ISc", THREADS]).spawn()?;
        let mut seen = Vec::new();
        for _ in 0..2 {
            let question = question()?;
            all_stop(&question)?;
            let subject = question["subject"].as_str().context("no subject")?;
            let name = subject.rsplit('/').next().unwrap_or_default().to_owned();
            answer(&question, if denied == Some(&name) { "deny" } else { "approve" })?;
            seen.push(name);
        }
        let output = finish(child)?;
        let end = |name: &str| match denied {
            Some(denied) if denied == format!("asked-{name}") => "'Permission denied'".to_owned(),
            _ => format!("b'{name}'"),
        };
        let expected = format!(
            "[('asked-1', {}), ('asked-2', {}), ('free', b'content\\n')]\n",
            end("1"),
            end("2")
        );
        says(&output, &expected).with_context(|| format!("{denied:?} was denied, of {seen:?}"))?;
        none_is_left()?;
    }
    Ok(())
}

/// A child in a process group of its own, whose parent ends a moment later.
const GROUP: &str = r"
import os, sys, time
if os.fork() == 0:
    os.setpgid(0, 0)
    out = os.open('/srv/hold/out', os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.closerange(0, 3)
    try:
        os.write(out, os.read(os.open(sys.argv[1], os.O_RDONLY), 99))
    except PermissionError:
        os.write(out, b'denied')
    os.write(out, b'ends')
    os._exit(0)
time.sleep(2)
os._exit(0)
";

/// KERNEL: a process group that becomes orphaned with a stopped process in it gets SIGHUP and SIGCONT
/// (kernel/exit.c, `kill_orphaned_pgrp`, 6.1): who is held then dies, where it would have gone on. That is
/// not asserted, since it should not be so.
fn orphans(held: &Held) -> Result<()> {
    for file in [FREE, FILE] {
        let _ = fs::remove_file(OUT);
        finish(held.command(&["/usr/bin/python3", "-ISc", GROUP, file]).spawn()?)?;
        sleep(10 * PAUSE);
        let open = pending()?;
        for question in &open {
            answer(question, "approve")?;
        }
        sleep(10 * PAUSE);
        let said = fs::read_to_string(OUT).unwrap_or_default();
        note(&format!("{file} in an orphaned group: {} questions left, {said:?}", open.len()));
    }
    none_is_left()
}

fn hold_a_child_and_not_its_parent() -> Result<()> {
    let held = Held::start(&["--hold", "60"])?;
    says(&python(&held, SPAWN, &["approve"])?, "0\n0\n").context("posix_spawn, approved")?;
    says(&python(&held, SPAWN, &["deny"])?, "Permission denied\n")
        .context("posix_spawn, denied")?;

    for (how, expected) in [("approve", "content\nends with 0\n"), ("deny", "ends with 1\n")] {
        let _ = fs::remove_file(OUT);
        // It must not keep our pipes open.
        let script = format!(
            "(exec > {OUT} 2>&-; cat {FILE}; echo ends with $?) < /dev/null & kill -KILL $$"
        );
        let child = held.spawn(&script)?;
        let asked = question()?;
        let output = finish(child)?;
        ensure!(!output.status.success(), "it killed itself, and {}", output.status);
        ensure!(question()?["id"] == asked["id"], "the parent's end changed the question");
        answer(&asked, how)?;
        let mut said = String::new();
        for _ in 0..LOOKS {
            said = fs::read_to_string(OUT)?;
            if said.ends_with('\n') && said.contains("ends") {
                break;
            }
            sleep(PAUSE);
        }
        ensure!(said == expected, "its parent is gone, {how}: {said:?}");
        none_is_left()?;
    }

    let output = finish(held.spawn(&format!("timeout 2 cat {FILE}; echo $?"))?)?;
    says(&output, "124\n").context("nobody answers in the time that timeout gives")?;
    none_is_left()?;
    let child = held.spawn(&format!("timeout 60 cat {FILE}; echo $?"))?;
    answer(&question()?, "approve")?;
    says(&finish(child)?, "content\n0\n")?;
    let child = held.spawn(&format!("timeout 60 cat {FILE}; echo $?"))?;
    answer(&question()?, "deny")?;
    let output = finish(child)?;
    ensure!(printed(&output).contains("Permission denied"), "{}", printed(&output));
    none_is_left()?;
    orphans(&held)
}
