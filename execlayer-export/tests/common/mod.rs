//! The records that the tests of the formats are about, one a line in `records.jsonl`, and what is expected of them.
#![allow(dead_code, reason = "each test is a program of its own, and uses what it needs")]

use std::{fs, path::PathBuf};

use execlayer_export::format::Record;
use proptest::prelude::*;
use serde_json::{Map, Value};

/// Every record of `records.jsonl`.
pub(crate) fn records() -> Vec<Record> {
    let text = fs::read_to_string(path("records.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The file of the tests with that name.
pub(crate) fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests").join(name)
}

/// The table of a schema's facts.
pub(crate) fn schema(name: &str) -> Value {
    serde_json::from_str(&fs::read_to_string(path("schema").join(name)).unwrap()).unwrap()
}

/// Compares with what was read and found right before. `EXECLAYER_WRITE_GOLDEN=1` writes it anew, to be read in a diff.
pub(crate) fn assert_golden(name: &str, found: &str) {
    let path = path("golden").join(name);
    if std::env::var_os("EXECLAYER_WRITE_GOLDEN").is_some() {
        fs::write(&path, found).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap();
    for (number, (found, expected)) in found.lines().zip(expected.lines()).enumerate() {
        assert_eq!(found, expected, "line {} of {name}", number + 1);
    }
    assert_eq!(found.lines().count(), expected.lines().count(), "{name}");
}

/// Events as one can read them: a line for each field of the outermost object.
pub(crate) fn pretty(events: &[Value]) -> String {
    let mut text = String::new();
    for event in events {
        for (name, value) in event.as_object().unwrap() {
            text.push_str(&format!("{name}: {value}\n"));
        }
        text.push('\n');
    }
    text
}

/// So many cases, and no file of those that failed.
pub(crate) fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

/// Any JSON value.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,20}".prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "(tcp|udp|other):(1\\.2\\.3\\.4|\\[::1\\]):[0-9]{1,5}".prop_map(Value::from),
        "20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,9})?Z"
            .prop_map(Value::from),
        "([0-9a-f]{2}){0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        let name = prop_oneof![Just("pid".to_owned()), Just("comm".to_owned()), ".{0,8}"];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((name, inner), 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// Any JSON object: a record of `records.jsonl` or none, with fields of any type in place of some, and some more.
pub(crate) fn any_record() -> impl Strategy<Value = Record> {
    let records = records();
    let names = records.iter().flat_map(|record| record.keys().cloned()).collect::<Vec<_>>();
    let name = prop_oneof![
        4 => prop::sample::select(names),
        1 => any::<String>(),
        1 => "[a-z_]{50,80}",
    ];
    let others = prop::collection::vec((name, value()), 0..8);
    (prop::sample::select(records), others).prop_map(|(mut record, others)| {
        record.extend(others);
        record
    })
}
