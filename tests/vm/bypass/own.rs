//! What is the gate's own: pins, maps, sockets, files. Its files are denied by rules, the rest whatever a
//! policy says.

use super::{FREE, Set, TOP, folder, giver, judge, opened, tried};
use crate::attempts::Governed::{Denied, Fails, Passes};
use crate::attempts::{Act, Attempt, Governed, NOT_RECEIVED};
use crate::framework::Lane;
use crate::gate::{Gate, policy};
use crate::raw::{address, call, owned, text};
use anyhow::{Context, Result};
use nix::fcntl::OFlag;
use nix::libc;
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

crate::tests! { bypass_by_the_gate_itself => .lanes(&[Lane::Bypass]).limit(290) }

pub(crate) const SET: Set = ("bypass-own", ATTEMPTS);

const GUARDED: Governed = Denied("guarded");
const RULE: Governed = Denied("rule");

const fn root(name: &'static str, governed: Governed, act: fn() -> Act) -> Attempt {
    Attempt::new(name, governed, act).by_root()
}

const ATTEMPTS: &[Attempt] = &[
    root("a pin opened", GUARDED, || {
        // BPF_OBJ_GET: the path's address.
        tried(libc::SYS_bpf, [7, address(&[text(&pin()?)? as u64, 0]), 16])
    }),
    root("a pin removed", GUARDED, || {
        let (pin, spare) = (pin()?, format!("{}-spare", pin()?));
        let removed = fs::remove_file(&spare);
        if removed.is_ok() {
            fs::hard_link(pin, spare)?;
        }
        Ok(removed.map_err(super::number))
    }),
    root("a pin moved", GUARDED, || renamed(&pin()?)),
    root("a pin linked", GUARDED, || {
        let new = format!("{}-link", pin()?);
        let linked = fs::hard_link(pin()?, &new);
        if linked.is_ok() {
            fs::remove_file(new)?;
        }
        Ok(linked.map_err(super::number))
    }),
    root("a pin's mode", GUARDED, || tried(libc::SYS_chmod, [text(&pin()?)?, 0o600])),
    root("a folder among the pins", GUARDED, || folder_made(above(&pin()?)?)),
    root("the pins' folder moved", GUARDED, || renamed(above(&pin()?)?)),
    root("a folder elsewhere", Passes, || folder_made(FREE)),
    Attempt::new("a map received", Fails(NOT_RECEIVED, "guarded"), || {
        super::content::received("map")
    }),
    Attempt::new("a file received", Passes, || super::content::received("plain")),
    root("the control socket", GUARDED, || connected("/run/execlayer/control.sock")),
    Attempt::new("the socket that says why", Passes, || connected("/run/execlayer/why.sock")),
    root("the control socket by a link", GUARDED, || connected("/srv/bypass/control")),
    root("the control socket moved", GUARDED, || renamed("/run/execlayer/control.sock")),
    root("the run directory moved", GUARDED, || renamed("/run/execlayer")),
    root("another socket moved", Passes, || renamed("/srv/bypass/giver-plain.sock")),
    root("the log read", RULE, || open(LOG, OFlag::O_RDONLY)),
    root("the log added to", RULE, || open(LOG, OFlag::O_WRONLY | OFlag::O_APPEND)),
    root("the log written over", RULE, || open(LOG, OFlag::O_WRONLY)),
    root("the log cut", RULE, || {
        // To the length that it has: where that is allowed, nothing is lost.
        let length = fs::metadata(LOG)?.len();
        tried(libc::SYS_truncate, [text(LOG)?, usize::try_from(length)?])
    }),
    root("the log moved", RULE, || renamed(LOG)),
    root("a folder in the log's", RULE, || folder_made("/var/log/execlayer/audit")),
    root("the key that signs the log", RULE, || {
        open("/var/lib/execlayer/audit.key", OFlag::O_RDONLY)
    }),
    root("the log's times", RULE, || tried(libc::SYS_utimes, [text(LOG)?, 0])),
    root("another log read", Passes, || open("/var/log/bypass", OFlag::O_RDONLY)),
    root("another log added to", Passes, || {
        open("/var/log/bypass", OFlag::O_WRONLY | OFlag::O_APPEND)
    }),
    root("another log moved", Passes, || renamed("/var/log/bypass")),
    root("the signing key read", RULE, || open("/var/lib/execlayer/local.key", OFlag::O_RDONLY)),
    root("the signing key by another link", RULE, || {
        let new = "/var/lib/bypass-key";
        let linked = fs::hard_link("/var/lib/execlayer/local.key", new);
        if linked.is_ok() {
            fs::remove_file(new)?;
        }
        Ok(linked.map_err(super::number))
    }),
    root("the state's folder moved", RULE, || renamed("/var/lib/execlayer")),
    root("a folder in the state", RULE, || folder_made("/var/lib/execlayer")),
    root("a folder beside the state", Passes, || folder_made("/var/lib")),
    root("a trusted key made", RULE, || {
        let path = "/etc/execlayer/keys.d/mine.pub";
        let made = opened(path, OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL).map(drop);
        if made.is_ok() {
            fs::remove_file(path)?;
        }
        Ok(made)
    }),
    root("its own policy written", RULE, || open("/run/policies/bypass-own.toml", OFlag::O_RDWR)),
    root("its own policy read", Passes, || open("/run/policies/bypass-own.toml", OFlag::O_RDONLY)),
];

const LOG: &str = crate::trail::FIRST;

const RULES: &str = r#"
[[rule]]
id = "all"
allow = ["read", "modify", "exec"]
path = ["/", "/**"]

[[rule]]
id = "sockets"
allow = ["connect"]
to = ["unix:/**"]

[[rule]]
id = "own-files"
deny = ["read", "modify"]
path = ["/var/log/execlayer{,/**}", "/var/lib/execlayer{,/**}", "/etc/execlayer{,/**}"]

[[rule]]
id = "own-policies"
deny = ["modify"]
path = "/run/policies{,/**}"
"#;

fn bypass_by_the_gate_itself() -> Result<()> {
    folder(TOP)?;
    folder(FREE)?;
    fs::create_dir_all("/etc/execlayer/keys.d")?;
    fs::create_dir_all("/var/log")?;
    fs::write("/var/log/bypass", "")?;
    fs::write(format!("{TOP}/plain"), "")?;
    giver::start(&[("plain", &format!("{TOP}/plain"))])?;
    let map = call(libc::SYS_bpf, [0, address(&[2_u32, 4, 4, 1]), 16])?;
    giver::give("map", owned(i32::try_from(map)?))?;
    let gate = Gate::start()?;
    let first =
        pins("/sys/fs/bpf".into())?.into_iter().next().context("the gate pinned nothing")?;
    let first = first.display().to_string();
    fs::hard_link(&first, format!("{first}-spare"))?;
    fs::write(format!("{TOP}/pin"), &first)?;
    let _ = fs::remove_file("/srv/bypass/control");
    std::os::unix::fs::symlink("/run/execlayer/control.sock", "/srv/bypass/control")?;
    let policy = policy("bypass-own", "", RULES)?;
    // The first run makes the key that an attempt is about.
    let made = gate.run(&policy, &["--quiet"], &["/usr/bin/true"]).status()?;
    anyhow::ensure!(made.success(), "`true` ended with {made}");
    let judged = judge(&gate, SET, &policy);
    fs::remove_file(format!("{first}-spare"))?;
    judged
}

/// Every file below a folder.
fn pins(folder: PathBuf) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.extend(pins(entry.path())?);
        } else {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// One that the test has chosen.
fn pin() -> Result<String> {
    Ok(fs::read_to_string(format!("{TOP}/pin"))?)
}

fn above(path: &str) -> Result<&str> {
    Path::new(path).parent().and_then(Path::to_str).context("no folder")
}

fn open(path: &str, flags: OFlag) -> Act {
    Ok(opened(path, flags).map(drop))
}

/// Moves away and back.
fn renamed(path: &str) -> Act {
    let other = format!("{path}-moved");
    let moved = fs::rename(path, &other);
    if moved.is_ok() {
        fs::rename(other, path)?;
    }
    Ok(moved.map_err(super::number))
}

fn folder_made(above: &str) -> Act {
    let path = super::at(above, "bypass");
    let made = fs::create_dir(&path);
    if made.is_ok() {
        fs::remove_dir(path)?;
    }
    Ok(made.map_err(super::number))
}

fn connected(path: &str) -> Act {
    Ok(UnixStream::connect(path).map(drop).map_err(super::number))
}
