//! Cases as real acts: system calls that meet the real hooks. Owns what has to be there before an act
//! and which cases no act can stand for; must not know what is expected. Runs as root in a guest,
//! in a mount namespace of its own: tmpfs is mounted over each top folder that a case names.
//!
//! The order is: [`Act::plan`], [`enter`] once, [`Act::set_up`] ungoverned, [`Act::perform`]
//! ungoverned (nothing may stand in the way but the gate) and governed, [`Act::clean`].

mod files;
mod sockets;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use execlayer_common::{
    access::{Access, Operation},
    limits,
};
use nix::{
    errno::Errno,
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
};

use crate::{corpus::Claim, prepare::Prepared};
use files::FileAct;
use sockets::{InetAct, UnixAct};

/// How a system call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It went past the gate; the error that it then had, if it had one.
    Passed(Option<Errno>),
    /// EACCES.
    Refused,
}

impl Outcome {
    fn of<T>(result: Result<T, Errno>) -> Self {
        match result {
            Ok(_) => Self::Passed(None),
            Err(Errno::EACCES) => Self::Refused,
            Err(other) => Self::Passed(Some(other)),
        }
    }
}

/// A case that can be performed.
#[derive(Debug)]
pub struct Act {
    kind: Kind,
    /// The effective user that the act needs.
    pub uid: u32,
}

#[derive(Debug)]
enum Kind {
    File(FileAct),
    Inet(InetAct),
    Unix(UnixAct),
}

/// In each tmpfs that is mounted here, and nowhere else.
const MARKER: &str = ".of-the-corpus";
/// Top folders that are needed as they are.
const KEPT: [&str; 4] = ["proc", "sys", "dev", "run"];

impl Act {
    /// What has to be done to perform a case, or why it cannot be performed.
    ///
    /// # Errors
    ///
    /// The reason, as a part of a sentence.
    pub fn plan(prepared: &Prepared, claim: &Claim) -> Result<Self, &'static str> {
        let rules = prepared.policy().rules();
        if rules.iter().any(|rule| rule.when.between.is_some()) {
            return Err("the policy depends on the time of day");
        }
        if claim.before().len() > 0 || rules.iter().any(|rule| rule.when.at_most.is_some()) {
            return Err("the policy has budgets, which cases would share");
        }
        if rules.iter().any(|rule| rule.transition.is_some()) {
            return Err("the policy leads to others, which would have to be there");
        }
        let act = &claim.case.act;
        let kind = match act.operation {
            Operation::File | Operation::Exec => {
                let path = path(&act.subject)?;
                Kind::File(FileAct::plan(path, act.wanted)?)
            }
            Operation::Inet | Operation::Unix if act.wanted != Access::CONNECT => {
                return Err("no act stands for being bound to an address");
            }
            Operation::Inet => Kind::Inet(InetAct::plan(&act.subject)?),
            Operation::Unix => Kind::Unix(UnixAct::plan(&act.subject)?),
            Operation::Feature => return Err("no act stands for a feature"),
            Operation::Call => return Err("no act of the kernel is a call of a tool"),
            Operation::SelectCgroup | Operation::SelectExe => {
                return Err("selecting a task is no act of it");
            }
        };
        Ok(Self { kind, uid: claim.case.facts.uid })
    }

    /// Makes what the act is about.
    ///
    /// # Errors
    ///
    /// It could not be made.
    pub fn set_up(&mut self) -> Result<()> {
        match &mut self.kind {
            Kind::File(act) => act.set_up(),
            Kind::Inet(_) => Ok(()),
            Kind::Unix(act) => act.set_up(),
        }
    }

    /// Does it, as the user that the process is at this moment.
    #[must_use]
    pub fn perform(&self) -> Outcome {
        match &self.kind {
            Kind::File(act) => act.perform(),
            Kind::Inet(act) => act.perform(),
            Kind::Unix(act) => act.perform(),
        }
    }

    /// Removes what [`Act::set_up`] and [`Act::perform`] made.
    pub fn clean(&mut self) {
        match &mut self.kind {
            Kind::File(act) => act.clean(),
            Kind::Inet(_) => {}
            Kind::Unix(act) => act.clean(),
        }
    }
}

/// Leaves the mount namespace, so that what [`Act::set_up`] mounts is seen by nobody else.
///
/// # Errors
///
/// The process may not.
pub fn enter() -> Result<()> {
    unshare(CloneFlags::CLONE_NEWNS).context("cannot leave the mount namespace")?;
    let none: Option<&str> = None;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
        .context("cannot make the mounts private")
}

/// A subject that a file can have as its name.
fn path(subject: &[u8]) -> Result<PathBuf, &'static str> {
    use std::os::unix::ffi::OsStrExt as _;
    if subject.contains(&0) {
        return Err("no file's name has a NUL");
    }
    if subject.len() > limits::MAX_PATH as usize {
        return Err("no path is so long");
    }
    let [b'/', names @ ..] = subject else { return Err("the path is not absolute") };
    if names.is_empty() {
        return Err("the root directory is there for every case");
    }
    for name in names.split(|byte| *byte == b'/') {
        match name {
            b"" | b"." | b".." => return Err("the kernel never calls a file so"),
            _ if name.len() > 255 => return Err("no file system has so long a name"),
            _ => {}
        }
    }
    let path = PathBuf::from(std::ffi::OsStr::from_bytes(subject));
    let mut parts = path.iter().skip(1);
    let (Some(top), Some(_)) = (parts.next(), parts.next()) else {
        return Err("it would change the guest's root directory");
    };
    if KEPT.iter().any(|kept| top == *kept) {
        return Err("the guest needs that folder");
    }
    if Path::new("/").join(top).is_symlink() {
        return Err("the folder is a symbolic link, so the kernel calls the file otherwise");
    }
    Ok(path)
}

/// Removes what is at a path and every folder above it that is in the tmpfs; nothing if none is there.
fn remove(path: &Path) {
    let top: PathBuf = path.iter().take(2).collect();
    if top.join(MARKER).exists() {
        let below: PathBuf = path.iter().take(3).collect();
        let _ = fs::remove_file(&below).or_else(|_| fs::remove_dir_all(&below));
    }
}

/// Makes the folder above a path, and mounts a tmpfs over its top folder if there is none yet.
fn folder_for(path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let Some(top) = path.iter().nth(1) else { return Ok(()) };
    let top = Path::new("/").join(top);
    fs::create_dir_all(&top).with_context(|| format!("cannot make {}", top.display()))?;
    let marker = top.join(MARKER);
    if !marker.exists() {
        mount(Some("tmpfs"), &top, Some("tmpfs"), MsFlags::empty(), Some("mode=0777"))
            .with_context(|| format!("cannot mount over {}", top.display()))?;
        fs::write(&marker, "")?;
    }
    let mut folder = PathBuf::from("/");
    for part in path.parent().unwrap_or(&top).iter().skip(1) {
        folder.push(part);
        if !folder.exists() {
            fs::create_dir(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
            fs::set_permissions(&folder, fs::Permissions::from_mode(0o777))?;
        }
    }
    Ok(())
}
