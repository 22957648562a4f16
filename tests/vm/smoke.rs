//! That the gate works on a machine at all: it loads, denies and holds by a signed policy. Each denial has the
//! same act under another rule beside it. What is here runs on every architecture; must not know which it is.

use crate::framework::{Lane, note};
use crate::gate::{Gate, ask, policy};
use crate::hold::{finish, pending, tool};
use anyhow::{Context, Result, bail, ensure};
use execlayer_api::{Outcome, Request};
use harness::calls;
use nix::unistd::Pid;
use serde_json::Value;
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

crate::tests! {
    the_gate_is_loaded_and_its_canary_is_denied => .lanes(&[Lane::Smoke]).limit(290),
    what_is_denied_fails_and_its_twin_does_not => .lanes(&[Lane::Smoke]).limit(290),
    what_is_held_ends_as_it_is_answered => .lanes(&[Lane::Smoke]).limit(290),
    calls_of_tools_are_judged_as_on_every_machine => .lanes(&[Lane::Smoke]).limit(290),
}

const TOP: &str = "/srv/smoke";
const KEYS: &str = "/etc/execlayer/keys.d";
const RULES: &str = r#"
[[rule]]
id = "all"
allow = ["read", "modify", "exec", "ioctl"]
path = ["/", "/**"]

[[rule]]
id = "kept"
deny = ["read"]
path = "/srv/smoke/kept*"

[[rule]]
id = "no-program"
deny = ["exec"]
path = "/srv/smoke/bin/denied"

[[rule]]
id = "port"
allow = ["connect"]
to = "tcp:127.0.0.1:6001"

[[rule]]
id = "no-port"
deny = ["connect"]
to = "tcp:127.0.0.1:6002"

[[rule]]
id = "asked"
ask = ["read"]
path = "/srv/smoke/asked"

[[rule]]
id = "asked-port"
ask = ["connect"]
to = "tcp:127.0.0.1:6003"

[[rule]]
id = "asked-program"
ask = ["exec"]
path = "/srv/smoke/bin/asked"
"#;
/// Acts, what they print when they go on, and the rules that deny, allow and ask about them.
const ACTS: &[(&str, &str, &str, &str)] = &[
    ("cat /srv/smoke/FILE", "content\n", "kept", "free"),
    ("/srv/smoke/bin/FILE -u", "0\n", "denied", "allowed"),
    ("exec 3<>/dev/tcp/127.0.0.1/FILE && echo connected", "connected\n", "6002", "6001"),
];
const DENIED_BY: [&str; 3] = ["kept", "no-program", "no-port"];
const ASKED: [&str; 3] = ["asked", "asked", "6003"];
const ASKED_BY: [&str; 3] = ["asked", "asked-program", "asked-port"];
const LOOKS: usize = 300;
const PAUSE: Duration = Duration::from_millis(100);

/// The gate, a policy in force by its signature, and what its acts are about.
struct Smoke {
    gate: Gate,
    _listeners: Vec<TcpListener>,
}

impl Smoke {
    fn start() -> Result<Self> {
        for folder in [&*at("bin"), KEYS, "/sys/fs/cgroup/smoke"] {
            fs::create_dir_all(folder)?;
        }
        for file in ["kept", "free", "asked"] {
            fs::write(at(file), "content\n")?;
        }
        for program in ["denied", "allowed", "asked"] {
            fs::copy("/usr/bin/id", at("bin") + "/" + program)?;
        }
        let mut listeners = Vec::new();
        for port in [6001, 6002, 6003] {
            listeners.push(TcpListener::bind(("127.0.0.1", port))?);
        }
        if !Path::new(&at("release.key")).exists() {
            tool(&["keys", "new", &at("release")])?;
        }
        fs::copy(at("release.pub"), format!("{KEYS}/release.pub"))?;
        let policy = policy("smoke", "cgroup = [\"/smoke\"]", RULES)?;
        let bundle = at("smoke.bundle");
        tool(&["compile", &policy, "--key", &at("release.key"), "-o", &bundle])?;
        let gate = Gate::start_with(&["--hold", "200"])?;
        tool(&["install", &bundle])?;
        Ok(Self { gate, _listeners: listeners })
    }

    /// An act of an agent: of a process that the cgroup selects.
    fn act(&self, act: &str, about: &str) -> Result<Child> {
        let act = act.replace("FILE", about);
        let script = "echo 0 > /sys/fs/cgroup/smoke/cgroup.procs; exec bash -c \"$0\"";
        let mut agent = Command::new("bash");
        agent.args(["-c", script, &act]).stdin(Stdio::null());
        Ok(agent.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?)
    }

    /// That the log has a record in which these stand.
    fn has_record(&self, wanted: &[(&str, &str)]) -> Result<()> {
        let is_it = |event: &Value| wanted.iter().all(|(key, value)| event[key] == *value);
        let events = self.gate.events(is_it)?;
        ensure!(events.iter().any(is_it), "no record of {wanted:?} in {events:#?}");
        Ok(())
    }
}

fn the_gate_is_loaded_and_its_canary_is_denied() -> Result<()> {
    let _smoke = Smoke::start()?;
    let Outcome::Status(status) = ask(&Request::Status {})? else { bail!("no status") };
    let attached = status.programs.iter().filter(|program| program.attached).count();
    let rest = status.programs.iter().filter(|program| !program.attached);
    let rest: Vec<&str> = rest.map(|program| &*program.hook).collect();
    note(&format!("{}: {attached} programs attached, none at {rest:?}", status.kernel));
    ensure!(attached > 40, "{attached} programs are attached");
    ensure!(status.degraded.is_empty(), "degraded: {:?}", status.degraded);
    let canary = status.canary.context("the canary did not try")?;
    ensure!(canary.passed, "the canary: {:?}", canary.acts);
    note(&format!("the canary: {}", canary.acts.join("; ")));
    let profile = status.profiles.iter().find(|profile| profile.agent == "smoke");
    ensure!(profile.is_some(), "the signed policy is not in force");
    Ok(())
}

/// The whole corpus, by the same digest as on the machine that builds it.
fn calls_of_tools_are_judged_as_on_every_machine() -> Result<()> {
    let said = calls::judge(&calls::policy()?, calls::CALLS)?;
    note(&format!("{} calls: {said:?}", calls::CALLS));
    ensure!(said.digest == calls::DIGEST, "{said:?}");
    Ok(())
}

fn what_is_denied_fails_and_its_twin_does_not() -> Result<()> {
    let smoke = Smoke::start()?;
    for ((act, prints, denied, allowed), rule) in ACTS.iter().zip(DENIED_BY) {
        // Nobody is kept from it by anything but the policy.
        let output = Command::new("bash").args(["-c", &act.replace("FILE", denied)]).output()?;
        ensure!(output.stdout == prints.as_bytes(), "`{act}` without a policy: {output:?}");
        let output = finish(smoke.act(act, denied)?)?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(!output.status.success() && output.stdout.is_empty(), "`{act}` went on");
        ensure!(said.contains("Permission denied"), "`{act}`, denied, said {said}");
        smoke.has_record(&[("verdict", "deny"), ("rule", rule)])?;
        let output = finish(smoke.act(act, allowed)?)?;
        ensure!(output.stdout == prints.as_bytes(), "`{act}`, allowed: {output:?}");
        note(&format!("`{act}`: {denied} is denied by `{rule}`, {allowed} is not"));
    }
    Ok(())
}

fn what_is_held_ends_as_it_is_answered() -> Result<()> {
    let smoke = Smoke::start()?;
    for (((act, prints, ..), about), rule) in ACTS.iter().zip(ASKED).zip(ASKED_BY) {
        for how in ["approve", "deny"] {
            let mut child = smoke.act(act, about)?;
            let question = question()?;
            ensure!(question["rule"] == rule, "asked about by another rule: {question}");
            ensure!(child.try_wait()?.is_none(), "`{act}` ended without an answer");
            stopped(&question)?;
            tool(&[how, &question["id"].to_string()])?;
            let output = finish(child)?;
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            match how {
                "approve" => {
                    ensure!(output.stdout == prints.as_bytes(), "`{act}`, approved: {output:?}");
                }
                _ => ensure!(
                    !output.status.success() && said.contains("Permission denied"),
                    "`{act}`, denied: {output:?}"
                ),
            }
            ensure!(pending()?.is_empty(), "questions are left: {:?}", pending()?);
        }
        smoke.has_record(&[("kind", "question"), ("rule", rule)])?;
        note(&format!("`{act}`: {about} is held by `{rule}`, goes on approved, fails denied"));
    }
    Ok(())
}

/// That the process that waits is stopped, in the end.
fn stopped(question: &Value) -> Result<()> {
    let pid = Pid::from_raw(i32::try_from(question["pid"].as_i64().context("no pid")?)?);
    let mut stat = String::new();
    for _ in 0..LOOKS {
        stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        if stat.rsplit_once(") ").is_some_and(|(_name, rest)| rest.starts_with('T')) {
            return Ok(());
        }
        sleep(PAUSE);
    }
    bail!("not stopped: {stat}")
}

/// The one question that there is, once there is one.
fn question() -> Result<Value> {
    for _ in 0..LOOKS {
        if let Some(question) = pending()?.into_iter().next() {
            return Ok(question);
        }
        sleep(PAUSE);
    }
    bail!("nothing is asked")
}

fn at(name: &str) -> String {
    format!("{TOP}/{name}")
}
