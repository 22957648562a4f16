//! Unmodified programs under the shipped policy for coding agents: what must work works, what must
//! not is denied, and whoever ran them learns which rule said so.

use crate::framework::Lane;
use crate::gate::{Gate, policy};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Output};

crate::tests! { a_coding_agent_works_and_is_kept_from_the_rest => .lanes(&[Lane::Plain]).limit(290) }

const POLICY: &str = "/opt/execlayer/policies/coding-agent";
const KEY: &str = "/root/.ssh/id_of_a_person";
const HOOK: &str = "/workspace/.git/hooks/post-commit";

/// A day's work: git, python3 and curl, each of which must succeed.
const WORK: &str = "set -e; cd /workspace; git init -q .; \
    python3 -c 'import json, pathlib, subprocess; \
        pathlib.Path(\"made.py\").write_text(\"print(6 * 7)\"); \
        subprocess.run([\"python3\", \"made.py\"], check=True)'; \
    git add made.py; git -c user.name=a -c user.email=a@b commit -qm made; \
    git log --oneline | wc -l; curl -sS http://127.0.0.1:8080/; rm -rf .git made.py";

/// A forbidden thing: its command, and the rule and the access that the record must name.
struct Forbidden {
    command: &'static [&'static str],
    rule: Option<&'static str>,
    file: &'static str,
    subject: &'static str,
}

const FORBIDDEN: &[Forbidden] = &[
    Forbidden {
        command: &["cat", KEY],
        rule: Some("no-private-keys"),
        file: "baseline/linux-dev/policy.toml",
        subject: KEY,
    },
    Forbidden {
        command: &["sudo", "true"],
        rule: Some("no-change-of-user"),
        file: "baseline/linux-dev/policy.toml",
        subject: "/usr/bin/sudo",
    },
    Forbidden {
        command: &["bash", "-c", "echo x > /workspace/.git/hooks/post-commit"],
        rule: Some("no-git-hooks"),
        file: "coding-agent/policy.toml",
        subject: HOOK,
    },
    Forbidden {
        command: &["bash", "-c", "exec 3<> /dev/tcp/127.0.0.2/2375"],
        rule: Some("no-container-sockets"),
        file: "baseline/linux-dev/policy.toml",
        subject: "tcp:127.0.0.2:2375",
    },
    Forbidden {
        command: &["python3", "-c", "open('/srv/elsewhere').read()"],
        rule: None,
        file: "",
        subject: "/srv/elsewhere",
    },
];

fn a_coding_agent_works_and_is_kept_from_the_rest() -> Result<()> {
    for folder in ["/root/.ssh", "/workspace/.git/hooks", "/srv"] {
        fs::create_dir_all(folder)?;
    }
    fs::write(KEY, "secret")?;
    fs::write("/srv/elsewhere", "elsewhere")?;
    let _denied = TcpListener::bind("127.0.0.2:2375")?;
    serve(TcpListener::bind("127.0.0.1:8080")?);
    ungoverned()?;
    let gate = Gate::start()?;
    work(&mut gate.run(POLICY, &[], &["bash", "-c", WORK]))?;
    fs::create_dir_all("/workspace/.git/hooks")?;
    for forbidden in FORBIDDEN {
        denied(&gate, forbidden).with_context(|| forbidden.command.join(" "))?;
    }
    codes(&gate)?;
    ungoverned()
}

/// Everything can be done by who is not governed.
fn ungoverned() -> Result<()> {
    for forbidden in FORBIDDEN {
        let output = as_command(forbidden.command).output()?;
        ensure!(output.status.success(), "ungoverned, {:?}: {output:?}", forbidden.command);
    }
    fs::remove_file(HOOK)?;
    work(&mut as_command(&["bash", "-c", WORK]))?;
    Ok(fs::create_dir_all("/workspace/.git/hooks")?)
}

fn work(command: &mut Command) -> Result<()> {
    let output = command.output()?;
    let printed = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success() && printed == "42\n1\nserved\n", "the work: {output:?}");
    Ok(())
}

fn denied(gate: &Gate, forbidden: &Forbidden) -> Result<()> {
    let output = gate.run(POLICY, &[], forbidden.command).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(!output.status.success() && output.stdout.is_empty(), "it was done: {output:?}");
    ensure!(!Path::new(HOOK).exists(), "the hook was made");
    row(&said, forbidden)?;
    let is = |event: &Value, key: &str, wanted: Value| event.get(key) == Some(&wanted);
    let mine = |event: &Value| {
        is(event, "subject", forbidden.subject.into()) && is(event, "verdict", "deny".into())
    };
    let events = gate.events(mine)?;
    let event = events.iter().find(|event| mine(event));
    let event = event.with_context(|| format!("no event; the last: {:?}", events.last()))?;
    let line = event.get("line").and_then(Value::as_u64);
    let place = event.get("file").and_then(Value::as_str).zip(line);
    let right = is(event, "agent", "coding-agent".into())
        && is(event, "rule", forbidden.rule.map_or(Value::Null, Into::into))
        && event.get("exe").and_then(Value::as_str).is_some_and(|exe| exe.starts_with('/'))
        && event.get("pid").and_then(Value::as_u64).is_some_and(|pid| pid > 1);
    ensure!(right, "the event: {event}");
    if let (Some(rule), Some((file, line))) = (forbidden.rule, place) {
        let (wanted, _) = address(forbidden.file, rule)?;
        ensure!(format!("{file}:{line}").ends_with(&wanted), "the event: {event}");
    }
    ensure!(place.is_some() == forbidden.rule.is_some(), "the event: {event}");
    Ok(())
}

/// The summary names rule, place and reason.
fn row(said: &str, forbidden: &Forbidden) -> Result<()> {
    let row = said.lines().find(|line| {
        line.contains(forbidden.subject) && line.contains(forbidden.rule.unwrap_or("no rule"))
    });
    let row = row.with_context(|| format!("no row of the summary: {said}"))?;
    if let Some(rule) = forbidden.rule {
        let (place, reason) = address(forbidden.file, rule)?;
        ensure!(row.contains(&place) && row.contains(&reason), "{place}, {reason}: {row}");
    }
    Ok(())
}

/// `file:line` of a rule, and its reason.
fn address(file: &str, rule: &str) -> Result<(String, String)> {
    let text = fs::read_to_string(format!("/opt/execlayer/policies/{file}"))?;
    let lines: Vec<&str> = text.lines().collect();
    let id =
        lines.iter().position(|line| *line == format!("id = \"{rule}\"")).context("no rule")?;
    let mut below = lines.iter().skip(id);
    let reason = below.find_map(|line| line.strip_prefix("reason = \"")).context("no reason")?;
    // A rule begins with its header, which is the line above its id.
    Ok((format!("{file}:{id}"), reason.trim_end_matches('"').to_owned()))
}

fn codes(gate: &Gate) -> Result<()> {
    let output = |command: &[&str]| gate.run(POLICY, &[], command).output();
    for (command, code) in [("exit 7", 7), ("kill -TERM $$", 143), ("exec /workspace/nothing", 127)]
    {
        let output = output(&["bash", "-c", command])?;
        ensure!(output.status.code() == Some(code), "`{command}`: {output:?}");
    }
    let quiet: Output = output(&["true"])?;
    let said = String::from_utf8_lossy(&quiet.stderr);
    ensure!(quiet.status.success() && said.contains("nothing was denied"), "{quiet:?}");
    let broken = policy("broken", "", "[[rule]]\nid = 1\n")?;
    let output = gate.run(&broken, &[], &["touch", "/workspace/ran"]).output()?;
    ensure!(!output.status.success() && !Path::new("/workspace/ran").exists(), "{output:?}");
    // A signal to `execlayer` reaches the program, whose end is passed on.
    let wait = ["bash", "-c", "trap 'exit 9' TERM; echo up; sleep 60 & wait"];
    let mut run = gate.run(POLICY, &[], &wait).stdout(std::process::Stdio::piped()).spawn()?;
    run.stdout.as_mut().context("no output")?.read_exact(&mut [0; 3])?;
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(run.id().cast_signed()),
        nix::sys::signal::Signal::SIGTERM,
    )?;
    let status = run.wait()?;
    ensure!(status.code() == Some(9), "{status}, signal {:?}", status.signal());
    Ok(())
}

fn as_command(words: &[&str]) -> Command {
    let mut words = words.iter();
    let mut command = Command::new(words.next().copied().unwrap_or_default());
    command.args(words).stdin(std::process::Stdio::null());
    command
}

/// A web server of this process, which is not governed.
fn serve(listener: TcpListener) {
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            // A client that leaves early is its own business.
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(b"HTTP/1.0 200 OK\r\n\r\nserved\n");
        }
    });
}
