//! What the tests share: calling the hook, recorded calls, and a daemon that says any bytes.

use std::{
    fs,
    io::{Read, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::{Value, json, value::RawValue};

pub(crate) const AGENTS: [&str; 4] = ["claude-code", "codex", "gemini", "cursor"];

/// A call as an agent says it, and what has to become of it.
pub(crate) struct Recorded {
    pub(crate) agent: String,
    pub(crate) name: String,
    /// Byte by byte what the agent says.
    pub(crate) input: String,
    expected: Value,
}

impl Recorded {
    /// All of them.
    pub(crate) fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for agent in AGENTS {
            let folder =
                Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hook/recorded").join(agent);
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let text = fs::read_to_string(&path).unwrap();
                let raw: std::collections::HashMap<String, Box<RawValue>> =
                    serde_json::from_str(&text).unwrap();
                all.push(Self {
                    agent: agent.to_owned(),
                    name: format!("{agent}/{}", path.file_stem().unwrap().display()),
                    input: raw["input"].get().to_owned(),
                    expected: serde_json::from_str(&text).unwrap(),
                });
            }
        }
        assert!(all.len() > 30);
        all
    }

    pub(crate) fn one(name: &str) -> Self {
        Self::all().into_iter().find(|recorded| recorded.name == name).unwrap()
    }

    /// What the daemon has to be asked.
    pub(crate) fn request(&self) -> &Value {
        &self.expected["request"]
    }

    /// Whether the agent takes `ask` here.
    pub(crate) fn may_ask(&self) -> bool {
        self.agent == "claude-code" || self.expected["may_ask"] == true
    }

    /// An allow in the agent's words.
    pub(crate) fn allow(&self) -> Value {
        if self.agent == "cursor" { json!({"permission": "allow"}) } else { json!({}) }
    }

    /// A deny in the agent's words.
    pub(crate) fn deny(&self, why: &str) -> Value {
        self.says("deny", why)
    }

    /// What the agent understands by `word`: no member more.
    pub(crate) fn says(&self, word: &str, why: &str) -> Value {
        match self.agent.as_str() {
            "gemini" => json!({"decision": word, "reason": why}),
            "cursor" => {
                let all = json!({"permission": word, "user_message": why, "agent_message": why});
                let names = self.expected["deny_members"].as_array().unwrap();
                names
                    .iter()
                    .map(|name| {
                        (name.as_str().unwrap().to_owned(), all[name.as_str().unwrap()].clone())
                    })
                    .collect()
            }
            _ => json!({"hookSpecificOutput": {
                "hookEventName": "PreToolUse",
                "permissionDecision": word,
                "permissionDecisionReason": why,
            }}),
        }
    }
}

/// What the daemon does once it was asked.
#[derive(Clone)]
pub(crate) enum Say {
    Bytes(Vec<u8>),
    /// One byte at a time.
    Slowly(Vec<u8>),
    /// Nothing, without hanging up.
    Silence,
    /// Head and then zeroes without an end.
    Flood(Vec<u8>),
}

/// First line and body of a request.
type Asked = (String, String);

/// A daemon that says what `say` gives, and remembers what it was asked.
pub(crate) struct Daemon {
    folder: tempfile::TempDir,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Daemon {
    pub(crate) fn listen(say: impl Fn(&str) -> Say + Send + 'static) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("api.sock")).unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let list = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let Some((line, body)) = request(&mut stream) else { continue };
                let say = say(&line);
                list.lock().unwrap().push((line, body));
                std::thread::spawn(move || speak(stream, say));
            }
        });
        Self { folder, asked }
    }

    /// One that gives the same answer to everything.
    pub(crate) fn always(body: &str) -> Self {
        let say = Say::Bytes(ok(body));
        Self::listen(move |_| say.clone())
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("api.sock")
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// Calls the hook.
    pub(crate) fn hook(&self, agent: &str, more: &[&str], input: &[u8]) -> Ended {
        hook(&self.socket(), agent, more, input)
    }
}

/// A request. Everything is as the API wants it, or nobody answers.
fn request(stream: &mut UnixStream) -> Option<Asked> {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4_096]);
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let header = |name: &str| {
                head.lines()
                    .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
                    .map(str::to_owned)
            };
            let length = header("Content-Length").map_or(0, |text| text.parse().unwrap());
            if body.len() >= length {
                assert_eq!(body.len(), length);
                assert_eq!(header("Connection").unwrap(), "close");
                let first = head.lines().next().unwrap();
                assert_eq!(header("Content-Type").is_some(), first.starts_with("POST"));
                return Some((first.to_owned(), body.to_owned()));
            }
        }
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return None,
            Ok(count) => bytes.extend_from_slice(&buffer[..count]),
        }
    }
}

fn speak(mut stream: UnixStream, say: Say) {
    // That the hook hung up is no failure.
    match say {
        Say::Bytes(bytes) => drop(stream.write_all(&bytes)),
        Say::Slowly(bytes) => {
            for byte in bytes {
                if stream.write_all(&[byte]).is_err() {
                    return;
                }
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        Say::Silence => drop(stream.read_to_end(&mut Vec::new())),
        Say::Flood(head) => {
            let mut sent = stream.write_all(&head);
            while sent.is_ok() {
                sent = stream.write_all(&[b'0'; 65_536]);
            }
        }
    }
}

/// An answer with a body of JSON.
pub(crate) fn ok(body: &str) -> Vec<u8> {
    response("200 OK", "application/json", body)
}

pub(crate) fn response(status: &str, kind: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
    .into_bytes()
}

/// How a hook ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ended {
    /// The call is blocked: the exit code says so, one line says why, and nothing else is said.
    pub(crate) fn assert_blocks(&self, case: &str) {
        assert_eq!(self.code, Some(2), "{case}: {self:?}");
        assert_eq!(self.out, "", "{case}");
        let is_line =
            self.err.ends_with("; the call is blocked\n") && self.err.lines().count() == 1;
        assert!(is_line && self.err.starts_with("execlayer hook: "), "{case}: {}", self.err);
    }

    /// The agent has this answer.
    pub(crate) fn assert_says(&self, answer: &Value, case: &str) {
        assert_eq!(self.code, Some(0), "{case}: {self:?}");
        assert_eq!(&serde_json::from_str::<Value>(&self.out).unwrap(), answer, "{case}");
        assert_eq!((self.out.lines().count(), self.err.as_str()), (1, ""), "{case}");
    }
}

pub(crate) fn command(socket: &Path, agent: &str, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_execlayer"));
    command.args(["hook", agent, "--socket"]).arg(socket).args(more);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Calls the hook with what an agent says.
pub(crate) fn hook(socket: &Path, agent: &str, more: &[&str], input: &[u8]) -> Ended {
    let mut child = command(socket, agent, more).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // A hook that does not want to hear all of it is free to end.
    let _ = stdin.write_all(input);
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    Ended {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}
