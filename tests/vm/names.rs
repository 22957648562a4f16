//! A file or program is judged by its own name, whichever way leads to it, and what has no name is
//! denied. The policy allows all but a few names.

mod prepare;

use crate::attempts::{self, Act, Attempt, Governed, execute};
use crate::framework::Lane;
use crate::gate::{Gate, policy};
use anyhow::{Context, Result, ensure};
use nix::fcntl::{FcntlArg, OFlag, fcntl, open};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::stat::Mode;
use nix::unistd::{chdir, unlink, write};
use std::ffi::OsStr;
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

crate::tests! {
    every_way_to_a_file_meets_its_own_name => .lanes(&[Lane::Plain, Lane::Overlay, Lane::Subjects]).limit(290)
}

use Governed::{Denied, Passes};

/// Each denied attempt stands beside the allowed one that differs in what is judged alone.
pub(crate) const ATTEMPTS: &[Attempt] = &[
    case("a file", Passes, || read("/srv/names/allowed")),
    case("the forbidden file", Denied("rule"), || read("/srv/names/forbidden")),
    case("a file by a link", Passes, || read("/srv/names/link-to-allowed")),
    case("the forbidden file by a link", Denied("rule"), || read("/srv/names/link-to-forbidden")),
    case("a file by dots", Passes, || read("/srv/names/../names/./sub/../allowed")),
    case("the forbidden file by dots", Denied("rule"), || {
        read("/srv/names/../names/./sub/../forbidden")
    }),
    case("a file from its folder", Passes, || within("/srv/names/sub", "../allowed")),
    case("the forbidden file from its folder", Denied("rule"), || {
        within("/srv/names/sub", "../forbidden")
    }),
    case("a file by /proc", Passes, || read("/proc/self/root/srv/names/allowed")),
    case("the forbidden file by /proc", Denied("rule"), || {
        read("/proc/self/root/srv/names/forbidden")
    }),
    case("a forbidden folder", Denied("rule"), || read("/srv/names/vault/file")),
    case("a forbidden folder's other mount", Passes, || read("/srv/names/window/file")),
    case("a folder", Passes, || read("/srv/names/hall/file")),
    case("a folder's forbidden mount", Denied("rule"), || read("/srv/names/shut-window/file")),
    case("a file of a mount", Passes, || within_folder(0)),
    case("a file of a mount that was detached", Denied("no-name"), || within_folder(1)),
    case("a file opened again", Passes, || again(false)),
    case("a deleted file opened again", Denied("deleted"), || again(true)),
    case("a name of odd bytes", Passes, || bytes(b"/srv/names/odd\n\xfe")),
    case("a forbidden name of odd bytes", Denied("rule"), || bytes(b"/srv/names/odd\n\xff")),
    case("a path of 4095 bytes", Passes, || steps(&prepare::LONG)),
    case("a path of 4096 bytes", Denied("path-too-long"), || steps(&prepare::TOO_LONG)),
    case("a path of 200 components", Passes, || steps(&prepare::DEEP)),
    case("a path of 300 components", Denied("path-too-deep"), || steps(&prepare::TOO_DEEP)),
    case("a file appended to", Passes, || {
        file("/srv/names/log", OFlag::O_WRONLY | OFlag::O_APPEND)
    }),
    case("a file for appending written to", Denied("unlisted"), || {
        file("/srv/names/log", OFlag::O_WRONLY)
    }),
    case("a promise to append taken back", Passes, || append_no_more("/srv/names/allowed")),
    case("a promise to append taken back that binds", Denied("unlisted"), || {
        append_no_more("/srv/names/log")
    }),
    case("a file made", Passes, || make("/srv/names/new")),
    case("a forbidden file made", Denied("rule"), || make("/srv/names/never")),
    case("a program", Passes, || execute("/srv/names/bin/allowed")),
    case("the forbidden program", Denied("rule"), || execute("/srv/names/bin/forbidden")),
    case("a program by a link", Passes, || execute("/srv/names/link-to-program")),
    case("the forbidden program by a link", Denied("rule"), || {
        execute("/srv/names/link-to-forbidden-program")
    }),
    case("a program in memory", Denied("no-name"), in_memory),
    case("a script of a script", Passes, || execute("/srv/names/bin/script")),
    case("a script of a script of the forbidden shell", Denied("rule"), || {
        execute("/srv/names/bin/script-of-forbidden")
    }),
    case("a program with a loader of its own", Passes, || execute("/srv/names/bin/loads")),
    case("a program with the forbidden loader", Denied("rule"), || {
        execute("/srv/names/bin/loads-forbidden")
    }),
];

const RULES: &str = r#"
[[rule]]
id = "all"
allow = ["read", "modify", "exec", "ioctl"]
path = ["/", "/**"]
except = ["/srv/names/log"]

[[rule]]
id = "log"
allow = ["read", "append"]
path = "/srv/names/log"

[[rule]]
id = "forbidden"
deny = ["read", "write", "create"]
path = ['/srv/names/{forbidden,never,{vault,shut-window}/**,odd\x0a\xff}']

[[rule]]
id = "forbidden-programs"
deny = ["exec"]
path = ["/srv/names/bin/{forbidden,forbidden-sh}", "/srv/names/ld-forbidden.so"]
"#;

const fn case(name: &'static str, governed: Governed, act: fn() -> Act) -> Attempt {
    Attempt::new(name, governed, act)
}

fn every_way_to_a_file_meets_its_own_name() -> Result<()> {
    harness::acts::enter()?;
    prepare::all()?;
    let gate = Gate::start()?;
    // What only an outsider can make, and a governed process inherits.
    let _folders = [mounted(false)?, mounted(true)?];
    attempts::judge(&gate, ("names", ATTEMPTS), &policy("names", "", RULES)?)?;
    ensure!(!Path::new("/srv/names/never").exists(), "a denied creation left a file");
    Ok(())
}

fn file(path: impl AsRef<Path>, flags: OFlag) -> Act {
    Ok(open(path.as_ref(), flags | OFlag::O_CLOEXEC, Mode::empty()).map(drop))
}

fn read(path: &str) -> Act {
    file(path, OFlag::O_RDONLY)
}

fn bytes(path: &[u8]) -> Act {
    file(OsStr::from_bytes(path), OFlag::O_RDONLY)
}

fn within(folder: &str, name: &str) -> Act {
    chdir(folder)?;
    read(name)
}

fn steps(path: &prepare::Steps) -> Act {
    path.enter()?;
    file(path.file(), OFlag::O_RDONLY)
}

/// Where the numbers of inherited descriptors are written, one in each line.
const NUMBERS: &str = "/srv/names/numbers";

/// A folder of a mount, as a descriptor that children inherit.
fn mounted(detached: bool) -> Result<OwnedFd> {
    let none = None::<&str>;
    let place = "/srv/names/mounted";
    mount(Some("/srv/names/hall"), place, none, MsFlags::MS_BIND, none)?;
    let folder = open(place, OFlag::O_PATH | OFlag::O_DIRECTORY, Mode::empty())?;
    if detached {
        umount2(place, MntFlags::MNT_DETACH)?;
    }
    let mut numbers = File::options().append(true).create(true).open(NUMBERS)?;
    writeln!(numbers, "{}", folder.as_raw_fd())?;
    Ok(folder)
}

fn within_folder(line: usize) -> Act {
    let numbers = std::fs::read_to_string(NUMBERS)?;
    let number = numbers.lines().nth(line).context("no descriptor was prepared")?;
    read(&format!("/proc/self/fd/{number}/file"))
}

fn again(deleted: bool) -> Act {
    let path = "/srv/names/short-lived";
    let flags = OFlag::O_RDWR | OFlag::O_CREAT;
    let held = open(path, flags, Mode::from_bits_truncate(0o600))?;
    if deleted {
        unlink(path)?;
    }
    read(&format!("/proc/self/fd/{}", held.as_raw_fd()))
}

fn append_no_more(path: &str) -> Act {
    let held = open(path, OFlag::O_WRONLY | OFlag::O_APPEND, Mode::empty())?;
    Ok(fcntl(&held, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).map(drop))
}

fn make(path: &str) -> Act {
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL;
    let made = open(path, flags, Mode::from_bits_truncate(0o600)).map(drop);
    if made.is_ok() {
        unlink(path)?;
    }
    Ok(made)
}

fn in_memory() -> Act {
    let memory = memfd_create("program", MFdFlags::empty())?;
    let program = std::fs::read("/usr/bin/true")?;
    ensure!(write(&memory, &program)? == program.len(), "the program was cut short");
    execute(&format!("/proc/self/fd/{}", memory.as_raw_fd()))
}
