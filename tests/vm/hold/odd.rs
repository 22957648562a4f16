//! Calls that cannot be held, questions that turn out to be none, and the end of the gate.

use super::{
    Held, LOOKS, PAUSE, answer, ask, nobody_is_stopped, none_is_left, pending, printed, question,
    settle,
};
use crate::framework::Lane;
use anyhow::{Result, bail, ensure};
use execlayer_api::{Outcome, Remember, Request};
use serde_json::Value;
use std::fs;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

crate::tests! {
    hold_cannot_and_the_next_try_passes => .lanes(&[Lane::Hold]).limit(240),
    hold_of_a_creation_ends_when_the_file_is_there => .lanes(&[Lane::Hold]).limit(240),
    hold_ends_when_the_gate_is_taken_down => .lanes(&[Lane::Hold]).limit(240),
}

const RULES: &str = r#"
[[rule]]
id = "all"
allow = ["read", "append", "exec", "delete", "rename", "ioctl", "chmod", "utime"]
path = "/**"

[[rule]]
id = "asked"
ask = ["write"]
path = "/srv/hold/log*"

[[rule]]
id = "written"
allow = ["write"]
path = "/srv/hold/new*"

[[rule]]
id = "made"
ask = ["create"]
path = "/srv/hold/new*"

[[rule]]
id = "asked-reads"
ask = ["read"]
path = "/srv/hold/asked"
"#;

/// Takes back the promise to append only, which is no call that can be held, until it may.
const TAKES_BACK: &str = r#"
import fcntl, os, sys, time
file = os.open("/srv/hold/log", os.O_WRONLY | os.O_APPEND)
for attempt in range(300):
    try:
        fcntl.fcntl(file, fcntl.F_SETFL, 0)
        print("taken back after", "no" if attempt == 0 else "some", "denials")
        sys.exit(0)
    except PermissionError:
        time.sleep(0.1)
sys.exit("never")
"#;

fn hold_cannot_and_the_next_try_passes() -> Result<()> {
    let held = Held::with_rules(RULES)?;
    fs::write("/srv/hold/log", "")?;
    fs::write("/srv/hold/take.py", TAKES_BACK)?;
    let child = held.spawn("python3 /srv/hold/take.py")?;
    settle(&asked_to("append")?, true, Remember::Once)?;
    let asked = asked_to("write")?;
    ensure!(asked["held"] == false, "{asked}");
    settle(&asked, true, Remember::AsRule)?;
    let output = child.wait_with_output()?;
    ensure!(output.stdout == b"taken back after some denials\n", "{}", printed(&output));
    let Outcome::Grants(grants) = ask(&Request::Grants {})? else { bail!("no grants") };
    ensure!(grants.len() == 1 && grants[0].left <= 60, "{grants:?}");
    // The answer was for that tree: another one is denied anew, and a no changes nothing.
    let child = held.spawn("timeout 5 python3 /srv/hold/take.py")?;
    settle(&asked_to("append")?, true, Remember::Once)?;
    settle(&asked_to("write")?, false, Remember::AsRule)?;
    let output = child.wait_with_output()?;
    ensure!(output.stdout.is_empty(), "{}", printed(&output));
    Ok(())
}

/// The one question, once it is about that access.
fn asked_to(access: &str) -> Result<Value> {
    for _ in 0..LOOKS {
        let asked = question()?;
        if asked["access"][0] == access {
            return Ok(asked);
        }
        sleep(PAUSE);
    }
    bail!("nobody asks to {access}")
}

fn hold_of_a_creation_ends_when_the_file_is_there() -> Result<()> {
    let held = Held::with_rules(RULES)?;
    fs::write("/srv/hold/new", "old\n")?;
    // A look-up that finds nothing in the cache asks before it knows.
    for _ in 0..3 {
        Command::new("sync").status()?;
        fs::write("/proc/sys/vm/drop_caches", "2")?;
        let output = held.output("echo line > /srv/hold/new && echo written")?;
        ensure!(output.stdout == b"written\n", "it was there: {}", printed(&output));
        none_is_left()?;
        nobody_is_stopped()?;
    }
    // The twin that really makes one.
    let child = held.spawn("echo line > /srv/hold/new-one && echo written")?;
    answer(&question()?, "approve")?;
    let output = child.wait_with_output()?;
    ensure!(output.stdout == b"written\n", "{}", printed(&output));
    Ok(())
}

fn hold_ends_when_the_gate_is_taken_down() -> Result<()> {
    let mut held = Held::with_rules(RULES)?;
    let children = [
        held.spawn("cat /srv/hold/asked; echo end")?,
        held.spawn("cat /srv/hold/asked; echo end")?,
    ];
    for _ in 0..100 {
        if pending()?.len() == 2 {
            break;
        }
        sleep(Duration::from_millis(100));
    }
    held.gate.kill()?;
    let unloaded = Command::new("/opt/execlayer/bin/execlayerd").arg("--unload").output()?;
    ensure!(unloaded.status.success(), "{}", printed(&unloaded));
    for child in children {
        let output = child.wait_with_output()?;
        ensure!(output.stdout == b"end\n", "denied, and then free: {}", printed(&output));
    }
    nobody_is_stopped()?;
    ensure!(!fs::exists("/sys/fs/bpf/execlayer")?, "pins are left");
    Ok(())
}
