//! Requests a second and their times, of this API and of a bare axum handler that returns a constant, side by side in one
//! run, over a unix socket and loopback. `cargo bench -p execlayer-http` prints a line of JSON for each. Asserts nothing
//! about time; every answer is looked at.
//!
//! The API judges by a policy of ten conditions in the same process, as `execlayerd api` does with calls that are allowed
//! and not recorded. Server and clients share the machine.

use std::{
    collections::BTreeMap,
    io,
    path::PathBuf,
    time::{Duration, Instant},
};

use axum::{Router, routing::post};
use execlayer_engine::{Name, Number, PolicyBundle, Request, Value, Verdict};
use execlayer_http::{
    backend::{Backend, Event},
    caller::Caller,
    context::ContextValue,
    problem::{Code, Problem},
    server::{Limits, Server},
    types::{
        AgentPolicy, Answer, Answered, Decision, Evaluation, Outcome, Policy, Question, Records,
    },
};
use execlayer_policy::author::{Draft, Rule, Test};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    sync::mpsc,
};

const TIME: Duration = Duration::from_secs(3);
const BODY: &str = r#"{"action":"deploy","resource":"service/billing","context":{"amount":40,"files":3,"branch":"release/7","environment":"staging","confirmed":true,"dry_run":false}}"#;
const CONSTANT: &str = r#"{"decision":"allow"}"#;

struct Judge(PolicyBundle);

fn policy() -> io::Result<PolicyBundle> {
    let rule = Rule::allow("ten")
        .action("deploy")
        .resource("service/*")
        .user(1000)
        .between("00:00-24:00")
        .context("amount", Test::at_most(100))
        .context("files", Test::at_least(1))
        .context("branch", Test::is("release/*"))
        .context("environment", Test::is_one_of(&["staging", "preview"]))
        .context("confirmed", Test::flag(true))
        .context("dry_run", Test::flag(false));
    Draft::new("ten", "bench").rule(rule).build().map_err(io::Error::other)
}

fn away<T>() -> Result<T, Problem> {
    Err(Problem::new(Code::Unavailable, "there is no daemon in a benchmark"))
}

impl Backend for Judge {
    async fn identify(&self, _peer: &UnixStream) -> Result<Caller, Problem> {
        Ok(Caller::Agent { name: "bench".to_owned(), session: 1, pid: 1, uid: 1000 })
    }

    async fn evaluate(
        &self,
        _caller: &Caller,
        calls: Vec<Evaluation>,
    ) -> Vec<Result<Decision, Problem>> {
        let judge = |call: Evaluation| {
            let values: Vec<_> = call
                .context
                .0
                .iter()
                .filter_map(|(name, value)| {
                    let value = match value {
                        ContextValue::Text(text) => Value::Text(text.as_bytes()),
                        ContextValue::Number(number) => Value::Number(Number::parse(number)?),
                        ContextValue::Flag(flag) => Value::Flag(*flag),
                        ContextValue::List(_) => return None,
                    };
                    Some((Name::new(name).ok()?, value))
                })
                .collect();
            let request = Request::new(call.action.as_bytes(), call.resource.as_bytes())
                .and_then(|request| request.with(&values));
            let Ok(request) = request else { return away() };
            let verdict = self.0.evaluate(&request.by(1000).at(600, 0));
            Ok(Decision {
                decision: if matches!(verdict, Verdict::Allow(_)) {
                    Outcome::Allow
                } else {
                    Outcome::Deny
                },
                reason: verdict.reason().name().to_owned(),
                message: None,
                rule: None,
                agent: "bench".to_owned(),
                policy: Policy { name: "ten".to_owned(), version: 1, digest: "0".repeat(64) },
                monitored: false,
                would_be: None,
                action_digest: "0".repeat(64),
                hold: None,
            })
        };
        calls.into_iter().map(judge).collect()
    }

    async fn questions(&self, _caller: &Caller) -> Result<Vec<Question>, Problem> {
        away()
    }

    async fn question(
        &self,
        _caller: &Caller,
        _id: u64,
        _wait: Duration,
    ) -> Result<Question, Problem> {
        away()
    }

    async fn answer(
        &self,
        _caller: &Caller,
        _id: u64,
        _answer: Answer,
    ) -> Result<Answered, Problem> {
        away()
    }

    async fn policies(&self) -> Result<Vec<AgentPolicy>, Problem> {
        away()
    }

    async fn install(&self, _caller: &Caller, _bundle: Vec<u8>) -> Result<AgentPolicy, Problem> {
        away()
    }

    async fn status(&self) -> Result<serde_json::Value, Problem> {
        away()
    }

    async fn records(
        &self,
        _caller: &Caller,
        _from: u64,
        _limit: usize,
    ) -> Result<Records, Problem> {
        away()
    }

    async fn follow(
        &self,
        _caller: &Caller,
        _from: Option<u64>,
    ) -> Result<mpsc::Receiver<Event>, Problem> {
        away()
    }

    fn metrics(&self) -> String {
        String::new()
    }

    fn is_ready(&self) -> bool {
        true
    }
}

/// Where a server listens.
#[derive(Clone)]
enum Place {
    Unix(PathBuf),
    Tcp(std::net::SocketAddr),
}

trait Stream: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send {}
impl<T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send> Stream for T {}

impl Place {
    async fn connect(&self) -> io::Result<Box<dyn Stream>> {
        Ok(match self {
            Self::Unix(path) => Box::new(UnixStream::connect(path).await?),
            Self::Tcp(address) => {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                Box::new(stream)
            }
        })
    }
}

fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

/// Starts both servers, each in a thread of its own; where they are, by name.
fn start(folder: &std::path::Path) -> io::Result<BTreeMap<(&'static str, &'static str), Place>> {
    let mut places = BTreeMap::new();
    let tokens = folder.join("tokens");
    // SHA-256 of `abc` (FIPS 180-2, appendix B.1).
    let line = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad agent=bench box\n";
    std::fs::write(&tokens, line)?;
    std::fs::set_permissions(&tokens, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    for name in ["api", "bare"] {
        let (path, tokens) = (folder.join(name), tokens.clone());
        places.insert((name, "unix"), Place::Unix(path.clone()));
        let tcp = std::net::TcpListener::bind("127.0.0.1:0")?;
        tcp.set_nonblocking(true)?;
        places.insert((name, "loopback"), Place::Tcp(tcp.local_addr()?));
        let (sender, bound) = std::sync::mpsc::channel();
        let judge = Judge(policy()?);
        std::thread::spawn(move || -> io::Result<()> {
            runtime()?.block_on(async move {
                let unix = UnixListener::bind(path)?;
                let tcp = TcpListener::from_std(tcp)?;
                let _ready = sender.send(());
                if name == "api" {
                    let server = Server::new(judge, Some(tokens), Limits::default());
                    tokio::join!(server.serve_unix(unix), server.serve_tcp(tcp, None));
                } else {
                    let handler = async |_body: axum::body::Bytes| {
                        ([("content-type", "application/json")], CONSTANT)
                    };
                    let app = Router::new().route("/v1/evaluate", post(handler));
                    let (one, other) = (app.clone(), app);
                    let _ended = tokio::join!(axum::serve(unix, one), axum::serve(tcp, other));
                }
                Ok(())
            })
        });
        let _ready = bound.recv();
    }
    Ok(places)
}

/// One connection's requests until the end; the time of each.
async fn client(place: Place, until: Instant) -> io::Result<Vec<Duration>> {
    let mut stream = place.connect().await?;
    let request = format!(
        "POST /v1/evaluate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: Bearer abc\r\nContent-Length: {}\r\n\r\n{BODY}",
        BODY.len()
    );
    let (mut times, mut answer) = (Vec::new(), vec![0; 4_096]);
    while Instant::now() < until {
        let begun = Instant::now();
        stream.write_all(request.as_bytes()).await?;
        let mut read = 0;
        // Both answers end with the only brace that closes an object at its end.
        while !answer.get(..read).is_some_and(|got| got.ends_with(b"}")) {
            let room = answer.get_mut(read..).unwrap_or_default();
            match stream.read(room).await? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                more => read += more,
            }
        }
        let text = String::from_utf8_lossy(answer.get(..read).unwrap_or_default());
        if !text.contains(r#""decision":"allow""#) {
            return Err(io::Error::other(text.into_owned()));
        }
        times.push(begun.elapsed());
    }
    Ok(times)
}

fn main() -> io::Result<()> {
    let folder = tempfile::tempdir()?;
    let places = start(folder.path())?;
    let runtime = runtime()?;
    for transport in ["unix", "loopback"] {
        for connections in [1, 16, 256] {
            for name in ["bare", "api"] {
                let Some(place) = places.get(&(name, transport)) else { continue };
                let until = Instant::now() + TIME;
                let times = runtime.block_on(async {
                    let all: Vec<_> = (0..connections)
                        .map(|_| tokio::spawn(client(place.clone(), until)))
                        .collect();
                    let mut times = Vec::new();
                    for one in all {
                        times.extend(one.await.map_err(io::Error::other)??);
                    }
                    io::Result::Ok(times)
                })?;
                let mut micros: Vec<u128> = times.iter().map(Duration::as_micros).collect();
                micros.sort_unstable();
                let at = |share: usize| micros.get(micros.len() * share / 100).copied();
                let rate = micros.len() as f64 / TIME.as_secs_f64();
                println!(
                    "{}",
                    serde_json::json!({
                        "server": name, "transport": transport, "connections": connections,
                        "per_second": rate.round(), "p50_us": at(50).map(|t| t as u64),
                        "p99_us": at(99).map(|t| t as u64),
                    })
                );
            }
        }
    }
    Ok(())
}
