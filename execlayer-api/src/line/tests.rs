//! Claims about the encoding.

use super::*;
use crate::*;

fn requests() -> Vec<Request> {
    vec![
        Request::Hello {},
        Request::Install { path: "/var/lib/x.bundle".into() },
        Request::OpenScope { agent: "claude-code".into(), owner_pid: 7, below_owner: true },
        Request::CloseScope { id: ScopeId(3) },
        Request::Status {},
        Request::Stop { force: true },
    ]
}

#[test]
fn every_request_comes_back_as_it_was_on_one_line() {
    for request in requests() {
        let line = encode_request(&request).unwrap();
        assert_eq!(line.iter().filter(|&&byte| byte == b'\n').count(), 1);
        assert_eq!(line.last(), Some(&b'\n'));
        assert_eq!(decode_request(&line).unwrap(), request);
    }
}

#[test]
fn the_wire_form_is_what_the_protocol_says() {
    let line =
        encode_request(&Request::OpenScope { agent: "a".into(), owner_pid: 7, below_owner: false })
            .unwrap();
    assert_eq!(
        String::from_utf8(line).unwrap(),
        "{\"version\":1,\"request\":{\"open-scope\":{\"agent\":\"a\",\"owner-pid\":7}}}\n"
    );
    let failure =
        Failure { code: ErrorCode::UnknownScope, message: "no scope 3".into(), help: None };
    let line = encode_response(&Response::Error(failure)).unwrap();
    assert_eq!(
        String::from_utf8(line).unwrap(),
        "{\"version\":1,\"response\":{\"error\":{\"code\":\"unknown-scope\",\
         \"message\":\"no scope 3\"}}}\n"
    );
}

#[test]
fn a_newline_in_a_subject_stays_on_the_line() {
    let row = DeniedRow {
        count: 1,
        operation: "open".into(),
        access: vec!["read".into()],
        subject: "/a\nb".into(),
        rule: Some("r".into()),
        file: Some("p.toml".into()),
        line: Some(3),
        reason: "rule".into(),
        message: None,
        verdict: DeniedVerdict::Denied,
    };
    let summary = Summary { denied: vec![row], ..Summary::default() };
    let response = Response::Done(Outcome::Summary(summary));
    let line = encode_response(&response).unwrap();
    assert_eq!(line.iter().filter(|&&byte| byte == b'\n').count(), 1);
    assert_eq!(decode_response(&line).unwrap(), response);
}

#[test]
fn another_version_is_refused_by_its_number_whatever_else_the_line_holds() {
    let line = br#"{"version":2,"request":{"dance":{}},"new":1}"#;
    assert_eq!(decode_request(line), Err(LineError::Version { found: 2 }));
}

#[test]
fn unknown_requests_fields_and_broken_lines_are_refused() {
    for line in [
        &b""[..],
        b"{",
        b"[]",
        b"{\"request\":{\"hello\":{}}}",
        b"{\"version\":1,\"request\":{\"dance\":{}}}",
        b"{\"version\":1,\"request\":{\"hello\":{}},\"more\":1}",
        b"{\"version\":1,\"request\":{\"stop\":{\"force\":true,\"twice\":true}}}",
        b"{\"version\":1,\"request\":{\"stop\":{}}}",
        b"{\"version\":1,\"request\":{\"hello\":{}}} {}",
        b"\xff\xfe",
    ] {
        assert!(
            matches!(decode_request(line), Err(LineError::Malformed(_))),
            "{}",
            line.escape_ascii()
        );
    }
}

#[test]
fn a_line_beyond_the_limit_is_refused_before_it_is_read() {
    let line = vec![b' '; MAX_REQUEST + 1];
    assert!(matches!(decode_request(&line), Err(LineError::TooLong { .. })));
    let long = Request::Install { path: "x".repeat(MAX_REQUEST) };
    assert!(matches!(encode_request(&long), Err(LineError::TooLong { .. })));
}
