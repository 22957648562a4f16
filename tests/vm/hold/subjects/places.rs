//! Tasks in places of their own: the init of a pid namespace, a traced task, a machine whose clock is set.

use super::super::RULES;
use super::super::{FILE, Held, answer, finish, none_is_left, printed, question};
use super::{python, says};
use crate::framework::Lane;
use crate::gate::policy;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::fs;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

crate::tests! {
    hold_the_init_of_a_pid_namespace => .lanes(&[Lane::Subjects]).limit(240),
    hold_nobody_who_is_traced => .lanes(&[Lane::Subjects]).limit(240),
    hold_does_not_look_at_the_clock_of_the_wall => .lanes(&[Lane::Subjects]).limit(240),
}

/// Two ticks of the daemon.
const TICKS: Duration = Duration::from_secs(3);
const OPEN: &str = r"
import ctypes, os, sys
pid = os.fork()
if pid == 0:
    if TRACED and ctypes.CDLL(None).ptrace(0, 0, None, None) != 0:
        os._exit(1)
    try:
        os.open('/srv/hold/asked', os.O_RDONLY)
    except PermissionError:
        os._exit(13)
    os._exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
";

/// Nobody who is governed makes a namespace: it becomes governed in one, by its cgroup.
fn hold_the_init_of_a_pid_namespace() -> Result<()> {
    const CGROUP: &str = "/sys/fs/cgroup/hold-init";
    let held = Held::start(&["--hold", "60"])?;
    fs::create_dir_all(CGROUP)?;
    let policy = policy("hold-init", "cgroup = [\"/hold-init\"]", RULES)?;
    let installed = held.gate.run(&policy, &["--quiet"], &["/usr/bin/true"]).status()?;
    ensure!(installed.success(), "{installed}");
    let code = format!("echo 0 > {CGROUP}/cgroup.procs; exec /usr/bin/cat {FILE}");
    let init = || {
        let mut init = Command::new("unshare");
        init.args(["--pid", "--fork", "sh", "-c", &code]).stdin(Stdio::null());
        init.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
    };
    let child = init()?;
    answer(&question()?, "approve")?;
    says(&finish(child)?, "content\n")?;
    let child = init()?;
    answer(&question()?, "deny")?;
    let said = printed(&finish(child)?);
    ensure!(said.contains("Permission denied"), "denied, it said {said}");
    none_is_left()
}

fn hold_nobody_who_is_traced() -> Result<()> {
    let held = Held::start(&["--hold", "60"])?;
    let code = |traced: &str| OPEN.replace("TRACED", traced);
    says(&python(&held, &code("False"), &["approve"])?, "0\n").context("not traced")?;
    says(&python(&held, &code("False"), &["deny"])?, "13\n").context("not traced")?;
    // It has failed when it is asked about.
    says(&python(&held, &code("True"), &["deny"])?, "13\n").context("traced")?;
    let is_it = |event: &Value| event["reason"] == "cannot-hold" && event["subject"] == FILE;
    ensure!(held.gate.events(is_it)?.iter().any(is_it), "no record of why");
    Ok(())
}

fn set_clock(by: &str) -> Result<()> {
    // The file behind which the guest's clock is has no battery: only the running clock moves.
    let moved = Command::new("date").args(["-s", by]).output()?;
    ensure!(moved.status.success(), "date -s `{by}`: {}", printed(&moved));
    Ok(())
}

fn hold_does_not_look_at_the_clock_of_the_wall() -> Result<()> {
    let held = Held::start(&["--hold", "20"])?;
    let steps = [("+3 days", "-3 days"), ("-3 days", "+3 days")];
    for (there, back) in steps {
        let child = held.spawn(&format!("cat {FILE}"))?;
        let asked = question()?;
        set_clock(there)?;
        sleep(TICKS);
        let now = question()?;
        ensure!(now["id"] == asked["id"], "{there}: asked again");
        let left = now["left"].as_u64().context("no time limit")?;
        ensure!((1..20).contains(&left), "{there}: {left} s are left");
        answer(&now, "approve")?;
        says(&finish(child)?, "content\n").context(there)?;
        set_clock(back)?;
    }
    for (there, back) in steps {
        let child = held.spawn(&format!("cat {FILE}"))?;
        question()?;
        set_clock(there)?;
        let said = printed(&finish(child)?);
        ensure!(said.contains("Permission denied"), "{there}, nobody answered: {said}");
        set_clock(back)?;
        none_is_left()?;
    }
    Ok(())
}
