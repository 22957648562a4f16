//! The documents of the Elastic Common Schema: as expected, and as the schema has it.
#![cfg(test)]

use std::net::IpAddr;

use execlayer_export::format::ecs;
use proptest::prelude::*;
use serde_json::Value;

mod common;

/// What is wrong with a document; empty if nothing is.
fn faults(schema: &Value, document: &Value) -> Vec<String> {
    let mut fields = Vec::new();
    flatten("", document, &mut fields);
    let mut faults = Vec::new();
    for (name, value) in &fields {
        match schema["fields"].get(name) {
            Some(fact) => check(name, fact, value, &mut faults),
            None => faults.push(format!("{name}: not in the table")),
        }
    }
    for (name, fact) in schema["fields"].as_object().unwrap() {
        if fact["required"] == true && !fields.iter().any(|(found, _value)| found == name) {
            faults.push(format!("{name}: required"));
        }
    }
    let texts = |name: &str| document["event"][name].as_array().cloned().unwrap_or_default();
    let expected = |kind: &Value| {
        let categories = texts("category");
        let mut of = categories
            .iter()
            .filter_map(|category| schema["expected_types"][category.as_str()?].as_array());
        of.any(|types| types.contains(kind))
    };
    let types = texts("type");
    let unexpected = types.iter().filter(|kind| !expected(kind));
    faults.extend(unexpected.map(|kind| format!("event.type {kind}: expected by no category")));
    faults
}

/// Every field by its whole name, but for the product's own.
fn flatten<'a>(at: &str, value: &'a Value, fields: &mut Vec<(String, &'a Value)>) {
    match value {
        Value::Object(inner) => {
            for (name, value) in inner {
                match (at, name.as_str()) {
                    ("", "execlayer") => assert!(value.is_object()),
                    ("", name) => flatten(name, value, fields),
                    (at, name) => flatten(&format!("{at}.{name}"), value, fields),
                }
            }
        }
        value => fields.push((at.to_owned(), value)),
    }
}

fn check(name: &str, fact: &Value, value: &Value, faults: &mut Vec<String>) {
    let values = match (fact["array"] == true, value) {
        (true, Value::Array(values)) => values.iter().collect(),
        (true, _) => return faults.push(format!("{name}: not an array")),
        (false, value) => vec![value],
    };
    for value in values {
        let is_right = match fact["type"].as_str().unwrap() {
            "long" => value.is_i64(),
            "ip" => value.as_str().is_some_and(|ip| ip.parse::<IpAddr>().is_ok()),
            "date" => value.as_str().is_some_and(|date| date.len() >= 20 && date.ends_with('Z')),
            _ => value.is_string(),
        };
        if !is_right {
            faults.push(format!("{name}: {value} is no {}", fact["type"]));
        }
        if let Some(allowed) = fact["values"].as_array()
            && !allowed.contains(value)
        {
            faults.push(format!("{name}: {value} is not in {allowed:?}"));
        }
    }
}

#[test]
fn each_record_becomes_the_document_that_was_read_and_found_right() {
    let events = common::records().iter().map(ecs::event).collect::<Vec<_>>();
    common::assert_golden("ecs.txt", &common::pretty(&events));
}

#[test]
fn the_table_of_the_schema_is_of_the_release_that_documents_name() {
    assert_eq!(common::schema("ecs.json")["version"], ecs::VERSION);
}

#[test]
fn each_document_fits_the_published_schema() {
    let schema = common::schema("ecs.json");
    for record in common::records() {
        let document = ecs::event(&record);
        assert_eq!(faults(&schema, &document), Vec::<String>::new(), "{document:#}");
    }
}

#[test]
fn what_does_not_fit_the_schema_is_found() {
    let schema = common::schema("ecs.json");
    let good = ecs::event(&common::records()[0]);
    for (set, name, value) in [
        ("ecs", "version", Value::Null),
        ("event", "kind", "rumour".into()),
        ("event", "type", serde_json::json!(["group"])),
        ("event", "category", "file".into()),
        ("process", "pid", "11".into()),
        ("process", "colour", "blue".into()),
        ("related", "ip", serde_json::json!(["nowhere"])),
    ] {
        let mut broken = good.clone();
        broken[set][name] = value;
        assert!(!faults(&schema, &broken).is_empty(), "{set}.{name}");
    }
}

#[test]
fn a_field_of_the_product_has_one_type_in_all_records() {
    let mut types = std::collections::BTreeMap::new();
    // The last two are what nobody writes.
    let records = common::records();
    for record in &records[..records.len() - 3] {
        let document = ecs::event(record);
        for (name, value) in document["execlayer"].as_object().unwrap() {
            let kind = std::mem::discriminant(value);
            assert_eq!(*types.entry(name.clone()).or_insert(kind), kind, "{name}");
        }
    }
}

proptest! {
    #![proptest_config(common::cases(1_000))]

    #[test]
    fn any_object_becomes_a_document_that_fits_the_schema(record in common::any_record()) {
        let document = ecs::event(&record);
        let faults = faults(&common::schema("ecs.json"), &document);
        prop_assert!(faults.is_empty(), "{faults:?} {document:#}");
    }
}
