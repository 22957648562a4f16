//! Process 1 of a guest: from the kernel's first filesystem to one running command.
//!
//! The paths below `/guest` are an agreement with xtask, which packs them.

use super::say;
use crate::raw::{address, call};
use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::kmod::{ModuleInitFlags, finit_module};
use nix::libc;
use nix::mount::{MsFlags, mount};
use nix::sys::reboot::{RebootMode, reboot};
use nix::sys::stat::Mode;
use nix::sys::termios::{SetArg, cfmakeraw, tcdrain, tcgetattr, tcsetattr};
use nix::sys::wait::{WaitStatus, wait};
use nix::unistd::{chdir, chown, chroot, dup2_stderr, dup2_stdout, execv};
use std::ffi::CStr;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::thread::sleep;
use std::time::Duration;

const GUEST: &str = "/guest";
const NEW_ROOT: &str = "/newroot";
const DISK: &str = "/dev/vda";
/// The serial port that carries what the command prints. Another one is the kernel's.
const REPORT: &str = if cfg!(target_arch = "aarch64") { "/dev/ttyS0" } else { "/dev/ttyS1" };
/// What the disk keeps from boot to boot: that there was one, and that the next one is asked for, with which words more
/// on the kernel's command line.
const KEPT: &str = "/var/lib/guest";
const BOOTED: &str = "/var/lib/guest/booted";
const ASKED: &str = "/var/lib/guest/asked";
const NO_DATA: Option<&str> = None;

/// Boots, runs the command, powers off.
pub(super) fn init() -> ! {
    match boot_and_run() {
        Ok(code) => say::exit(code),
        Err(error) => say::refused(&format!("{error:#}")),
    }
    power_off()
}

/// Runs the tests below a service manager, and powers off.
pub(super) fn serve(tests: impl FnOnce() -> Result<ExitCode>) -> ! {
    match tests() {
        Ok(code) => say::exit(i32::from(code != ExitCode::SUCCESS)),
        Err(error) => say::refused(&format!("{error:#}")),
    }
    power_off()
}

fn power_off() -> ! {
    let _ = tcdrain(std::io::stdout());
    match reboot(RebootMode::RB_POWER_OFF) {
        Ok(never) => match never {},
        // Ends process 1, which panics the kernel, which ends the guest.
        Err(_) => std::process::exit(1),
    }
}

/// Opens a performance event of this process, as long as the guest lives. The first one has the kernel patch
/// its scheduler (kernel/events/core.c, `perf_sched_events`, 6.18), and the emulator can meet the half-patched
/// code on a processor that is busy; here the others are idle. A kernel without such events needs nothing.
fn count_events_of_tasks() {
    // struct perf_event_attr: a software event and its size, the task's clock.
    let mut event = [0_u64; 16];
    event[0] = 1 | 128 << 32;
    event[1] = 1;
    const CLOSED_ON_EXEC: usize = 8;
    let asked = [address(&event), 0, usize::MAX, usize::MAX, CLOSED_ON_EXEC];
    let _stays_open = call(libc::SYS_perf_event_open, asked);
}

fn boot_and_run() -> Result<i32> {
    let pseudo = |kind: &str, place: &str| {
        fs::create_dir_all(place)?;
        mount(Some(kind), place, Some(kind), MsFlags::empty(), NO_DATA)
            .with_context(|| format!("cannot mount `{place}`"))
    };
    pseudo("devtmpfs", "/dev").or_else(already_mounted)?;
    report_here()?;
    pseudo("proc", "/proc")?;
    pseudo("sysfs", "/sys")?;
    load_modules()?;
    let command = fs::read_to_string(format!("{GUEST}/command")).context("no command")?;
    mount_root(&fs::read_to_string(format!("{GUEST}/root"))?)?;
    copy(Path::new("/guest/files"), Path::new(NEW_ROOT))?;
    for place in ["/dev", "/proc", "/sys"] {
        move_mount(place, &format!("{NEW_ROOT}{place}"))?;
    }
    chdir(NEW_ROOT)?;
    move_mount(".", "/")?;
    chroot(".")?;
    chdir("/")?;

    count_events_of_tasks();
    another_boot()?;
    fs::create_dir_all("/home/agent")?;
    chown("/home/agent", Some(1000.into()), Some(1000.into()))?;
    if command.split('\0').nth(1) == Some("serve") {
        return hand_over(&command);
    }
    pseudo("cgroup2", "/sys/fs/cgroup")?;
    pseudo("bpf", "/sys/fs/bpf")?;
    pseudo("securityfs", "/sys/kernel/security")?;
    pseudo("devpts", "/dev/pts")?;
    for (place, mode) in [("/dev/shm", 0o1777), ("/run", 0o755), ("/tmp", 0o1777)] {
        pseudo("tmpfs", place)?;
        fs::set_permissions(place, fs::Permissions::from_mode(mode))?;
    }
    // As udev would make it: process substitution of shells needs it.
    symlink("/proc/self/fd", "/dev/fd").context("cannot make `/dev/fd`")?;
    fs::write("/proc/sys/kernel/hostname", "guest")?;
    run(Command::new("/usr/sbin/ip").args(["link", "set", "lo", "up"]))?;
    let mut words = command.split('\0');
    run(Command::new(words.next().unwrap_or_default()).args(words))
}

/// The next boot is asked for.
pub(super) fn ask(words: &str) -> Result<()> {
    Ok(fs::write(ASKED, words)?)
}

/// Refuses a boot that nobody asked for, such as one after a panic. The words that were asked for stand on what
/// everybody takes for the kernel's command line: the emulator gives each boot the same.
fn another_boot() -> Result<()> {
    const COMMAND_LINE: &str = "/proc/cmdline";
    fs::create_dir_all(KEPT)?;
    if !Path::new(BOOTED).exists() {
        return Ok(fs::write(BOOTED, "")?);
    }
    let words = fs::read_to_string(ASKED).context("the guest booted anew, unasked")?;
    fs::remove_file(ASKED)?;
    if words.is_empty() {
        return Ok(());
    }
    let line = fs::read_to_string(COMMAND_LINE)?;
    let longer = format!("{KEPT}/cmdline");
    fs::write(&longer, format!("{} {words}\n", line.trim_end()))?;
    mount(Some(longer.as_str()), COMMAND_LINE, NO_DATA, MsFlags::MS_BIND, NO_DATA)
        .context("cannot put words on the command line")
}

/// Becomes systemd, which starts the command as a service.
fn hand_over(command: &str) -> Result<i32> {
    const UNIT: &str = "guest-tests.service";
    let folder = Path::new("/etc/systemd/system");
    let wanted = folder.join("multi-user.target.wants");
    fs::create_dir_all(&wanted)?;
    match symlink(format!("../{UNIT}"), wanted.join(UNIT)) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error.into()),
        _ => {}
    }
    let words = command.split('\0').collect::<Vec<_>>().join(" ");
    let unit = format!(
        "[Unit]\nDescription=Guest tests\nAfter=basic.target\n\n[Service]\nType=oneshot\n\
         ExecStart={words}\nEnvironment=HOME=/root LANG=C.UTF-8\nWorkingDirectory=/root\n\
         StandardOutput=file:{REPORT}\nStandardError=inherit\nTimeoutStartSec=infinity\n"
    );
    fs::write(folder.join(UNIT), unit)?;
    const SYSTEMD: &CStr = c"/usr/lib/systemd/systemd";
    match execv(SYSTEMD, &[SYSTEMD]) {
        Ok(never) => match never {},
        Err(error) => Err(error).context("cannot become systemd"),
    }
}

/// The kernel mounts /dev by itself if it is configured so.
fn already_mounted(error: anyhow::Error) -> Result<()> {
    match error.downcast_ref::<Errno>() {
        Some(Errno::EBUSY) => Ok(()),
        _ => Err(error),
    }
}

/// Makes the report port our standard output, without the terminal's changes to what is written.
fn report_here() -> Result<()> {
    let port = open(REPORT, OFlag::O_RDWR | OFlag::O_NOCTTY, Mode::empty())
        .with_context(|| format!("cannot open `{REPORT}`"))?;
    let mut settings = tcgetattr(&port)?;
    cfmakeraw(&mut settings);
    tcsetattr(&port, SetArg::TCSANOW, &settings)?;
    dup2_stdout(&port)?;
    dup2_stderr(&port)?;
    Ok(())
}

fn load_modules() -> Result<()> {
    let Ok(entries) = fs::read_dir(format!("{GUEST}/modules")) else { return Ok(()) };
    let mut files: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.sort();
    for file in files {
        const NO_PARAMETERS: &CStr = c"";
        match finit_module(File::open(&file)?, NO_PARAMETERS, ModuleInitFlags::empty()) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(error) => bail!("cannot load `{}`: {error}", file.display()),
        }
    }
    Ok(())
}

fn mount_root(kind: &str) -> Result<()> {
    for _ in 0..1000 {
        if Path::new(DISK).exists() {
            break;
        }
        sleep(Duration::from_millis(10));
    }
    let disk = |place: &str, flags| {
        fs::create_dir_all(place)?;
        mount(Some(DISK), place, Some("ext4"), flags, NO_DATA).context("cannot mount the disk")
    };
    if kind == "plain" {
        return disk(NEW_ROOT, MsFlags::empty());
    }
    disk("/lower", MsFlags::MS_RDONLY)?;
    fs::create_dir_all("/memory")?;
    mount(Some("tmpfs"), "/memory", Some("tmpfs"), MsFlags::empty(), NO_DATA)?;
    for folder in ["/memory/upper", "/memory/work", NEW_ROOT] {
        fs::create_dir_all(folder)?;
    }
    let layers = "lowerdir=/lower,upperdir=/memory/upper,workdir=/memory/work";
    mount(Some("overlay"), NEW_ROOT, Some("overlay"), MsFlags::empty(), Some(layers))
        .context("cannot mount overlayfs")
}

fn move_mount(from: &str, to: &str) -> Result<()> {
    mount(Some(from), to, NO_DATA, MsFlags::MS_MOVE, NO_DATA)
        .with_context(|| format!("cannot move the mount `{from}`"))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            fs::create_dir_all(&to)?;
            copy(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), &to)
                .with_context(|| format!("cannot copy to `{}`", to.display()))?;
        }
    }
    Ok(())
}

/// Runs a program to its end, reaping whatever else ends meanwhile, as process 1 must.
fn run(command: &mut Command) -> Result<i32> {
    let program = command.get_program().to_string_lossy().into_owned();
    let child = command
        .env_clear()
        .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .env("HOME", "/root")
        .env("LANG", "C.UTF-8")
        .current_dir("/root")
        .stdin(Stdio::null())
        .spawn()
        .with_context(|| format!("cannot start `{program}`"))?;
    loop {
        match wait()? {
            WaitStatus::Exited(pid, code) if pid.as_raw().cast_unsigned() == child.id() => {
                return Ok(code);
            }
            WaitStatus::Signaled(pid, signal, _) if pid.as_raw().cast_unsigned() == child.id() => {
                return Ok(128 + signal as i32);
            }
            _ => {}
        }
    }
}
