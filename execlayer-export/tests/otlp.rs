//! Requests of the OpenTelemetry Protocol: as expected, and as its messages have it.
#![cfg(test)]

use std::collections::BTreeSet;

use execlayer_export::format::{Record, otlp};
use proptest::prelude::*;
use serde_json::{Value, json};

mod common;

/// What is wrong with a value of a message; empty if nothing is.
fn faults(schema: &Value, request: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    message(schema, "ExportLogsServiceRequest", request, &mut faults);
    let empty = Vec::new();
    let list = |value: &Value| value.as_array().unwrap_or(&empty).clone();
    for resource in list(&request["resourceLogs"]) {
        attributes(schema, "resource", &list(&resource["resource"]["attributes"]), &mut faults);
        for record in list(&resource["scopeLogs"][0]["logRecords"]) {
            attributes(schema, "record", &list(&record["attributes"]), &mut faults);
        }
    }
    faults
}

fn message(schema: &Value, kind: &str, value: &Value, faults: &mut Vec<String>) {
    if let Some(kind) = kind.strip_prefix('[').and_then(|kind| kind.strip_suffix(']')) {
        match value.as_array() {
            Some(values) => values.iter().for_each(|value| message(schema, kind, value, faults)),
            None => faults.push(format!("{value} is no list of {kind}")),
        }
        return;
    }
    let is_right = match kind {
        "string" => value.is_string(),
        "bool" => value.is_boolean(),
        "double" => value.is_number(),
        "fixed64" => value.as_str().is_some_and(|number| number.parse::<u64>().is_ok()),
        "int64" => value.as_str().is_some_and(|number| number.parse::<i64>().is_ok()),
        "SeverityNumber" => value.as_u64().is_some_and(|number| (1..=24).contains(&number)),
        kind => {
            let known = &schema["messages"][kind];
            let fields = value.as_object();
            let fields = fields.filter(|fields| kind != "AnyValue" || fields.len() <= 1);
            let Some(fields) = fields.filter(|_fields| known.is_object()) else {
                return faults.push(format!("{value} is no {kind}"));
            };
            for (name, value) in fields {
                match known[name].as_str() {
                    Some(kind) => message(schema, kind, value, faults),
                    None => faults.push(format!("{kind} has no {name}")),
                }
            }
            true
        }
    };
    if !is_right {
        faults.push(format!("{value} is no {kind}"));
    }
}

/// A name stands once, and is the product's own, or one that the conventions have for such a value.
fn attributes(schema: &Value, of: &str, list: &[Value], faults: &mut Vec<String>) {
    let mut names = BTreeSet::new();
    for attribute in list {
        let name = attribute["key"].as_str().unwrap();
        if !names.insert(name) {
            faults.push(format!("{name} twice"));
        }
        match schema["attributes"][of][name].as_str() {
            Some(kind) if attribute["value"].get(kind).is_some() => {}
            None if of == "record" && name.starts_with("execlayer.") => {}
            _ => faults.push(format!("{attribute} is not in the table")),
        }
    }
}

#[test]
fn each_record_becomes_the_request_that_was_read_and_found_right() {
    let mut text = String::new();
    for record in common::records() {
        let request = otlp::request(&[&record], "0.1.0");
        let resource = &request["resourceLogs"][0];
        text.push_str(&format!("resource: {}\n", resource["resource"]));
        let record = &resource["scopeLogs"][0]["logRecords"][0];
        for (name, value) in record.as_object().unwrap() {
            match value.as_array() {
                Some(attributes) => {
                    for attribute in attributes {
                        text.push_str(&format!("  {}: {}\n", attribute["key"], attribute["value"]));
                    }
                }
                None => text.push_str(&format!("{name}: {value}\n")),
            }
        }
        text.push('\n');
    }
    common::assert_golden("otlp.txt", &text);
}

#[test]
fn the_records_of_one_machine_are_under_one_resource_in_their_order() {
    let record = |host: &str, seq: u64| {
        let Value::Object(record) = json!({"host": host, "seq": seq}) else { unreachable!() };
        record
    };
    let records = [record("a", 1), record("b", 2), record("a", 3)];
    let request = otlp::request(&records.iter().collect::<Vec<_>>(), "0.1.0");
    let numbers = |resource: usize| {
        let records = &request["resourceLogs"][resource]["scopeLogs"][0]["logRecords"];
        let of = |record: &Value| record["attributes"].as_array().unwrap()[0]["value"].clone();
        records.as_array().unwrap().iter().map(of).collect::<Vec<_>>()
    };
    assert_eq!(numbers(0), [json!({"intValue": "1"}), json!({"intValue": "3"})]);
    assert_eq!(numbers(1), [json!({"intValue": "2"})]);
    assert_eq!(request["resourceLogs"].as_array().unwrap().len(), 2);
}

#[test]
fn a_request_fits_the_messages_of_the_protocol() {
    let schema = common::schema("otlp.json");
    assert_eq!(schema["conventions"], otlp::CONVENTIONS);
    let records = common::records();
    let request = otlp::request(&records.iter().collect::<Vec<_>>(), "0.1.0");
    assert_eq!(faults(&schema, &request), Vec::<String>::new());
}

#[test]
fn what_does_not_fit_the_messages_is_found() {
    let schema = common::schema("otlp.json");
    let record = "/resourceLogs/0/scopeLogs/0/logRecords/0";
    for (at, name, value) in [
        ("", "resource_logs", json!([])),
        (record, "timeUnixNano", json!(1)),
        (record, "severityNumber", json!(0)),
        (record, "body", json!("said")),
        (record, "body", json!({"intValue": 1})),
        (record, "attributes", json!([{"key": "process.pid", "value": {"stringValue": "1"}}])),
        (record, "attributes", json!([{"key": "process.colour", "value": {"stringValue": "1"}}])),
    ] {
        let mut broken = otlp::request(&[&common::records()[0]], "0.1.0");
        broken.pointer_mut(at).unwrap()[name] = value;
        assert!(!faults(&schema, &broken).is_empty(), "{at}/{name}");
    }
}

proptest! {
    #![proptest_config(common::cases(500))]

    #[test]
    fn any_objects_become_a_request_that_fits_the_messages(
        records in prop::collection::vec(common::any_record(), 0..3),
    ) {
        let request = otlp::request(&records.iter().collect::<Vec<&Record>>(), "0.1.0");
        let faults = faults(&common::schema("otlp.json"), &request);
        prop_assert!(faults.is_empty(), "{faults:?} {request:#}");
    }
}
