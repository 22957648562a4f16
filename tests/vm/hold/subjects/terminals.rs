//! Programs on a terminal: in a pane of tmux, and in an interactive shell.

use super::super::{FILE, Held, TOP, answer, finish, none_is_left, printed, question};
use super::says;
use crate::framework::{Lane, note};
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::fs;
use std::process::Child;
use std::thread::sleep;
use std::time::Duration;

crate::tests! {
    hold_a_command_in_a_pane => .lanes(&[Lane::Subjects]).limit(240),
    hold_a_command_of_an_interactive_shell => .lanes(&[Lane::Subjects]).limit(240),
}

const OUT: &str = "/srv/hold/out";
const LOOKS: usize = 300;
const PAUSE: Duration = Duration::from_millis(100);

fn hold_a_command_in_a_pane() -> Result<()> {
    let held = Held::start(&["--hold", "60"])?;
    let command = format!("cat {FILE}; echo ends with $?");
    for (how, expected) in [("approve", "content\nends with 0\n"), ("deny", "ends with 1\n")] {
        let child = pane(&held, &command)?;
        let asked = question()?;
        sleep(10 * PAUSE);
        ensure!(question()?["id"] == asked["id"], "the pane changed the question: {asked}");
        answer(&asked, how)?;
        says(&finish(child)?, "")?;
        let said = out("ends with")?;
        ensure!(said == expected, "{how}: {said:?}");
        none_is_left()?;
    }
    // KERNEL: tmux watches its panes' first processes (waitpid with WUNTRACED), and wakes at once whoever of
    // them stops. A call that is held there is denied with `woken` after so many wakes, before anybody can
    // answer. That is not asserted, since it should not be so.
    let child = pane(&held, &format!("read x < {FILE} && echo $x; echo ends with $?"))?;
    says(&finish(child)?, "")?;
    let said = out("ends with")?;
    let is_woken = |event: &Value| event["reason"] == "woken";
    let is_woken = held.gate.events(is_woken)?.iter().any(is_woken);
    note(&format!("a pane's first process said {said:?}; denied with `woken`: {is_woken}"));
    none_is_left()
}

/// Runs a command in a pane, and puts what it says into a file.
fn pane(held: &Held, command: &str) -> Result<Child> {
    let _ = fs::remove_file(OUT);
    let tmux = "SHELL=/usr/bin/bash TERM=xterm tmux -f /dev/null";
    held.spawn(&format!("{tmux} -S {TOP}/tmux new-session -d 'exec > {OUT} 2>&-; {command}'"))
}

/// What was said, once it ends like that.
fn out(end: &str) -> Result<String> {
    for _ in 0..LOOKS {
        let said = fs::read_to_string(OUT).unwrap_or_default();
        if said.contains(end) && said.ends_with('\n') {
            return Ok(said);
        }
        sleep(PAUSE);
    }
    bail!("it does not end: {:?}", fs::read_to_string(OUT))
}

/// A shell with job control sees that its job stopped, and says so; `fg` waits for it again.
const TERMINAL: &str = r"
import os, pty, sys, time
pid, terminal = pty.fork()
if pid == 0:
    os.execv('/usr/bin/bash', ['bash', '--norc', '--noprofile', '-i'])
os.write(terminal, b'cat /srv/hold/asked\n')
said = b''
try:
    while True:
        said += os.read(terminal, 4096)
        if b'Stopped' in said and not b'fg\r\n' in said:
            os.write(terminal, b'fg\n')
        if said.endswith(b'content\r\n') or b'content\r\nbash' in said or b'denied' in said:
            os.write(terminal, b'exit\n')
except OSError:
    pass
sys.stdout.write(said.decode())
";

fn hold_a_command_of_an_interactive_shell() -> Result<()> {
    let held = Held::start(&["--hold", "60"])?;
    for (how, expected) in [("approve", "content\r\n"), ("deny", "Permission denied")] {
        let child = held.command(&["/usr/bin/python3", "-ISc", TERMINAL]).spawn()?;
        let asked = question()?;
        sleep(10 * PAUSE);
        answer(&question()?, how)?;
        let said = printed(&finish(child).with_context(|| format!("{asked}"))?);
        println!("{how}: {said:?}");
        ensure!(said.contains(expected), "{how}: {said:?}");
        none_is_left()?;
    }
    Ok(())
}
