//! Entries of the systemd journal: as expected, and as journald takes them apart.
#![cfg(test)]

use std::collections::BTreeSet;

use execlayer_export::format::journal;
use proptest::prelude::*;

mod common;

/// The fields of a datagram, by the protocol's own rules.
fn parsed(mut datagram: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut fields = Vec::new();
    while !datagram.is_empty() {
        let end = datagram.iter().position(|byte| matches!(byte, b'=' | b'\n')).unwrap();
        let name = String::from_utf8(datagram[..end].to_vec()).unwrap();
        let rest = &datagram[end + 1..];
        let (length, rest) = match datagram[end] {
            b'=' => (rest.iter().position(|byte| *byte == b'\n').unwrap(), rest),
            _ => {
                let (length, rest) = rest.split_first_chunk().unwrap();
                (usize::try_from(u64::from_le_bytes(*length)).unwrap(), rest)
            }
        };
        assert_eq!(rest[length], b'\n');
        fields.push((name, rest[..length].to_vec()));
        datagram = &rest[length + 1..];
    }
    fields
}

#[test]
fn each_record_becomes_the_entry_that_was_read_and_found_right() {
    let mut text = String::new();
    for record in common::records() {
        for (name, value) in journal::fields(&record) {
            text.push_str(&format!("{name}={}\n", value.escape_ascii()));
        }
        text.push('\n');
    }
    common::assert_golden("journal.txt", &text);
}

#[test]
fn a_name_that_is_no_utf8_is_there_as_its_bytes() {
    let records = common::records();
    let record = records.iter().find(|record| record.contains_key("subject_hex")).unwrap();
    let fields = journal::fields(record);
    let value = |name: &str| {
        let mut fields = fields.iter().filter(|(known, _value)| known == name);
        fields.next().map(|(_name, value)| value.as_slice())
    };
    assert_eq!(value("EXECLAYER_SUBJECT"), Some(&b"/srv/a\n\xff"[..]));
    assert_eq!(value("EXECLAYER_SUBJECT_HEX"), None);
    assert_eq!(parsed(&journal::datagram(&fields)), fields);
}

#[test]
fn each_kind_has_a_message_id_of_128_bits_of_its_own() {
    let mut ids = journal::MESSAGE_IDS.map(|(_kind, id)| id).to_vec();
    ids.push(journal::OTHER_MESSAGE_ID);
    let is_id =
        |id: &&str| id.len() == 32 && id.chars().all(|char| "0123456789abcdef".contains(char));
    assert!(ids.iter().all(is_id));
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len());
    // systemd's rule for `MESSAGE_ID`s: random UUIDs of version 4.
    assert!(ids.iter().all(|id| &id[12..13] == "4" && "89ab".contains(&id[16..17])));
    let documented = std::fs::read_to_string(common::path("../../docs/export-formats.md")).unwrap();
    assert!(ids.iter().all(|id| documented.contains(id)), "docs/export-formats.md");
}

proptest! {
    #![proptest_config(common::cases(1_000))]

    #[test]
    fn any_object_becomes_a_datagram_that_says_the_same_when_it_is_read(
        record in common::any_record(),
    ) {
        let fields = journal::fields(&record);
        prop_assert_eq!(&parsed(&journal::datagram(&fields)), &fields);
        for (name, _value) in &fields {
            let is_in_set = |char: char| matches!(char, 'A'..='Z' | '0'..='9' | '_');
            prop_assert!(name.len() <= 64 && name.chars().all(is_in_set), "{name}");
            prop_assert!(name.starts_with(|char: char| char.is_ascii_uppercase()), "{name}");
        }
        for name in ["MESSAGE", "MESSAGE_ID", "PRIORITY", "SYSLOG_IDENTIFIER"] {
            prop_assert_eq!(fields.iter().filter(|(known, _value)| known == name).count(), 1);
        }
    }
}
