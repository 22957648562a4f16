//! The evaluation API of an installed package, once it is turned on: who runs it, and that it judges. Must not change what
//! the package enforces.

use super::{is_active, journal, succeed};

use anyhow::{Context, Result, ensure};
use nix::unistd::User;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::thread::sleep;
use std::time::Duration;

const UNIT: &str = "execlayer-api.service";

/// While a policy of the agent `probe` is in force.
pub(super) fn judges() -> Result<()> {
    ensure!(!is_active(UNIT)?, "it runs unasked");
    succeed("systemctl", &["start", UNIT])?;
    let mut ready = String::new();
    for _ in 0..100 {
        ready = ask("GET", "/readyz", "").unwrap_or_default();
        if ready.contains(" 200 ") {
            break;
        }
        sleep(Duration::from_millis(100));
    }
    ensure!(ready.contains(" 200 "), "{ready}\n{}", journal());
    let said = ask("POST", "/v1/evaluate", r#"{"action":"Bash","resource":"ls","agent":"probe"}"#)?;
    ensure!(said.contains(r#""decision":"deny","reason":"unlisted""#), "{said}\n{}", journal());
    // It may read the trail, and owns nothing.
    let records = ask("GET", "/v1/audit?limit=5", "")?;
    ensure!(records.contains(r#""kind":"trail""#), "{records}\n{}", journal());
    let pid = succeed("systemctl", &["show", "--value", "--property=MainPID", UNIT])?;
    let status = fs::read_to_string(format!("/proc/{}/status", pid.trim()))?;
    let line = |name: &str| status.lines().find(|line| line.starts_with(name)).unwrap_or_default();
    let user = User::from_name("execlayer-api")?.context("no user")?;
    let uids = line("Uid:").split_whitespace().skip(1);
    ensure!(uids.into_iter().all(|uid| uid == user.uid.to_string()), "{status}");
    for set in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
        ensure!(line(set).ends_with("0000000000000000"), "{status}");
    }
    succeed("systemctl", &["stop", UNIT])?;
    Ok(())
}

/// One request of root; the whole answer.
fn ask(method: &str, path: &str, body: &str) -> Result<String> {
    let mut stream = UnixStream::connect("/run/execlayer-api/api.sock")?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
