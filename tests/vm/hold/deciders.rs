//! Deciders that need no person, and their chains.

use super::{Held, LOOKS, PAUSE, none_is_left, pending, printed, question, settle};
use crate::framework::Lane;
use anyhow::{Result, bail, ensure};
use execlayer_api::Remember;
use serde_json::Value;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::thread::sleep;

crate::tests! {
    hold_is_decided_by_budget_command_and_host => .lanes(&[Lane::Hold]).limit(280),
    hold_is_decided_by_a_webhook => .lanes(&[Lane::Hold]).limit(280),
    hold_is_decided_by_the_digest_of_the_file_that_runs => .lanes(&[Lane::Hold]).limit(280),
    hold_ends_with_the_time_of_its_rule => .lanes(&[Lane::Hold]).limit(240),
}

const ALL: &str = r#"
[[rule]]
id = "all"
allow = ["read", "modify", "exec", "ioctl"]
path = "/**"
"#;

/// Knows two files, is nobody, and leaves the rest to others.
const DECIDER: &str = r#"#!/usr/bin/dash
[ "$(id -u)" = 65534 ] || { echo "not nobody"; exit 1; }
read -r question
case "$question" in
*/srv/hold/yes*) echo "I know it"; exit 0 ;;
*/srv/hold/no*) exit 1 ;;
esac
exit 2
"#;

/// The one question, once it is that decider's.
fn question_for(decider: &str) -> Result<Value> {
    for _ in 0..LOOKS {
        let asked = question()?;
        if asked["asked"] == decider {
            return Ok(asked);
        }
        sleep(PAUSE);
    }
    bail!("`{decider}` is not asked, but {:?}", pending()?)
}

fn hold_is_decided_by_budget_command_and_host() -> Result<()> {
    let rules = format!(
        r#"{ALL}
[[decider]]
name = "two"
at_most = "2/h"

[[decider]]
name = "program"
command = ["/srv/hold/decider"]
timeout = "60s"

[[decider]]
name = "here"
host = ["localhost"]

[[rule]]
id = "few"
ask = ["read"]
path = "/srv/hold/few"
deciders = ["two"]

[[rule]]
id = "known"
ask = ["read"]
path = ["/srv/hold/yes", "/srv/hold/no", "/srv/hold/other"]
deciders = ["program", "human"]

[[rule]]
id = "hosts"
ask = ["connect"]
to = "tcp:127.0.0.0/8:7001"
deciders = ["here"]
"#
    );
    let held = Held::with_rules(&rules)?;
    fs::write("/srv/hold/decider", DECIDER)?;
    fs::set_permissions("/srv/hold/decider", fs::Permissions::from_mode(0o755))?;
    for file in ["few", "yes", "no", "other"] {
        fs::write(format!("/srv/hold/{file}"), format!("{file}\n"))?;
    }

    let output = held.output("for i in 1 2 3; do cat /srv/hold/few; done")?;
    ensure!(output.stdout == b"few\nfew\n", "two an hour: {}", printed(&output));

    let output = held.output("cat /srv/hold/yes; cat /srv/hold/no")?;
    ensure!(output.stdout == b"yes\n", "a program says: {}", printed(&output));
    let child = held.spawn("cat /srv/hold/other")?;
    // The program is asked first, and then a person.
    let asked = question_for("human")?;
    settle(&asked, true, Remember::Once)?;
    let output = child.wait_with_output()?;
    ensure!(output.stdout == b"other\n", "{}", printed(&output));

    fs::write("/etc/hosts", "127.0.0.1 localhost\n")?;
    let listeners = ["127.0.0.1:7001", "127.0.0.2:7001"].map(TcpListener::bind);
    for (address, connects) in [("127.0.0.1", true), ("127.0.0.2", false)] {
        let output = held.output(&format!("exec 3<>/dev/tcp/{address}/7001 && echo connected"))?;
        ensure!(output.status.success() == connects, "{address}: {}", printed(&output));
    }
    drop(listeners);
    none_is_left()?;
    let events = held.gate.events(|_event| false)?;
    let by = |name: &str| events.iter().filter(|event| event["by"] == name).count();
    ensure!(by("budget `two`") == 2 && by("command `program`") == 2, "{}", held.last_events()?);
    ensure!(by("host `here`") == 1, "{}", held.last_events()?);
    Ok(())
}

/// Checks who asks, knows two files, and forges the answer about a third.
const DESK: &str = r#"
import hashlib, hmac, http.server, json, time

KNOWN = {"yes": "allow", "no": "deny", "forged": "allow"}

def signature(*parts):
    return "sha256=" + hmac.new(b"sixteen bytes...", b"\n".join(parts), hashlib.sha256).hexdigest()

class Desk(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        stamp = self.headers["x-execlayer-timestamp"]
        expected = signature(b"execlayer-question", stamp.encode(), body)
        asked = json.loads(body)
        file = asked["question"]["subject"].rsplit("/", 1)[1]
        if self.headers["x-execlayer-signature"] != expected or abs(time.time() - int(stamp)) > 60:
            file = "no"
        answer = json.dumps({"answer": KNOWN.get(file, "unknown"), "reason": "the desk says so"}).encode()
        nonce = "0" * 32 if file == "forged" else asked["nonce"]
        self.send_response(200)
        self.send_header("content-length", str(len(answer)))
        self.send_header("x-execlayer-signature", signature(b"execlayer-answer", nonce.encode(), answer))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass

http.server.HTTPServer(("127.0.0.1", 8443), Desk).serve_forever()
"#;

fn hold_is_decided_by_a_webhook() -> Result<()> {
    let held = Held::with_rules(&format!(
        r#"{ALL}
[[decider]]
name = "desk"
webhook = "http://127.0.0.1:8443/"
secret = "/srv/hold/secret"
timeout = "30s"
retries = 0

[[rule]]
id = "known"
ask = ["read"]
path = ["/srv/hold/yes", "/srv/hold/no", "/srv/hold/other", "/srv/hold/forged"]
deciders = ["desk", "human"]
"#
    ))?;
    fs::write("/srv/hold/secret", "sixteen bytes...\n")?;
    fs::set_permissions("/srv/hold/secret", fs::Permissions::from_mode(0o600))?;
    for file in ["yes", "no", "other", "forged"] {
        fs::write(format!("/srv/hold/{file}"), format!("{file}\n"))?;
    }
    let mut desk = Command::new("python3").args(["-c", DESK]).spawn()?;
    for _ in 0..LOOKS {
        if TcpStream::connect("127.0.0.1:8443").is_ok() {
            break;
        }
        sleep(PAUSE);
    }
    let output = held.output("cat /srv/hold/yes; cat /srv/hold/no")?;
    ensure!(output.stdout == b"yes\n", "the desk says: {}", printed(&output));
    // What it does not know, what somebody else said in its name, and what it cannot be asked.
    let to_a_person = |file: &str, allow: bool| -> Result<()> {
        let child = held.spawn(&format!("cat /srv/hold/{file}"))?;
        settle(&question_for("human")?, allow, Remember::Once)?;
        let output = child.wait_with_output()?;
        let expected = if allow { format!("{file}\n") } else { String::new() };
        ensure!(output.stdout == expected.as_bytes(), "{file}: {}", printed(&output));
        Ok(())
    };
    to_a_person("other", true)?;
    to_a_person("forged", false)?;
    desk.kill()?;
    desk.wait()?;
    to_a_person("yes", false)?;
    none_is_left()?;
    let events = held.gate.events(|_event| false)?;
    let by_desk = events.iter().filter(|event| event["by"] == "webhook `desk`").count();
    ensure!(by_desk == 2, "{}", held.last_events()?);
    Ok(())
}

fn hold_is_decided_by_the_digest_of_the_file_that_runs() -> Result<()> {
    fs::create_dir_all("/srv/hold")?;
    fs::copy("/usr/bin/echo", "/srv/hold/known")?;
    let listed = Command::new("sha256sum").arg("/srv/hold/known").output()?;
    let listed = String::from_utf8(listed.stdout)?;
    let digest = listed.split_whitespace().next().unwrap_or_default();
    fs::write("/srv/hold/script", "#!/usr/bin/dash\n/srv/hold/known from a script\n")?;
    // The same program with a byte behind its end.
    let mut other = fs::read("/usr/bin/echo")?;
    other.push(0);
    fs::write("/srv/hold/unknown", &other)?;
    for file in ["known", "unknown", "script"] {
        fs::set_permissions(format!("/srv/hold/{file}"), fs::Permissions::from_mode(0o755))?;
    }
    let held = Held::with_rules(&format!(
        r#"{ALL}
[[decider]]
name = "builds"
sha256 = ["{digest}"]

[[rule]]
id = "builds"
ask = ["exec"]
path = ["/srv/hold/known", "/srv/hold/unknown"]
deciders = ["builds"]
"#
    ))?;
    for (command, expected) in [
        ("/srv/hold/known runs", "runs\n"),
        ("/srv/hold/known runs; /srv/hold/known again", "runs\nagain\n"),
        ("/srv/hold/script", "from a script\n"),
        ("/srv/hold/unknown runs", ""),
    ] {
        let output = held.output(command)?;
        let said = String::from_utf8_lossy(&output.stdout);
        ensure!(said == expected, "{command}: {}\n{}", printed(&output), held.last_events()?);
    }
    // Changed in place, it is another program.
    fs::write("/srv/hold/known", &other)?;
    let output = held.output("/srv/hold/known runs")?;
    ensure!(output.stdout.is_empty(), "changed: {}", printed(&output));
    none_is_left()
}

fn hold_ends_with_the_time_of_its_rule() -> Result<()> {
    let held = Held::with_rules(&format!(
        "{ALL}\n[[rule]]\nid = \"short\"\nask = [\"read\"]\npath = \"/srv/hold/asked\"\n\
         timeout = \"2s\"\n\n[[rule]]\nid = \"long\"\nask = [\"read\"]\npath = \"/srv/hold/free\"\n\
         timeout = \"1h\"\n"
    ))?;
    let long = held.spawn("cat /srv/hold/free")?;
    let output = held.output("cat /srv/hold/asked")?;
    ensure!(output.stdout.is_empty(), "in time: {}", printed(&output));
    let ended = held.gate.events(|event| event["answer"] == "timed-out")?;
    ensure!(ended.iter().any(|event| event["answer"] == "timed-out"), "no record of its end");
    let still = question()?;
    ensure!(still["left"].as_u64().is_some_and(|left| left > 3_000), "an hour: {still}");
    settle(&still, true, Remember::Once)?;
    let output = long.wait_with_output()?;
    ensure!(output.stdout == b"content\n", "{}", printed(&output));
    ensure!(pending()?.is_empty());
    Ok(())
}
