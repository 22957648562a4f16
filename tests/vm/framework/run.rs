//! The runner: one process, cgroup and time limit for each test, and a clean guest between two.

use super::{Lane, Test, say};
use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Set in the environment of tests of the tier with the counts for a release.
pub(super) const FULL: &str = "EXECLAYER_FULL";
/// The seed that was asked for, in a test's environment.
pub(super) const SEED: &str = "EXECLAYER_SEED";
/// How often the guest was booted anew for a test, in its environment.
pub(super) const REBOOTS: &str = "EXECLAYER_REBOOTS";
/// With this code a test ends that wants the guest to be booted anew.
pub(super) const REBOOT: i32 = 75;
/// On the disk: which test goes on after a boot, and how often it has been booted for.
const RESUMED: &str = "/var/lib/guest/resumed";
/// Begins a line of a passing test's output that the host shows.
pub(super) const NOTE: &str = "note: ";
const ACTIVE_LSMS: &str = "/sys/kernel/security/lsm";
const CGROUPS: &str = "/sys/fs/cgroup";
const PINS: &str = "/sys/fs/bpf";
const OUTPUT: &str = "/run/test-output";
const OUTPUT_LINES: usize = 200;
/// The host is told so often that a test still runs: it takes a silent guest for a dead one.
const A_WORD: Duration = Duration::from_secs(120);

pub(super) struct Choice {
    pub(super) lane: Lane,
    pub(super) full: bool,
    pub(super) seed: Option<String>,
    pub(super) filter: Vec<String>,
}

impl Choice {
    pub(super) fn takes(&self, test: &Test) -> bool {
        let name = test.full_name();
        test.lanes.contains(&self.lane)
            && (self.filter.is_empty() || self.filter.iter().any(|part| name.contains(part)))
    }
}

/// Runs the tests one after the other.
pub(super) fn all(tests: &[&Test], choice: &Choice) -> Result<ExitCode> {
    let active = fs::read_to_string(ACTIVE_LSMS).with_context(|| format!("no `{ACTIVE_LSMS}`"))?;
    if !active.trim().split(',').any(|name| name == "bpf") {
        say::refused(&format!("bpf is not an active LSM, so no verdict means anything: {active}"));
        return Ok(ExitCode::FAILURE);
    }
    let mut log = KernelLog::open()?;
    let mut failed = false;
    let (resumed, reboots) = resumed();
    let is_later = |test: &&&Test| resumed.as_ref().is_some_and(|name| test.full_name() != *name);
    for (place, test) in tests.iter().skip_while(is_later).enumerate() {
        let name = test.full_name();
        say::start(&name);
        let start = Instant::now();
        if test.fresh {
            remove_pins()?;
        }
        let reboots = if place == 0 { reboots } else { 0 };
        let ended = attempt(test, &name, choice, reboots);
        if matches!(ended, Ok(Ended::Reboots)) {
            notes().iter().for_each(|note| say::note(&format!("{name} {note}")));
            log.quiet()?;
            boot_anew(&name, reboots + 1)?;
        }
        let verdict = ended.map(|_ended| ());
        let left = if choice.lane == Lane::Service { Ok(()) } else { clean() };
        let verdict = verdict.and(left).and(log.quiet());
        match verdict {
            Ok(()) => {
                notes().iter().for_each(|note| say::note(&format!("{name} {note}")));
                say::pass(&name, start.elapsed());
            }
            Err(error) => {
                failed = true;
                show_output();
                say::fail(&name, &format!("{error:#}"));
            }
        }
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The process of one test.
pub(super) fn one(test: &Test, cgroup: &str) -> Result<ExitCode> {
    fs::write(Path::new(cgroup).join("cgroup.procs"), "0")
        .context("cannot enter the test's cgroup")?;
    match (test.func)() {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) => {
            println!("{error:?}");
            Ok(ExitCode::FAILURE)
        }
    }
}

enum Ended {
    Passed,
    /// It goes on after the guest was booted anew.
    Reboots,
}

/// The test that goes on after a boot, and how often it has been booted for.
fn resumed() -> (Option<String>, u32) {
    let text = fs::read_to_string(RESUMED).unwrap_or_default();
    match text.split_once(' ').and_then(|(name, count)| Some((name, count.parse().ok()?))) {
        Some((name, reboots)) => (Some(name.to_owned()), reboots),
        None => (None, 0),
    }
}

/// Has the service manager boot the machine anew; it ends this process.
fn boot_anew(name: &str, reboots: u32) -> Result<()> {
    fs::write(RESUMED, format!("{name} {reboots}"))?;
    // As `systemctl reboot` does it where there is no bus.
    let reboot = ["--no-block", "--job-mode=replace-irreversibly", "start", "reboot.target"];
    let asked = Command::new("systemctl").args(reboot).status()?;
    anyhow::ensure!(asked.success(), "the service manager does not boot anew: {asked}");
    loop {
        sleep(A_WORD);
    }
}

/// What a test says although it passes.
fn notes() -> Vec<String> {
    let output = fs::read_to_string(OUTPUT).unwrap_or_default();
    output.lines().filter_map(|line| line.strip_prefix(NOTE)).map(str::to_owned).collect()
}

fn attempt(test: &Test, name: &str, choice: &Choice, reboots: u32) -> Result<Ended> {
    let cgroup = format!("{CGROUPS}/test");
    fs::create_dir_all(&cgroup).with_context(|| format!("cannot make `{cgroup}`"))?;
    let output = File::create(OUTPUT).with_context(|| format!("cannot make `{OUTPUT}`"))?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["one", name, &cgroup]).stdin(Stdio::null());
    command.stdout(output.try_clone()?).stderr(output);
    if choice.full {
        command.env(FULL, "1");
    }
    command.env(REBOOTS, reboots.to_string());
    command.envs(choice.seed.iter().map(|seed| (SEED, seed)));
    let mut child = command.spawn().context("cannot start the test")?;
    let status = wait(&mut child, test.limit, name)?;
    match status {
        None => anyhow::bail!("longer than its limit of {} s", test.limit.as_secs()),
        Some(status) if status.success() => Ok(Ended::Passed),
        Some(status) if status.code() == Some(REBOOT) => Ok(Ended::Reboots),
        Some(status) => match status.signal() {
            Some(signal) => anyhow::bail!("ended by signal {signal}"),
            None => anyhow::bail!("see its output above"),
        },
    }
}

fn wait(child: &mut Child, limit: Duration, name: &str) -> Result<Option<ExitStatus>> {
    let start = Instant::now();
    let mut next_word = A_WORD;
    while start.elapsed() < limit {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if start.elapsed() > next_word {
            say::note(&format!("{name} still runs after {} s", next_word.as_secs()));
            next_word += A_WORD;
        }
        sleep(Duration::from_millis(5));
    }
    child.kill()?;
    child.wait()?;
    Ok(None)
}

/// Leaves nothing of a test behind that could change the next one's verdicts. The gate stays pinned: the next
/// daemon takes it over and loads nothing.
fn clean() -> Result<()> {
    // Everything but init, kernel threads and this process.
    let _ = kill(Pid::from_raw(-1), Signal::SIGKILL);
    remove_cgroups(Path::new(CGROUPS)).context("cannot remove the test's cgroups")
}

fn remove_pins() -> Result<()> {
    for entry in fs::read_dir(PINS)? {
        let path = entry?.path();
        let removed =
            if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed.with_context(|| format!("cannot remove the pin `{}`", path.display()))?;
    }
    Ok(())
}

/// Removes the cgroups below `folder`. They empty a moment after their processes were killed.
fn remove_cgroups(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if !entry.file_type()?.is_dir() {
            continue;
        }
        remove_cgroups(&entry.path())?;
        for _ in 0..1000 {
            match fs::remove_dir(entry.path()) {
                Err(error) if error.kind() == ErrorKind::ResourceBusy => {
                    sleep(Duration::from_millis(5));
                }
                done => {
                    done?;
                    break;
                }
            }
        }
    }
    Ok(())
}

fn show_output() {
    let output = fs::read(OUTPUT).unwrap_or_default();
    let output = String::from_utf8_lossy(&output);
    let lines: Vec<&str> = output.lines().collect();
    let dropped = lines.len().saturating_sub(OUTPUT_LINES);
    if dropped > 0 {
        say::output(&format!("({dropped} earlier lines)"));
    }
    lines.iter().skip(dropped).for_each(|line| say::output(line));
}

/// The kernel's messages since the last look: a test during which the kernel complained has failed.
struct KernelLog(File);

impl KernelLog {
    fn open() -> Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(nix::libc::O_NONBLOCK)
            .open("/dev/kmsg")
            .context("cannot read the kernel's messages")?;
        let mut log = Self(file);
        log.news();
        Ok(log)
    }

    fn news(&mut self) -> Vec<String> {
        let mut news = Vec::new();
        let mut record = vec![0; 8192];
        loop {
            match self.0.read(&mut record) {
                Ok(0) => return news,
                Ok(size) => {
                    let text = String::from_utf8_lossy(record.get(..size).unwrap_or_default());
                    let text = text.split_once(';').map_or(&*text, |(_, message)| message);
                    news.push(text.lines().next().unwrap_or_default().to_owned());
                }
                // Records were overwritten before they were read.
                Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
                Err(_) => return news,
            }
        }
    }

    fn quiet(&mut self) -> Result<()> {
        const COMPLAINTS: [&str; 6] = ["BUG:", "WARNING:", "Oops", "INFO: task", "rcu:", "lockup"];
        let news = self.news();
        let complaint =
            |line: &&String| COMPLAINTS.iter().any(|complaint| line.contains(complaint));
        match news.iter().find(complaint) {
            None => Ok(()),
            Some(complaint) => {
                news.iter().for_each(|line| say::output(line));
                anyhow::bail!("the kernel complained: {complaint}")
            }
        }
    }
}
