//! What the tests share: calling the tool, and a daemon that answers as it is told.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::net::UnixListener,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::{Arc, Mutex},
};

use execlayer_api::{
    Answered, Audit, Canary, ErrorCode, Failure, Hello, Installed, Mode, Outcome, Profile, Program,
    Question, Request, Response, Revoked, Scope, ScopeId, State, Status, Summary, decode_request,
    encode_response,
};

/// The built tool.
pub(crate) const TOOL: &str = env!("CARGO_BIN_EXE_execlayer");

/// A policy without surprises.
pub(crate) const POLICY: &str = r#"
name = "small"
version = 3

[agent]
name = "tester"

[[rule]]
id = "programs"
allow = ["exec"]
path = "/usr/bin/**"

[[rule]]
id = "workspace"
allow = ["read", "write"]
path = "${WORKSPACE}{,/**}"

[[rule]]
id = "no-keys"
deny = ["read"]
path = "/root/.ssh/**"
reason = "Keys stay private."
"#;

/// A folder with [`POLICY`] in `small/policy.toml`.
pub(crate) struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap() };
        fs::create_dir(place.at("small")).unwrap();
        fs::write(place.at("small/policy.toml"), POLICY).unwrap();
        place
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        fs::write(self.at(name), text).unwrap();
        self.at(name)
    }

    /// The tool, called in this folder.
    pub(crate) fn tool(&self, arguments: &[&str]) -> Command {
        self.command(Path::new(TOOL), arguments)
    }

    pub(crate) fn command(&self, program: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.folder.path()).args(arguments).stdin(Stdio::null());
        command.env_remove("NO_COLOR");
        command
    }

    /// Calls the tool.
    pub(crate) fn call(&self, arguments: &[&str]) -> Called {
        Called::from(self.tool(arguments).output().unwrap())
    }

    /// Calls the tool and expects success.
    pub(crate) fn succeed(&self, arguments: &[&str]) -> Called {
        let called = self.call(arguments);
        assert_eq!(called.code, Some(0), "{arguments:?}: {called:?}");
        called
    }
}

/// What came of a call.
#[derive(Debug)]
pub(crate) struct Called {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl From<Output> for Called {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Called {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap()
    }
}

pub(crate) fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Whether this test can run; says so if it cannot.
pub(crate) fn needs_root(test: &str) -> bool {
    if !is_root() {
        eprintln!("{test}: not run here: needs root");
    }
    is_root()
}

/// A daemon that answers with what `answer` gives, and remembers what it was asked.
pub(crate) struct Daemon {
    asked: Arc<Mutex<Vec<Request>>>,
}

impl Daemon {
    /// Listens in `run_dir` before this returns.
    pub(crate) fn listen(
        run_dir: &Path,
        answer: impl Fn(&Request) -> Option<Response> + Send + 'static,
    ) -> Self {
        fs::create_dir_all(run_dir).unwrap();
        let listener = UnixListener::bind(run_dir.join("control.sock")).unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let list = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut line = Vec::new();
                BufReader::new(&stream).read_until(b'\n', &mut line).unwrap();
                let Ok(request) = decode_request(&line) else { continue };
                let response = answer(&request);
                list.lock().unwrap().push(request);
                if let Some(response) = response {
                    stream.write_all(&encode_response(&response).unwrap()).unwrap();
                }
            }
        });
        Self { asked }
    }

    pub(crate) fn asked(&self) -> Vec<Request> {
        self.asked.lock().unwrap().clone()
    }
}

/// Says `response` to whoever connects to `why.sock`, without being asked.
pub(crate) fn tell(run_dir: &Path, response: Response) {
    fs::create_dir_all(run_dir).unwrap();
    let listener = UnixListener::bind(run_dir.join("why.sock")).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            stream.unwrap().write_all(&encode_response(&response).unwrap()).unwrap();
        }
    });
}

/// The usual answers; scopes are in `cgroup`.
pub(crate) fn answer(request: &Request, cgroup: &Path) -> Option<Response> {
    Some(Response::Done(match request {
        Request::Hello {} => Outcome::Hello(Hello {
            release: "0.1.0".into(),
            pid: 1,
            ephemeral: true,
            state: State::Enforcing,
        }),
        Request::Install { .. } => Outcome::Installed(Installed {
            profile: 1,
            agent: "tester".into(),
            policy: "small".into(),
            version: 3,
            generation: 1,
            digest: "d".into(),
        }),
        Request::OpenScope { .. } => {
            Outcome::Scope(Scope { id: ScopeId(7), cgroup: cgroup.display().to_string() })
        }
        Request::CloseScope { .. } => Outcome::Summary(Summary::default()),
        Request::Status {} => Outcome::Status(Box::new(status())),
        Request::Questions {} => Outcome::Questions(vec![question()]),
        Request::Answer { id, allow, .. } => {
            Outcome::Answered(Answered { id: *id, allowed: *allow, calls: 1, grant: None })
        }
        Request::Grants {} => Outcome::Grants(Vec::new()),
        Request::Revoke { id } => Outcome::Revoked(Revoked { id: *id }),
        Request::Why { .. } => Outcome::Why(Vec::new()),
        Request::Stop { .. } => Outcome::Stopping {},
    }))
}

pub(crate) fn refusal(code: ErrorCode, message: &str, help: &str) -> Response {
    Response::Error(Failure { code, message: message.into(), help: Some(help.into()) })
}

pub(crate) fn question() -> Question {
    Question {
        id: 7,
        agent: "tester".into(),
        pid: 42,
        uid: 1000,
        program: "/usr/bin/git".into(),
        operation: "connect".into(),
        access: vec!["connect".into()],
        subject: "tcp:192.0.2.1:443".into(),
        rule: Some("web".into()),
        file: Some("policy.toml".into()),
        line: Some(3),
        message: Some("Someone should know where to.".into()),
        command: vec!["git".into(), "push".into()],
        digest: None,
        asked: "human".into(),
        held: true,
        calls: 1,
        remember: None,
        waits: 4,
        left: 56,
    }
}

pub(crate) fn status() -> Status {
    Status {
        release: "0.1.0".into(),
        pid: 42,
        started: 0,
        ephemeral: false,
        state: State::Degraded,
        degraded: vec!["the audit trail cannot be written".into()],
        kernel: "6.12.41".into(),
        programs: vec![
            Program { name: "file_open".into(), hook: "file_open".into(), attached: true },
            Program { name: "bprm_check".into(), hook: "bprm".into(), attached: false },
        ],
        profiles: vec![Profile {
            number: 1,
            agent: "tester".into(),
            policy: "small".into(),
            version: 2,
            generation: 9,
            digest: "another".into(),
            mode: Mode::Enforce,
            rules: 3,
            image_bytes: 4096,
            table_bytes: 65_536,
            governed_tasks: 0,
            lost_events: 5,
            expires: None,
        }],
        scopes: 1,
        unknown_events: 0,
        canary: Some(Canary { passed: true, time: 0, acts: vec!["exec was denied".into()] }),
        audit: Audit {
            folder: "/var/log/execlayer/audit".into(),
            origin: "host/execlayer/0badcafe".into(),
            records: 90,
            signed: 80,
            unwritten: 2,
        },
        questions: 0,
    }
}

/// Copies a program by another process: one that is open to be written in this one, while another test forks,
/// cannot be executed.
pub(crate) fn copy_program(from: impl AsRef<std::ffi::OsStr>, to: &Path) {
    let status = Command::new("cp").arg(from).arg(to).status().unwrap();
    assert!(status.success(), "cannot copy the program");
}
