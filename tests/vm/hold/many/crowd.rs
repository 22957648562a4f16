//! The governed processes: one that starts the others, so many at once, each of which opens a file that is
//! asked about. Owns what each says of its end.

use super::super::{Held, pending};
use super::{TOP, until};
use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, wait};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind};
use std::process::{Child, ChildStdout, Command, ExitCode};
use std::sync::{Arc, Mutex};
use std::thread::spawn;

const PROGRAM: &str = "/opt/execlayer/vm";
const ROLE: &str = "hold-crowd";

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum End {
    Opened,
    Denied,
    Killed,
}

/// A call that has ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    pub(super) end: End,
    /// A daemon was killed between its begin and its end.
    pub(super) is_disturbed: bool,
}

#[derive(Default)]
struct Book {
    /// Calls that began, and whether they were disturbed.
    open: BTreeMap<usize, bool>,
    ended: BTreeMap<usize, Call>,
    is_away: bool,
    wrong: Option<String>,
}

pub(super) struct Crowd {
    book: Arc<Mutex<Book>>,
    child: Child,
    count: usize,
}

pub(super) fn file(number: usize) -> String {
    format!("{TOP}/asked-{number}")
}

pub(super) fn number(subject: &str) -> Option<usize> {
    subject.strip_prefix(TOP)?.strip_prefix("/asked-")?.parse().ok()
}

impl Crowd {
    pub(super) fn start(held: &Held, count: usize, at_once: usize) -> Result<Self> {
        let words = [PROGRAM, ROLE, "all", &count.to_string(), &at_once.to_string()];
        let mut command = held.command(&words);
        let mut child = command.stderr(std::process::Stdio::inherit()).spawn()?;
        let output = child.stdout.take().context("no pipe")?;
        let book = Arc::<Mutex<Book>>::default();
        spawn({
            let book = Arc::clone(&book);
            move || read(&book, output)
        });
        Ok(Self { book, child, count })
    }

    fn with<T>(&self, act: impl FnOnce(&mut Book) -> T) -> Result<T> {
        let mut book = self.book.lock().ok().context("the reader panicked")?;
        if let Some(wrong) = &book.wrong {
            bail!("a process said `{wrong}`");
        }
        Ok(act(&mut book))
    }

    pub(super) fn ended(&self) -> Result<usize> {
        self.with(|book| book.ended.len())
    }

    /// Until so many calls have ended.
    pub(super) fn wait_for(&mut self, count: usize) -> Result<()> {
        // What it said last may be read a moment after it is gone.
        let mut looks = 0;
        let done = until(|| {
            looks += usize::from(self.child.try_wait()?.is_some());
            Ok(looks > 100 || self.ended()? >= count)
        });
        if done.is_err() || self.ended()? < count {
            bail!("not even {count} calls end: {}", self.tells()?);
        }
        Ok(())
    }

    /// From now on calls are disturbed.
    pub(super) fn daemon_goes(&self) -> Result<()> {
        self.with(|book| {
            book.is_away = true;
            book.open.values_mut().for_each(|is_disturbed| *is_disturbed = true);
        })
    }

    pub(super) fn daemon_is_back(&self) -> Result<()> {
        self.with(|book| book.is_away = false)
    }

    /// What there is, for the error of a test that does not end.
    fn tells(&self) -> Result<String> {
        let open = self.with(|book| format!("{:?}", book.open))?;
        let tasks = Command::new("ps").args(["-eo", "pid,ppid,stat,pending,args"]).output()?;
        let tasks = String::from_utf8(tasks.stdout)?;
        let tasks: Vec<&str> = tasks.lines().filter(|line| line.contains(ROLE)).collect();
        Ok(format!("open calls {open}; questions {:?}\n{}", pending()?, tasks.join("\n")))
    }

    /// All calls, by their number, once they have ended.
    pub(super) fn wait(mut self) -> Result<Vec<Call>> {
        if until(|| Ok(self.child.try_wait()?.is_some())).is_err() {
            bail!("it does not come to an end: {}", self.tells()?);
        }
        ensure!(self.child.wait()?.success(), "the crowd failed");
        until(|| Ok(self.ended()? == self.count))?;
        self.with(|book| book.ended.values().copied().collect())
    }
}

/// Lines `NUMBER WORD`, as processes say them.
fn read(book: &Mutex<Book>, output: ChildStdout) {
    for line in BufReader::new(output).lines().map_while(Result::ok) {
        let Ok(mut book) = book.lock() else { return };
        let mut words = line.split(' ');
        let number = words.next().and_then(|number| number.parse().ok());
        let end = match (number, words.next()) {
            (Some(number), Some("begins")) => {
                let is_away = book.is_away;
                book.open.insert(number, is_away);
                continue;
            }
            (Some(number), Some("opened")) => Some((number, End::Opened)),
            (Some(number), Some("denied")) => Some((number, End::Denied)),
            (Some(number), Some("killed")) => Some((number, End::Killed)),
            _ => None,
        };
        let known = end.and_then(|(number, end)| Some((number, end, book.open.remove(&number)?)));
        match known {
            Some((number, end, is_disturbed)) => {
                book.ended.insert(number, Call { end, is_disturbed });
            }
            // One that was to be killed came to its end a moment before.
            None if is_late(&book, end) => {}
            None => book.wrong = Some(line),
        }
    }
}

fn is_late(book: &Book, end: Option<(usize, End)>) -> bool {
    end.is_some_and(|(number, end)| end == End::Killed && book.ended.contains_key(&number))
}

/// The program as one of the governed processes, if its first argument says so.
pub(crate) fn role() -> Option<ExitCode> {
    let mut arguments = std::env::args().skip(1);
    if arguments.next()? != ROLE {
        return None;
    }
    let what = arguments.next()?;
    let number = arguments.next()?.parse().ok()?;
    let done = match what.as_str() {
        "one" => one(number),
        _ => all(number, arguments.next()?.parse().ok()?),
    };
    Some(match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    })
}

fn one(number: usize) -> Result<()> {
    println!("{number} begins");
    match File::open(file(number)) {
        Ok(_) => println!("{number} opened"),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => println!("{number} denied"),
        Err(error) => println!("{number} failed with {error}"),
    }
    Ok(())
}

fn all(count: usize, at_once: usize) -> Result<()> {
    let mut running = BTreeMap::new();
    for number in 0..count {
        while running.len() >= at_once {
            reap(&mut running)?;
        }
        let child = Command::new(PROGRAM).args([ROLE, "one", &number.to_string()]).spawn()?;
        running.insert(i32::try_from(child.id())?, number);
    }
    while !running.is_empty() {
        reap(&mut running)?;
    }
    Ok(())
}

fn reap(running: &mut BTreeMap<i32, usize>) -> Result<()> {
    let (pid, is_killed) = match wait()? {
        WaitStatus::Exited(pid, 0) => (pid, false),
        WaitStatus::Signaled(pid, Signal::SIGKILL, _) => (pid, true),
        other => bail!("a process ended as {other:?}"),
    };
    let number = running.remove(&pid.as_raw()).context("an unknown process")?;
    if is_killed {
        println!("{number} killed");
    }
    Ok(())
}
