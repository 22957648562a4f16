//! The endpoint of metrics with everything that it can show: a daemon that answers, records of each kind that is counted,
//! and sinks, one of which fails. Must not know who scrapes it.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    os::unix::net::UnixListener,
    path::Path,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use execlayer_api::{
    Audit, Canary, Mode, Outcome, Profile, Program, Response, State, Status, encode_response,
};
use execlayer_audit::segment;
use execlayer_export::{
    counts::Counts,
    metrics::{Shown, Watch, serve},
};
use serde_json::{Value, json};

/// Denials of `no-shadow` in the records.
pub(crate) const DENIED: u64 = 71;

/// An endpoint that answers as long as the test's process runs.
pub(crate) struct Endpoint {
    /// Where.
    pub(crate) address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Endpoint {
    /// Everything is there once this returns.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (log, status) = (folder.path().join("log"), folder.path().join("status.sock"));
        write(&log);
        answer(&status);
        let (watch, counts) = (Arc::new(Watch::default()), Arc::new(Counts::default()));
        counts.sent("siem", 7);
        counts.tell("siem", 4, (0, 0), None);
        counts.tell("backup", 1, (3, 2), Some("it does not answer".into()));
        let shown = Arc::new(Shown::new(Arc::clone(&watch), counts, status));
        let server = serve(&"127.0.0.1:0".parse().unwrap(), shown).unwrap();
        let address = server.address().unwrap();
        thread::spawn(move || watch.run(&log));
        thread::spawn(move || {
            loop {
                server.turn();
            }
        });
        let endpoint = Self { address, _folder: folder };
        let begun = Instant::now();
        while !endpoint.text().contains("execlayer_answers_total{") {
            assert!(begun.elapsed() < Duration::from_secs(60), "the records are not counted");
            thread::sleep(Duration::from_millis(5));
        }
        endpoint
    }

    /// What a scrape gets.
    pub(crate) fn text(&self) -> String {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text.split_once("\r\n\r\n").unwrap().1.to_owned()
    }
}

fn write(log: &Path) {
    let denied = |kind: &str, count: u64| {
        json!({"kind": kind, "agent": "coding-agent", "operation": "open", "verdict": "deny",
            "enforced": true, "rule": "no-shadow", "count": count})
    };
    let records = [
        denied("verdict", 1),
        denied("repeat", DENIED - 1),
        json!({"kind": "verdict", "agent": "coding-agent", "operation": "exec", "verdict": "allow",
            "enforced": false, "rule": "a \"rule\"\\"}),
        json!({"kind": "lost", "agent": "coding-agent", "cause": "full", "lost": 5}),
        json!({"kind": "answer", "agent": "coding-agent", "answer": "allowed", "held_ms": 1_500}),
    ];
    let line = |(seq, record): (u64, &Value)| {
        format!("{}{}\n", segment::begin(seq), record.to_string().strip_prefix('{').unwrap())
    };
    fs::create_dir_all(log.join(segment::FOLDER)).unwrap();
    let text: String = (0..).zip(&records).map(line).collect();
    fs::write(log.join(segment::FOLDER).join(segment::name(0)), text).unwrap();
}

/// Says the daemon's status to whoever connects.
fn answer(socket: &Path) {
    let listener = UnixListener::bind(socket).unwrap();
    let line = encode_response(&Response::Done(Outcome::Status(Box::new(status())))).unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            // Who asked may have gone.
            let _ = stream.and_then(|mut stream| stream.write_all(&line));
        }
    });
}

fn status() -> Status {
    Status {
        release: "0.1.0".into(),
        pid: 7,
        started: 1_767_268_800,
        ephemeral: false,
        state: State::Degraded,
        degraded: vec!["a program is not attached".into()],
        kernel: "6.12.1".into(),
        programs: vec![Program { name: "open".into(), hook: "file_open".into(), attached: false }],
        profiles: vec![Profile {
            number: 1,
            agent: "coding-agent".into(),
            policy: "base".into(),
            version: 3,
            generation: 7,
            digest: "00".repeat(32),
            mode: Mode::Enforce,
            rules: 12,
            image_bytes: 4_096,
            table_bytes: 8_192,
            governed_tasks: 4,
            lost_events: 5,
            expires: Some(1_798_804_800),
        }],
        scopes: 1,
        unknown_events: 1,
        canary: Some(Canary { passed: true, time: 1_767_268_801, acts: Vec::new() }),
        audit: Audit {
            folder: "/var/log/execlayer".into(),
            origin: "host".into(),
            records: 5,
            signed: 4,
            unwritten: 1,
        },
        questions: 2,
    }
}
