//! A record's fields by type, and which of them have found a place. Must not change a record.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv6Addr},
};

use serde_json::{Map, Value};

use super::Record;

/// A record while it is mapped: what was taken out has a place, and what is left goes to the sender's own fields.
pub(super) struct Reading<'a> {
    /// The record.
    pub(super) record: &'a Record,
    left: BTreeMap<&'a str, &'a Value>,
}

impl<'a> Reading<'a> {
    /// Nothing of it has a place yet. A field that is `null` says nothing, and needs none.
    pub(super) fn new(record: &'a Record) -> Self {
        let fields = record.iter().filter(|(_name, value)| !value.is_null());
        Self { record, left: fields.map(|(name, value)| (name.as_str(), value)).collect() }
    }

    /// A text.
    pub(super) fn text(&mut self, name: &str) -> Option<&'a str> {
        self.take(name, Value::as_str)
    }

    /// A text that is a date.
    pub(super) fn date(&mut self, name: &str) -> Option<Date<'a>> {
        self.take(name, |value| Date::new(value.as_str()?))
    }

    /// A number from 0 to `most`.
    pub(super) fn number(&mut self, name: &str, most: u64) -> Option<u64> {
        self.take(name, |value| value.as_u64().filter(|number| *number <= most))
    }

    /// A truth value.
    pub(super) fn flag(&mut self, name: &str) -> Option<bool> {
        self.take(name, Value::as_bool)
    }

    /// An array of texts, unless it is empty.
    pub(super) fn texts(&mut self, name: &str) -> Option<Vec<&'a str>> {
        self.take(name, texts_of)
    }

    /// The governed processes above: number and name, the parent first.
    pub(super) fn ancestors(&mut self) -> Vec<(u64, &'a str)> {
        let of = |value: &'a Value| {
            let process = value.as_object()?;
            (process.len() == 2).then_some(())?;
            Some((
                process.get("pid")?.as_u64().filter(|pid| *pid <= INT)?,
                process.get("comm")?.as_str()?,
            ))
        };
        self.take("ancestors", |value| value.as_array()?.iter().map(of).collect())
            .unwrap_or_default()
    }

    /// What has no place, with `own` as the name of each.
    pub(super) fn left(self, own: impl Fn(&str) -> String) -> Map<String, Value> {
        let mut fields = Map::new();
        for (name, value) in self.left {
            let mut name = own(name);
            // Two names that differ in what `own` cannot keep.
            while fields.contains_key(&name) {
                name.push('_');
            }
            fields.insert(name, value.clone());
        }
        fields
    }

    fn take<T>(&mut self, name: &str, of: impl FnOnce(&'a Value) -> Option<T>) -> Option<T> {
        let taken = of(self.left.get(name).copied()?)?;
        self.left.remove(name);
        Some(taken)
    }
}

/// The greatest number of a field of 32 bits with a sign.
pub(super) const INT: u64 = i32::MAX as u64;

/// The greatest number of a field of 64 bits with a sign.
pub(super) const LONG: u64 = i64::MAX as u64;

/// A text of a record.
pub(super) fn text<'a>(record: &'a Record, name: &str) -> Option<&'a str> {
    record.get(name).and_then(Value::as_str)
}

/// A number of a record.
pub(super) fn number(record: &Record, name: &str) -> Option<u64> {
    record.get(name).and_then(Value::as_u64)
}

/// The texts of an array of a record; none if it is not one.
pub(super) fn texts<'a>(record: &'a Record, name: &str) -> Vec<&'a str> {
    record.get(name).and_then(texts_of).unwrap_or_default()
}

fn texts_of(value: &Value) -> Option<Vec<&str>> {
    let texts = value.as_array().filter(|texts| !texts.is_empty())?;
    texts.iter().map(Value::as_str).collect()
}

/// A name of lower-case letters, digits and `_` as it is; what else it has becomes `_`.
pub(super) fn plain(name: &str) -> String {
    let plain = |char: char| match char {
        'a'..='z' | '0'..='9' | '_' => char,
        'A'..='Z' => char.to_ascii_lowercase(),
        _ => '_',
    };
    if name.is_empty() { "_".to_owned() } else { name.chars().map(plain).collect() }
}

/// Sets what is there.
pub(super) fn put(object: &mut Map<String, Value>, name: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        object.insert(name.to_owned(), value.into());
    }
}

/// The last part of a path.
pub(super) fn base(path: &str) -> &str {
    match path.trim_end_matches('/').rsplit('/').next() {
        None | Some("") => path,
        Some(name) => name,
    }
}

/// Arguments as a shell would take them.
pub(super) fn command_line(argv: &[&str]) -> String {
    let bare = |char: char| char.is_alphanumeric() || "-_./:=@%+,".contains(char);
    let word = |word: &&str| match !word.is_empty() && word.chars().all(bare) {
        true => (*word).to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    };
    argv.iter().map(word).collect::<Vec<_>>().join(" ")
}

/// A moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Date<'a> {
    /// As it is written: RFC 3339, in UTC.
    pub(super) text: &'a str,
    /// Since 1970.
    pub(super) nanoseconds: u64,
}

impl<'a> Date<'a> {
    /// Reads `2026-01-01T12:00:00Z`, with at most nine digits of a second's fraction.
    pub(super) fn new(text: &'a str) -> Option<Self> {
        let (date, clock) = text.strip_suffix('Z')?.split_once('T')?;
        let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
        let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
        let [hour, minute, second] = numbers(clock, ':', [2, 2, 2])?;
        let is_leap = |year: u64| {
            year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400)
        };
        let days_of = |month: u64| match month {
            4 | 6 | 9 | 11 => 30,
            2 => 28 + u64::from(is_leap(year)),
            _ => 31,
        };
        let is_date =
            year >= 1970 && (1..=12).contains(&month) && (1..=days_of(month)).contains(&day);
        let is_clock = hour < 24 && minute < 60 && second < 60;
        let is_fraction = (1..=9).contains(&fraction.len());
        if !(is_date && is_clock && is_fraction) {
            return None;
        }
        let leaps = |year: u64| year / 4 - year / 100 + year / 400;
        let days = (year - 1970) * 365 + leaps(year - 1) - leaps(1969);
        let days = days + (1..month).map(days_of).sum::<u64>() + day - 1;
        let seconds = ((days * 24 + hour) * 60 + minute) * 60 + second;
        let fraction = digits(&format!("{fraction:0<9}"))?;
        let nanoseconds = seconds.checked_mul(1_000_000_000)?.checked_add(fraction)?;
        (nanoseconds <= LONG).then_some(Self { text, nanoseconds })
    }

    /// Milliseconds since 1970.
    pub(super) fn milliseconds(self) -> u64 {
        self.nanoseconds / 1_000_000
    }
}

fn numbers(text: &str, between: char, lengths: [usize; 3]) -> Option<[u64; 3]> {
    let mut parts = text.split(between);
    let mut numbers = [0; 3];
    for (number, length) in numbers.iter_mut().zip(lengths) {
        *number = digits(parts.next().filter(|part| part.len() == length)?)?;
    }
    parts.next().is_none().then_some(numbers)
}

fn digits(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// An address as a record's subject has it: `tcp:192.0.2.1:443`, `udp:[2001:db8::1]:53`.
pub(super) struct Peer {
    /// `tcp`, `udp` or `other`.
    pub(super) protocol: &'static str,
    pub(super) ip: IpAddr,
    pub(super) port: u16,
}

impl Peer {
    /// The peer that a subject names, if it is an address.
    pub(super) fn new(subject: &str) -> Option<Self> {
        let (protocol, rest) = subject.split_once(':')?;
        let protocol = ["tcp", "udp", "other"].into_iter().find(|known| *known == protocol)?;
        let (host, port) = rest.rsplit_once(':')?;
        let ip = match host.strip_prefix('[') {
            Some(host) => IpAddr::V6(host.strip_suffix(']')?.parse::<Ipv6Addr>().ok()?),
            None => IpAddr::V4(host.parse().ok()?),
        };
        let port = u16::try_from(digits(port)?).ok()?;
        Some(Self { protocol, ip, port })
    }

    /// The protocol's number at IANA (assignments/protocol-numbers).
    pub(super) fn number(&self) -> Option<u64> {
        match self.protocol {
            "tcp" => Some(6),
            "udp" => Some(17),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
