//! Who is governed: all that descend from who was, each by its own agent's policy, also when the
//! daemon is gone.

use crate::gate::{Gate, all_but, policy};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

crate::tests! { whoever_descends_from_a_governed_process_stays_governed => .limit(290) }

const TOP: &str = "/srv/inherit";

/// Shell commands that read `$1` in some descendant. All print it if they may.
const WAYS: &[(&str, &str)] = &[
    ("a child", "cat $1"),
    ("a child of a child", "sh -c 'sh -c \"cat $0; true\" $0; true' $1"),
    ("a session of its own", "setsid --wait cat $1"),
    (
        "a double fork",
        "(setsid sh -c 'cat $0 > $0.out; echo done > $0.done' $1 &); \
        until [ -e $1.done ]; do sleep 0.05; done; cat $1.out",
    ),
    ("another cgroup", "echo 0 > /sys/fs/cgroup/cgroup.procs && cat $1"),
    (
        "a thread",
        "python3 -c 'import sys, threading; \
        read = lambda: print(open(sys.argv[1]).read(), end=\"\"); \
        t = threading.Thread(target=read); t.start(); t.join()' $1",
    ),
    (
        "a fork of python",
        "python3 -c 'import os, sys; pid = os.fork()\n\
        if pid: os.wait()\n\
        else: print(open(sys.argv[1]).read(), end=\"\")' $1",
    ),
];

fn whoever_descends_from_a_governed_process_stays_governed() -> Result<()> {
    fs::create_dir_all(TOP)?;
    for name in ["a", "b", "free"] {
        fs::write(at(name), format!("{name}\n"))?;
    }
    for name in ["chosen", "other"] {
        fs::copy("/usr/bin/cat", at(name))?;
    }
    let a = keeps_from("a", "")?;
    let b = keeps_from("b", "")?;
    for (name, way) in WAYS {
        ensure!(shell(way, "a")? == "a\n", "{name}, before");
    }
    let mut gate = Gate::start()?;
    for (name, way) in WAYS {
        let governed = |file: &str| {
            reads(gate.run(&a, &["--quiet"], &["sh", "-c", way, "sh", &at(file)]), file)
        };
        ensure!(governed("free")? == "free\n", "{name}: the allowed file was not read");
        ensure!(governed("a")?.is_empty(), "{name}: the forbidden file was read");
    }
    two_at_once(&gate, &a, &b).context("two agents at once")?;
    selectors().context("selectors")?;
    daemon_gone(&mut gate, &a).context("the daemon is killed")?;
    for (name, way) in WAYS {
        ensure!(shell(way, "a")? == "a\n", "{name}, after");
    }
    Ok(())
}

/// Two governed shells, each with its own forbidden file, asked in turn; then one goes into the
/// other's cgroup and executes something: the first label wins.
fn two_at_once(gate: &Gate, a: &str, b: &str) -> Result<()> {
    let mut first = Shell::start(gate.run(a, &["--quiet"], &["sh"]))?;
    let mut second = Shell::start(gate.run(b, &["--quiet"], &["sh"]))?;
    for _ in 0..3 {
        ensure!(!first.reads("a")? && first.reads("b")?, "the first agent's verdicts are wrong");
        ensure!(second.reads("a")? && !second.reads("b")?, "the second agent's verdicts are wrong");
    }
    let of_second = second.says("cat /proc/self/cgroup")?;
    let cgroup = of_second.trim().trim_start_matches("0::").to_owned();
    let moved =
        first.says(&format!("echo 0 > /sys/fs/cgroup{cgroup}/cgroup.procs && echo moved"))?;
    ensure!(moved.trim() == "moved", "it did not get into `{cgroup}`: {moved}");
    ensure!(!first.reads("a")? && first.reads("b")?, "another cgroup changed the label");
    Ok(())
}

fn selectors() -> Result<()> {
    let by_exe = keeps_from("by-exe", "exe = [\"/srv/inherit/chosen\"]")?;
    let by_cgroup = keeps_from("by-cgroup", "cgroup = [\"/picked\"]")?;
    fs::create_dir_all("/sys/fs/cgroup/picked")?;
    let in_cgroup =
        |file: &str| shell("echo 0 > /sys/fs/cgroup/picked/cgroup.procs; cat $1; true", file);
    let chosen = |file: &str| reads(command(&at("chosen"), &[&at(file)]), file);
    for file in ["by-exe", "by-cgroup"] {
        fs::write(at(file), format!("{file}\n"))?;
    }
    ensure!(chosen("by-exe")? == "by-exe\n", "selected before there was a policy");
    ensure!(in_cgroup("by-cgroup")? == "by-cgroup\n", "selected before there was a policy");
    let gate = |policy: &str| {
        command(
            "/opt/execlayer/bin/execlayer",
            &["run", "--quiet", "--policy", policy, "--", "true"],
        )
    };
    for policy in [&by_exe, &by_cgroup] {
        ensure!(gate(policy).status()?.success(), "`{policy}` was not installed");
    }
    ensure!(chosen("by-exe")?.is_empty(), "the chosen program is not governed");
    ensure!(chosen("free")? == "free\n", "the chosen program may read nothing");
    let other = reads(command(&at("other"), &[&at("by-exe")]), "by-exe")?;
    ensure!(other == "by-exe\n", "a program that was not chosen is governed");
    ensure!(in_cgroup("by-cgroup")?.is_empty(), "the cgroup is not governed");
    ensure!(in_cgroup("free")? == "free\n", "the cgroup may read nothing");
    ensure!(shell("cat $1", "by-cgroup")? == "by-cgroup\n", "another cgroup is governed");
    Ok(())
}

fn daemon_gone(gate: &mut Gate, a: &str) -> Result<()> {
    let mut governed = Shell::start(gate.run(a, &["--quiet"], &["sh"]))?;
    ensure!(!governed.reads("a")? && governed.reads("free")?, "not governed to begin with");
    gate.kill()?;
    ensure!(!governed.reads("a")? && governed.reads("free")?, "what was governed is not any more");
    let chosen = |file: &str| reads(command(&at("chosen"), &[&at(file)]), file);
    ensure!(chosen("by-exe")?.is_empty(), "who is chosen now is not governed");
    ensure!(chosen("free")? == "free\n", "who is chosen now may read nothing");
    Ok(())
}

/// A policy that allows all but reading one file of that name.
fn keeps_from(name: &str, agent: &str) -> Result<String> {
    policy(name, agent, &all_but(&at(name)))
}

fn at(name: &str) -> String {
    format!("{TOP}/{name}")
}

fn command(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null());
    command
}

fn shell(script: &str, file: &str) -> Result<String> {
    reads(command("sh", &["-c", script, "sh", &at(file)]), file)
}

/// What a command prints; the marks that it leaves beside the file are removed.
fn reads(mut command: Command, file: &str) -> Result<String> {
    let output = command.output()?;
    for end in ["out", "done"] {
        let _ = fs::remove_file(at(&format!("{file}.{end}")));
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// A shell that reads commands from a pipe.
struct Shell(Child);

impl Shell {
    fn start(mut command: Command) -> Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        Ok(Self(command.spawn()?))
    }

    fn says(&mut self, line: &str) -> Result<String> {
        let input = self.0.stdin.as_mut().context("no pipe")?;
        writeln!(input, "{line}; echo end-of-answer")?;
        let output = BufReader::with_capacity(1, self.0.stdout.as_mut().context("no pipe")?);
        let mut said = String::new();
        for line in output.lines() {
            let line = line?;
            if line == "end-of-answer" {
                return Ok(said);
            }
            said.push_str(&line);
            said.push('\n');
        }
        anyhow::bail!("the shell ended; it said: {said}")
    }

    fn reads(&mut self, file: &str) -> Result<bool> {
        Ok(self.says(&format!("cat {}", at(file)))? == format!("{file}\n"))
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}
