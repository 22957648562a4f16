//! Webhooks over https on the loopback interface: what is believed, and all that is not.

use std::{
    io::{Read, Write},
    net::TcpListener,
    thread,
    time::Instant,
};

use serde_json::json;

use super::{Agents, Hook, agent, ask, host};
use crate::courier::{
    Answer,
    circuit::Circuits,
    line,
    server::{SECRET, Server, authority, response, signed},
    signature,
};

fn put(server: &Server, retries: u32, circuits: &Circuits) -> (Answer, String) {
    let agent = agent(Some(&server.ca), line::seconds(60)).unwrap();
    let hook = Hook { url: &server.url, secret: SECRET, agent: &agent };
    ask(&hook, retries, &json!({ "subject": "/bin/true" }), circuits)
}

#[test]
fn a_signed_answer_is_believed_and_the_question_is_signed() {
    for (word, answer) in
        [("allow", Answer::Allow), ("deny", Answer::Deny), ("unknown", Answer::Unknown)]
    {
        let server = Server::start(move |_, request| {
            request.answer(&json!({ "answer": word, "reason": "since", "more": 1 }).to_string())
        });
        let circuits = Circuits::default();
        assert_eq!(put(&server, 0, &circuits), (answer, "since".to_owned()));
        let request = server.requests().remove(0);
        assert!(request.head.starts_with("POST /ask HTTP/1.1\r\n"), "{}", request.head);
        assert_eq!(request.header("content-type"), "application/json");
        let body: serde_json::Value = serde_json::from_str(&request.body).unwrap();
        assert_eq!(body["version"], 1);
        assert_eq!(body["question"], json!({ "subject": "/bin/true" }));
        assert_eq!(request.nonce().len(), 32);
        let time = request.header("x-execlayer-timestamp");
        let text = format!("execlayer-question\n{time}\n{}", request.body);
        let value = request.header("x-execlayer-signature");
        assert!(signature::is_of(&value, SECRET, &[text.as_bytes()]));
    }
}

#[test]
fn what_is_not_a_signed_answer_to_this_question_is_not_believed() {
    const YES: &str = r#"{"answer":"allow"}"#;
    let elsewhere = format!("{:032}", 0);
    let huge = json!({ "answer": "allow", "reason": "x".repeat(70_000) }).to_string();
    let cases = [
        ("of another question", "signature is wrong"),
        ("unsigned", "not signed"),
        ("redirect", "status 302"),
        ("error", "status 500"),
        ("huge", "body"),
        ("no answer", "is no answer"),
        ("other bytes", "signature is wrong"),
        ("question's signature", "signature is wrong"),
    ];
    for (case, wanted) in cases {
        let (elsewhere, huge) = (elsewhere.clone(), huge.clone());
        let server = Server::start(move |_, request| {
            let right = signed(&request.nonce(), YES);
            match case {
                "of another question" => response("200 OK", &signed(&elsewhere, YES), YES),
                "unsigned" => request.answer(YES).replace("x-execlayer-signature", "x-other"),
                "redirect" => response("302 Found", &right, YES),
                "error" => response("500 No", &right, YES),
                "huge" => request.answer(&huge),
                "no answer" => request.answer(r#"{"answer":"perhaps"}"#),
                "other bytes" => response("200 OK", &right, r#"{"answer": "allow"}"#),
                _ => response("200 OK", &request.header("x-execlayer-signature"), YES),
            }
        });
        let (answer, note) = put(&server, 0, &Circuits::default());
        assert_eq!(answer, Answer::Unknown, "{case}: {note}");
        assert!(note.starts_with("127.0.0.1: ") && note.contains(wanted), "{case}: {note}");
        assert_eq!(server.requests().len(), 1, "{case}");
    }
}

#[test]
fn a_response_that_was_recorded_serves_no_second_question() {
    let first = std::sync::Mutex::new(None);
    let server = Server::start(move |_, request| {
        let new = request.answer(r#"{"answer":"allow"}"#);
        first.lock().unwrap().get_or_insert(new).clone()
    });
    let circuits = Circuits::default();
    assert_eq!(put(&server, 0, &circuits).0, Answer::Allow);
    assert_eq!(put(&server, 0, &circuits).0, Answer::Unknown);
}

#[test]
fn an_attempt_that_failed_is_repeated_with_another_nonce() {
    let server = Server::start(|number, request| match number {
        0 => response("503 Later", "", ""),
        _ => request.answer(r#"{"answer":"deny","reason":"second thought"}"#),
    });
    let said = put(&server, 1, &Circuits::default());
    assert_eq!(said, (Answer::Deny, "second thought".to_owned()));
    let requests = server.requests();
    assert_eq!(requests.len(), 2);
    assert_ne!(requests[0].nonce(), requests[1].nonce());
}

#[test]
fn a_webhook_that_keeps_failing_is_not_asked() {
    let server = Server::start(|_, _| response("500 No", "", ""));
    let circuits = Circuits::default();
    for _ in 0..3 {
        assert!(put(&server, 0, &circuits).1.contains("status 500"));
    }
    let said = put(&server, 0, &circuits);
    assert_eq!(said, (Answer::Unknown, "127.0.0.1: circuit open".to_owned()));
    assert_eq!(server.requests().len(), 3);
    // Whatever closes it: see the circuit's own test.
    circuits.tell(&server.url, true, Instant::now());
    assert!(put(&server, 0, &circuits).1.contains("status 500"));
}

#[test]
fn a_server_of_another_authority_gets_no_question() {
    let mut server = Server::start(|_, request| request.answer(r#"{"answer":"allow"}"#));
    server.ca = authority().0;
    let (answer, note) = put(&server, 0, &Circuits::default());
    assert_eq!(answer, Answer::Unknown);
    assert!(note.contains("certificate"), "{note}");
    assert!(server.requests().is_empty());
}

#[test]
fn a_server_that_says_nothing_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n");
            // Until the other side leaves.
            let _ = stream.read_to_end(&mut Vec::new());
        }
    });
    let agent = agent(None, line::seconds(1)).unwrap();
    let hook = Hook { url: &url, secret: SECRET, agent: &agent };
    let said = ask(&hook, 0, &json!({}), &Circuits::default());
    assert_eq!(said, (Answer::Unknown, "127.0.0.1: no response in time".to_owned()));
}

#[test]
fn without_tls_only_loopback_addresses_are_asked() {
    for url in ["https://hooks.example.org/x", "http://127.0.0.1:8080/", "http://[::1]/x"] {
        assert!(host(url).is_ok(), "{url}");
    }
    for url in [
        "http://hooks.example.org/",
        "http://localhost/",
        "http://127.0.0.1.example.org/",
        "http://127.0.0.1@example.org/",
        "https://user:password@example.org/",
        "ftp://127.0.0.1/",
        "/x",
        "",
    ] {
        assert!(host(url).is_err(), "{url}");
    }
}

#[test]
fn a_file_without_certificates_is_no_authority_and_clients_are_kept() {
    let mut agents = Agents::default();
    assert!(agents.get(Some("nothing".to_owned()), 1).is_err());
    let ca = authority().0;
    for timeout in [1, 2, 1] {
        assert!(agents.get(Some(ca.clone()), timeout).is_ok());
    }
    assert_eq!(agents.0.len(), 2);
}
