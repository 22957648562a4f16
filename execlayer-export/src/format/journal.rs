//! A record as an entry of the systemd journal, and the entry as a datagram of its native protocol. Facts:
//! systemd.io/JOURNAL_NATIVE_PROTOCOL, systemd.journal-fields(7), and the rules for names in systemd's
//! `journal_field_valid` (src/libsystemd/sd-journal/journal-file.c). docs/export-formats.md says what goes where.

use serde_json::Value;

use super::{Record, reading::plain, said};

/// The `MESSAGE_ID` of each kind of record. They never change.
pub const MESSAGE_IDS: [(&str, &str); 12] = [
    ("verdict", "6d773714858b4a579f4081c77879c13b"),
    ("question", "efa538e147fd40fc867836bef4f6a2a2"),
    ("repeat", "aeb6e261d2ce481b93b62cecaedc3108"),
    ("call", "ccbb2ef8bda04bbdb5b4b86aae1eac94"),
    ("answer", "5ed65668a112415e8b0ebf7d31027d14"),
    ("grant", "818e32123096491193539eeaafff2b73"),
    ("policy", "244be0b0a9884d83a218de93a611895b"),
    ("gate", "b057c78f622247af8f8070d22eb8b75f"),
    ("state", "edd61ea611af41759e44d13a5740b4dc"),
    ("trail", "b901c34508644e638d8020280f6b2a67"),
    ("removed", "b4a01efd2dab41009d35f90e9e53a6c0"),
    ("lost", "29c954769f6e43b4b0b29b274113fc16"),
];

/// The `MESSAGE_ID` of a record of a kind that is newer than this list.
pub const OTHER_MESSAGE_ID: &str = "d859869530ed4c09aeb65cf30ef430b4";

/// The longest name of a field that journald takes.
const LONGEST_NAME: usize = 64;

/// The fields of a record's entry, in no order that means anything. A name may stand more than once: then the field has
/// each of the values.
#[must_use]
pub fn fields(record: &Record) -> Vec<(String, Vec<u8>)> {
    let kind = said::kind(record);
    let mut ids = MESSAGE_IDS.iter();
    let id = ids.find(|(known, _id)| *known == kind).map_or(OTHER_MESSAGE_ID, |(_kind, id)| id);
    // syslog(3).
    let priority = said::gravity(record).severity().to_string();
    let mut fields = vec![
        ("MESSAGE".to_owned(), said::sentence(record).into_bytes()),
        ("MESSAGE_ID".to_owned(), id.into()),
        ("PRIORITY".to_owned(), priority.into()),
        ("SYSLOG_IDENTIFIER".to_owned(), "execlayer".into()),
    ];
    for (name, value) in record {
        let mut put = |value: Vec<u8>| fields.push((own(name), value));
        match (name.as_str(), value) {
            (_, Value::Null) => {}
            // The bytes themselves take the place of what is written for them.
            ("subject" | "exe", Value::String(text)) => {
                put(bytes(record, name).unwrap_or_else(|| text.clone().into_bytes()));
            }
            ("subject_hex" | "exe_hex", _)
                if name.strip_suffix("_hex").is_some_and(|of| {
                    record.get(of).is_some_and(Value::is_string) && bytes(record, of).is_some()
                }) => {}
            (_, Value::String(text)) => put(text.clone().into_bytes()),
            // Each of them can be looked for.
            ("access" | "signers", Value::Array(values)) if values.iter().all(Value::is_string) => {
                values.iter().filter_map(Value::as_str).for_each(|value| put(value.into()));
            }
            (_, value) => put(value.to_string().into_bytes()),
        }
    }
    fields
}

/// The entry as journald reads it from its socket.
#[must_use]
pub fn datagram(fields: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut datagram = Vec::new();
    for (name, value) in fields {
        datagram.extend(name.as_bytes());
        if value.contains(&b'\n') {
            datagram.push(b'\n');
            datagram.extend((value.len() as u64).to_le_bytes());
        } else {
            datagram.push(b'=');
        }
        datagram.extend(value);
        datagram.push(b'\n');
    }
    datagram
}

/// A name that journald takes: capital letters, digits and `_`, a letter first.
fn own(name: &str) -> String {
    let mut own = format!("EXECLAYER_{}", plain(name).to_uppercase());
    own.truncate(LONGEST_NAME);
    own
}

/// The bytes that a field of hexadecimal digits stands for, if it does.
fn bytes(record: &Record, of: &str) -> Option<Vec<u8>> {
    let digits = record.get(&format!("{of}_hex"))?.as_str()?.as_bytes();
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let byte = |pair: &[u8]| match pair {
        [high, low] => u8::try_from(digit(*high)? << 4 | digit(*low)?).ok(),
        _ => None,
    };
    digits.chunks(2).map(byte).collect()
}
