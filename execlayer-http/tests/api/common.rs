//! A server over a backend in memory, and a client that sends any bytes.

use std::{
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
    path::PathBuf,
    sync::{Arc, Mutex, atomic::AtomicBool, atomic::Ordering},
    time::Duration,
};

use execlayer_http::{
    backend::{Backend, Event},
    caller::{Caller, Roles},
    problem::{Code, Problem},
    server::{Limits, Server},
    types::{
        AgentPolicy, Answer, Answered, Decision, Evaluation, Hold, Outcome, Policy, Question,
        Records,
    },
};
use tokio::sync::mpsc;

/// What a test wants to see or to be done.
#[derive(Default)]
pub(crate) struct Wishes {
    /// Who connects next.
    pub(crate) caller: Mutex<Option<Caller>>,
    /// What was evaluated.
    pub(crate) seen: Mutex<Vec<Evaluation>>,
    /// Every evaluation fails so.
    pub(crate) failure: Mutex<Option<Code>>,
    /// It cannot judge.
    pub(crate) is_away: AtomicBool,
}

#[derive(Clone, Default)]
pub(crate) struct Fake(pub(crate) Arc<Wishes>);

fn policy() -> Policy {
    Policy { name: "p".to_owned(), version: 7, digest: "d".to_owned() }
}

fn question(id: u64) -> Question {
    Question {
        id,
        state: "open".to_owned(),
        agent: "coder".to_owned(),
        pid: 1,
        program: "/bin/sh".to_owned(),
        operation: "call".to_owned(),
        access: vec!["call".to_owned()],
        subject: "Bash ls".to_owned(),
        rule: None,
        message: None,
        waits: 0,
        expires_in: 60,
    }
}

impl Backend for Fake {
    async fn identify(&self, _peer: &tokio::net::UnixStream) -> Result<Caller, Problem> {
        let caller = self.0.caller.lock().unwrap().clone();
        caller.ok_or_else(|| Problem::new(Code::Unavailable, "nobody can say"))
    }

    async fn evaluate(
        &self,
        _caller: &Caller,
        calls: Vec<Evaluation>,
    ) -> Vec<Result<Decision, Problem>> {
        self.0.seen.lock().unwrap().extend(calls.clone());
        let failure = *self.0.failure.lock().unwrap();
        let decide = |call: Evaluation| {
            if let Some(code) = failure {
                return Err(Problem::new(code, "it was wished"));
            }
            let decision = match call.action.as_str() {
                "yes" => Outcome::Allow,
                "ask" => Outcome::Hold,
                _ => Outcome::Deny,
            };
            Ok(Decision {
                decision,
                reason: "rule".to_owned(),
                message: None,
                rule: None,
                agent: "coder".to_owned(),
                policy: policy(),
                monitored: false,
                would_be: None,
                action_digest: "a".to_owned(),
                hold: (decision == Outcome::Hold).then(|| Hold {
                    question: 7,
                    expires_in: 60,
                    url: "/v1/questions/7".to_owned(),
                }),
            })
        };
        calls.into_iter().map(decide).collect()
    }

    async fn questions(&self, _caller: &Caller) -> Result<Vec<Question>, Problem> {
        Ok(vec![question(7)])
    }

    async fn question(
        &self,
        _caller: &Caller,
        id: u64,
        wait: Duration,
    ) -> Result<Question, Problem> {
        // A wait is one that a test can see the end of.
        tokio::time::sleep(wait.min(Duration::from_millis(200))).await;
        match id {
            7 => Ok(question(7)),
            _ => Err(Problem::new(Code::NotFound, "there is no such question")),
        }
    }

    async fn answer(&self, _caller: &Caller, id: u64, answer: Answer) -> Result<Answered, Problem> {
        Ok(Answered { question: id, allowed: answer.allow })
    }

    async fn policies(&self) -> Result<Vec<AgentPolicy>, Problem> {
        Ok(vec![AgentPolicy { agent: "coder".to_owned(), policy: policy() }])
    }

    async fn install(&self, _caller: &Caller, bundle: Vec<u8>) -> Result<AgentPolicy, Problem> {
        match bundle.len() {
            0 => Err(Problem::new(Code::Refused, "this is no bundle")),
            _ => Ok(AgentPolicy { agent: "coder".to_owned(), policy: policy() }),
        }
    }

    async fn status(&self) -> Result<serde_json::Value, Problem> {
        Ok(serde_json::json!({ "state": "enforcing" }))
    }

    async fn records(&self, _caller: &Caller, from: u64, limit: usize) -> Result<Records, Problem> {
        let records = vec![serde_json::json!({ "seq": from, "limit": limit })];
        Ok(Records { records, next: from + 1 })
    }

    async fn follow(
        &self,
        _caller: &Caller,
        from: Option<u64>,
    ) -> Result<mpsc::Receiver<Event>, Problem> {
        let (sender, receiver) = mpsc::channel(4);
        let from = from.unwrap_or(100);
        tokio::spawn(async move {
            for number in from..from + 3 {
                let _gone = sender.send((number, format!("{{\"seq\":{number}}}"))).await;
            }
        });
        Ok(receiver)
    }

    fn metrics(&self) -> String {
        "# EOF\n".to_owned()
    }

    fn is_ready(&self) -> bool {
        !self.0.is_away.load(Ordering::Relaxed)
    }
}

/// A server in threads of its own, which end with the test's process.
pub(crate) struct Served {
    pub(crate) wishes: Arc<Wishes>,
    pub(crate) socket: PathBuf,
    pub(crate) tcp: std::net::SocketAddr,
    _folder: tempfile::TempDir,
}

/// Short enough to be waited for.
pub(crate) const SHORT: Limits = Limits {
    per_user: 12_000,
    others: 16_000,
    root: 12_000,
    head: Duration::from_millis(300),
    body: Duration::from_millis(300),
};

impl Served {
    pub(crate) fn start(limits: Limits, tokens: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (socket, file) = (folder.path().join("api.sock"), folder.path().join("tokens"));
        std::fs::write(&file, tokens).unwrap();
        std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600))
            .unwrap();
        let fake = Fake::default();
        let wishes = Arc::clone(&fake.0);
        let (sender, bound) = std::sync::mpsc::channel();
        let at = socket.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async move {
                let server = Server::new(fake, Some(file), limits);
                let unix = tokio::net::UnixListener::bind(&at).unwrap();
                let tcp = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                sender.send(tcp.local_addr().unwrap()).unwrap();
                tokio::join!(server.serve_unix(unix), server.serve_tcp(tcp, None));
            });
        });
        let tcp = bound.recv().unwrap();
        Self { wishes, socket, tcp, _folder: folder }
    }

    pub(crate) fn by(self, caller: Caller) -> Self {
        *self.wishes.caller.lock().unwrap() = Some(caller);
        self
    }

    pub(crate) fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(&self.socket).unwrap();
        // A server that never answers is a failure, and no test that never ends.
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    /// Sends bytes and reads until the server closes.
    pub(crate) fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect();
        // It may answer, and close, before it has read all.
        let _closed = stream.write_all(bytes);
        let mut answer = Vec::new();
        let _reset = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// One request; its status and body.
    pub(crate) fn ask(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        self.ask_with(method, path, "Content-Type: application/json\r\n", body.as_bytes())
    }

    pub(crate) fn ask_with(
        &self,
        method: &str,
        path: &str,
        fields: &str,
        body: &[u8],
    ) -> (u16, String) {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{fields}Content-Length: {}\r\n\r\n",
            body.len()
        );
        let answer = self.raw(&[head.as_bytes(), body].concat());
        (status(&answer), answer.split_once("\r\n\r\n").map_or("", |(_, body)| body).to_owned())
    }
}

pub(crate) fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0)
}

pub(crate) fn agent() -> Caller {
    Caller::Agent { name: "coder".to_owned(), session: 3, pid: 1, uid: 1000 }
}

pub(crate) fn operator(roles: Roles) -> Caller {
    Caller::Operator { name: "desk".to_owned(), roles, pid: 1, uid: 1000 }
}
