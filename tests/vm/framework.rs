//! What a guest test is, and the program's roles: init, runner, one test.
//!
//! Knows nothing about ExecLayer. What is said to the host is in `framework/say.rs` only.

mod boot;
mod run;
mod say;

use anyhow::{Context, Result, bail};
use std::convert::Infallible;
use std::process::ExitCode;
use std::time::Duration;

/// The kinds of guest; `cargo xtask vm` boots one of each for each kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// The root filesystem is a disk.
    Plain,
    /// The root filesystem is overlayfs over that disk.
    Overlay,
    /// A disk, and calls that are held; the oldest kernel, or all with `--full`.
    Hold,
    /// A disk, and who can be held; one kernel, or all with `--full`.
    Subjects,
    /// A disk, and a kernel booted with `preempt=full`; one kernel, or all with `--full`.
    Stress,
    /// A disk, and ways around the gate; the oldest kernel, or all with `--full`.
    Bypass,
    /// A disk, and systemd as process 1; one kernel, or all with `--full`.
    Service,
    /// A disk, and whether the gate works at all.
    Smoke,
}

impl Lane {
    fn parse(name: &str) -> Result<Self> {
        match name {
            "plain" => Ok(Self::Plain),
            "overlay" => Ok(Self::Overlay),
            "subjects" => Ok(Self::Subjects),
            "hold" => Ok(Self::Hold),
            "stress" => Ok(Self::Stress),
            "bypass" => Ok(Self::Bypass),
            "service" => Ok(Self::Service),
            "smoke" => Ok(Self::Smoke),
            _ => bail!("no lane `{name}`"),
        }
    }
}

/// One guest test. Made by [`tests!`].
#[derive(Debug)]
pub(crate) struct Test {
    module: &'static str,
    name: &'static str,
    func: fn() -> Result<()>,
    lanes: &'static [Lane],
    limit: Duration,
    fresh: bool,
}

impl Test {
    pub(crate) const fn new(
        module: &'static str,
        name: &'static str,
        func: fn() -> Result<()>,
    ) -> Self {
        Self {
            module,
            name,
            func,
            lanes: &[Lane::Plain, Lane::Overlay],
            limit: Duration::from_secs(60),
            fresh: false,
        }
    }

    /// Runs in these lanes instead of plain and overlay.
    pub(crate) const fn lanes(mut self, lanes: &'static [Lane]) -> Self {
        self.lanes = lanes;
        self
    }

    /// May take so many seconds instead of 60.
    pub(crate) const fn limit(mut self, seconds: u64) -> Self {
        self.limit = Duration::from_secs(seconds);
        self
    }

    /// Begins without a gate: what an earlier test pinned is removed first.
    pub(crate) const fn fresh(mut self) -> Self {
        self.fresh = true;
        self
    }

    /// `module::claim`.
    fn full_name(&self) -> String {
        let module = self.module.split_once("::").map_or(self.module, |(_, below)| below);
        format!("{module}::{}", self.name)
    }
}

/// Declares a module's `TESTS`: names of functions, each with changes to its [`Test`] if need be:
/// `tests! { a_claim, another_claim => .limit(300).lanes(&[Lane::Stress]) }`.
#[macro_export]
macro_rules! tests {
    ($($name:ident $(=> $(.$change:ident($($value:expr),*))+)?),+ $(,)?) => {
        pub(crate) const TESTS: &[$crate::framework::Test] = &[$(
            $crate::framework::Test::new(module_path!(), stringify!($name), $name)
                $($(.$change($($value),*))+)?
        ),+];
    };
}

/// True in the tier with the counts for a release.
pub(crate) fn full() -> bool {
    std::env::var_os(run::FULL).is_some()
}

/// Where random sequences begin: as asked by `seed=NUMBER` among the filters, else a fixed place, or in the
/// tier for a release another one each time.
pub(crate) fn seed() -> u64 {
    let now = || std::time::UNIX_EPOCH.elapsed().map_or(1, |since| since.as_secs());
    let asked = std::env::var(run::SEED).ok().and_then(|seed| seed.parse().ok());
    asked.unwrap_or_else(|| if full() { now() } else { 1 })
}

/// How often the guest was booted anew for this test.
pub(crate) fn reboots() -> u32 {
    std::env::var(run::REBOOTS).ok().and_then(|count| count.parse().ok()).unwrap_or(0)
}

/// Boots the guest anew, with these words more on what it takes for the kernel's command line; the test begins again
/// then. Only where the service manager is process 1. Never returns but with an error.
pub(crate) fn reboot(words: &str) -> Result<Infallible> {
    boot::ask(words)?;
    std::process::exit(run::REBOOT)
}

/// Says something about a test that passes, such as how much it did.
pub(crate) fn note(what: &str) {
    println!("{}{what}", run::NOTE);
}

/// The program: init if it is process 1, else what its first argument says.
pub(crate) fn main(all: &[&[Test]], of_x86: &[&[Test]]) -> ExitCode {
    if std::process::id() == 1 {
        boot::init();
    }
    match role(all, of_x86) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn role(portable: &[&[Test]], of_x86: &[&[Test]]) -> Result<ExitCode> {
    let mut all = [portable, of_x86].concat();
    let mut arguments = std::env::args().skip(1);
    let role = arguments.next().context("guest tests are run by `cargo xtask vm`")?;
    if role == "one" {
        let name = arguments.next().context("one needs a test's name")?;
        return run::one(find(&all, &name)?, &arguments.next().context("one needs a cgroup")?);
    }
    let mut choice = run::Choice { lane: Lane::Plain, full: false, seed: None, filter: Vec::new() };
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--full" => choice.full = true,
            "--portable" => all = portable.to_vec(),
            "--lane" => choice.lane = Lane::parse(&arguments.next().unwrap_or_default())?,
            _ => match argument.strip_prefix("seed=") {
                Some(seed) => choice.seed = Some(seed.to_owned()),
                None => choice.filter.push(argument),
            },
        }
    }
    let chosen: Vec<&Test> = all.into_iter().flatten().filter(|test| choice.takes(test)).collect();
    match role.as_str() {
        "list" => chosen.iter().for_each(|test| println!("{}", test.full_name())),
        "run" => return run::all(&chosen, &choice),
        "serve" => boot::serve(|| run::all(&chosen, &choice)),
        _ => bail!("no role `{role}`"),
    }
    Ok(ExitCode::SUCCESS)
}

fn find<'a>(all: &[&'a [Test]], name: &str) -> Result<&'a Test> {
    let mut tests = all.iter().copied().flatten();
    tests.find(|test| test.full_name() == name).with_context(|| format!("no test `{name}`"))
}
