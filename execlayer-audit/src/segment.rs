//! Files of records: their names, and what every record begins with. Must not know the rest of a record.
//!
//! A segment is a file `records/<number of its first record, 20 digits>.jsonl`: one record a line, its newline not
//! part of what is hashed. Once it is closed it becomes the same in an LZ4 frame, `.jsonl.lz4`; where both are there, the
//! frame may be half written. The first number is a multiple of [`crate::TILE`]. Beside a segment that is closed lies
//! `<same number>.checkpoint`: the log's signed head right after its last record.

/// Folder of the segments below the log's.
pub const FOLDER: &str = "records";
/// The log's signed head, below the log's folder.
pub const CHECKPOINT: &str = "checkpoint";
/// The log's public key, below the log's folder: for whoever has no better source.
pub const PUBLIC_KEY: &str = "log.pub";
/// Bytes of the longest record: entries of c2sp.org/tlog-tiles have 16 bits for their length.
pub const MAX_RECORD: usize = 65_535;

const PREFIX: &[u8] = b"{\"seq\":";

/// A segment's file.
#[must_use]
pub fn name(first: u64) -> String {
    format!("{first:020}.jsonl")
}

/// A segment's file once it is compressed.
#[must_use]
pub fn compressed_name(first: u64) -> String {
    format!("{first:020}.jsonl.lz4")
}

/// The head beside a segment that is closed.
#[must_use]
pub fn checkpoint_name(first: u64) -> String {
    format!("{first:020}.checkpoint")
}

/// The first number of a segment with this file name.
#[must_use]
pub fn first_of(file: &str) -> Option<u64> {
    let digits = file.strip_suffix(".lz4").unwrap_or(file).strip_suffix(".jsonl");
    number(digits?)
}

/// The first number of the segment whose head has this file name.
#[must_use]
pub fn closed_of(file: &str) -> Option<u64> {
    number(file.strip_suffix(".checkpoint")?)
}

fn number(digits: &str) -> Option<u64> {
    let is_it = digits.len() == 20 && digits.bytes().all(|digit| digit.is_ascii_digit());
    is_it.then(|| digits.parse().ok())?
}

/// What a record begins with; its other fields follow, without their `{`.
#[must_use]
pub fn begin(seq: u64) -> String {
    format!("{{\"seq\":{seq},")
}

/// The number of a record.
#[must_use]
pub fn seq_of(record: &[u8]) -> Option<u64> {
    let rest = record.strip_prefix(PREFIX)?;
    let end = rest.iter().position(|byte| !byte.is_ascii_digit())?;
    let (digits, rest) = rest.split_at(end);
    if rest.first() != Some(&b',') || (digits.first() == Some(&b'0') && digits.len() > 1) {
        return None;
    }
    core::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_come_back_and_others_are_none() {
        assert_eq!(first_of(&name(u64::MAX)), Some(u64::MAX));
        assert_eq!(first_of(&name(256)), Some(256));
        assert_eq!(first_of(&compressed_name(512)), Some(512));
        assert_eq!((closed_of(&checkpoint_name(512)), closed_of(&name(512))), (Some(512), None));
        for other in [
            "00000000000000000256.lz4",
            "256.jsonl",
            "0000000000000000025+.jsonl",
            "99999999999999999999.jsonl",
            "x",
            "",
        ] {
            assert_eq!(first_of(other), None, "{other}");
        }
        assert_eq!(seq_of((begin(70) + "\"a\":1}").as_bytes()), Some(70));
        assert_eq!(seq_of(b"{\"seq\":0,"), Some(0));
        for other in [
            "",
            "{\"seq\":",
            "{\"seq\":,",
            "{\"seq\":01,",
            "{\"seq\":1}",
            "{\"seq\":-1,",
            " {\"seq\":1,",
            "{\"seq\":99999999999999999999,",
        ] {
            assert_eq!(seq_of(other.as_bytes()), None, "{other}");
        }
    }
}
