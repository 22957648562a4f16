//! Ways to have a forbidden program, or a library, executed.

use std::{
    fs::File,
    io,
    os::fd::AsRawFd,
    path::Path,
    process::{Command, Stdio},
};

use nix::{
    errno::Errno,
    fcntl::{OFlag, open},
    sys::{
        memfd::{MFdFlags, memfd_create},
        stat::Mode,
    },
};

use super::super::{Act, Side, Stop, before};

pub(super) const ACTS: &[Act] = &[
    Act::pair("a program by its name", "execve", |plan, side| {
        execute(&plan.inert(side, "program"))
    }),
    Act::pair("a program by a link", "execve", |plan, side| {
        execute(&plan.at(&format!("link-to-program-{}", side.name())))
    }),
    Act::pair("a program by a descriptor", "execve", |plan, side| {
        let path = plan.inert(side, "program");
        let held = before("open", open(&path, OFlag::O_PATH, Mode::empty()))?;
        execute(Path::new(&format!("/proc/self/fd/{}", held.as_raw_fd())))
    }),
    Act::pair("a script that it interprets", "execve", |plan, side| {
        execute(&plan.of(Side::Open, &format!("script-{}", side.name())))
    }),
    Act::pair("a program by a shell", "execve", |plan, side| {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", "exec \"$0\" --version"]).arg(plan.inert(side, "program"));
        let status = before("sh", quiet(&mut shell).status())?;
        match status.code() {
            Some(0) => Ok(()),
            // What shells say of a program that they could not execute.
            Some(126) => Err(Errno::EACCES.into()),
            _ => Err(Stop::Before(format!("sh: {status}"))),
        }
    }),
    Act::lone("a program in memory", "execve", |_, _| {
        let memory = before("memfd", memfd_create("program", MFdFlags::empty()))?;
        let (mut from, mut to) =
            (before("open", File::open("/proc/self/exe"))?, File::from(memory));
        before("write", io::copy(&mut from, &mut to))?;
        // For reading alone: what somebody writes to cannot be executed.
        let path = format!("/proc/self/fd/{}", to.as_raw_fd());
        let held = File::open(path)?;
        drop(to);
        execute(Path::new(&format!("/proc/self/fd/{}", held.as_raw_fd())))
    }),
    Act::pair("a program by the loader", "mmap", |plan, side| {
        let mut loader = Command::new(loader()?);
        said(loader.arg(plan.inert(side, "true")))
    }),
    Act::pair("a library by LD_PRELOAD", "mmap", |plan, side| {
        let library = plan.inert(side, "library.so");
        if !plan.of(Side::Open, "library.so").exists() {
            return Err(Stop::Before("no library was found".to_owned()));
        }
        said(Command::new(plan.of(Side::Open, "true")).env("LD_PRELOAD", library))
    }),
];

fn execute(program: &Path) -> Result<(), Stop> {
    let status = quiet(Command::new(program).arg("--version")).status()?;
    if status.success() { Ok(()) } else { Err(Stop::Before(format!("it ended with {status}"))) }
}

fn quiet(command: &mut Command) -> &mut Command {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null())
}

/// Of dynamically linked programs.
fn loader() -> Result<&'static str, Stop> {
    const LOADERS: [&str; 4] = [
        "/lib64/ld-linux-x86-64.so.2",
        "/lib/ld-linux-aarch64.so.1",
        "/lib/ld-musl-x86_64.so.1",
        "/lib/ld-musl-aarch64.so.1",
    ];
    let found = LOADERS.into_iter().find(|path| Path::new(path).exists());
    found.ok_or_else(|| Stop::Before("no loader was found".to_owned()))
}

/// The loader says in words what it could not map, and the program may be executed all the same.
fn said(command: &mut Command) -> Result<(), Stop> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).env("LC_ALL", "C");
    let output = before("execve", command.output())?;
    let said = String::from_utf8_lossy(&output.stderr);
    let words = ["failed to map", "cannot open shared object", "Permission denied"];
    match said.trim() {
        "" if output.status.success() => Ok(()),
        said if words.iter().any(|word| said.contains(word)) => Err(Errno::EACCES.into()),
        said => Err(Stop::Before(format!("{}: {said}", output.status))),
    }
}
