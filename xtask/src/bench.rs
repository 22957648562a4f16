//! `cargo xtask bench`: what the gate costs, measured in this run and printed as tables or as JSON.
//!
//! Owns which parts there are and who sees what: results go to stdout, progress to stderr. Each part
//! has its file below `bench/`. Nothing here asserts a time.

mod audit;
mod engines;
mod events;
mod guest;
mod hold;
mod kernel;
mod lower;
mod size;
mod table;
mod user;

use crate::{paths, shell};
use anyhow::{Context, Result};
use clap::ValueEnum as _;
use serde_json::{Map, Value};
use std::process::{Command, Stdio};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Print one JSON object and nothing else
    #[arg(long)]
    json: bool,
    /// Only this part; may be repeated
    #[arg(value_enum)]
    part: Vec<Part>,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// Judging in user space
    User,
    /// Judging in this machine's kernel
    Kernel,
    /// Compiling policies of many rules
    Lower,
    /// Bytes of the programs
    Size,
    /// What is added to system calls in a guest, and the daemon's memory
    Guest,
    /// How long calls are held, and how many questions the daemon settles
    Hold,
    /// Writing the audit trail, and reading it
    Audit,
    /// Events from the kernel to the audit trail, in a guest
    Events,
    /// Calls of tools, judged by this engine and by others'
    Engines,
}

impl Part {
    const fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Kernel => "kernel",
            Self::Lower => "lower",
            Self::Size => "size",
            Self::Guest => "guest",
            Self::Hold => "hold",
            Self::Audit => "audit",
            Self::Events => "events",
            Self::Engines => "engines",
        }
    }

    fn measure(self) -> Result<Value> {
        match self {
            Self::User => user::measure(),
            Self::Kernel => kernel::measure(),
            Self::Lower => lower::measure(),
            Self::Size => size::measure(),
            Self::Guest => guest::measure(),
            Self::Hold => hold::measure(),
            Self::Audit => audit::measure(),
            Self::Events => events::measure(),
            Self::Engines => engines::measure(),
        }
    }

    fn table(self, measured: &Value) -> Result<String> {
        match self {
            Self::User => user::table(measured),
            Self::Kernel => kernel::table(measured),
            Self::Lower => lower::table(measured),
            Self::Size => size::table(measured),
            Self::Guest => guest::table(measured),
            Self::Hold => hold::table(measured),
            Self::Audit => audit::table(measured),
            Self::Events => events::table(measured),
            Self::Engines => engines::table(measured),
        }
    }
}

pub(crate) fn verb(arguments: &Arguments) -> Result<()> {
    let mut all = Map::new();
    for part in Part::value_variants() {
        if !arguments.part.is_empty() && !arguments.part.contains(part) {
            continue;
        }
        let what = format!("measuring: {}", part.name());
        let measured = shell::step(&what, || part.measure())?;
        if !arguments.json {
            println!("{}: {}", part.name(), part.table(&measured)?);
        }
        all.insert(part.name().to_owned(), measured);
    }
    if arguments.json {
        println!("{}", Value::Object(all));
    }
    Ok(())
}

/// A bench of the tests; what stands behind it is for the bench.
fn cargo_bench(name: &str) -> Command {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(paths::workspace());
    cargo.args(["bench", "--package", "execlayer-tests", "--bench", name, "--"]);
    cargo
}

/// Runs a bench, and returns the lines of JSON among what it prints.
fn lines(cargo: &mut Command) -> Result<Vec<Value>> {
    let printed = shell::output(cargo.stderr(Stdio::inherit()))?;
    let lines = printed.lines().filter(|line| line.starts_with('{'));
    lines.map(|line| serde_json::from_str(line).with_context(|| line.to_owned())).collect()
}
