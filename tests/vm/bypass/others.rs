//! Leaving: other processes, namespaces, mounts and what the kernel lets a capability do. What no
//! policy can allow has as its twin the same act on a process of its own, or none but the ungoverned one.

use super::{Set, TOP, folder, judge, opened, tried};
use crate::attempts::Governed::{Denied, Fails, Passes};
use crate::attempts::{Act, Attempt, Governed};
use crate::framework::Lane;
use crate::gate::{Gate, policy};
use crate::raw::{address, address_mut, call, child};
use anyhow::{Context, Result, ensure};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::libc;
use nix::unistd::getuid;
use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, Stdio};

crate::tests! {
    bypass_by_other_processes => .lanes(&[Lane::Bypass]).limit(290),
    bypass_by_the_signal_of_a_descriptor => .lanes(&[Lane::Bypass]).limit(290),
}

pub(crate) const SET: Set = ("bypass-processes", OF_PROCESSES);

const RULE: Governed = Denied("rule");
const TRACE: Governed = Denied("unlisted");
const NO_TRACE: Governed = Fails(Errno::EPERM, "unlisted");

/// The same act on a process that the attempt starts, and on one that was there before.
macro_rules! on_processes {
    ($($name:literal $governed:expr => $act:expr $(, $by:ident)?;)*) => {
        &[$(
            Attempt::new($name, Passes, || on_own($act))$(.$by())?,
            Attempt::new(concat!($name, " of an outsider"), $governed, || $act(outsider()?))$(.$by())?,
        )*]
    };
}

const OF_PROCESSES: &[Attempt] = on_processes! {
    "PTRACE_ATTACH" TRACE => |pid| trace(libc::PTRACE_ATTACH, pid);
    "PTRACE_SEIZE" TRACE => |pid| trace(libc::PTRACE_SEIZE, pid);
    "PTRACE_ATTACH by 32-bit calls" TRACE => trace_i386;
    "process_vm_readv" NO_TRACE => |pid| memory(libc::SYS_process_vm_readv, pid);
    "process_vm_writev" NO_TRACE => |pid| memory(libc::SYS_process_vm_writev, pid);
    "pidfd_getfd" NO_TRACE => get_descriptor;
    "kcmp" NO_TRACE => |pid| tried(libc::SYS_kcmp, [pid, pid, 1, 0, 0]);
    "get_robust_list" NO_TRACE => robust_list;
    "move_pages" NO_TRACE => |pid| tried(libc::SYS_move_pages, [pid, 0, 0, 0, 0, 2]);
    "process_madvise" TRACE => advise, by_root;
    "/proc/PID/mem" TRACE => |pid| of_proc(pid, "mem", OFlag::O_RDONLY);
    "/proc/PID/mem to write" TRACE => |pid| of_proc(pid, "mem", OFlag::O_RDWR);
    "/proc/PID/environ" TRACE => |pid| of_proc(pid, "environ", OFlag::O_RDONLY);
    "/proc/PID/maps" TRACE => |pid| of_proc(pid, "maps", OFlag::O_RDONLY);
    "/proc/PID/fd/0" TRACE => |pid| of_proc(pid, "fd/0", OFlag::O_RDONLY);
    "/proc/PID/root" TRACE => |pid| of_proc(pid, "root/etc/passwd", OFlag::O_RDONLY);
    "/proc/PID/cwd" TRACE => |pid| of_proc(pid, "cwd", OFlag::O_RDONLY);
    "/proc/PID/exe" TRACE => |pid| of_proc(pid, "exe", OFlag::O_RDONLY);
    "/proc/PID/ns/mnt" TRACE => |pid| of_proc(pid, "ns/mnt", OFlag::O_RDONLY);
    "/proc/PID/task/PID/mem" TRACE => |pid: usize| {
        of_proc(pid, &format!("task/{pid}/mem"), OFlag::O_RDONLY)
    };
};

pub(crate) const STAYING: Set = ("bypass-staying", STAY);

/// A domain is left by nothing that a process does to itself.
const STAY: &[Attempt] = &[
    Attempt::new("setuid", Passes, || as_nobody("free")).by_root(),
    Attempt::new("setuid, and the secret", RULE, || as_nobody("secret")).by_root(),
    Attempt::new("another cgroup", Passes, || in_cgroup("free")).by_root(),
    Attempt::new("another cgroup, and the secret", RULE, || in_cgroup("secret")).by_root(),
    Attempt::new("clone3 into another cgroup", Passes, || into_cgroup("free")).by_root(),
    Attempt::new("clone3 into another cgroup, and the secret", RULE, || into_cgroup("secret"))
        .by_root(),
    Attempt::new("clone3", Passes, || child(0, -1, || read("free"))),
    Attempt::new("clone3, and the secret", RULE, || child(0, -1, || read("secret"))),
    Attempt::new("clone3 of a sharer", Passes, || child(SHARING, -1, || read("free"))),
    Attempt::new("clone3 of a sharer, and the secret", RULE, || {
        child(SHARING, -1, || read("secret"))
    }),
    Attempt::new("a thread", Passes, || in_thread("free")),
    Attempt::new("a thread, and the secret", RULE, || in_thread("secret")),
    Attempt::new("an undumpable process", Passes, || undumpable("free")),
    Attempt::new("an undumpable process, and the secret", RULE, || undumpable("secret")),
    Attempt::new("a signal", Passes, || signal(outsider()?)),
    Attempt::new("a signal to the daemon", Denied("guarded"), || signal(daemon()?)).by_root(),
    Attempt::new("a signal by pidfd", Passes, || signal_by_pidfd(outsider()?)),
    Attempt::new("a signal by pidfd to the daemon", Denied("guarded"), || {
        signal_by_pidfd(daemon()?)
    })
    .by_root(),
    Attempt::new("a signal by tgkill", Passes, || signal_to_thread(outsider()?)),
    Attempt::new("a signal by tgkill to the daemon", Denied("guarded"), || {
        signal_to_thread(daemon()?)
    })
    .by_root(),
    Attempt::new("a queued signal", Passes, || signal_queued(outsider()?)),
    Attempt::new("a queued signal to the daemon", Denied("guarded"), || signal_queued(daemon()?))
        .by_root(),
];

const RULES: &str = r#"
[[rule]]
id = "all"
allow = ["read", "modify", "exec"]
path = ["/", "/**"]

[[rule]]
id = "secret"
deny = ["read"]
path = "/srv/bypass/secret/**"
"#;

fn bypass_by_other_processes() -> Result<()> {
    for name in ["free", "secret"] {
        folder(&format!("{TOP}/{name}"))?;
        fs::write(format!("{TOP}/{name}/read"), "")?;
    }
    fs::create_dir_all(CGROUP)?;
    // Tracing is left to the gate alone.
    let _ = fs::write("/proc/sys/kernel/yama/ptrace_scope", "0");
    let mut outsiders = Vec::new();
    for user in [0, 1000] {
        let outsider = sleeper().uid(user).gid(user).spawn()?;
        fs::write(format!("{TOP}/outsider-{user}"), outsider.id().to_string())?;
        outsiders.push(outsider);
    }
    let gate = Gate::start()?;
    fs::write(format!("{TOP}/daemon"), gate.pid().to_string())?;
    let policy = policy("bypass-processes", "", RULES)?;
    let judged = judge(&gate, SET, &policy).and_then(|()| judge(&gate, STAYING, &policy));
    outsiders.iter_mut().try_for_each(ended)?;
    judged
}

/// Has what happens on a socket send SIGKILL to a process.
const SIGNALLING: &str = "
import fcntl, os, socket, sys
F_SETSIG = 10
one, other = socket.socketpair()
fcntl.fcntl(one, fcntl.F_SETOWN, int(sys.argv[1]))
fcntl.fcntl(one, F_SETSIG, 9)
fcntl.fcntl(one, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)
other.send(b'x')
";

fn bypass_by_the_signal_of_a_descriptor() -> Result<()> {
    let mut gate = Gate::start()?;
    let policy = policy("bypass-signal", "", RULES)?;
    let signal = |gate: &Gate, pid: u32| {
        let arguments = ["python3", "-c", SIGNALLING, &pid.to_string()];
        gate.run(&policy, &["--quiet"], &arguments).status()
    };
    let mut outsider = sleeper().spawn()?;
    ensure!(signal(&gate, outsider.id())?.success(), "it was not tried");
    ensure!(outsider.wait()?.signal() == Some(libc::SIGKILL), "an outsider lives on");
    ensure!(signal(&gate, gate.pid())?.success(), "it was not tried");
    // Whoever was killed does not answer.
    ensure!(gate.run(&policy, &["--quiet"], &["true"]).status()?.success(), "no daemon answers");
    ensure!(gate.is_running()?, "the daemon was killed");
    Ok(())
}

/// Runs until it is killed, with nothing that could not be looked at.
fn sleeper() -> Command {
    let mut sleeper = Command::new("/usr/bin/sleep");
    sleeper.arg("1000").current_dir("/").stdin(Stdio::null()).stdout(Stdio::null());
    sleeper
}

fn ended(child: &mut Child) -> Result<()> {
    child.kill()?;
    child.wait()?;
    Ok(())
}

fn on_own(act: impl Fn(usize) -> Act) -> Act {
    let mut own = sleeper().spawn()?;
    let result = act(own.id() as usize);
    ended(&mut own)?;
    result
}

/// The one with this user.
fn outsider() -> Result<usize> {
    written(&format!("outsider-{}", getuid()))
}

fn daemon() -> Result<usize> {
    written("daemon")
}

fn written(name: &str) -> Result<usize> {
    let text = fs::read_to_string(format!("{TOP}/{name}")).context(name.to_owned())?;
    Ok(text.trim().parse()?)
}

/// Attaches, and lets go at once.
fn trace(request: libc::c_uint, pid: usize) -> Act {
    let attached = call(libc::SYS_ptrace, [request as usize, pid, 0, 0]).map(drop);
    let_go(pid, attached)
}

fn trace_i386(pid: usize) -> Act {
    let request = [libc::PTRACE_ATTACH, u32::try_from(pid)?, 0, 0, 0];
    let_go(pid, super::tried_i386(26, request)?)
}

fn let_go(pid: usize, attached: Result<(), Errno>) -> Act {
    if attached.is_ok() {
        call(libc::SYS_ptrace, [libc::PTRACE_INTERRUPT as usize, pid, 0, 0]).ok();
        let mut status = 0_i32;
        call(libc::SYS_wait4, [pid, address_mut(&mut status), libc::__WALL as usize, 0])?;
        call(libc::SYS_ptrace, [libc::PTRACE_DETACH as usize, pid, 0, 0])?;
    }
    Ok(attached)
}

/// Where a process has its stack, by its own account; for one that may not be looked at it is a guess.
fn somewhere(pid: usize) -> usize {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
    let stack = maps.lines().find(|line| line.ends_with("[stack]"));
    let end = stack.and_then(|line| line.split(['-', ' ']).nth(1));
    end.and_then(|end| usize::from_str_radix(end, 16).ok()).unwrap_or(0x7fff_ffff_f000) - 8
}

/// One byte of the stack's end, which is zero and stays so.
/// Tries of a process that is only just there.
const LOOKS: usize = 50;

fn memory(number: libc::c_long, pid: usize) -> Act {
    let byte = [0_u8];
    let ours = [address(&byte), 1];
    // What it has just begun to execute may still map and unmap.
    for _ in 0..LOOKS {
        let theirs = [somewhere(pid), 1];
        let done = tried(number, [pid, address(&ours), 1, address(&theirs), 1, 0])?;
        if done != Err(Errno::EFAULT) {
            return Ok(done);
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    Ok(Err(Errno::EFAULT))
}

fn get_descriptor(pid: usize) -> Act {
    let held = call(libc::SYS_pidfd_open, [pid, 0])?;
    tried(libc::SYS_pidfd_getfd, [held, 0, 0])
}

fn robust_list(pid: usize) -> Act {
    let (mut head, mut length) = (0_usize, 0_usize);
    tried(libc::SYS_get_robust_list, [pid, address_mut(&mut head), address_mut(&mut length)])
}

fn advise(pid: usize) -> Act {
    let held = call(libc::SYS_pidfd_open, [pid, 0])?;
    let part = [somewhere(pid) & !0xfff, 4096];
    tried(libc::SYS_process_madvise, [held, address(&part), 1, libc::MADV_COLD as usize, 0])
}

fn of_proc(pid: usize, name: &str, flags: OFlag) -> Act {
    Ok(opened(&format!("/proc/{pid}/{name}"), flags).map(drop))
}

const CGROUP: &str = "/sys/fs/cgroup/bypass-elsewhere";
const SHARING: u64 = (libc::CLONE_FILES | libc::CLONE_FS) as u64;

fn read(folder: &str) -> Result<(), Errno> {
    opened(&format!("{TOP}/{folder}/read"), OFlag::O_RDONLY).map(drop)
}

fn as_nobody(folder: &str) -> Act {
    call(libc::SYS_setresuid, [1000, 1000, 1000])?;
    Ok(read(folder))
}

fn in_cgroup(folder: &str) -> Act {
    fs::write(format!("{CGROUP}/cgroup.procs"), "0")?;
    Ok(read(folder))
}

fn into_cgroup(folder: &'static str) -> Act {
    let cgroup = opened(CGROUP, OFlag::O_RDONLY)?;
    child(0, cgroup.as_raw_fd(), || read(folder))
}

fn in_thread(folder: &'static str) -> Act {
    let thread = std::thread::spawn(move || read(folder));
    let Ok(result) = thread.join() else { anyhow::bail!("the thread panicked") };
    Ok(result)
}

fn undumpable(folder: &str) -> Act {
    call(libc::SYS_prctl, [libc::PR_SET_DUMPABLE as usize, 0])?;
    Ok(read(folder))
}

const SIGNAL: usize = libc::SIGCONT as usize;

fn signal(pid: usize) -> Act {
    tried(libc::SYS_kill, [pid, SIGNAL])
}

fn signal_by_pidfd(pid: usize) -> Act {
    let held = call(libc::SYS_pidfd_open, [pid, 0])?;
    tried(libc::SYS_pidfd_send_signal, [held, SIGNAL, 0, 0])
}

fn signal_to_thread(pid: usize) -> Act {
    tried(libc::SYS_tgkill, [pid, pid, SIGNAL])
}

fn signal_queued(pid: usize) -> Act {
    // siginfo_t: the signal, no error, SI_QUEUE, padding, and whoever sends it.
    let mut what = [0_i32; 32];
    what[0] = libc::SIGCONT;
    what[2] = libc::SI_QUEUE;
    tried(libc::SYS_rt_sigqueueinfo, [pid, SIGNAL, address(&what)])
}
