//! Runs a decider's program: the question on its standard input, its exit code the answer. Must not
//! leave anything of it behind, and kills nothing but what it started.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, Read, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::process::CommandExt,
    },
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use nix::{
    fcntl::{FcntlArg, OFlag, fcntl},
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use serde_json::Value;

use super::{Answer, child::Answered};
use crate::kernel;

/// The whole environment.
pub(super) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Bytes of the output that are kept.
const HEAD: usize = 1_024;
/// Groups whose leader has not been waited for: their numbers are nobody else's.
static GROUPS: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

/// Runs `argv` for at most `timeout`.
pub(super) fn ask(argv: &[String], timeout: Duration, question: &Value) -> Answered {
    let unknown = |note: String| (Answer::Unknown, note);
    let Some((program, arguments)) = argv.split_first().filter(|(path, _)| path.starts_with('/'))
    else {
        return unknown("the decider's program has no absolute path".to_owned());
    };
    let (status, head) = match run(program, arguments, timeout, &format!("{question}\n")) {
        Ok((Some(status), head)) => (status, head),
        Ok((None, _)) => {
            return unknown(format!("{program} took longer than {} s", timeout.as_secs()));
        }
        Err(error) => return unknown(format!("cannot run {program}: {error}")),
    };
    let said = String::from_utf8_lossy(&head);
    let answer = match status.code() {
        Some(0) => Answer::Allow,
        Some(1) => Answer::Deny,
        Some(2) => Answer::Unknown,
        _ => return unknown(format!("{program} ended with {status}")),
    };
    let note = said.lines().next().filter(|line| !line.trim().is_empty());
    (answer, note.map_or_else(|| format!("{program} ended with {status}"), str::to_owned))
}

/// Kills what runs: nobody waits for it any more.
pub(super) fn kill_all() {
    let groups = GROUPS.lock().unwrap_or_else(PoisonError::into_inner);
    for group in groups.iter() {
        let _ = killpg(Pid::from_raw(*group), Signal::SIGKILL);
    }
}

/// A program that runs, and all of its group. None is left when this is dropped.
struct Group {
    leader: Child,
    number: i32,
}

impl Group {
    fn start(command: &mut Command) -> io::Result<Self> {
        let mut groups = GROUPS.lock().unwrap_or_else(PoisonError::into_inner);
        let leader = command.process_group(0).spawn()?;
        let number = i32::try_from(leader.id()).map_err(io::Error::other)?;
        groups.insert(number);
        Ok(Self { leader, number })
    }

    /// Ends the group, and says how the leader ended.
    fn end(&mut self) -> io::Result<ExitStatus> {
        let mut groups = GROUPS.lock().unwrap_or_else(PoisonError::into_inner);
        if groups.remove(&self.number) {
            // The leader has not been waited for: the number is still this group's. It may be empty.
            let _ = killpg(Pid::from_raw(self.number), Signal::SIGKILL);
        }
        drop(groups);
        self.leader.wait()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

/// The status, or `None` if it took too long; and the beginning of the output.
fn run(
    program: &str,
    arguments: &[String],
    timeout: Duration,
    question: &str,
) -> io::Result<(Option<ExitStatus>, Vec<u8>)> {
    let until = Instant::now() + timeout;
    let mut command = Command::new(program);
    command.args(arguments).env_clear().env("PATH", PATH).current_dir("/");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    kernel::die_with_parent(&mut command);
    let mut group = Group::start(&mut command)?;
    let mut input = group.leader.stdin.take().map(|pipe| open(pipe.into())).transpose()?;
    let mut output = group.leader.stdout.take().map(|pipe| open(pipe.into())).transpose()?;
    let process = kernel::process_descriptor(group.number)?;
    let (mut rest, mut head) = (question.as_bytes(), Vec::new());
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok((None, head));
        }
        let mut waits = vec![PollFd::new(process.as_fd(), PollFlags::POLLIN)];
        waits.extend(output.as_ref().map(|pipe| PollFd::new(pipe.as_fd(), PollFlags::POLLIN)));
        waits.extend(input.as_ref().map(|pipe| PollFd::new(pipe.as_fd(), PollFlags::POLLOUT)));
        // A millisecond more: the rest of one must not make this spin.
        let left = PollTimeout::try_from(left + Duration::from_millis(1));
        match poll(&mut waits, left.unwrap_or(PollTimeout::MAX)) {
            Err(nix::errno::Errno::EINTR) | Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        let has_ended = waits.first().and_then(PollFd::any).unwrap_or(false);
        drop(waits);
        // What it said before it ended is there by now.
        if output.as_mut().is_some_and(|pipe| !take(pipe, &mut head)) {
            output = None;
        }
        if has_ended {
            return Ok((Some(group.end()?), head));
        }
        if input.as_mut().is_some_and(|pipe| !give(pipe, &mut rest)) {
            input = None;
        }
    }
}

/// The daemon's end of a pipe, which nobody waits at.
fn open(pipe: OwnedFd) -> io::Result<File> {
    fcntl(&pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok(File::from(pipe))
}

/// Reads what is there; whether more can come.
fn take(pipe: &mut File, head: &mut Vec<u8>) -> bool {
    let mut buffer = [0; 4_096];
    // A program that never stops talking does not keep its deadline away.
    for _ in 0..16 {
        match pipe.read(&mut buffer) {
            Ok(0) => return false,
            Ok(count) => {
                let room = HEAD.saturating_sub(head.len()).min(count);
                head.extend_from_slice(buffer.get(..room).unwrap_or_default());
            }
            Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
        }
    }
    true
}

/// Writes what finds room; whether there is more to write.
fn give(pipe: &mut File, rest: &mut &[u8]) -> bool {
    match pipe.write(rest) {
        Ok(count) => {
            *rest = rest.get(count..).unwrap_or_default();
            !rest.is_empty()
        }
        Err(error) => error.kind() == io::ErrorKind::WouldBlock,
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, time::Duration};

    use serde_json::json;

    use super::ask;
    use crate::courier::{Answer, tests::is_gone};

    const LONG: Duration = Duration::from_secs(60);

    fn shell(script: &str, timeout: Duration) -> (Answer, String) {
        let argv = ["/bin/sh", "-c", script].map(str::to_owned);
        ask(&argv, timeout, &json!({ "subject": "/bin/true", "padding": "x".repeat(200_000) }))
    }

    #[test]
    fn the_exit_code_is_the_answer_and_the_first_line_the_note() {
        for (script, answer, note) in [
            ("echo fine; echo more; exit 0", Answer::Allow, "fine"),
            ("echo no; exit 1", Answer::Deny, "no"),
            ("echo who knows; exit 2", Answer::Unknown, "who knows"),
            ("exit 0", Answer::Allow, "/bin/sh ended with exit status: 0"),
            ("echo x; exit 3", Answer::Unknown, "/bin/sh ended with exit status: 3"),
            ("kill -9 $$", Answer::Unknown, "/bin/sh ended with signal: 9 (SIGKILL)"),
            ("read line; echo \"${#line}\"; exit 0", Answer::Allow, "200036"),
        ] {
            assert_eq!(shell(script, LONG), (answer, note.to_owned()), "{script}");
        }
    }

    #[test]
    fn what_cannot_be_run_knows_nothing() {
        for argv in [&["/nonexistent/program"][..], &["sh"], &[]] {
            let argv: Vec<String> = argv.iter().map(|&word| word.to_owned()).collect();
            assert_eq!(ask(&argv, LONG, &json!({})).0, Answer::Unknown);
        }
    }

    #[test]
    fn a_program_that_takes_too_long_is_killed_with_what_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pids");
        let script = format!("sleep 1000 & echo $$ $! > {}; wait", file.display());
        let (answer, note) = shell(&script, Duration::from_secs(1));
        assert_eq!((answer, note.as_str()), (Answer::Unknown, "/bin/sh took longer than 1 s"));
        let pids = fs::read_to_string(&file).unwrap();
        assert_eq!(pids.split_whitespace().count(), 2);
        for pid in pids.split_whitespace() {
            assert!(is_gone(pid), "{pid} is still there");
        }
    }

    #[test]
    fn what_a_program_leaves_behind_is_killed_when_it_ends() {
        let (answer, pid) = shell("sleep 1000 & echo $!; exit 0", LONG);
        assert_eq!(answer, Answer::Allow);
        assert!(is_gone(&pid), "{pid} is still there");
    }
}
