//! Who opens, forks and executes beside the foreign programs, and looks at each result itself. Allocates nothing in a
//! child that was forked from among threads.

use super::{FILES, TOP};
use crate::raw::{address, call, child, text};
use crate::stress::PROGRAM;
use anyhow::{Context, Result, ensure};
use nix::errno::Errno;
use nix::libc;
use std::io::{BufRead, stdin};
use std::process::ExitCode;
use std::thread;

pub(crate) const ROLE: &str = "foreign";
/// Of each process, and what each of them does.
const THREADS: usize = 3;
const OPENS: usize = 2;
/// What nobody gets from an open or an exec: a forbidden file was obtained.
const OBTAINED: Errno = Errno::EDOTDOT;

/// Who somebody is, by which of [`FILES`] it may open, and what a program in the folder that leads on becomes.
#[derive(Debug)]
pub(super) struct Kind {
    pub(super) name: &'static str,
    may_open: [bool; FILES.len()],
    /// A folder of programs, and who they are.
    leads: Option<(&'static str, &'static str)>,
}

pub(super) const KINDS: &[Kind] = &[
    // Before there is a gate.
    Kind { name: "alone", may_open: [true; 3], leads: Some(("selected", "alone")) },
    Kind { name: "free", may_open: [true; 3], leads: Some(("selected", "selected")) },
    Kind { name: "selected", may_open: [true, false, true], leads: None },
    Kind { name: "outer", may_open: [true, false, true], leads: Some(("led", "inner")) },
    Kind { name: "inner", may_open: [true, true, false], leads: None },
];

/// An exec, with all that the kernel reads of it.
struct Exec {
    program: usize,
    arguments: [usize; 5],
}

impl Exec {
    fn of(program: &str, kind: &str) -> Result<Self> {
        let [path, role, once, kind] = [program, ROLE, "once", kind].map(text);
        let program = path?;
        Ok(Self { program, arguments: [program, role?, once?, kind?, 0] })
    }

    /// What it fails with.
    fn go(&self) -> Errno {
        let nothing = [0_usize];
        let words = [self.program, address(&self.arguments), address(&nothing)];
        call(libc::SYS_execve, words).err().unwrap_or(Errno::EIO)
    }
}

/// The program as one who acts, if its first argument says so.
pub(crate) fn role() -> Option<ExitCode> {
    let mut arguments = std::env::args().skip(1);
    if arguments.next()? != ROLE {
        return None;
    }
    let (how, name) = (arguments.next()?, arguments.next()?);
    let kind = KINDS.iter().find(|kind| kind.name == name)?;
    if how == "once" {
        // The code is the error's number, as of a child that was forked.
        let code = opens(kind).err().map_or(0, |error| error as i32);
        return Some(ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX)));
    }
    Some(match whenever_asked(kind) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("`{name}`: {error:#}");
            ExitCode::FAILURE
        }
    })
}

/// Everybody acts once for each line that it is given, and answers each.
fn whenever_asked(kind: &'static Kind) -> Result<()> {
    for line in stdin().lock().lines() {
        let _asked = line?;
        opens(kind).context("the process itself")?;
        let threads: Vec<_> = (0..THREADS)
            .map(|_| thread::Builder::new().spawn(|| acts(kind)).context("a thread"))
            .collect::<Result<_>>()?;
        for thread in threads {
            thread.join().ok().context("a thread panicked")??;
        }
        println!("right");
    }
    Ok(())
}

fn acts(kind: &Kind) -> Result<()> {
    let mut execs = vec![Exec::of(PROGRAM, kind.name)?];
    let mut broken = Vec::new();
    if let Some((folder, becomes)) = kind.leads {
        execs.push(Exec::of(&format!("{TOP}/{folder}/program"), becomes)?);
        broken.push(Exec::of(&format!("{TOP}/{folder}/broken"), becomes)?);
    }
    opens(kind).context("a thread")?;
    made(|| opens(kind)).context("a child")?;
    for exec in &execs {
        made(|| Err(exec.go())).context("a program")?;
        // Whom an exec that failed would have led is who it was.
        let after = || {
            for exec in &broken {
                let error = exec.go();
                if error != Errno::ENOEXEC {
                    return Err(error);
                }
            }
            opens(kind)?;
            Err(exec.go())
        };
        made(after).context("a program after one that is broken")?;
    }
    Ok(())
}

/// What a child finds wrong.
fn made(act: impl FnOnce() -> Result<(), Errno>) -> Result<()> {
    let result = child(0, -1, act)?;
    ensure!(result != Err(OBTAINED), "a forbidden file was obtained");
    Ok(result?)
}

/// Opens every file some times.
fn opens(kind: &Kind) -> Result<(), Errno> {
    for _ in 0..OPENS {
        for (path, may_open) in FILES.iter().zip(kind.may_open) {
            let flags = libc::O_RDONLY | libc::O_CLOEXEC;
            let words =
                [libc::AT_FDCWD as usize, address(path.to_bytes_with_nul()), flags as usize];
            match call(libc::SYS_openat, words) {
                Ok(file) if may_open => {
                    call(libc::SYS_close, [file])?;
                }
                Ok(_obtained) => return Err(OBTAINED),
                Err(Errno::EACCES) if !may_open => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}
