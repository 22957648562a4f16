//! `cargo xtask vm`: the guest tests, on every stock kernel and root filesystem.
//!
//! Owns which guests are booted and what is said about them. How a guest is booted and talked to
//! is in `vm/`; `demo` and `bench` use the same through [`Lab`].

mod cpio;
mod guest;
mod initramfs;
mod lane;
mod report;

pub(crate) use guest::{Ending, GuestSpec, Root, run};

use crate::arch::Arch;
use crate::build::{self, Built};
use crate::setup::{self, Guests, Kernel};
use crate::{dist, paths, shell};
use anyhow::{Context, Result, bail};
use lane::Lane;
use report::Boot;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

/// Guests at a time. More than cores does not pay: an emulated core is never idle for long.
const AT_ONCE: usize = 2;
/// Where guests find our package.
const PACKAGE: &str = "/opt/execlayer/execlayer.deb";
/// Of the guest tests, and of what says which there are: some of their crates are C, for which every host has a
/// compiler for this target.
const HOST_TARGET: &str = "x86_64-unknown-linux-gnu";

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Guests of this architecture
    #[arg(long, value_enum, default_value_t)]
    arch: Arch,
    /// Only this kernel series; may be repeated
    #[arg(long, value_parser = clap::builder::PossibleValuesParser::new(Arch::Amd64.series()))]
    kernel: Vec<String>,
    /// Only this lane; may be repeated
    #[arg(long, value_enum)]
    lane: Vec<Lane>,
    /// Print the tests' names and run nothing
    #[arg(long)]
    list: bool,
    /// The counts for a release instead of those for every change
    #[arg(long)]
    full: bool,
    /// Build the kernel programs with this feature: `kernel-log` says each refusal among the daemon's
    /// messages, `scratch-per-cpu` is wrong on purpose
    #[arg(long)]
    kernel_feature: Option<String>,
    /// Boot one guest, run this shell command in it instead of the tests, and show what it prints
    #[arg(long, conflicts_with_all = ["list", "full", "filter"])]
    command: Option<String>,
    /// Only tests whose name contains one of these
    filter: Vec<String>,
}

/// Which guest tests to run; the default is all of the tier for every change.
#[derive(Clone, Debug, Default)]
pub(crate) struct Choice {
    pub(crate) arch: Arch,
    pub(crate) kernels: Vec<String>,
    pub(crate) lanes: Vec<Lane>,
    pub(crate) full: bool,
    pub(crate) filter: Vec<String>,
}

pub(crate) fn verb(arguments: &Arguments) -> Result<()> {
    let choice = Choice {
        arch: arguments.arch,
        kernels: arguments.kernel.clone(),
        lanes: arguments.lane.clone(),
        full: arguments.full,
        filter: arguments.filter.clone(),
    };
    if arguments.list {
        let tests = build_tests(HOST_TARGET)?;
        let mut names: Vec<String> = Vec::new();
        for lane in choice.lanes() {
            names.extend(choice.expected(&tests, lane)?);
        }
        names.sort();
        names.dedup();
        names.iter().for_each(|name| println!("{name}"));
        return Ok(());
    }
    let mut lab = Lab::prepare(arguments.arch, arguments.kernel_feature.as_deref())?;
    match &arguments.command {
        Some(command) => one_command(&lab, &choice, command),
        None => matrix(&mut lab, &choice),
    }
}

/// A guest to look into by hand.
fn one_command(lab: &Lab, choice: &Choice, command: &str) -> Result<()> {
    let series = choice.kernels.first().map_or(lane::ONE_SERIES, String::as_str);
    let lane = choice.lanes.first().copied().unwrap_or(Lane::Plain);
    let mut spec = lab.guest(lab.kernel(series)?, &["/bin/bash", "-c", command]);
    spec.root = lane.root();
    spec.append = lane.append().to_owned();
    let result = run(&spec, &mut |line| println!("{line}"))?;
    match result.ending {
        Ending::Exit(0) => Ok(()),
        ending => bail!("{ending}; the console's end:\n{}", result.console.join("\n")),
    }
}

/// Everything that a guest is made of.
pub(crate) struct Lab {
    pub(crate) guests: Guests,
    pub(crate) built: Built,
    /// The guest tests; also every guest's init.
    pub(crate) tests: PathBuf,
    /// The same, for this machine: says which tests there are.
    lister: PathBuf,
    /// Our package, for the guests that install it.
    package: Option<PathBuf>,
}

impl Lab {
    /// Sets up and builds all of it, with one of the kernel crate's features if asked.
    pub(crate) fn prepare(arch: Arch, kernel_feature: Option<&str>) -> Result<Self> {
        let toolchain = setup::toolchain()?;
        let guests = setup::guests(arch, false)?;
        let built = build::all(toolchain, arch, kernel_feature)?;
        let (tests, lister) = shell::step("building the guest tests", || {
            let lister = build_tests(HOST_TARGET)?;
            let tests = match arch {
                Arch::Amd64 => lister.clone(),
                Arch::Arm64 => build_tests(arch.musl())?,
            };
            Ok((tests, lister))
        })?;
        Ok(Self { guests, built, tests, lister, package: None })
    }

    pub(crate) fn kernel(&self, series: &str) -> Result<&Kernel> {
        let mut kernels = self.guests.kernels.iter();
        kernels
            .find(|kernel| kernel.series == series)
            .with_context(|| format!("no kernel {series}"))
    }

    /// A guest with our programs, policies and corpus in `/opt/execlayer`, which runs `command`.
    pub(crate) fn guest(&self, kernel: &Kernel, command: &[&str]) -> GuestSpec {
        let top = paths::workspace();
        let at = |name: &str| format!("/opt/execlayer/{name}");
        GuestSpec {
            name: format!("{}-{}", kernel.series, std::process::id()),
            kernel: kernel.clone(),
            rootfs: self.guests.rootfs.clone(),
            root: Root::Plain,
            smp: 2,
            icount: false,
            reboots: false,
            append: String::new(),
            files: vec![
                (self.tests.clone(), guest::INIT.to_owned()),
                (self.built.daemon.clone(), at("bin/execlayerd")),
                (self.built.tool.clone(), at("bin/execlayer")),
                (self.built.foreign.clone(), at("foreign.o")),
                (top.join("policies"), at("policies")),
                (top.join("tests/corpus"), at("corpus")),
            ],
            command: command.iter().map(|&argument| argument.to_owned()).collect(),
            limit: guest::LIMIT,
            silence: guest::SILENCE,
        }
    }
}

impl Choice {
    fn lanes(&self) -> Vec<Lane> {
        match self.lanes.is_empty() {
            true => Lane::of(self.arch, self.full).to_vec(),
            false => self.lanes.clone(),
        }
    }

    fn wants(&self, kernel: &Kernel, lane: Lane) -> bool {
        match self.kernels.is_empty() {
            true => self.full || lane.is_usual(self.arch, &kernel.series),
            false => self.kernels.contains(&kernel.series),
        }
    }

    /// What the test binary says it would run in a lane.
    fn expected(&self, tests: &Path, lane: Lane) -> Result<Vec<String>> {
        let names = shell::output(Command::new(tests).arg("list").args(self.arguments(lane)))?;
        Ok(names.lines().map(str::to_owned).collect())
    }

    fn arguments(&self, lane: Lane) -> Vec<String> {
        let mut arguments = vec!["--lane".to_owned(), lane.name().to_owned()];
        if self.arch != Arch::Amd64 {
            arguments.push("--portable".to_owned());
        }
        arguments.extend(self.full.then(|| "--full".to_owned()));
        arguments.extend(self.filter.iter().cloned());
        arguments
    }
}

/// Boots one guest for each kernel and lane, and closes with the count.
pub(crate) fn matrix(lab: &mut Lab, choice: &Choice) -> Result<()> {
    report::close(&boots(lab, choice)?)
}

/// Everything of both architectures, with the counts for a release. Both labs were prepared before: it takes hours,
/// and what is missing for the second is to be known before the first begins.
pub(crate) fn full(lab: &mut Lab, arm64: &mut Lab) -> Result<()> {
    let choice = Choice { full: true, ..Choice::default() };
    let mut done = boots(lab, &choice)?;
    done.extend(boots(arm64, &Choice { arch: Arch::Arm64, ..choice })?);
    report::close(&done)
}

fn boots(lab: &mut Lab, choice: &Choice) -> Result<Vec<Boot>> {
    let mut boots = Vec::new();
    if choice.lanes().contains(&Lane::Service) {
        lab.package = Some(dist::package(&lab.built, &paths::target().join("dist"))?);
    }
    let lab = &*lab;
    for lane in choice.lanes() {
        let expected = choice.expected(&lab.lister, lane)?;
        if expected.is_empty() {
            continue;
        }
        for kernel in lab.guests.kernels.iter().filter(|kernel| choice.wants(kernel, lane)) {
            boots.push((kernel, lane, expected.clone()));
        }
    }
    if boots.is_empty() {
        bail!("no guest test matches");
    }
    let queue = Mutex::new(boots.into_iter());
    let done: Mutex<Vec<Boot>> = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().map(|mut queue| queue.next());
                    let Ok(Some((kernel, lane, expected))) = next else { return };
                    let boot = boot(lab, choice, kernel, lane, expected);
                    if let Ok(mut done) = done.lock() {
                        done.push(boot);
                    }
                }
            });
        }
    });
    Ok(done.into_inner().unwrap_or_default())
}

fn boot(lab: &Lab, choice: &Choice, kernel: &Kernel, lane: Lane, expected: Vec<String>) -> Boot {
    let mut command = vec![guest::INIT, lane.role()];
    let arguments = choice.arguments(lane);
    command.extend(arguments.iter().map(String::as_str));
    let mut spec = lab.guest(kernel, &command);
    let series = kernel.arch.own(&kernel.series);
    spec.name = format!("{series}-{}", lane.name());
    spec.root = lane.root();
    spec.append = lane.append().to_owned();
    spec.reboots = lane == Lane::Service;
    if let Some(package) = &lab.package {
        spec.files.push((package.clone(), PACKAGE.to_owned()));
    }
    if choice.full {
        spec.limit = guest::LIMIT_FULL;
    }
    let mut boot = Boot::new(&series, lane.name(), expected);
    let mut has_begun = false;
    let mut result = run(&spec, &mut |line| {
        has_begun = true;
        boot.line(line);
    });
    if let Ok(ended) = &result
        && matches!(ended.ending, Ending::Died)
        && !has_begun
    {
        // No test had begun, and nothing of ours was loaded. Seen of the emulator: a processor meets the breakpoint with
        // which another one patches the kernel's code.
        boot.line(&format!(
            "the kernel died before the first test, and is booted once more; the console's end:\n{}",
            ended.console.join("\n")
        ));
        result = run(&spec, &mut |line| boot.line(line));
    }
    boot.end(result);
    boot
}

/// Builds the guest tests and finds the program among cargo's messages.
fn build_tests(target: &str) -> Result<PathBuf> {
    let mut cargo = build::static_cargo("build", target);
    cargo
        .args(["--profile", "guest", "-p", "execlayer-tests", "--test", "vm"])
        .arg("--message-format=json-render-diagnostics")
        .stderr(std::process::Stdio::inherit());
    let messages = shell::output(&mut cargo)?;
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| message["target"]["name"] == "vm")
        .find_map(|message| Some(PathBuf::from(message["executable"].as_str()?)))
        .context("cargo built no guest tests")
}
