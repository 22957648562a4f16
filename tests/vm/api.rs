//! Agents that ask before they act: the API says what the policy says, to whoever the kernel says is an agent, and the
//! trail has the tool's call beside what the same process tree really did.

use crate::framework::{Lane, note};
use crate::gate::{Gate, policy};
use anyhow::{Context, Result, bail, ensure};
use execlayer_api::{Outcome, Question, Request};
use serde_json::Value;
use std::fs::{self, File};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::Duration;

crate::tests! {
    calls_of_tools_are_judged_as_the_policy_of_their_agent_says => .lanes(&[Lane::Subjects]).limit(400),
}

const DAEMON: &str = "/opt/execlayer/bin/execlayerd";
const TOOL: &str = "/opt/execlayer/bin/execlayer";
const FOLDER: &str = "/run/execlayer-api";
const KEPT: &str = "/srv/api/kept";
const NOBODY: u32 = 65_534;
const PAUSE: Duration = Duration::from_millis(100);
/// Requests, whoever makes them: of each its status and its body, on one line.
const ASK: &str = r#"
import socket, sys
for method, path, body in zip(sys.argv[1::3], sys.argv[2::3], sys.argv[3::3]):
    s = socket.socket(socket.AF_UNIX)
    s.connect("/run/execlayer-api/api.sock")
    s.sendall(f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
    answer = b""
    while more := s.recv(65536):
        answer += more
    head, _, body = answer.partition(b"\r\n\r\n")
    print(head.split()[1].decode(), body.decode().strip())
"#;
const RULES: &str = r#"
[[rule]]
id = "all"
allow = ["read", "modify", "exec", "ioctl"]
path = ["/", "/**"]

[[rule]]
id = "kept"
deny = ["read"]
path = "/srv/api/kept"

[[rule]]
id = "sockets"
allow = ["connect"]
to = "unix:/run/execlayer-api/api.sock"

[[rule]]
id = "look"
allow = ["call"]
action = "Bash"
resource = ["ls", "cat /srv/api/*"]

[[rule]]
id = "push"
ask = ["call"]
action = "Bash"
resource = "git push**"

[[rule]]
id = "pay"
allow = ["call"]
action = "pay"
context = { amount = { at_most = 100 } }
"#;

/// The API's process, as nobody.
struct Api(Child);

impl Api {
    fn start() -> Result<Self> {
        let _absent = fs::remove_dir_all(FOLDER);
        fs::create_dir(FOLDER)?;
        chown(FOLDER, Some(NOBODY), Some(NOBODY))?;
        let mut command = Command::new(DAEMON);
        command.arg("api").uid(NOBODY).gid(NOBODY).stdin(Stdio::null()).stdout(Stdio::null());
        let api = command.stderr(File::create("/run/api.log")?).spawn()?;
        let api = Self(api);
        for _ in 0..100 {
            if ask("GET", "/readyz", "").is_ok_and(|(status, _)| status == 200) {
                return Ok(api);
            }
            sleep(PAUSE);
        }
        bail!("the API is not ready: {}", fs::read_to_string("/run/api.log")?)
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        // It may have ended already; the runner ends what is left.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Asks the API as root, whom nothing governs.
fn ask(method: &str, path: &str, body: &str) -> Result<(u16, String)> {
    let output = Command::new("python3").args(["-c", ASK, method, path, body]).output()?;
    answers(&output)?.pop().with_context(|| said(&output))
}

/// Status and body of each request.
fn answers(output: &Output) -> Result<Vec<(u16, String)>> {
    let text = String::from_utf8_lossy(&output.stdout);
    let answers = text.lines().map(|line| {
        let (status, body) = line.split_once(' ').with_context(|| said(output))?;
        Ok((status.parse()?, body.to_owned()))
    });
    answers.collect()
}

/// Of the kernel.
fn release() -> Result<(u32, u32)> {
    let text = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let mut numbers = text.split(['.', '-']).map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => Ok((major, minor)),
        _ => bail!("`{text}` is no release"),
    }
}

struct Agent<'g> {
    gate: &'g Gate,
    policy: String,
}

impl Agent<'_> {
    /// What the agent's hook says of a command: what it prints, and its code.
    fn hook(&self, command: &str) -> Command {
        let call = serde_json::json!({
            "session_id": "s-1", "transcript_path": "", "cwd": "/srv/api", "permission_mode": "default",
            "hook_event_name": "PreToolUse", "tool_name": "Bash", "tool_use_id": "toolu_1",
            "tool_input": { "command": command },
        });
        let script = format!("printf '%s' '{call}' | {TOOL} hook claude-code --deadline 30");
        let mut run = self.gate.run(&self.policy, &["--quiet"], &["/usr/bin/bash", "-c", &script]);
        run.stdout(Stdio::piped()).stderr(Stdio::piped());
        run
    }

    /// Requests that the agent makes.
    fn ask(&self, requests: &[[&str; 3]]) -> Result<Vec<(u16, String)>> {
        let words = [&["/usr/bin/python3", "-c", ASK], requests.as_flattened()].concat();
        let output = self.gate.run(&self.policy, &["--quiet"], &words).output()?;
        let answers = answers(&output)?;
        ensure!(answers.len() == requests.len(), "{}", said(&output));
        Ok(answers)
    }
}

fn said(output: &Output) -> String {
    let text = [&output.stdout[..], b" | ", &output.stderr].concat();
    String::from_utf8_lossy(&text).into_owned()
}

/// The one question that is open, once there is one.
fn question() -> Result<Question> {
    for _ in 0..100 {
        let Outcome::Questions(open) = crate::gate::ask(&Request::Questions {})? else {
            bail!("no questions")
        };
        if let [only] = &open[..] {
            return Ok(only.clone());
        }
        sleep(PAUSE);
    }
    bail!("nobody is asked")
}

fn settle(how: &str, id: u64) -> Result<()> {
    let done = Command::new(TOOL).args([how, &id.to_string()]).output()?;
    ensure!(done.status.success(), "{how}: {}", said(&done));
    Ok(())
}

fn calls_of_tools_are_judged_as_the_policy_of_their_agent_says() -> Result<()> {
    fs::create_dir_all("/srv/api")?;
    fs::write(KEPT, "kept")?;
    fs::write("/srv/api/free", "free")?;
    let mut gate = Gate::start_with(&["--api-user", "nobody", "--api-answers"])?;
    let api = Api::start()?;
    let agent = Agent { gate: &gate, policy: policy("coder", "", RULES)? };
    // What the tool says, and what the kernel makes of it, in one tree.
    let script = format!("cat {KEPT}; cat /srv/api/free");
    let governed =
        gate.run(&agent.policy, &["--quiet"], &["/usr/bin/bash", "-c", &script]).output()?;
    ensure!(governed.stdout == b"free", "{}", said(&governed));

    let allowed = agent.hook("ls").output()?;
    ensure!(allowed.status.success() && allowed.stdout.trim_ascii() == b"{}", "{}", said(&allowed));
    let denied = agent.hook("rm -rf /").output()?;
    ensure!(
        denied.status.success() && said(&denied).contains(r#""permissionDecision":"deny""#),
        "{}",
        said(&denied)
    );

    // Asked about: a yes is for one call, and a no is a no.
    let waiting = agent.hook("git push").spawn()?;
    let asked = question()?;
    ensure!(asked.operation == "call" && asked.subject == "Bash git push", "{asked:?}");
    settle("approve", asked.id)?;
    let approved = waiting.wait_with_output()?;
    ensure!(approved.stdout.trim_ascii() == b"{}", "{}", said(&approved));
    let waiting = agent.hook("git push").spawn()?;
    let again = question()?;
    ensure!(again.id != asked.id, "a yes is used once");
    settle("deny", again.id)?;
    let refused = waiting.wait_with_output()?;
    ensure!(said(&refused).contains(r#""permissionDecision":"deny""#), "{}", said(&refused));

    // An agent is itself, and answers nothing.
    let pay = |amount: &str| format!(r#"{{"action":"pay","context":{{"amount":{amount}}}}}"#);
    let other = r#"{"action":"pay","agent":"other","context":{"amount":1}}"#;
    let (whole, above, text) = (pay("100.00"), pay("100.01"), pay("\"1\""));
    let tried = [
        (["POST", "/v1/evaluate", &whole], 200, r#""decision":"allow""#),
        (["POST", "/v1/evaluate", &above], 200, r#""decision":"deny""#),
        (["POST", "/v1/evaluate", &text], 200, r#""decision":"deny""#),
        (["POST", "/v1/evaluate", other], 403, "only evaluate as itself"),
        (["POST", "/v1/questions/1/answer", r#"{"allow":true}"#], 403, "an agent may not"),
        (["PUT", "/v1/policies", ""], 403, "an agent may not"),
        (["GET", "/v1/status", ""], 403, "an agent may not"),
        (["GET", "/v1/questions", ""], 200, r#""questions":[]"#),
    ];
    let requests: Vec<_> = tried.iter().map(|(request, ..)| *request).collect();
    for ((request, expected, part), (status, body)) in tried.iter().zip(agent.ask(&requests)?) {
        ensure!(status == *expected && body.contains(part), "{request:?}: {status} {body}");
    }
    let nobody = Command::new("python3")
        .args(["-c", ASK, "POST", "/v1/evaluate", &pay("1")])
        .uid(1000)
        .gid(1000)
        .output()?;
    let (status, body) = answers(&nobody)?.pop().context("no answer")?;
    ensure!(status == 403 && body.contains("not-governed"), "{status} {body}");

    operators(&pay("1"))?;

    // The trail has the call and what really happened, under one agent.
    let records =
        gate.events(|record| record["kind"] == "call" && record["subject"] == "Bash rm -rf /")?;
    let call =
        records.iter().find(|record| record["subject"] == "Bash rm -rf /").context("no record")?;
    for (name, value) in
        [("verdict", "deny"), ("agent", "coder"), ("call", "toolu_1"), ("agent_session", "s-1")]
    {
        ensure!(call[name] == value, "{name}: {call}");
    }
    ensure!(call["session"].as_u64().is_some_and(|session| session != 0), "{call}");
    ensure!(
        records.iter().any(|record| record["rule"] == "kept"),
        "the kernel's denial is missing"
    );
    one_session(&gate, &agent)?;

    // Without the daemon nothing is judged.
    gate.kill()?;
    for _ in 0..100 {
        if ask("GET", "/readyz", "")?.0 == 503 {
            break;
        }
        sleep(PAUSE);
    }
    ensure!(ask("GET", "/readyz", "")?.0 == 503 && ask("GET", "/healthz", "")?.0 == 200);
    drop(api);
    Ok(())
}

/// An operator is who the kernel says, too.
fn operators(pay: &str) -> Result<()> {
    // Only from 6.5 on the kernel holds a process whose number is asked for.
    let (status, said) = ask("GET", "/v1/status", "")?;
    if release()? < (6, 5) {
        note("over the unix socket nobody is an operator before Linux 6.5");
        ensure!(status == 403 && said.contains("6.5"), "{status} {said}");
        return Ok(());
    }
    ensure!(status == 200, "{status} {said}");
    let (status, body) = ask("POST", "/v1/evaluate", pay)?;
    ensure!(status == 400 && body.contains("as which agent"), "{status} {body}");
    let as_coder = r#"{"action":"Bash","resource":"git push","agent":"coder","dry_run":true}"#;
    let (status, body) = ask("POST", "/v1/evaluate", as_coder)?;
    ensure!(status == 200 && body.contains(r#""decision":"hold""#), "{status} {body}");
    ensure!(
        crate::gate::ask(&Request::Questions {})? == Outcome::Questions(Vec::new()),
        "a look asks nobody"
    );
    let (status, body) = ask("POST", "/v1/evaluate", &as_coder.replace(r#","dry_run":true"#, ""))?;
    ensure!(status == 200 && body.contains(r#""decision":"hold""#), "{status} {body}");
    let path = format!("/v1/questions/{}/answer", question()?.id);
    let (status, body) = ask("POST", &path, r#"{"allow":false}"#)?;
    ensure!(status == 200, "{status} {body}");
    Ok(())
}

/// A call and what follows from it in the same process tree have the same session.
fn one_session(gate: &Gate, agent: &Agent<'_>) -> Result<()> {
    let script =
        format!("python3 -c '{ASK}' POST /v1/evaluate '{{\"action\":\"never\"}}'; cat {KEPT}");
    let tree = gate.run(&agent.policy, &["--quiet"], &["/usr/bin/bash", "-c", &script]).output()?;
    let records = gate.events(|record| record["subject"] == "never ")?;
    let call =
        records.iter().find(|record| record["subject"] == "never ").with_context(|| said(&tree))?;
    let session = &call["session"];
    let same = |record: &&Value| record["session"] == *session && record["rule"] == "kept";
    ensure!(records.iter().any(|record| same(&record)), "no denial of session {session}");
    let session = session.to_string();
    let timeline =
        Command::new(TOOL).args(["audit", "timeline", "--session", &session]).output()?;
    let text = said(&timeline);
    ensure!(text.contains("call never") && text.contains(&format!("read {KEPT}")), "{text}");
    Ok(())
}
