//! Whatever a record says is said in every format.
#![cfg(test)]

use execlayer_export::format::{Record, cef, ecs, journal, ocsf, otlp};
use serde_json::Value;

mod common;

/// What each format makes of a record, as text.
fn texts(record: &Record) -> [(&'static str, String); 5] {
    let entry = journal::datagram(&journal::fields(record));
    [
        ("ocsf", ocsf::event(record).to_string()),
        ("ecs", ecs::event(record).to_string()),
        ("cef", cef::line(record)),
        ("otlp", otlp::request(&[record], "0.1.0").to_string()),
        ("journal", String::from_utf8_lossy(&entry).into_owned()),
    ]
}

#[test]
fn every_field_is_found_again_in_every_format() {
    for record in common::records() {
        for (name, value) in &record {
            let (marked, mark) = match value {
                Value::String(_text) => ("mark-7e1".into(), "mark-7e1"),
                Value::Number(_number) => (7_654_321.into(), "7654321"),
                _ => continue,
            };
            // Its bytes are what is said of it.
            if record.contains_key(&format!("{name}_hex")) {
                continue;
            }
            let mut record = record.clone();
            record.insert(name.clone(), marked);
            // Milliseconds are said as nanoseconds where the format counts them so: the digits stay.
            for (format, text) in texts(&record) {
                assert!(text.contains(mark), "{format} does not say {name}: {text}");
            }
        }
    }
}

#[test]
fn a_field_that_nobody_knows_yet_is_said_in_every_format() {
    for mut record in common::records() {
        record.insert("later".to_owned(), serde_json::json!({"mark-7e1": ["mark-7e2"]}));
        for (format, text) in texts(&record) {
            assert!(text.contains("mark-7e1") && text.contains("mark-7e2"), "{format}: {text}");
        }
    }
}
