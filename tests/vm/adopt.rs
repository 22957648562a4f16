//! Tasks that are older than their policy: processes and threads that make one another without end while
//! it is installed, with forks under way at every moment. None is outside afterwards.

use crate::framework::Lane;
use crate::gate::{Gate, all_but, policy};
use crate::raw::{address, address_mut, call, forked, handed_on, map, owned};
use anyhow::{Context, Result, bail, ensure};
use nix::errno::Errno;
use nix::libc;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use serde_json::Value;
use std::ffi::CStr;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, PipeWriter, Read, Write};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

crate::tests! {
    nobody_who_forks_meanwhile_is_outside_the_policy => .lanes(&[Lane::Plain]).limit(290)
}

const TOOL: &str = "/opt/execlayer/bin/execlayer";
const TOP: &str = "/srv/adopt";
/// As soon as it is there, everybody tries and ends.
const GO: &str = "/srv/adopt/go";
const BEGUN: &[u8] = b"begun\n";
const CGROUP: &str = "/sys/fs/cgroup/adopt";
const LATER: &str = "/sys/fs/cgroup/adopt/made-later";
const PROCESSES: usize = 500;
/// Where nothing happens meanwhile.
const FEW: usize = 50;
/// Between two looks, so that the one that installs the policy gets on.
const REST: Duration = Duration::from_secs(1);
const PAGE: usize = 4096;

/// Says that it has begun, makes others until it is time, and says what they obtain.
type Kind = fn(&mut PipeWriter) -> Result<Obtained>;
const MIXED: &[Kind] = &[
    in_threads,
    in_processes,
    in_the_middle,
    in_the_middle,
    in_the_middle,
    in_the_middle,
    in_the_middle,
    in_the_middle,
    in_the_middle,
    in_the_middle,
];
/// What a governed process may do.
const FREE: &[Kind] = &[in_threads, in_processes];

/// What somebody obtained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Obtained {
    /// The allowed file only.
    Governed = 1,
    /// The forbidden file, too.
    Everything = 2,
    /// Not even the allowed one.
    Nothing = 3,
    /// The parent is governed, its child is not.
    ParentOnly = 4,
    /// The child is governed, its parent is not.
    ChildOnly = 5,
}

impl Obtained {
    fn of(number: u8) -> Self {
        [Self::Governed, Self::Everything, Self::Nothing, Self::ParentOnly, Self::ChildOnly]
            .into_iter()
            .find(|obtained| *obtained as u8 == number)
            .unwrap_or(Self::Nothing)
    }
}

fn nobody_who_forks_meanwhile_is_outside_the_policy() -> Result<()> {
    fs::create_dir_all(TOP)?;
    for name in ["free", "secret"] {
        fs::write(format!("{TOP}/{name}"), name)?;
    }
    fs::create_dir_all(CGROUP)?;
    let gate = Gate::start()?;
    let policy = policy(
        "adopt",
        "cgroup = [\"/adopt\", \"/adopt/**\"]",
        &all_but(&format!("{TOP}/secret")),
    )?;
    let all = |obtained: Obtained| move |found: &Obtained| *found == obtained;
    let before = round(CGROUP, FEW, MIXED, || Ok(()))?;
    ensure!(before.iter().all(all(Obtained::Everything)), "before the policy: {before:?}");
    let found = round(CGROUP, PROCESSES, MIXED, || {
        let run = ["run", "--quiet", "--policy", &policy, "--", "true"];
        let status = Command::new(TOOL).args(run).status()?;
        ensure!(status.success(), "the policy was not installed");
        Ok(())
    })?;
    let is_odd = |(_index, found): &(usize, Obtained)| *found != Obtained::Governed;
    let odd: Vec<_> = found.into_iter().enumerate().filter(is_odd).collect();
    if !odd.is_empty() {
        let status = Command::new(TOOL).args(["status", "--json"]).output()?;
        let status: Value = serde_json::from_slice(&status.stdout)?;
        let (count, denied) = (odd.len(), gate.denials_behind(0)?);
        let denied = denied.lines().filter(|line| !line.contains("/srv/adopt/secret"));
        bail!(
            "{count} of {PROCESSES} are not governed: {odd:?}; events lost: {}\n{}",
            status["lost-events"],
            denied.collect::<Vec<_>>().join("\n")
        );
    }
    fs::create_dir(LATER)?;
    let later = round(LATER, FEW, FREE, || Ok(()))?;
    ensure!(later.iter().all(all(Obtained::Governed)), "in a cgroup made later: {later:?}");
    let elsewhere = round("/sys/fs/cgroup", FEW, MIXED, || Ok(()))?;
    ensure!(elsewhere.iter().all(all(Obtained::Everything)), "in another cgroup: {elsewhere:?}");
    Ok(())
}

/// Starts so many in the cgroup, does something, and lets everybody try; what each obtained.
fn round(
    cgroup: &str,
    count: usize,
    kinds: &[Kind],
    meanwhile: impl FnOnce() -> Result<()>,
) -> Result<Vec<Obtained>> {
    let (reader, writer) = std::io::pipe()?;
    // Once for all of them: entering waits until nobody forks.
    let own = fs::read_to_string("/proc/self/cgroup")?;
    let own = format!("/sys/fs/cgroup{}", own.trim().trim_start_matches("0::"));
    enter(cgroup)?;
    for index in 0..count {
        let mut writer = writer.try_clone()?;
        let kind = *kinds.get(index % kinds.len()).context("no kind")?;
        forked(move || {
            let said = match kind(&mut writer) {
                Ok(obtained) => format!("{index} {}\n", obtained as u8),
                Err(error) => format!("{index} fails: {error:#}\n"),
            };
            u8::from(writer.write_all(said.as_bytes()).is_err())
        })?;
    }
    drop(writer);
    enter(&own)?;
    let mut lines = BufReader::new(reader).lines();
    for _ in 0..count {
        let line = lines.next().context("somebody does not begin")??;
        ensure!(line == "begun", "before it is time: {line}");
    }
    meanwhile()?;
    File::create(GO)?;
    let mut found = vec![None; count];
    for line in lines {
        let line = line?;
        let (index, obtained) = line.split_once(' ').context("half a report")?;
        let place = found.get_mut(index.parse::<usize>()?).context("a report of nobody")?;
        ensure!(place.is_none(), "{index} reports twice");
        *place = Some(Obtained::of(obtained.parse()?));
    }
    fs::remove_file(GO)?;
    let missing = found.iter().filter(|found| found.is_none()).count();
    found.into_iter().collect::<Option<_>>().with_context(|| format!("{missing} report nothing"))
}

fn enter(cgroup: &str) -> Result<()> {
    fs::write(format!("{cgroup}/cgroup.procs"), "0").context("cannot enter the cgroup")
}

/// Each thread makes the next one and ends; what the last one obtains.
fn in_threads(writer: &mut PipeWriter) -> Result<Obtained> {
    fn next(sender: Sender<Obtained>) {
        if Path::new(GO).exists() {
            let _nobody_waits = sender.send(obtained());
        } else {
            thread::sleep(REST);
            thread::spawn(|| next(sender));
        }
    }
    let (sender, receiver) = channel();
    thread::spawn(|| next(sender));
    writer.write_all(BEGUN)?;
    Ok(receiver.recv()?)
}

/// Each process makes the next one and ends; what the last one obtains. Who only enters a cgroup is not governed
/// by that, but who begins in it.
fn in_processes(writer: &mut PipeWriter) -> Result<Obtained> {
    writer.write_all(BEGUN)?;
    while !Path::new(GO).exists() {
        thread::sleep(REST);
        handed_on()?;
    }
    Ok(obtained())
}

/// Begins a fork, and ends it when it is time: the kernel writes the new process's descriptor to memory that
/// comes only then. What both processes obtain.
///
/// KERNEL: kernel/fork.c, `copy_process` (6.1): after `security_task_alloc`, before anybody finds the child.
fn in_the_middle(writer: &mut PipeWriter) -> Result<Obtained> {
    const RW: i32 = libc::PROT_READ | libc::PROT_WRITE;
    let page = map(PAGE, RW, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1)?;
    let faults = call(libc::SYS_userfaultfd, [libc::O_CLOEXEC as usize])?;
    let mut faults = File::from(owned(i32::try_from(faults)?));
    // UFFDIO_API; UFFDIO_REGISTER of what is missing (include/uapi/linux/userfaultfd.h).
    let fd = faults.as_raw_fd() as usize;
    call(libc::SYS_ioctl, [fd, 0xc018_aa3f, address_mut(&mut [0xaa_u64, 0, 0])])?;
    call(libc::SYS_ioctl, [fd, 0xc020_aa00, address_mut(&mut [page as u64, PAGE as u64, 1, 0])])?;
    let mut writer = writer.try_clone()?;
    let giver = thread::spawn(move || -> Result<()> {
        let mut event = [0; 32];
        faults.read_exact(&mut event)?;
        writer.write_all(BEGUN)?;
        while !Path::new(GO).exists() {
            thread::sleep(REST);
        }
        // UFFDIO_ZEROPAGE.
        let mut zero = [page as u64, PAGE as u64, 0, 0];
        call(libc::SYS_ioctl, [fd, 0xc020_aa04, address_mut(&mut zero)])?;
        Ok(())
    });
    // struct clone_args: flags, the descriptor's place, and the signal at the end.
    let arguments = [libc::CLONE_PIDFD as u64, page as u64, 0, 0, libc::SIGCHLD as u64, 0, 0, 0];
    let pid = call(libc::SYS_clone3, [address(&arguments), size_of_val(&arguments)])?;
    if pid == 0 {
        call(libc::SYS_exit_group, [obtained() as usize])?;
    }
    giver.join().ok().context("the page's giver panicked")??;
    let pid = Pid::from_raw(i32::try_from(pid)?);
    let WaitStatus::Exited(_pid, code) = waitpid(pid, None)? else { bail!("the child was ended") };
    let child = Obtained::of(u8::try_from(code)?);
    Ok(match (obtained(), child) {
        (parent, child) if parent == child => child,
        (Obtained::Governed, Obtained::Everything) => Obtained::ParentOnly,
        (Obtained::Everything, Obtained::Governed) => Obtained::ChildOnly,
        _ => Obtained::Nothing,
    })
}

/// Allocates nothing: a child may have come from the middle of another thread's allocation.
fn obtained() -> Obtained {
    let open = |path: &CStr| {
        let read_only = libc::O_RDONLY as usize;
        let here = libc::AT_FDCWD as usize;
        call(libc::SYS_openat, [here, address(path.to_bytes_with_nul()), read_only])
    };
    match (open(c"/srv/adopt/free"), open(c"/srv/adopt/secret")) {
        (Ok(_), Ok(_)) => Obtained::Everything,
        (Ok(_), Err(Errno::EACCES)) => Obtained::Governed,
        _ => Obtained::Nothing,
    }
}
