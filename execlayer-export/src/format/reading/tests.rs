//! What the formats rely on when they read a record.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Date, INT, Peer, Reading, base, command_line, plain};

#[test]
fn a_date_is_its_nanoseconds_since_1970() {
    for (text, nanoseconds) in [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:00.000000001Z", 1),
        ("2000-02-29T00:00:00Z", 951_782_400_000_000_000),
        ("2026-01-01T12:00:00.5Z", 1_767_268_800_500_000_000),
        ("2100-03-01T00:00:00Z", 4_107_542_400_000_000_000),
    ] {
        assert_eq!(Date::new(text).map(|date| date.nanoseconds), Some(nanoseconds), "{text}");
    }
}

#[test]
fn what_is_no_date_is_none() {
    for text in [
        "",
        "2026-01-01",
        "2026-01-01T12:00:00",
        "2026-01-01T12:00:00+00:00",
        "2026-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-01-01T24:00:00Z",
        "2026-01-01T12:00:00.Z",
        "2026-01-01T12:00:00.0000000000Z",
        "2026-01-01T12:00:00.+1Z",
        "1969-12-31T23:59:59Z",
        "9999-12-31T23:59:59Z",
    ] {
        assert!(Date::new(text).is_none(), "{text}");
    }
}

#[test]
fn a_field_of_another_type_has_no_place_and_is_left() {
    let record =
        json!({"pid": "11", "tgid": 12, "uid": -1, "gid": 4_000_000_000_u64, "comm": null});
    let Value::Object(record) = record else { unreachable!() };
    let mut read = Reading::new(&record);
    assert_eq!((read.number("pid", INT), read.number("tgid", INT)), (None, Some(12)));
    assert_eq!((read.number("uid", INT), read.number("gid", INT)), (None, None));
    let left = read.left(str::to_owned);
    assert_eq!(Value::Object(left), json!({"pid": "11", "uid": -1, "gid": 4_000_000_000_u64}));
}

#[test]
fn two_names_that_become_one_are_both_left() {
    let record = json!({"a.b": 1, "a-b": 2, "": 3});
    let Value::Object(record) = record else { unreachable!() };
    let left = Reading::new(&record).left(plain);
    assert_eq!(Value::Object(left), json!({"_": 3, "a_b": 2, "a_b_": 1}));
}

#[test]
fn an_address_is_read_and_anything_else_is_none() {
    let peer = Peer::new("udp:[2001:db8::1]:53").unwrap();
    assert_eq!(
        (peer.protocol, peer.ip.to_string().as_str(), peer.port),
        ("udp", "2001:db8::1", 53)
    );
    let peer = Peer::new("tcp:192.0.2.1:443").unwrap();
    assert_eq!((peer.number(), peer.ip.to_string().as_str()), (Some(6), "192.0.2.1"));
    for text in [
        "",
        "tcp:",
        "tcp:1.2.3.4",
        "tcp:1.2.3.4:65536",
        "sctp:1.2.3.4:1",
        "tcp:[::1:1",
        "tcp:::1:1",
    ] {
        assert!(Peer::new(text).is_none(), "{text}");
    }
}

#[test]
fn a_paths_last_part_is_its_name() {
    for (path, name) in [("/a/b", "b"), ("/a/b/", "b"), ("/", "/"), ("b", "b"), ("", "")] {
        assert_eq!(base(path), name, "{path}");
    }
}

#[test]
fn a_command_line_can_be_taken_apart_again() {
    assert_eq!(
        command_line(&["python3", "-c", "print('a b')", ""]),
        r"python3 -c 'print('\''a b'\'')' ''"
    );
}

proptest! {
    #[test]
    fn any_text_may_be_asked_for_a_date_or_an_address(text in ".*") {
        let _ = (Date::new(&text), Peer::new(&text));
    }
}
