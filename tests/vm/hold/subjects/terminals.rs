//! Programs on a terminal: in a pane of tmux, and in an interactive shell.

use super::super::{FILE, Held, TOP, answer, finish, none_is_left, printed, question};
use super::says;
use crate::framework::Lane;
use anyhow::{Context, Result, ensure};
use std::fs;
use std::thread::sleep;
use std::time::Duration;

crate::tests! {
    hold_a_command_in_a_pane => .lanes(&[Lane::Plain]).limit(240),
    hold_a_command_of_an_interactive_shell => .lanes(&[Lane::Plain]).limit(240),
}

const OUT: &str = "/srv/hold/out";
const LOOKS: usize = 300;
const PAUSE: Duration = Duration::from_millis(100);

fn hold_a_command_in_a_pane() -> Result<()> {
    let held = Held::start(&["--hold", "60"])?;
    // As a child of the pane's shell, and as the pane's first process, which tmux itself watches.
    let commands = [
        ("a child", format!("cat {FILE} > {OUT} 2>&1; echo ends with $? >> {OUT}")),
        ("its own", format!("exec 2>&1 > {OUT}; read x < {FILE} && echo $x; echo ends with $?")),
    ];
    for (what, command) in commands {
        for (how, expected) in [("approve", "content\nends with 0\n"), ("deny", "ends with 1\n")] {
            let _ = fs::remove_file(OUT);
            let tmux = format!(
                "SHELL=/usr/bin/bash TERM=xterm tmux -f /dev/null -S {TOP}/tmux new-session -d '{command}'"
            );
            let child = held.spawn(&tmux)?;
            let asked = question()?;
            sleep(10 * PAUSE);
            answer(&question()?, how)?;
            says(&finish(child)?, "")?;
            let mut said = String::new();
            for _ in 0..LOOKS {
                said = fs::read_to_string(OUT).unwrap_or_default();
                if said.contains("ends with") && said.ends_with('\n') {
                    break;
                }
                sleep(PAUSE);
            }
            ensure!(said.ends_with(expected), "{what}, {how}: {said:?}; {asked}");
            none_is_left()?;
        }
    }
    Ok(())
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
    for (how, expected) in [("approve", "content\r\n"), ("deny", "Permission denied\r\n")] {
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
