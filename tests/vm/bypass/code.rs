//! Running code that may not be executed: by the loader, as a library, from memory, by other entries.

use super::{Set, TOP, folder, judge, judge_by, low_text, opened, tried, tried_i386, tried_x32};
use crate::attempts::Governed::{Denied, Passes};
use crate::attempts::{Absent, Act, Attempt, Governed, execute};
use crate::framework::Lane;
use crate::gate::{Gate, policy};
use crate::raw::{address, address_mut, call, map, put, text};
use anyhow::{Result, bail, ensure};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::libc::{self, MAP_ANONYMOUS, MAP_PRIVATE, MAP_SHARED, PROT_EXEC, PROT_READ, PROT_WRITE};
use std::fs;
use std::os::fd::AsRawFd;
use std::process::{Command, Stdio};

crate::tests! {
    bypass_by_mapping_and_loading => .lanes(&[Lane::Bypass]).limit(290),
    bypass_by_executable_memory => .lanes(&[Lane::Bypass]).limit(290),
    bypass_by_inherited_descriptors => .lanes(&[Lane::Bypass]).limit(290),
}

pub(crate) const SET: Set = ("bypass-code", OF_FILES);
pub(crate) const MEMORY: Set = ("bypass-memory", OF_MEMORY);
pub(crate) const INHERITED: Set = ("bypass-inherited", OF_DESCRIPTORS);

const RULE: Governed = Denied("rule");

/// The same act with what may be executed and with what may not.
macro_rules! pairs {
    ($($name:literal => $act:expr;)*) => {
        &[$(
            Attempt::new($name, Passes, || $act("allowed")),
            Attempt::new(concat!($name, ", forbidden"), RULE, || $act("forbidden")),
        )*]
    };
}

const OF_FILES: &[Attempt] = pairs! {
    "execve" => |name| execute(&program(name));
    "execve by a thread" => by_thread;
    "execveat by a descriptor" => |name| by_descriptor(name, OFlag::O_PATH);
    "execveat by a descriptor to read" => |name| by_descriptor(name, OFlag::O_RDONLY);
    "execve of /proc/self/fd" => by_descriptor_name;
    "execve by 32-bit calls" => execute_i386;
    "execve by x32 calls" => execute_x32;
    "execve in /dev/shm" => |name| execute(&format!("/dev/shm/bypass-{name}"));
    "a script" => |name| execute(&format!("{TOP}/code/script-of-{name}"));
    "a script by env" => |name| execute(&format!("{TOP}/code/env-script-of-{name}"));
    "a program by the loader" => |name: &str| loaded(LOADER, &[&program(name)], "");
    "a program by the loader's library path" => |name: &str| {
        loaded(LOADER, &["--preload", &library(name), "/usr/bin/true"], "")
    };
    "LD_PRELOAD" => |name: &str| loaded("/usr/bin/true", &[], &library(name));
    "a library by ctypes" => |name: &str| {
        let script = format!("import ctypes; ctypes.CDLL('{}')", library(name));
        loaded("/usr/bin/python3", &["-S", "-c", &script], "")
    };
    "mmap" => |name| mapped(name, MAP_PRIVATE, PROT_READ | PROT_EXEC);
    "mmap of a shared mapping" => |name| mapped(name, MAP_SHARED, PROT_READ | PROT_EXEC);
    "mmap to execute only" => |name| mapped(name, MAP_PRIVATE, PROT_EXEC);
    "mprotect" => |name| protected(name, libc::SYS_mprotect);
    "pkey_mprotect" => |name| protected(name, libc::SYS_pkey_mprotect);
    "mmap by 32-bit calls" => mapped_i386;
    "mprotect by 32-bit calls" => protected_i386;
    "mmap with READ_IMPLIES_EXEC" => mapped_implying;
    "mprotect with READ_IMPLIES_EXEC" => protected_implying;
};

/// Under a policy that denies memory which is no file's, and under one that does not.
const OF_MEMORY: &[Attempt] = &[
    Attempt::new("anonymous memory", RULE, || made(MAP_PRIVATE, PROT_READ | PROT_EXEC)),
    Attempt::new("anonymous memory to write and execute", RULE, || made(MAP_PRIVATE, 7)),
    Attempt::new("shared anonymous memory", RULE, || made(MAP_SHARED, PROT_READ | PROT_EXEC)),
    Attempt::new("anonymous memory made executable", RULE, || changed(None, MAP_ANONYMOUS)),
    Attempt::new("the heap made executable", RULE, heap),
    Attempt::new("the stack made executable", RULE, stack),
    Attempt::new("a file's changed copy made executable", RULE, || {
        changed(Some("/usr/bin/true"), 0)
    }),
    Attempt::new("a file's writable copy", RULE, || {
        let held = opened("/usr/bin/true", OFlag::O_RDONLY)?;
        Ok(map(4096, 7, MAP_PRIVATE, held.as_raw_fd()).map(drop))
    }),
    Attempt::new("/dev/zero", RULE, || {
        let held = opened("/dev/zero", OFlag::O_RDWR)?;
        Ok(map(4096, 7, MAP_PRIVATE, held.as_raw_fd()).map(drop))
    }),
    Attempt::new("memfd", RULE, || {
        let held = call(libc::SYS_memfd_create, [text("code")?, 0])?;
        call(libc::SYS_ftruncate, [held, 4096])?;
        Ok(map(4096, PROT_READ | PROT_EXEC, MAP_SHARED, i32::try_from(held)?).map(drop))
    }),
    Attempt::new("System V shared memory", RULE, || {
        let id = call(libc::SYS_shmget, [0, 4096, 0o700])?;
        let attached = call(libc::SYS_shmat, [id, 0, libc::SHM_EXEC as usize]).map(drop);
        call(libc::SYS_shmctl, [id, libc::IPC_RMID as usize, 0])?;
        Ok(attached)
    }),
    Attempt::new("anonymous memory with READ_IMPLIES_EXEC", RULE, || {
        implying()?;
        let made = map(4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1);
        if let Ok(at) = made {
            ensure!(is_executable(at)?, "the kernel does not follow the personality");
        }
        Ok(made.map(drop))
    }),
    Attempt::new("anonymous memory by 32-bit calls", RULE, || {
        tried_i386(192, [0, 4096, 5, (MAP_PRIVATE | MAP_ANONYMOUS) as u32, u32::MAX])
    }),
    Attempt::new("its own code by /proc/self/mem", RULE, own_code),
];

const RULES: &str = r#"
[[rule]]
id = "all"
allow = ["read", "modify", "exec"]
path = ["/", "/**"]

[[rule]]
id = "forbidden"
deny = ["exec"]
path = ["/srv/bypass/code/{,lib}forbidden*", "/dev/shm/bypass-forbidden"]
"#;

const ONLY_THREE: &str = r#"
[[rule]]
id = "only-three"
deny = ["use"]
feature = "inherited-descriptors"
"#;

const NO_MEMORY: &str = r#"
[[rule]]
id = "no-memory"
deny = ["use"]
feature = "executable-memory"

[[rule]]
id = "no-own-code"
deny = ["write"]
path = "/proc/[0-9]*/{,task/[0-9]*/}mem"
"#;

const LOADER: &str = "/lib64/ld-linux-x86-64.so.2";

fn bypass_by_mapping_and_loading() -> Result<()> {
    prepare()?;
    let gate = Gate::start()?;
    judge(&gate, SET, &policy("bypass-code", "", RULES)?)
}

fn bypass_by_executable_memory() -> Result<()> {
    let gate = Gate::start()?;
    judge(&gate, MEMORY, &policy("bypass-memory", "", &format!("{RULES}{NO_MEMORY}"))?)?;
    judge_by(&gate, MEMORY, &policy("bypass-code", "", RULES)?, |_| Passes)
}

fn bypass_by_inherited_descriptors() -> Result<()> {
    // The daemon has one more, too, and its canary must run all the same.
    let held = opened("/etc/shadow", OFlag::O_RDONLY)?;
    call(libc::SYS_dup3, [held.as_raw_fd() as usize, 101, 0])?;
    let gate = Gate::start()?;
    call(libc::SYS_close, [101])?;
    let denied = policy("bypass-inherited", "", &format!("{RULES}{ONLY_THREE}"))?;
    let allowed = policy("bypass-code", "", RULES)?;
    judge(&gate, INHERITED, &denied)?;
    judge_by(&gate, INHERITED, &allowed, |_| Passes)?;
    // What was opened outside comes in with the program that becomes governed, or that does not start.
    call(libc::SYS_dup3, [held.as_raw_fd() as usize, 100, 0])?;
    let comes_in = |policy: &str| -> Result<bool> {
        let mut run = gate.run(policy, &["--quiet"], &["test", "-e", "/proc/self/fd/100"]);
        Ok(run.stderr(Stdio::null()).status()?.success())
    };
    ensure!(comes_in(&allowed)?, "a descriptor from outside does not come in at all");
    ensure!(!comes_in(&denied)?, "a descriptor from outside comes in");
    call(libc::SYS_close, [100])?;
    let status = gate.run(&denied, &["--quiet"], &["true"]).status()?;
    ensure!(status.success(), "nothing can be run with the three");
    Ok(())
}

/// Started with nothing but the three, and with one more of each kind.
const OF_DESCRIPTORS: &[Attempt] = &[
    Attempt::new("execve with the three", Passes, || execute("/usr/bin/true")),
    Attempt::new("execve with one that is closed", Passes, || with_one(100, libc::O_CLOEXEC)),
    Attempt::new("execve with one more", RULE, || with_one(100, 0)),
    Attempt::new("execve with one far up", RULE, || with_one(1_000, 0)),
];

fn with_one(number: usize, flags: i32) -> Act {
    let held = opened("/etc/passwd", OFlag::O_RDONLY)?;
    call(libc::SYS_dup3, [held.as_raw_fd() as usize, number, flags as usize])?;
    let result = execute("/usr/bin/true");
    call(libc::SYS_close, [number])?;
    result
}

fn prepare() -> Result<()> {
    folder(&format!("{TOP}/code"))?;
    for name in ["allowed", "forbidden"] {
        fs::copy("/usr/bin/true", program(name))?;
        fs::copy("/usr/bin/true", format!("/dev/shm/bypass-{name}"))?;
        fs::copy("/usr/lib/x86_64-linux-gnu/libm.so.6", library(name))?;
        for (script, first) in [("script", ""), ("env-script", "/usr/bin/env ")] {
            let path = format!("{TOP}/code/{script}-of-{name}");
            fs::write(&path, format!("#!{first}{}\n", program(name)))?;
            fs::set_permissions(path, fs::metadata("/usr/bin/true")?.permissions())?;
        }
    }
    Ok(())
}

fn program(name: &str) -> String {
    format!("{TOP}/code/{name}")
}

fn library(name: &str) -> String {
    format!("{TOP}/code/lib{name}.so")
}

/// Becomes the program; comes back if it may not.
fn replaced(number: libc::c_long, folder: usize, path: &str, flags: usize) -> Act {
    let (path, none) = (text(path)?, [0_usize]);
    let arguments = [path, 0];
    if number == libc::SYS_execve {
        return tried(number, [path, address(&arguments), address(&none)]);
    }
    tried(number, [folder, path, address(&arguments), address(&none), flags])
}

fn by_thread(name: &'static str) -> Act {
    let thread = std::thread::spawn(|| replaced(libc::SYS_execve, 0, &program(name), 0));
    let Ok(result) = thread.join() else { bail!("the thread panicked") };
    result
}

fn by_descriptor(name: &str, flags: OFlag) -> Act {
    let held = opened(&program(name), flags)?;
    let flags = libc::AT_EMPTY_PATH as usize;
    replaced(libc::SYS_execveat, held.as_raw_fd() as usize, "", flags)
}

fn by_descriptor_name(name: &str) -> Act {
    let held = opened(&program(name), OFlag::O_PATH)?;
    replaced(libc::SYS_execve, 0, &format!("/proc/self/fd/{}", held.as_raw_fd()), 0)
}

fn execute_i386(name: &str) -> Act {
    let path = low_text(&program(name))?;
    let arguments = crate::raw::low(&[path.to_le_bytes(), [0; 4]].concat())?;
    tried_i386(11, [path, arguments, arguments + 4, 0, 0])
}

fn execute_x32(name: &str) -> Act {
    let path = low_text(&program(name))?;
    let arguments = crate::raw::low(&[path.to_le_bytes(), [0; 4]].concat())? as usize;
    tried_x32(520, [path as usize, arguments, arguments + 4])
}

/// A program that loads something at its start. The loader says what it could not map.
fn loaded(program: &str, arguments: &[&str], preload: &str) -> Act {
    let mut command = Command::new(program);
    if !preload.is_empty() {
        command.env("LD_PRELOAD", preload);
    }
    let output = command.args(arguments).stdin(Stdio::null()).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    if said.contains("failed to map segment") || said.contains("Permission denied") {
        return Ok(Err(Errno::EACCES));
    }
    ensure!(output.status.success() && said.is_empty(), "{}: {said}", output.status);
    Ok(Ok(()))
}

fn mapped(name: &str, flags: i32, protection: i32) -> Act {
    let held = opened(&library(name), OFlag::O_RDONLY)?;
    Ok(map(4096, protection, flags, held.as_raw_fd()).map(drop))
}

fn protected(name: &str, number: libc::c_long) -> Act {
    let held = opened(&library(name), OFlag::O_RDONLY)?;
    let at = map(4096, PROT_READ, MAP_PRIVATE, held.as_raw_fd())?;
    tried(number, [at, 4096, (PROT_READ | PROT_EXEC) as usize, usize::MAX])
}

fn mapped_i386(name: &str) -> Act {
    let held = opened(&library(name), OFlag::O_RDONLY)?;
    tried_i386(192, [0, 4096, 5, MAP_PRIVATE as u32, held.as_raw_fd() as u32])
}

fn protected_i386(name: &str) -> Act {
    let held = opened(&library(name), OFlag::O_RDONLY)?;
    let flags = MAP_PRIVATE | libc::MAP_32BIT;
    let at = u32::try_from(map(4096, PROT_READ, flags, held.as_raw_fd())?)?;
    tried_i386(125, [at, 4096, 5, 0, 0])
}

const READ_IMPLIES_EXEC: usize = 0x0040_0000;

fn implying() -> Result<()> {
    call(libc::SYS_personality, [READ_IMPLIES_EXEC])?;
    Ok(())
}

fn is_executable(at: usize) -> Result<bool> {
    let maps = fs::read_to_string("/proc/self/maps")?;
    let holds = |line: &&str| {
        let mut ends = line.split(['-', ' ']).map(|end| usize::from_str_radix(end, 16));
        matches!((ends.next(), ends.next()), (Some(Ok(start)), Some(Ok(end)))
            if (start..end).contains(&at))
    };
    Ok(maps.lines().find(holds).is_some_and(|line| line.contains("x")))
}

fn mapped_implying(name: &str) -> Act {
    let held = opened(&library(name), OFlag::O_RDONLY)?;
    implying()?;
    let mapped = map(4096, PROT_READ, MAP_PRIVATE, held.as_raw_fd());
    if let Ok(at) = mapped {
        ensure!(is_executable(at)?, "the kernel does not follow the personality");
    }
    Ok(mapped.map(drop))
}

fn protected_implying(name: &str) -> Act {
    let held = opened(&library(name), OFlag::O_RDONLY)?;
    let at = map(4096, 0, MAP_PRIVATE, held.as_raw_fd())?;
    implying()?;
    let protected = call(libc::SYS_mprotect, [at, 4096, PROT_READ as usize]);
    if protected.is_ok() {
        ensure!(is_executable(at)?, "the kernel does not follow the personality");
    }
    Ok(protected.map(drop))
}

fn made(flags: i32, protection: i32) -> Act {
    Ok(map(4096, protection, flags | MAP_ANONYMOUS, -1).map(drop))
}

/// A private page is written to, then made executable.
fn changed(path: Option<&str>, flags: i32) -> Act {
    let held = path.map(|path| opened(path, OFlag::O_RDONLY)).transpose()?;
    let fd = held.as_ref().map_or(-1, AsRawFd::as_raw_fd);
    let at = map(4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | flags, fd)?;
    put(at, 0xc3_u8);
    tried(libc::SYS_mprotect, [at, 4096, (PROT_READ | PROT_EXEC) as usize])
}

fn heap() -> Act {
    let end = call(libc::SYS_brk, [0])?;
    let start = end.next_multiple_of(4096);
    ensure!(call(libc::SYS_brk, [start + 4096])? == start + 4096, "the heap does not grow");
    tried(libc::SYS_mprotect, [start, 4096, 7])
}

fn stack() -> Act {
    let here = 0_u8;
    tried(libc::SYS_mprotect, [address(&here) & !0xfff, 4096, 7])
}

/// Writes over a byte that may only be read and executed; what is there stays.
fn own_code() -> Act {
    let held = match opened("/proc/self/mem", OFlag::O_RDWR) {
        Ok(held) => held,
        Err(error) => return Ok(Err(error)),
    };
    let code = own_code as fn() -> Act as usize;
    let (fd, mut byte) = (held.as_raw_fd() as usize, [0_u8]);
    call(libc::SYS_pread64, [fd, address_mut(&mut byte), 1, code])?;
    match call(libc::SYS_pwrite64, [fd, address(&byte), 1, code]) {
        // Newer kernels can be set to refuse it to everybody.
        Err(Errno::EIO) => Err(Absent("writing to code by /proc/self/mem").into()),
        written => Ok(written.map(drop)),
    }
}
