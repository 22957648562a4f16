//! What an installed package sends away once it is told to, by whom, and what that process may not do. Must not change
//! what the package enforces.

use super::{YARD, is_active, journal, succeed};

use anyhow::{Context, Result, ensure};
use nix::unistd::User;
use serde_json::Value;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

const UNIT: &str = "execlayer-export.service";
const OUT: &str = "/var/lib/execlayer-export/out.jsonl";
const HEADS: &str = "/var/lib/execlayer-export/heads";
const METRICS: &str = "/run/execlayer-export/metrics.sock";
const SECRET_KEY: &str = "/var/lib/execlayer/audit.key";
const PUBLIC_KEY: &str = "/var/log/execlayer/audit/log.pub";

/// While an agent is denied something again and again.
pub(super) fn leaves_the_machine() -> Result<()> {
    ensure!(!is_active(UNIT)?, "it runs without a sink");
    for (name, text) in [
        ("journal", r#"{"to":"journal:","verdicts":["deny"]}"#.to_owned()),
        ("file", format!(r#"{{"to":"file:{OUT}","format":"records"}}"#)),
        ("heads", format!(r#"{{"to":"file:{HEADS}","format":"checkpoint","every":1}}"#)),
    ] {
        fs::write(format!("/etc/execlayer/export.d/{name}.json"), text)?;
    }
    let options = format!("EXECLAYER_EXPORT_OPTIONS=--metrics unix:{METRICS}\n");
    fs::write("/etc/default/execlayer-export", options)?;
    succeed("systemctl", &["restart", UNIT])?;

    let secret = format!("{YARD}/secret");
    let denied = until(|| {
        let text = fs::read_to_string(OUT).ok()?;
        text.lines().find(|line| line.contains(&secret)).map(str::to_owned)
    })?;
    let shown = succeed("execlayer", &["audit", "show", "--json", "--path", &secret])?;
    ensure!(shown.lines().any(|line| line == denied), "{denied}\n{shown}");
    until(|| {
        let said = succeed("journalctl", &["-o", "json", "EXECLAYER_VERDICT=deny"]).ok()?;
        let mut entries = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        entries.find(|entry| entry["EXECLAYER_SUBJECT"] == secret.as_str())
    })?;
    let text = until(|| {
        scrape().ok().filter(|text| text.contains("execlayer_verdicts_total{agent=\"probe\""))
    })?;
    ensure!(text.contains("\nexeclayer_up 1\n"), "{text}");
    ensure!(
        text.contains("execlayer_policy_version{agent=\"probe\",policy=\"probe\"} 1"),
        "{text}"
    );
    let head = until(|| fs::read_dir(HEADS).ok()?.flatten().next())?;
    let head = head.path().display().to_string();
    succeed("execlayer", &["audit", "verify", "--checkpoint", &head])?;
    owns_nothing()?;

    // One that is wrong is named, and nothing is sent instead of half of it.
    fs::write("/etc/execlayer/export.d/wrong.json", "{\"to\":\"nowhere\"}")?;
    let checked = Command::new("/usr/sbin/execlayerd").args(["export", "--check"]).output()?;
    let said = String::from_utf8_lossy(&checked.stderr).into_owned();
    ensure!(checked.status.code() == Some(2) && said.contains("wrong.json"), "{said}");
    Ok(())
}

/// The process can read the trail, and nothing else of the daemon's.
fn owns_nothing() -> Result<()> {
    let pid = succeed("systemctl", &["show", "--property=MainPID", "--value", UNIT])?;
    let status = fs::read_to_string(format!("/proc/{}/status", pid.trim()))?;
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name));
    ensure!(
        field("CapEff:").is_some_and(|caps| caps.trim().trim_matches('0').is_empty()),
        "{status}"
    );
    let user = User::from_name("execlayer-export")?.context("no user")?;
    let uid = user.uid.to_string();
    ensure!(
        field("Uid:").is_some_and(|ids| ids.split_whitespace().all(|id| id == uid)),
        "{status}"
    );
    let reads = |path: &str| {
        let user = ["--reuid=execlayer-export", "--regid=execlayer-audit", "--clear-groups"];
        Command::new("setpriv").args(user).args(["cat", path]).output()
    };
    ensure!(reads(PUBLIC_KEY)?.status.success(), "the trail is closed to it");
    ensure!(!reads(SECRET_KEY)?.status.success(), "the device's key is open to it");
    Ok(())
}

fn scrape() -> Result<String> {
    let mut stream = UnixStream::connect(METRICS)?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

fn until<T>(mut there: impl FnMut() -> Option<T>) -> Result<T> {
    for _ in 0..300 {
        if let Some(found) = there() {
            return Ok(found);
        }
        sleep(Duration::from_millis(200));
    }
    anyhow::bail!("it does not arrive:\n{}", journal())
}
