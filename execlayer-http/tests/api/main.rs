//! Who may ask what, and what bad requests come to. Nothing here is a decision by mistake.

#[cfg(test)]
mod common;
mod document;

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::Shutdown,
    sync::atomic::Ordering,
};

use common::{SHORT, Served, agent, operator, status};
use execlayer_http::{
    caller::{Caller, Need, ROUTES, Roles},
    context::ContextValue,
    problem::Code,
    server::Limits,
};
use proptest::prelude::*;

const YES: &str = r#"{"action":"yes"}"#;

fn body_of(path: &str) -> &'static str {
    match path {
        "/v1/evaluate" => YES,
        "/v1/questions/{id}/answer" => r#"{"allow":true}"#,
        "/access/v1/evaluation" | "/access/v1/evaluations" => {
            r#"{"subject":{"type":"agent","id":"coder"},"action":{"name":"yes"},"resource":{"type":"text","id":"x"}}"#
        }
        _ => "x",
    }
}

#[test]
fn every_route_lets_in_whom_the_table_names_and_nobody_else() {
    let none = Roles::default();
    let callers = [
        agent(),
        operator(Roles { read: true, ..none }),
        operator(Roles { answer: true, ..none }),
        operator(Roles { administer: true, ..none }),
        operator(none),
        Caller::Nobody { why: "nobody governs this process".to_owned() },
    ];
    for caller in callers {
        let served = Served::start(Limits::default(), "").by(caller.clone());
        for (method, path, need) in ROUTES {
            // It does not end by itself.
            if path == "/v1/events" && need.is_met(&caller) {
                continue;
            }
            let (status, body) = served.ask(method, &path.replace("{id}", "7"), body_of(path));
            let expected = if need.is_met(&caller) { 200 } else { 403 };
            assert_eq!(status, expected, "{caller:?} {method} {path}: {body}");
            if status == 403 {
                assert!(body.contains("\"status\":403") && !body.contains("decision"), "{body}");
            }
        }
    }
}

#[test]
fn over_tcp_a_token_says_who_it_is() {
    // SHA-256 of `abc` (FIPS 180-2, appendix B.1).
    let tokens = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad read desk\n";
    let served = Served::start(Limits::default(), tokens);
    let ask = |path: &str, fields: &str| {
        let mut stream = std::net::TcpStream::connect(served.tcp).unwrap();
        let head = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{fields}\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    let none = ask("/v1/status", "");
    assert_eq!(status(&none), 401);
    assert!(none.to_lowercase().contains("www-authenticate: bearer"), "{none}");
    for (fields, expected) in [
        ("Authorization: Bearer abc\r\n", 200),
        ("Authorization: bearer abc\r\n", 200),
        ("Authorization: Bearer abd\r\n", 401),
        ("Authorization: Bearer \r\n", 401),
        ("Authorization: Basic YWJj\r\n", 401),
    ] {
        assert_eq!(status(&ask("/v1/status", fields)), expected, "{fields}");
    }
    assert_eq!(status(&ask("/healthz", "")), 200, "that it is alive is no secret");
    for (method, path, need) in ROUTES {
        if method == "GET" && need != Need::Nothing {
            let path = path.replace("{id}", "7");
            assert_eq!(status(&ask(&path, "")), 401, "{path}");
        }
    }
}

#[test]
fn evaluations_arrive_whole_and_in_their_order() {
    let served = Served::start(Limits::default(), "").by(agent());
    let one = r#"{"action":"no","resource":"r\u0000\u00e9","context":{"n":1.50,"l":["a"]},"session":"s","call":"c","dry_run":true}"#;
    let (status, body) = served.ask("POST", "/v1/evaluate", one);
    assert_eq!((status, body.contains(r#""decision":"deny""#)), (200, true), "{body}");
    let seen = served.wishes.seen.lock().unwrap().pop().unwrap();
    assert_eq!((seen.resource.as_str(), seen.dry_run), ("r\0\u{e9}", true));
    let number = ContextValue::Number("1.50".to_owned());
    assert_eq!(seen.context.0[0], ("n".to_owned(), number), "a number keeps its text");
    let all = r#"{"evaluations":[{"action":"yes"},{"action":"no"},{"action":"ask"}]}"#;
    let (_, body) = served.ask("POST", "/v1/evaluate", all);
    let parsed: serde_json::Value = serde_json::from_str(&body).unwrap();
    let decisions: Vec<_> = parsed["evaluations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["decision"].clone())
        .collect();
    assert_eq!(decisions, ["allow", "deny", "hold"]);
}

#[test]
fn authzen_says_yes_only_to_what_is_allowed() {
    let served = Served::start(Limits::default(), "").by(agent());
    let ask = |action: &str| {
        let body = body_of("/access/v1/evaluation").replace("yes", action);
        serde_json::from_str::<serde_json::Value>(
            &served.ask("POST", "/access/v1/evaluation", &body).1,
        )
        .unwrap()
    };
    for (action, decision) in [("yes", true), ("no", false), ("ask", false)] {
        assert_eq!(ask(action)["decision"], decision, "{action}");
    }
    assert_eq!(ask("ask")["context"]["hold"]["question"], 7);
    let all = r#"{"subject":{"type":"a","id":"coder"},"resource":{"type":"t","id":"x"},
        "evaluations":[{"action":{"name":"yes"}},{"action":{"name":"no"},"resource":{"type":"t","id":"y"}}]}"#;
    let (_, body) = served.ask("POST", "/access/v1/evaluations", all);
    let said: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (&said["evaluations"][0]["decision"], &said["evaluations"][1]["decision"]),
        (&true.into(), &false.into())
    );
    *served.wishes.failure.lock().unwrap() = Some(Code::Internal);
    let (_, body) = served.ask("POST", "/access/v1/evaluations", all);
    assert!(!body.contains("\"decision\":true"), "{body}");
    assert_eq!(
        served.ask("POST", "/access/v1/evaluation", body_of("/access/v1/evaluation")).0,
        500
    );
    let (status, _) = served.ask("POST", "/access/v1/evaluation", r#"{"action":{"name":"yes"}}"#);
    assert_eq!(status, 400);
}

#[test]
fn what_cannot_be_read_is_refused_by_its_own_status() {
    let served = Served::start(Limits::default(), "").by(agent());
    let evaluate = |body: &str| served.ask("POST", "/v1/evaluate", body).0;
    let deep = format!(
        "{{\"action\":\"yes\",\"context\":{{\"a\":{}1{}}}}}",
        "[".repeat(5_000),
        "]".repeat(5_000)
    );
    let batch = |count: usize| format!("{{\"evaluations\":[{}]}}", vec![YES; count].join(","));
    for (body, expected) in [
        (YES.to_owned(), 200),
        (String::new(), 400),
        ("{}".to_owned(), 400),
        ("[]".to_owned(), 400),
        ("null".to_owned(), 400),
        (format!("{YES}x"), 400),
        (r#"{"action":"yes","action":"no"}"#.to_owned(), 400),
        (r#"{"action":"yes","other":1}"#.to_owned(), 400),
        (r#"{"action":1}"#.to_owned(), 400),
        (r#"{"action":"yes","context":{"a":1,"a":2}}"#.to_owned(), 400),
        (r#"{"action":"yes","context":{"a":null}}"#.to_owned(), 400),
        (r#"{"action":"yes","evaluations":[]}"#.to_owned(), 400),
        (format!("{{\"action\":\"yes\",\"session\":\"{}\"}}", "s".repeat(129)), 400),
        (deep, 400),
        (batch(100), 200),
        (batch(101), 400),
        (batch(0), 400),
        (format!("{{\"action\":\"{}\"}}", "x".repeat(1 << 20)), 413),
    ] {
        assert_eq!(evaluate(&body), expected, "{}", body.get(..80).unwrap_or(&body));
    }
    let bad = [&br#"{"action":""#[..], b"\xff\xfe", b"\"}"].concat();
    let json = "Content-Type: application/json\r\n";
    assert_eq!(served.ask_with("POST", "/v1/evaluate", json, &bad).0, 400, "no UTF-8");
    for kind in ["", "Content-Type: text/plain\r\n", "Content-Type: application/jsonx\r\n"] {
        assert_eq!(served.ask_with("POST", "/v1/evaluate", kind, YES.as_bytes()).0, 415, "{kind}");
    }
    let charset = "Content-Type: Application/JSON; charset=utf-8\r\n";
    assert_eq!(served.ask_with("POST", "/v1/evaluate", charset, YES.as_bytes()).0, 200);
    for (method, path, expected) in [
        ("GET", "/v1/evaluate", 405),
        ("DELETE", "/v1/policies", 405),
        ("TRACE", "/healthz", 405),
        ("GET", "/v1", 404),
        ("GET", "/v1/questions/7/../../healthz", 404),
        ("GET", "/v1/questions/..%2f..%2fhealthz", 400),
        ("GET", "/v1/questions/-7", 400),
        ("GET", "/v1/questions/99999999999999999999999", 400),
        ("GET", "/v1/questions/8", 404),
        ("GET", "/v1/questions/7?wait=61s", 400),
        ("GET", "/v1/questions/7?wait=-1", 400),
        ("GET", "/v1/questions/7?wait=1s&wait=1s", 400),
        ("GET", "/v1/questions/7?wait=1s", 200),
        ("GET", "//healthz", 404),
        ("GET", "/v1/audit?from=x", 400),
        ("GET", "/v1/audit?from=5&limit=2", 200),
    ] {
        let (status, body) = served.ask(method, path, "");
        assert_eq!(status, expected, "{method} {path}: {body}");
    }
    let allow = served.raw(b"GET /v1/evaluate HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert!(allow.to_lowercase().contains("allow: post"), "{allow}");
    let many: String = (0..200).map(|n| format!("x-{n}: 1\r\n")).collect();
    assert_eq!(status(&served.raw(format!("GET /healthz HTTP/1.1\r\n{many}\r\n").as_bytes())), 431);
    for broken in [
        "\0\0\0",
        "GET\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "POST /v1/evaluate HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nabc",
    ] {
        let answer = served.raw(broken.as_bytes());
        assert!(!answer.contains("\"decision\""), "{broken}: {answer}");
    }
}

#[test]
fn an_error_of_whoever_judges_is_never_a_yes() {
    let served = Served::start(Limits::default(), "").by(agent());
    for (code, expected) in [
        (Code::Internal, 500),
        (Code::Unavailable, 503),
        (Code::NoPolicy, 409),
        (Code::Forbidden, 403),
    ] {
        *served.wishes.failure.lock().unwrap() = Some(code);
        let (status, body) = served.ask("POST", "/v1/evaluate", YES);
        assert_eq!(status, expected);
        assert!(body.contains(&format!("urn:execlayer:problem:{}", code.name())), "{body}");
        let (_, body) = served.ask("POST", "/v1/evaluate", &format!("{{\"evaluations\":[{YES}]}}"));
        assert!(body.contains("\"problem\"") && !body.contains("\"decision\""), "{body}");
    }
    served.wishes.is_away.store(true, Ordering::Relaxed);
    assert_eq!(
        (served.ask("GET", "/readyz", "").0, served.ask("GET", "/healthz", "").0),
        (503, 200)
    );
}

#[test]
fn whoever_cannot_be_told_is_told_why_and_gets_nothing() {
    // Nobody was named who connects: the backend fails.
    let served = Served::start(Limits::default(), "");
    for (method, path, need) in ROUTES {
        let (status, body) = served.ask(method, &path.replace("{id}", "7"), body_of(path));
        let expected = if need == Need::Nothing { 200 } else { 503 };
        assert_eq!(status, expected, "{method} {path}: {body}");
    }
}

#[test]
fn slow_clients_end_and_hold_nobody_up() {
    let served = Served::start(SHORT, "").by(agent());
    let mut slow: Vec<_> = (0..50).map(|_| served.connect()).collect();
    for (number, stream) in slow.iter_mut().enumerate() {
        // Half of them in the head, half in the body.
        let begin: &[u8] = match number % 2 {
            0 => b"POST /v1/evaluate HTTP/1.1\r\nHo",
            _ => b"POST /v1/evaluate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{",
        };
        stream.write_all(begin).unwrap();
    }
    assert_eq!(served.ask("POST", "/v1/evaluate", YES).0, 200, "the next one has its turn");
    for (number, mut stream) in slow.into_iter().enumerate() {
        let mut answer = String::new();
        let _reset = stream.read_to_string(&mut answer);
        let expected = if number % 2 == 0 { [0, 408] } else { [408, 408] };
        assert!(expected.contains(&status(&answer)) && !answer.contains("decision"), "{answer}");
    }
    let mut idle = served.connect();
    assert_eq!(idle.read(&mut [0; 1]).unwrap(), 0, "an idle connection ends, too");
}

#[test]
fn requests_behind_one_another_are_answered_in_order_and_half_a_connection_is_enough() {
    let served = Served::start(Limits::default(), "").by(agent());
    let post = |body: &str, last: &str| {
        format!(
            "POST /v1/evaluate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{last}Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let no = r#"{"action":"no"}"#;
    let all = post(YES, "") + &post(no, "") + &post(YES, "Connection: close\r\n");
    let answer = served.raw(all.as_bytes());
    let decisions: Vec<&str> = answer
        .split("\"decision\":\"")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap())
        .collect();
    assert_eq!(decisions, ["allow", "deny", "allow"]);
    let mut stream = served.connect();
    stream.write_all(post(YES, "").as_bytes()).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("\"decision\":\"allow\""), "{answer}");
}

#[test]
fn ten_thousand_idle_connections_keep_nobody_from_asking() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    const COUNT: usize = 10_000;
    // Both ends of each are this process'.
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, most, most).unwrap();
    let count = COUNT.min(usize::try_from(most).unwrap_or(COUNT).saturating_sub(500) / 2);
    if count < COUNT {
        println!("only {count} connections: this host allows {most} descriptors");
    }
    let served = Served::start(Limits { root: 12_000, ..Limits::default() }, "").by(agent());
    let idle: Vec<_> = (0..count).map(|_| served.connect()).collect();
    assert_eq!(served.ask("POST", "/v1/evaluate", YES).0, 200);
    drop(idle);
}

#[test]
fn one_user_cannot_take_all_connections() {
    let served =
        Served::start(Limits { per_user: 3, root: 3, ..Limits::default() }, "").by(agent());
    let kept: Vec<_> = (0..3).map(|_| served.connect()).collect();
    // The server takes them in their order.
    let mut fourth = served.connect();
    let _closed = fourth.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(fourth.read(&mut [0; 1]).unwrap_or(0), 0, "it is turned away");
    drop(kept);
}

#[test]
fn events_come_one_by_one_and_go_on_where_they_were() {
    let served =
        Served::start(Limits::default(), "").by(operator(Roles { read: true, ..Roles::default() }));
    let events = |fields: &str, query: &str| {
        let mut stream = served.connect();
        let head = format!("GET /v1/events{query} HTTP/1.1\r\nHost: x\r\n{fields}\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let lines = BufReader::new(stream).lines().map_while(Result::ok);
        let ids = lines.filter_map(|line| line.strip_prefix("id: ").map(str::to_owned));
        ids.take(3).collect::<Vec<_>>()
    };
    assert_eq!(events("", ""), ["100", "101", "102"]);
    assert_eq!(events("", "?from=5"), ["5", "6", "7"]);
    assert_eq!(events("Last-Event-ID: 7\r\n", "?from=5"), ["8", "9", "10"]);
    assert_eq!(served.ask("GET", "/v1/events?from=x", "").0, 400);
}

#[test]
fn the_openapi_document_is_the_one_that_is_kept() {
    let document = serde_json::to_string_pretty(&execlayer_http::document()).unwrap() + "\n";
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json");
    if std::env::var_os("EXECLAYER_WRITE_GOLDEN").is_some() {
        std::fs::write(path, &document).unwrap();
    }
    assert!(
        std::fs::read_to_string(path).unwrap() == document,
        "write it anew: EXECLAYER_WRITE_GOLDEN=1"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_at_all_are_allowed_unless_they_ask_for_what_is(
        body in proptest::collection::vec(any::<u8>(), 0..200),
        cut in 0..40_usize,
        flip in 0..16_usize,
    ) {
        thread_local! {
            static SERVED: Served = Served::start(Limits::default(), "").by(agent());
        }
        SERVED.with(|served| {
            let json = "Content-Type: application/json\r\n";
            let mut near = YES.as_bytes().to_vec();
            near.truncate(cut.max(1));
            if let Some(byte) = near.get_mut(flip) {
                *byte ^= 1 << (cut % 8);
            }
            for sent in [&body, &near] {
                let (status, said) = served.ask_with("POST", "/v1/evaluate", json, sent);
                let asks = serde_json::from_slice::<serde_json::Value>(sent)
                    .is_ok_and(|value| value["action"] == "yes");
                prop_assert_eq!(said.contains("\"decision\":\"allow\""), asks, "{}", status);
                prop_assert!([200, 400].contains(&status), "{}: {}", status, said);
            }
            Ok(())
        })?;
    }
}
