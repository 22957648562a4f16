//! Nobody answers its own question, and nobody who is governed touches the gate: not its sockets, not its
//! pins, not bpf(2), whatever the policy allows. But it is told why.

use super::{Held, none_is_left, pending, printed, question, settle};
use crate::framework::Lane;
use anyhow::{Context, Result, ensure};
use execlayer_api::Remember;
use std::fs;
use std::os::unix::net::UnixListener;
use std::process::{Command, Output};

crate::tests! {
    hold_is_not_answered_by_who_asks => .lanes(&[Lane::Hold]).limit(240),
    hold_says_why_to_who_was_denied => .lanes(&[Lane::Hold]).limit(240),
}

const RULES: &str = r#"
[[rule]]
id = "all"
allow = ["read", "modify", "exec", "ioctl"]
path = "/**"

[[rule]]
id = "sockets"
allow = ["connect"]
to = "unix:/**"

[[rule]]
id = "asked"
ask = ["read"]
path = "/srv/hold/asked"
timeout = "2s"
reason = "It is asked about."

[[rule]]
id = "denied"
deny = ["read"]
path = "/srv/hold/free"
"#;

/// Errors of what a process tries, by name.
const TRIES: &str = r#"
import ctypes, errno, os, socket, sys
libc = ctypes.CDLL(None, use_errno=True)
def tried(what, act):
    try:
        act()
        print(what, "done")
    except OSError as error:
        print(what, errno.errorcode[error.errno])
def connect(path):
    socket.socket(socket.AF_UNIX, socket.SOCK_STREAM).connect(path)
def bpf():
    # BPF_PROG_GET_NEXT_ID without arguments.
    if libc.syscall(321, 11, ctypes.create_string_buffer(128), 128) < 0:
        raise OSError(ctypes.get_errno(), "bpf")
def read(path):
    open(path).read()
tried("control", lambda: connect("/run/execlayer/control.sock"))
tried("other", lambda: connect("/srv/hold/other.sock"))
tried("bpf", bpf)
tried("pin", lambda: read("/sys/fs/bpf/execlayer/maps/DAEMON"))
tried("unpin", lambda: os.unlink("/sys/fs/bpf/execlayer/links/" + sys.argv[1]))
tried("rename", lambda: os.rename("/run/execlayer/control.sock", "/run/execlayer/x"))
tried("unlink", lambda: os.unlink("/run/execlayer/control.sock"))
tried("move", lambda: os.rename("/run/execlayer", "/run/elsewhere"))
open("/srv/hold/mine", "w").close()
tried("mine", lambda: os.rename("/srv/hold/mine", "/srv/hold/yours"))
tried("yours", lambda: os.unlink("/srv/hold/yours"))
"#;

fn lines(output: &Output) -> Vec<String> {
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

fn hold_is_not_answered_by_who_asks() -> Result<()> {
    let held = Held::with_rules(RULES)?;
    fs::write("/srv/hold/tries.py", TRIES)?;
    let _ = fs::remove_file("/srv/hold/other.sock");
    let _other = UnixListener::bind("/srv/hold/other.sock")?;
    let output = held.output("python3 /srv/hold/tries.py file_open")?;
    let expected = [
        "control EACCES",
        "other done",
        "bpf EACCES",
        "pin EACCES",
        "unpin EACCES",
        "rename EACCES",
        "unlink EACCES",
        "move EACCES",
        "mine done",
        "yours done",
    ];
    ensure!(lines(&output) == expected, "{}", printed(&output));
    let events = held.gate.events(|event| event["reason"] == "guarded")?;
    let guarded = events.iter().filter(|event| event["reason"] == "guarded").count();
    ensure!(guarded >= 7, "{guarded} records");
    // The twins of somebody who is not governed; it does not break anything that is still needed.
    let free = TRIES.replace("tried(\"unpin\"", "0 and tried(\"unpin\"");
    let free = free.replace("tried(\"rename\"", "0 and tried(\"rename\"");
    let free = free.replace("tried(\"unlink\"", "0 and tried(\"unlink\"");
    let free = free.replace("tried(\"move\"", "0 and tried(\"move\"");
    let output = Command::new("python3").args(["-c", &free, "-"]).output()?;
    let done = lines(&output);
    ensure!(done.first().is_some_and(|line| line == "control done"), "{}", printed(&output));
    ensure!(done.get(2).is_some_and(|line| line != "bpf EACCES"), "{}", printed(&output));
    ensure!(done.get(3).is_some_and(|line| line != "pin EACCES"), "{}", printed(&output));

    // By the tool: it does not even reach the daemon.
    let asker = held.spawn("cat /srv/hold/asked")?;
    let asked = question()?;
    let approve = format!("/opt/execlayer/bin/execlayer approve {}", asked["id"]);
    let output = held.output(&approve)?;
    ensure!(!output.status.success(), "a governed process answered: {}", printed(&output));
    let output = asker.wait_with_output()?;
    ensure!(output.stdout.is_empty(), "{}", printed(&output));
    none_is_left()
}

fn hold_says_why_to_who_was_denied() -> Result<()> {
    let held = Held::with_rules(RULES)?;
    let why = r#"
import json, socket
one = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
one.connect("/run/execlayer/why.sock")
for denial in json.loads(one.makefile().read())["response"]["done"]["why"]:
    print(denial["subject"], denial["rule"], denial["reason"], denial["advice"])
"#;
    fs::write("/srv/hold/why.py", why)?;
    let output =
        held.output("cat /srv/hold/free /srv/hold/asked 2> /dev/null; python3 /srv/hold/why.py")?;
    let expected = [
        "/srv/hold/free denied rule do-not-retry",
        "/srv/hold/asked asked answered retry-after-approval",
    ];
    ensure!(lines(&output) == expected, "{}", printed(&output));
    // Another tree is told of its own denials only.
    let output = held.output("python3 /srv/hold/why.py")?;
    ensure!(lines(&output).is_empty(), "{}", printed(&output));
    // Approved, it is no denial.
    let child = held.spawn("cat /srv/hold/asked; python3 /srv/hold/why.py")?;
    settle(&question()?, true, Remember::Once)?;
    let output = child.wait_with_output()?;
    ensure!(lines(&output) == ["content"], "{}", printed(&output));
    ensure!(pending()?.is_empty());
    let last = fs::metadata("/run/execlayer/why.sock").context("no socket")?;
    ensure!(std::os::unix::fs::MetadataExt::mode(&last) & 0o777 == 0o666);
    Ok(())
}
