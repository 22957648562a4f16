//! `cargo xtask demo`: an unmodified python3 script works as an agent under the shipped policy.
//!
//! Owns where the demo runs (here if this machine can enforce, else in a guest with a stock kernel)
//! and the table at its end. What happens in between is in `xtask/demo/`.

mod table;

use crate::arch::Arch;
use crate::vm::{self, Ending, Lab};
use crate::{build, paths, setup, shell};
use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader, IsTerminal, Write};
use std::path::Path;
use std::process::{Command, Stdio};

/// The guest's kernel: the newest long-term series of the distribution.
const SERIES: &str = "6.12";
/// The line behind which the session prints the records.
const EVENTS: &str = "--- events";

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Run in a guest even if this machine could enforce
    #[arg(long)]
    guest: bool,
}

pub(crate) fn verb(arguments: &Arguments) -> Result<()> {
    if !arguments.guest && can_enforce() && may_use_root()? { here() } else { in_a_guest() }
}

/// Whether this machine's kernel asks BPF programs.
fn can_enforce() -> bool {
    std::fs::read_to_string("/sys/kernel/security/lsm")
        .is_ok_and(|active| active.trim().split(',').any(|module| module == "bpf"))
}

/// Asks before root is used; without a terminal nobody can say yes.
fn may_use_root() -> Result<bool> {
    if !std::io::stdin().is_terminal() {
        return Ok(false);
    }
    eprint!(
        "This machine can enforce. The demo needs root: it loads the gate, makes /workspace and a \
         key of its own below /root/.ssh. Run it here? [y/N] "
    );
    std::io::stderr().flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(answer.trim().eq_ignore_ascii_case("y"))
}

fn here() -> Result<()> {
    let built = build::all(setup::toolchain()?, Arch::Amd64, None)?;
    let folder = built.daemon.parent().context("the daemon lies nowhere")?;
    let demo = paths::workspace().join("xtask/demo");
    let mut session = Command::new("sudo");
    session.arg("bash").arg(demo.join("session.sh")).arg(folder);
    session.arg(paths::workspace().join("policies")).arg(&demo).stdout(Stdio::piped());
    let mut child = session.spawn().context("cannot run sudo")?;
    let output = child.stdout.take().context("the session has no output")?;
    let mut events = Events::default();
    for line in BufReader::new(output).lines() {
        events.line(&line?);
    }
    if !child.wait()?.success() {
        bail!("the session failed");
    }
    events.table()
}

fn in_a_guest() -> Result<()> {
    let lab = Lab::prepare(Arch::Amd64, None)?;
    let command =
        ["/bin/bash", "/demo/session.sh", "/opt/execlayer/bin", "/opt/execlayer/policies", "/demo"];
    let mut spec = lab.guest(lab.kernel(SERIES)?, &command);
    let demo = paths::workspace().join("xtask/demo");
    for file in ["session.sh", "agent.py", "policy.toml"] {
        spec.files.push((demo.join(file), Path::new("/demo").join(file).display().to_string()));
    }
    let mut events = Events::default();
    let result = shell::step("booting a guest and running the session", || {
        vm::run(&spec, &mut |line| events.line(line))
    })?;
    match result.ending {
        Ending::Exit(0) => events.table(),
        ending => bail!("{ending}; the console's end:\n{}", result.console.join("\n")),
    }
}

/// The session's output, and the records at its end.
#[derive(Default)]
struct Events {
    begun: bool,
    lines: Vec<String>,
}

impl Events {
    fn line(&mut self, line: &str) {
        if line == EVENTS {
            self.begun = true;
        } else if self.begun {
            self.lines.push(line.to_owned());
        } else {
            println!("{line}");
        }
    }

    fn table(&self) -> Result<()> {
        println!("\n{}", table::render(&self.lines)?);
        Ok(())
    }
}
