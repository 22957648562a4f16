//! Lines of the Common Event Format: as expected, and as one can take them apart again.
#![cfg(test)]

use std::collections::BTreeMap;

use execlayer_export::format::{Record, cef, said};
use proptest::prelude::*;
use serde_json::{Value, json};

mod common;

/// The seven fields of the header and the extension's pairs, by the format's own rules.
fn parsed(line: &str) -> (Vec<String>, Vec<(String, String)>) {
    let mut header = Vec::new();
    let mut field = String::new();
    let mut chars = line.chars();
    while header.len() < 7 {
        match chars.next().expect("seven fields") {
            '\\' => field.push(chars.next().expect("an escaped character")),
            '|' => header.push(std::mem::take(&mut field)),
            char => field.push(char),
        }
    }
    // A key is the word before a `=` that is not escaped.
    let (mut pairs, mut key, mut value) = (Vec::new(), None, String::new());
    while let Some(char) = chars.next() {
        match char {
            '\\' => value.push(match chars.next().expect("an escaped character") {
                'n' => '\n',
                'r' => '\r',
                char => char,
            }),
            '=' => {
                let (before, next) = value.rsplit_once(' ').unwrap_or(("", &value));
                let (before, next) = (before.to_owned(), next.to_owned());
                assert!(next.chars().all(|char| char.is_ascii_alphanumeric() || char == '_'));
                if let Some(key) = key.replace(next) {
                    pairs.push((key, before));
                }
                value.clear();
            }
            char => value.push(char),
        }
    }
    pairs.extend(key.map(|key| (key, value)));
    (header, pairs)
}

fn record(fields: Value) -> Record {
    let Value::Object(record) = fields else { unreachable!() };
    record
}

#[test]
fn each_record_becomes_the_line_that_was_read_and_found_right() {
    let release = format!("|{}|", env!("CARGO_PKG_VERSION"));
    let lines = common::records().iter().map(|record| cef::line(record) + "\n").collect::<String>();
    common::assert_golden("cef.txt", &lines.replace(&release, "|RELEASE|"));
}

#[test]
fn what_would_end_a_field_is_escaped_and_comes_back() {
    let record = record(json!({
        "kind": "a|b\\c\nd", "host": "x=1 y=2", "by": "two\nlines\r", "note": " \\= \\n | ",
    }));
    let line = cef::line(&record);
    assert!(!line.contains(['\n', '\r']), "{line}");
    let (header, pairs) = parsed(&line);
    let pairs = pairs.into_iter().collect::<BTreeMap<_, _>>();
    assert_eq!(header[4], "a|b\\c d");
    assert_eq!(pairs["cat"], "a|b\\c\nd");
    assert_eq!((&*pairs["dvchost"], &*pairs["suser"]), ("x=1 y=2", "two\nlines\r"));
    assert_eq!(pairs["ExecLayerNote"], " \\= \\n | ");
}

/// Keys of the dictionary, with the most characters of a value; 0 if it is a number or an address.
const DICTIONARY: [(&str, usize); 45] = [
    ("act", 63),
    ("c6a2", 0),
    ("c6a2Label", 1_023),
    ("c6a3", 0),
    ("c6a3Label", 1_023),
    ("cat", 1_023),
    ("cn1", 0),
    ("cn1Label", 1_023),
    ("cn2", 0),
    ("cn2Label", 1_023),
    ("cn3", 0),
    ("cn3Label", 1_023),
    ("cnt", 0),
    ("cs1", 4_000),
    ("cs1Label", 1_023),
    ("cs2", 4_000),
    ("cs2Label", 1_023),
    ("cs3", 4_000),
    ("cs3Label", 1_023),
    ("cs4", 4_000),
    ("cs4Label", 1_023),
    ("cs5", 4_000),
    ("cs5Label", 1_023),
    ("cs6", 4_000),
    ("cs6Label", 1_023),
    ("deviceProcessName", 1_023),
    ("dpt", 0),
    ("dst", 0),
    ("dvchost", 100),
    ("end", 0),
    ("externalId", 40),
    ("filePath", 1_023),
    ("fname", 1_023),
    ("msg", 1_023),
    ("outcome", 63),
    ("proto", 31),
    ("reason", 1_023),
    ("rt", 0),
    ("spid", 0),
    ("sproc", 1_023),
    ("spt", 0),
    ("src", 0),
    ("start", 0),
    ("suid", 1_023),
    ("suser", 1_023),
];

#[test]
fn each_key_is_of_the_dictionary_or_the_products_own_and_its_value_fits() {
    for record in common::records() {
        for (key, value) in parsed(&cef::line(&record)).1 {
            let known = DICTIONARY.iter().find(|(known, _most)| *known == key);
            match known {
                Some((_key, 0)) => {
                    let is_address = value.parse::<std::net::IpAddr>().is_ok();
                    assert!(is_address || value.parse::<u64>().is_ok(), "{key}={value}");
                }
                Some((_key, most)) => assert!(value.chars().count() <= *most, "{key}={value}"),
                None => assert!(key.starts_with("ExecLayer"), "{key}"),
            }
        }
    }
}

/// Control characters that CEF has no form for, as they are written.
fn shown(text: &str) -> String {
    let write = |c: char| match c {
        '\n' | '\r' => c.to_string(),
        c if c.is_ascii_control() => format!("\\x{:02x}", u32::from(c)),
        c => c.to_string(),
    };
    text.chars().map(write).collect()
}

#[test]
fn a_control_character_is_written_out() {
    let line = cef::line(&record(json!({ "kind": "verdict", "host": "a\0\tb\u{1b}[31m" })));
    assert!(line.contains("dvchost=a\\\\x00\\\\x09b\\\\x1b[31m"), "{line}");
}

proptest! {
    #![proptest_config(common::cases(1_000))]

    #[test]
    fn any_object_becomes_one_line_that_says_the_same_when_it_is_read(
        record in common::any_record(),
    ) {
        let line = cef::line(&record);
        prop_assert!(!line.contains(['\n', '\r']));
        let (header, pairs) = parsed(&line);
        prop_assert_eq!(&header[..3], ["CEF:0", "ExecLayer", "ExecLayer"]);
        prop_assert!(header[6].parse::<u8>().is_ok_and(|severity| severity <= 10));
        let count = pairs.len();
        let pairs = pairs.into_iter().collect::<BTreeMap<_, _>>();
        prop_assert_eq!(pairs.len(), count, "a key stands once");
        let said = said::sentence(&record).chars().take(1_023).collect::<String>();
        prop_assert_eq!(&pairs["msg"], &said);
        for (name, key) in [("host", "dvchost"), ("rule", "cs1"), ("agent", "cs3")] {
            let text = record.get(name).and_then(Value::as_str).map(shown);
            prop_assert_eq!(pairs.get(key), text.as_ref());
        }
    }
}
