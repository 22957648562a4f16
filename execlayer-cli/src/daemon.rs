//! The daemon as the tool sees it: asking it, and starting one if none answers. Must not know what
//! is asked.

use std::{
    fs,
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::{net::UnixStream, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use execlayer_api::{
    ErrorCode, Failure, Outcome, Request, Response, decode_response, encode_request,
    line::MAX_RESPONSE, places,
};

use crate::{
    error::{CliError, Exit},
    files,
    output::Screen,
};

/// Where the daemon's files lie.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Places {
    /// Folder of the daemon's socket
    #[arg(long, value_name = "DIR", default_value = places::RUN_DIR)]
    pub(crate) run_dir: PathBuf,
}

/// An answer takes as long as loading a policy takes; a daemon that is silent longer is stuck.
const PATIENCE: Duration = Duration::from_secs(120);
/// A daemon that starts has its programs verified first: less than a second on most machines, a minute
/// on an emulated one that is busy. It ends by itself if it cannot enforce.
const START_PATIENCE: Duration = Duration::from_secs(300);
/// Longer than this without a word, and people think that nothing happens.
const A_MOMENT: Duration = Duration::from_secs(2);
/// Between two looks at a daemon that starts.
const PAUSE: Duration = Duration::from_millis(20);

/// Name of the daemon's executable.
pub(crate) const EXECUTABLE: &str = "execlayerd";

/// Why there is no outcome.
#[derive(Debug)]
pub(crate) enum AskError {
    /// Nobody listens on the socket.
    Nobody(io::Error),
    /// The daemon was there, and the conversation broke.
    Broken(String),
    /// The daemon says no.
    Refused(Failure),
}

/// Asks the daemon one thing.
pub(crate) fn ask(places: &Places, request: &Request) -> Result<Outcome, AskError> {
    let socket = places.run_dir.join(places::SOCKET);
    let stream = UnixStream::connect(socket).map_err(AskError::Nobody)?;
    outcome(say(&stream, request).and_then(|()| hear(&stream)))
}

/// What the daemon says of itself to whoever connects to this socket.
pub(crate) fn listen(socket: &Path) -> Result<Outcome, AskError> {
    let stream = UnixStream::connect(socket).map_err(AskError::Nobody)?;
    outcome(hear(&stream))
}

fn outcome(line: io::Result<Vec<u8>>) -> Result<Outcome, AskError> {
    let line = line.map_err(|error| AskError::Broken(error.to_string()))?;
    let response = decode_response(&line).map_err(|error| AskError::Broken(error.to_string()))?;
    match response {
        Response::Done(outcome) => Ok(outcome),
        Response::Error(failure) => Err(AskError::Refused(failure)),
    }
}

fn say(mut stream: &UnixStream, request: &Request) -> io::Result<()> {
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(&encode_request(request).map_err(io::Error::other)?)
}

fn hear(stream: &UnixStream) -> io::Result<Vec<u8>> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut line = Vec::new();
    BufReader::new(stream).take(MAX_RESPONSE as u64 + 1).read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Err(io::Error::other("it hung up without an answer"));
    }
    Ok(line)
}

impl AskError {
    /// Whether another daemon may do better.
    pub(crate) const fn is_gone(&self) -> bool {
        matches!(
            self,
            Self::Nobody(_)
                | Self::Broken(_)
                | Self::Refused(Failure { code: ErrorCode::Unavailable, .. })
        )
    }
}

impl From<AskError> for CliError {
    fn from(error: AskError) -> Self {
        match error {
            AskError::Nobody(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                Self::new(Exit::NeedsRoot, "the daemon's socket is root's")
                    .help("try it as root, with `sudo`")
            }
            AskError::Nobody(error) => {
                Self::new(Exit::Unreachable, format!("no daemon answers: {error}"))
                    .help("start one: `sudo systemctl start execlayerd`, or `sudo execlayerd`")
                    .help("`execlayer run` starts one by itself")
            }
            AskError::Broken(why) => {
                Self::new(Exit::Unreachable, format!("the daemon gave no answer: {why}"))
                    .help("its log says why: `journalctl -u execlayerd`")
            }
            AskError::Refused(failure) => Self::failure(failure.message).help_if(failure.help),
        }
    }
}

/// An answer to another question.
pub(crate) fn unexpected(outcome: &Outcome) -> CliError {
    CliError::failure(format!("the daemon answered something else: {outcome:?}"))
}

/// The daemon's executable: beside this one, or in PATH.
pub(crate) fn find_executable() -> Option<PathBuf> {
    let own = std::env::current_exe().ok();
    let beside = own.as_deref().and_then(Path::parent).map(Path::to_owned);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let named = std::env::split_paths(&path).filter(|folder| folder.is_absolute());
    beside.into_iter().chain(named).map(|folder| folder.join(EXECUTABLE)).find(|at| at.is_file())
}

/// What an ephemeral daemon is started with.
#[derive(Debug)]
pub(crate) struct Start<'a> {
    pub(crate) places: &'a Places,
    pub(crate) state_dir: &'a Path,
    pub(crate) audit: Option<&'a Path>,
    /// Told what is waited for, if that takes longer than a moment.
    pub(crate) remark: Option<&'a Screen>,
    /// Whether one is started at all.
    pub(crate) may_start: bool,
}

/// Makes sure that a daemon answers: finds one or starts one.
pub(crate) fn find_or_start(start: &Start<'_>) -> Result<(), CliError> {
    match ask(start.places, &Request::Hello {}) {
        Ok(_) => return Ok(()),
        Err(error) if error.is_gone() => {}
        Err(error) => return Err(error.into()),
    }
    if !start.may_start {
        return Err(CliError::new(Exit::Run, "no service runs, and `--service` starts no daemon")
            .help("start it: `sudo systemctl start execlayerd`"));
    }
    let executable = find_executable().ok_or_else(|| {
        CliError::failure(format!("no daemon answers, and there is no `{EXECUTABLE}` to start"))
            .help(format!("install `{EXECUTABLE}` beside `execlayer` or in PATH"))
    })?;
    files::own_folder(&start.places.run_dir, 0o755)?;
    let log = start.places.run_dir.join(places::EPHEMERAL_LOG);
    files::write_whole(&log, b"", 0o600)?;
    let stderr = fs::OpenOptions::new()
        .append(true)
        .open(&log)
        .map_err(|error| files::cannot("write", &log, &error))?;
    let mut command = Command::new(&executable);
    command.arg("--ephemeral");
    let folders = [
        ("--run-dir", Some(start.places.run_dir.as_path())),
        ("--state-dir", Some(start.state_dir)),
        ("--audit", start.audit),
    ];
    for (option, path) in folders {
        if let Some(path) = path {
            // It works in another folder.
            let path = std::path::absolute(path).map_err(|e| files::cannot("find", path, &e))?;
            command.arg(option).arg(path);
        }
    }
    // In a group of its own, Ctrl-C at the terminal does not reach it.
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr).process_group(0);
    command.current_dir("/");
    let mut child =
        command.spawn().map_err(|error| files::cannot("execute", &executable, &error))?;
    wait_for_hello(start, &mut child, &log)
}

fn wait_for_hello(start: &Start<'_>, child: &mut Child, log: &Path) -> Result<(), CliError> {
    let places = start.places;
    let mut remark = start.remark;
    let begin = Instant::now();
    loop {
        match ask(places, &Request::Hello {}) {
            Ok(_) => return Ok(()),
            Err(error) if !error.is_gone() => return Err(error.into()),
            Err(_) => {}
        }
        let status = child
            .try_wait()
            .map_err(|error| CliError::failure(format!("the daemon is lost: {error}")))?;
        if let Some(status) = status {
            // Another `run` may have started one at the same moment, and won.
            if ask(places, &Request::Hello {}).is_ok() {
                return Ok(());
            }
            return Err(CliError::failure(format!("the daemon did not start ({status})"))
                .quote(last_lines(log))
                .help("`sudo execlayer doctor` says what this machine lacks"));
        }
        if begin.elapsed() > START_PATIENCE {
            // It is ours, and of no use to anybody.
            let _ = child.kill();
            return Err(CliError::failure("the daemon started and does not answer")
                .help(format!("it may have said why in `{}`", log.display())));
        }
        if begin.elapsed() > A_MOMENT
            && let Some(screen) = remark.take()
        {
            screen
                .note("execlayer: the daemon starts; the kernel verifies the gate's programs ...");
        }
        std::thread::sleep(PAUSE);
    }
}

/// What a daemon said last.
fn last_lines(log: &Path) -> String {
    const LINES: usize = 40;
    const BYTES: usize = 1 << 20;
    let bytes = files::read(log, BYTES).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.trim_end().lines().collect();
    lines.get(lines.len().saturating_sub(LINES)..).unwrap_or_default().join("\n")
}
