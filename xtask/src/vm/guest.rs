//! One guest: QEMU by software emulation, a stock kernel, one command.
//!
//! The kernel's messages go to the first serial port and into a file; what the command prints
//! comes out of the second, line by line. Nothing a guest does outlives it.

use super::initramfs;
use crate::arch::Arch;
use crate::paths;
use crate::setup::Kernel;
use anyhow::{Context, Result};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};
use std::{fmt, fs};

/// The guest's init, and the test runner: one program.
pub(crate) const INIT: &str = "/opt/execlayer/vm";
/// How lines begin that are said by the guest's frame, not by the command.
pub(super) const MARK: &str = "@vm ";
pub(super) const LIMIT: Duration = Duration::from_secs(25 * 60);
pub(super) const LIMIT_FULL: Duration = Duration::from_secs(6 * 60 * 60);
/// Longer than any test may take without a word.
pub(super) const SILENCE: Duration = Duration::from_secs(5 * 60);
const CONSOLE_TAIL: usize = 40;
/// How often the console of a guest that reboots is looked at.
const A_LOOK: Duration = Duration::from_secs(1);

/// What `/` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Root {
    /// The disk.
    Plain,
    /// Overlayfs: the disk below, memory above.
    Overlay,
}

impl Root {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Overlay => "overlay",
        }
    }
}

/// A guest to boot. [`super::Lab::guest`] makes one with the usual content.
#[derive(Clone, Debug)]
pub(crate) struct GuestSpec {
    /// Names its folder below `target/vm`; guests that run at once need different names.
    pub(crate) name: String,
    pub(crate) kernel: Kernel,
    pub(crate) rootfs: PathBuf,
    pub(crate) root: Root,
    pub(crate) smp: u32,
    /// The guest's clock counts instructions: for comparisons of cost. One core only.
    pub(crate) icount: bool,
    /// Its own reboot boots it anew, with the disk as it is then, instead of ending it.
    pub(crate) reboots: bool,
    /// More kernel parameters.
    pub(crate) append: String,
    /// Host files or folders, and where the guest finds them.
    pub(crate) files: Vec<(PathBuf, String)>,
    /// Absolute path and arguments; runs as root with PATH and HOME set.
    pub(crate) command: Vec<String>,
    pub(crate) limit: Duration,
    pub(crate) silence: Duration,
}

/// How a guest ended.
#[derive(Debug)]
pub(crate) enum Ending {
    /// The command ended with this code; 128 and the signal's number if one ended it.
    Exit(i32),
    /// The guest's init could not run the command.
    Refused(String),
    /// The guest was ended: longer than its limit, or without a word for too long.
    Hung(&'static str),
    /// The guest went away by itself: a kernel panic, or QEMU could not start.
    Died,
}

impl fmt::Display for Ending {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exit(code) => write!(formatter, "the guest's command ended with code {code}"),
            Self::Refused(why) => formatter.write_str(why),
            Self::Hung(why) => formatter.write_str(why),
            Self::Died => formatter.write_str("the guest died"),
        }
    }
}

#[derive(Debug)]
pub(crate) struct GuestResult {
    pub(crate) ending: Ending,
    pub(crate) took: Duration,
    /// The kernel's last messages and QEMU's own.
    pub(crate) console: Vec<String>,
}

/// Boots a guest, hands every line that its command prints to `on_line`, and waits for its end.
pub(crate) fn run(spec: &GuestSpec, on_line: &mut dyn FnMut(&str)) -> Result<GuestResult> {
    let folder = paths::target().join("vm").join(&spec.name);
    fs::create_dir_all(&folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
    let initramfs = folder.join("initramfs.cpio");
    let console = folder.join("console.log");
    let errors = folder.join("qemu.log");
    initramfs::write(spec, &initramfs)?;
    fs::write(&console, "")?;

    let start = Instant::now();
    let mut qemu = qemu(spec, &initramfs, &console);
    // The disk's throw-away changes go beside the rest instead of into a small /tmp.
    qemu.env("TMPDIR", &folder).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child =
        qemu.stderr(fs::File::create(&errors)?).spawn().context("cannot start the emulator")?;
    let mut ending = follow(&mut child, spec, start, &console, on_line);
    // Ends the emulator whatever state it is in; a guest that ended by itself is gone already.
    let _ = child.kill();
    child.wait()?;
    fs::remove_file(&initramfs)?;
    // A panic on the way down boots anew, as the reboot that was asked for would have.
    if spec.reboots && panicked(&lines(&console)) {
        ending = Ok(Ending::Died);
    }
    let mut tail = lines(&errors);
    let kernel = lines(&console);
    tail.extend(kernel.into_iter().rev().take(CONSOLE_TAIL).rev());
    Ok(GuestResult { ending: ending?, took: start.elapsed(), console: tail })
}

fn qemu(spec: &GuestSpec, initramfs: &Path, console: &Path) -> Command {
    // setpriv ends the emulator together with the thread that waits for it.
    let mut qemu = Command::new("setpriv");
    qemu.args(["--pdeathsig", "KILL", "--"]);
    let console_name = match spec.kernel.arch {
        Arch::Amd64 => {
            qemu.args(["qemu-system-x86_64", "-cpu", "max,la57=off"]);
            "ttyS0"
        }
        Arch::Arm64 => {
            // Pointer authentication is most of the emulator's time; this processor has none.
            qemu.args(["qemu-system-aarch64", "-machine", "virt", "-cpu", "neoverse-n1"]);
            "ttyAMA0"
        }
    };
    qemu.args(["-nodefaults", "-no-user-config", "-display", "none"]);
    if !spec.reboots {
        qemu.arg("-no-reboot");
    }
    match spec.icount {
        true => qemu.args(["-accel", "tcg", "-icount", "shift=0,sleep=off", "-smp", "1"]),
        false => qemu.args(["-accel", "tcg,thread=multi", "-smp", &spec.smp.to_string()]),
    };
    qemu.args(["-m", "2G", "-kernel"]).arg(&spec.kernel.image).arg("-initrd").arg(initramfs);
    qemu.arg("-append")
        .arg(format!("console={console_name} panic=-1 mitigations=off quiet {}", spec.append));
    qemu.arg("-drive").arg(format!(
        "file={},if=virtio,format=raw,snapshot=on,cache=unsafe",
        spec.rootfs.display()
    ));
    qemu.arg("-serial").arg(format!("file:{}", console.display()));
    match spec.kernel.arch {
        Arch::Amd64 => qemu.args(["-serial", "stdio"]),
        // The board has one port.
        Arch::Arm64 => {
            qemu.args(["-chardev", "stdio,id=report", "-device", "pci-serial,chardev=report"])
        }
    };
    qemu
}

/// Reads the guest's lines until it ends or must be ended.
fn follow(
    child: &mut Child,
    spec: &GuestSpec,
    start: Instant,
    console: &Path,
    on_line: &mut dyn FnMut(&str),
) -> Result<Ending> {
    let output = child.stdout.take().context("the emulator has no output")?;
    let (send, lines) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).split(b'\n') {
            let Ok(line) = line else { return };
            let line = String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned();
            if send.send(line).is_err() {
                return;
            }
        }
    });
    let mut heard = Instant::now();
    loop {
        let left = spec.limit.saturating_sub(start.elapsed());
        let patience = spec.silence.saturating_sub(heard.elapsed());
        match lines.recv_timeout(left.min(patience).min(A_LOOK)) {
            Ok(line) => {
                heard = Instant::now();
                match line.strip_prefix(MARK).and_then(|said| said.split_once(' ')) {
                    Some(("exit", code)) => return Ok(Ending::Exit(code.trim().parse()?)),
                    Some(("refused", why)) => return Ok(Ending::Refused(why.to_owned())),
                    _ => on_line(&line),
                }
            }
            Err(RecvTimeoutError::Disconnected) => return Ok(Ending::Died),
            // It would go on, or do so again and again.
            Err(RecvTimeoutError::Timeout) if spec.reboots && panicked(&self::lines(console)) => {
                return Ok(Ending::Died);
            }
            Err(RecvTimeoutError::Timeout) if start.elapsed() >= spec.limit => {
                return Ok(Ending::Hung("the guest took longer than its limit"));
            }
            Err(RecvTimeoutError::Timeout) if heard.elapsed() >= spec.silence => {
                return Ok(Ending::Hung("the guest fell silent"));
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

/// Whether a kernel said that it gave up (KERNEL: `panic` in kernel/panic.c says so whatever `quiet` is).
fn panicked(console: &[String]) -> bool {
    console.iter().any(|line| line.contains("Kernel panic - not syncing"))
}

fn lines(file: &Path) -> Vec<String> {
    let bytes = fs::read(file).unwrap_or_default();
    String::from_utf8_lossy(&bytes).lines().map(|line| line.trim_end().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::panicked;

    #[test]
    fn a_reboot_is_no_panic_and_a_panic_is_no_reboot() {
        let console = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        assert!(!panicked(&console(
            "[    9.1] reboot: Restarting system\n[    0.0] Linux version"
        )));
        assert!(panicked(&console(
            "[    9.1] sysrq: Trigger a crash\n\
             [    9.2] Kernel panic - not syncing: sysrq triggered crash\n\
             [    0.0] Linux version"
        )));
    }
}
