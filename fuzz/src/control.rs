//! Lines of the control socket, both ways: what is read is written again as the same, and never longer than its
//! limit. Also the dates that people write.

use execlayer_api::{
    DeniedRow, DeniedVerdict, ErrorCode, Failure, Hello, Installed, Outcome, Remember, Request,
    Response, RootInForce, Scope, ScopeId, State, Summary, decode_request, decode_response,
    encode_request, encode_response,
    line::{MAX_REQUEST, MAX_RESPONSE},
    time,
};

pub(crate) fn body(bytes: &[u8]) {
    if let Ok(request) = decode_request(bytes) {
        assert!(bytes.len() <= MAX_REQUEST);
        let line = encode_request(&request).unwrap();
        assert_eq!(line.iter().position(|byte| *byte == b'\n'), Some(line.len() - 1));
        assert_eq!(decode_request(&line), Ok(request));
    }
    if let Ok(response) = decode_response(bytes) {
        assert!(bytes.len() <= MAX_RESPONSE);
        let line = encode_response(&response).unwrap();
        assert_eq!(line.iter().position(|byte| *byte == b'\n'), Some(line.len() - 1));
        assert_eq!(decode_response(&line), Ok(response));
    }
    if let Ok(text) = str::from_utf8(bytes)
        && let Ok(seconds) = time::parse(text)
    {
        let shown = time::shown(seconds);
        // Years of more than four digits are shown, and not read.
        assert!(time::parse(&shown) == Ok(seconds) || seconds > 253_402_300_799, "{shown}");
    }
}

fn requests() -> Vec<Request> {
    let text = |text: &str| text.to_owned();
    let answer =
        |remember| Request::Answer { id: 7, allow: true, remember, message: Some(text("m")) };
    vec![
        Request::Hello {},
        Request::Install { path: text("/etc/execlayer/a.bundle") },
        Request::OpenScope { agent: text("coding"), owner_pid: 7, below_owner: true },
        Request::CloseScope { id: ScopeId(3) },
        Request::Questions {},
        answer(Remember::default()),
        Request::Grants {},
        Request::Revoke { id: 9 },
        Request::Why { pid: 12 },
        Request::Stop { force: true },
    ]
}

fn outcomes() -> Vec<Outcome> {
    let text = |text: &str| text.to_owned();
    let installed = Installed {
        profile: 1,
        agent: text("a"),
        policy: text("p"),
        version: 2,
        generation: 3,
        digest: text("00"),
    };
    let row = DeniedRow {
        count: 2,
        operation: text("file"),
        access: vec![text("read"), text("write")],
        subject: text("/etc/\\x0a"),
        rule: Some(text("r")),
        file: Some(text("f")),
        line: Some(7),
        reason: text("rule"),
        message: None,
        verdict: DeniedVerdict::Monitored,
    };
    vec![
        Outcome::Hello(Hello {
            release: text("0.1.0"),
            pid: 1,
            ephemeral: false,
            state: State::Degraded,
        }),
        Outcome::Installed(installed),
        Outcome::RootInForce(RootInForce { version: 2, digest: text("ff") }),
        Outcome::Scope(Scope { id: ScopeId(2), cgroup: text("/sys/fs/cgroup/x") }),
        Outcome::Summary(Summary { denied: vec![row], more: 1, allowed: 2, lost: 3 }),
        Outcome::Stopping {},
    ]
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> =
        requests().iter().map(|request| encode_request(request).unwrap()).collect();
    let failed = Failure {
        code: ErrorCode::Overlap,
        message: "it overlaps".to_owned(),
        help: Some("change it".to_owned()),
    };
    let responses = outcomes().into_iter().map(Response::Done).chain([Response::Error(failed)]);
    all.extend(responses.map(|response| encode_response(&response).unwrap()));
    for line in [
        r#"{"version":1,"response":{"done":{"status":{"release":"0","pid":1,"started":2,"ephemeral":false,"state":"enforcing","degraded":["x"],"kernel":"6.12","programs":[{"name":"n","hook":"h","attached":true}],"profiles":[{"number":1,"agent":"a","policy":"p","version":1,"generation":1,"digest":"00","mode":"enforce","rules":3,"image-bytes":4,"table-bytes":5,"governed-tasks":6,"lost-events":7}],"scopes":0,"unknown-events":0,"events":"/var/log"}}}}"#,
        r#"{"version":1,"response":{"done":{"questions":[{"id":1,"agent":"a","pid":2,"uid":3,"program":"/p","operation":"exec","access":["exec"],"subject":"/s","asked":"human","held":true,"calls":1,"waits":2,"left":3}]}}}"#,
        r#"{"version":1,"request":{"answer":{"id":1,"allow":false}}}"#,
        r#"{"version":2,"request":{"unknown":{}}}"#,
        "2027-01-31T12:00:00Z",
        "2028-02-29",
        "99999999999",
    ] {
        all.push(line.as_bytes().to_vec());
    }
    all
}
