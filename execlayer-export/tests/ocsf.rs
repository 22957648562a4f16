//! The events of the Open Cybersecurity Schema Framework: as expected, and as the schema has it.
#![cfg(test)]

use std::collections::BTreeSet;

use execlayer_export::format::ocsf;
use proptest::prelude::*;
use serde_json::Value;

mod common;
mod ocsf_schema;

#[test]
fn each_record_becomes_the_event_that_was_read_and_found_right() {
    let events = common::records().iter().map(ocsf::event).collect::<Vec<_>>();
    common::assert_golden("ocsf.txt", &common::pretty(&events));
}

#[test]
fn the_table_of_the_schema_is_of_the_release_that_events_name() {
    assert_eq!(common::schema("ocsf.json")["version"], ocsf::VERSION);
}

#[test]
fn each_event_fits_the_published_schema() {
    let schema = common::schema("ocsf.json");
    for record in common::records() {
        let event = ocsf::event(&record);
        assert_eq!(ocsf_schema::faults(&schema, &event), Vec::<String>::new(), "{event:#}");
    }
}

#[test]
fn what_does_not_fit_the_schema_is_found() {
    let schema = common::schema("ocsf.json");
    let good = ocsf::event(&common::records()[0]);
    let broken = |pointer: &str, value: Value| {
        let mut event = good.clone();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        let parent = event.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        match value {
            Value::Null => drop(parent.remove(name)),
            value => drop(parent.insert(name.to_owned(), value)),
        }
        ocsf_schema::faults(&schema, &event)
    };
    for (pointer, value) in [
        ("/severity_id", Value::Null),
        ("/severity_id", 7.into()),
        ("/severity_id", "3".into()),
        ("/type_uid", 100_101.into()),
        ("/category_uid", 4.into()),
        ("/device/os/type_id", Value::Null),
        ("/actor/process/pid", 3_000_000_000_u64.into()),
        ("/actor/process/pid", "11".into()),
        ("/actor/process/colour", "blue".into()),
        ("/actor/process/ancestry", serde_json::json!({"pid": 10})),
        ("/metadata/profiles", serde_json::json!(["host", "datetime"])),
        ("/time_dt", "yesterday".into()),
        ("/colour", "blue".into()),
    ] {
        assert!(!broken(pointer, value.clone()).is_empty(), "{pointer} = {value}");
    }
}

#[test]
fn a_record_has_the_same_name_whenever_it_is_sent_and_no_other_has_it() {
    let name = |record: &_| ocsf::event(record)["metadata"]["uid"].as_str().map(str::to_owned);
    let names = || common::records().iter().filter_map(name).collect::<Vec<_>>();
    let once = names();
    assert_eq!(once, names());
    let different = once.iter().collect::<BTreeSet<_>>();
    // Two have no number.
    assert_eq!((once.len(), different.len()), (common::records().len() - 2, once.len()));
    // A log that was set aside, and the one after it, in one boot.
    let mut later = common::records().swap_remove(0);
    later.insert("time".to_owned(), "2026-01-01T12:00:00.500000001Z".into());
    assert_ne!(name(&later), Some(once[0].clone()));
}

proptest! {
    #![proptest_config(common::cases(1_000))]

    #[test]
    fn any_object_becomes_an_event_that_fits_the_schema(record in common::any_record()) {
        let event = ocsf::event(&record);
        let faults = ocsf_schema::faults(&common::schema("ocsf.json"), &event);
        prop_assert!(faults.is_empty(), "{faults:?} {event:#}");
    }
}
