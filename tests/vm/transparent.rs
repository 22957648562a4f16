//! A policy that allows all changes nothing: system calls end as they do without the gate, and so do
//! programs. Owns the comparison and what is known to differ; the calls are in `transparent/acts`.

mod known;
mod programs;

use crate::framework::{Lane, full, note};
use crate::gate::{Gate, policy};
use anyhow::{Context, Result, ensure};
use execlayer_common::feature::{self, Rules};
use known::{KNOWN, Known};
use nix::unistd::chown;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

crate::tests! {
    transparent_to_calls_and_programs => .lanes(&[Lane::Bypass]).limit(600)
}

macro_rules! scripts {
    ($($name:literal),*) => {
        &[$(($name, include_str!(concat!("transparent/acts/", $name)))),*]
    };
}

/// The modules of the program that makes the acts.
const SCRIPTS: &[(&str, &str)] = scripts![
    "all.py",
    "base.py",
    "files.py",
    "memory.py",
    "names.py",
    "processes.py",
    "rights.py",
    "sockets.py",
    "waiting.py"
];
const CODE: &str = "/srv/transparent/acts";
/// Acts that must have been made, so that a change which loses most of them is seen.
const AT_LEAST: usize = 400;
const AGENT: u32 = 1000;

/// Everything that a policy can allow.
pub(crate) fn all_rules() -> String {
    let features = feature::ALL.iter().filter(|feature| feature.rules != Rules::Never);
    let features: Vec<_> = features.map(|feature| format!("\"{}\"", feature.name)).collect();
    format!(
        "[[rule]]\nid = \"files\"\nallow = [\"read\", \"modify\", \"exec\", \"ioctl\", \"mknod\"]\n\
         path = [\"/\", \"/**\"]\n\n\
         [[rule]]\nid = \"addresses\"\nallow = [\"connect\", \"bind\"]\nto = [\"*:*\", \"unix:@**\"]\n\n\
         [[rule]]\nid = \"sockets\"\nallow = [\"connect\"]\nto = [\"unix:/**\"]\n\n\
         [[rule]]\nid = \"features\"\nallow = [\"use\"]\nfeature = [{}]\n",
        features.join(", ")
    )
}

fn transparent_to_calls_and_programs() -> Result<()> {
    fs::create_dir_all(CODE)?;
    for (name, text) in SCRIPTS {
        fs::write(Path::new(CODE).join(name), text)?;
    }
    let users = [("root", 0, None), ("user", AGENT, Some("1000"))];
    let mut before = Vec::new();
    for (name, uid, _) in users {
        // With the group that `execlayer run` gives as well.
        let user = format!("--reuid={uid} --regid={uid} --groups={uid}");
        let mut command = Command::new("setpriv");
        command.args(user.split(' ').filter(|_| uid != 0)).arg("python3");
        command.args(words(uid)?).stdin(Stdio::null());
        before.push(results(&mut command).context(name)?);
    }
    let programs = programs::before()?;
    let gate = Gate::start()?;
    let policy = policy("allows-all", "", &all_rules())?;
    let mut wrong = programs::compare(&gate, &policy, &programs)?;
    for ((name, uid, user), before) in users.into_iter().zip(&before) {
        let words = words(uid)?;
        let mut command = vec!["python3"];
        command.extend(words.iter().map(String::as_str));
        let mut options = vec!["--quiet"];
        if let Some(user) = user {
            options.extend(["--user", user]);
        }
        let during = results(&mut gate.run(&policy, &options, &command)).context(name)?;
        note(&format!("{} acts as {name}", during.len()));
        ensure!(before.len() >= AT_LEAST, "only {} acts were made as {name}", before.len());
        wrong.extend(differences(name, before, &during));
    }
    ensure!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    Ok(())
}

/// The program's arguments; its folder is made anew.
fn words(uid: u32) -> Result<Vec<String>> {
    let place = format!("/srv/transparent/{uid}");
    let _ = fs::remove_dir_all(&place);
    fs::create_dir_all(&place)?;
    chown(place.as_str(), Some(uid.into()), Some(uid.into()))?;
    // Those that need a process of their own take long.
    let which = if uid == 0 || full() { "all" } else { "together" };
    Ok(vec!["-B".to_owned(), format!("{CODE}/all.py"), place, which.to_owned()])
}

/// What each act ended with.
fn results(command: &mut Command) -> Result<BTreeMap<String, String>> {
    let output = command.stderr(Stdio::inherit()).output()?;
    ensure!(output.status.success(), "{command:?} ended with {}", output.status);
    let text = String::from_utf8(output.stdout)?;
    let line = |line: &str| {
        let (name, result) = line.split_once('\t').context("not a line of a result")?;
        ensure!(!result.starts_with("LOST"), "`{name}` is wrong itself: {result}");
        Ok((name.to_owned(), result.to_owned()))
    };
    text.lines().map(line).collect()
}

fn differences(
    user: &str,
    before: &BTreeMap<String, String>,
    during: &BTreeMap<String, String>,
) -> Vec<String> {
    let mut wrong = Vec::new();
    for (name, free) in before {
        let governed = during.get(name).map_or("not made", String::as_str);
        let known = KNOWN.iter().find(|known| known.act == name && known.is_of(user));
        let expected = known.map_or(free.as_str(), |known| known.governed);
        // Where the kernel does not offer it, nothing differs.
        if governed != expected && governed != free {
            wrong.push(format!("{user}, `{name}`: {governed}, expected {expected}, free {free}"));
        }
    }
    wrong
}

impl Known {
    fn is_of(&self, user: &str) -> bool {
        self.user.is_none_or(|only| only == user)
    }
}
