//! Which records are wanted. Most are passed over by a look at their bytes; only the rest are taken apart. Must not
//! print.

use std::borrow::Cow;

use execlayer_policy::{evaluate, path_pattern, pattern::Pattern};
use memchr::memmem;
use serde::Deserialize;

use crate::{error::CliError, words};

/// The fields of a record that are looked at here. What a kind of record does not have is empty.
#[derive(Debug, Deserialize)]
pub(crate) struct Record<'a> {
    pub(crate) seq: u64,
    #[serde(borrow)]
    pub(crate) kind: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) time: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(crate) agent: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(crate) verdict: Option<Cow<'a, str>>,
    #[serde(default)]
    pub(crate) enforced: Option<bool>,
    #[serde(borrow, default)]
    pub(crate) operation: Option<Cow<'a, str>>,
    #[serde(default)]
    pub(crate) access: Vec<String>,
    #[serde(borrow, default)]
    pub(crate) subject: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(crate) subject_hex: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(crate) rule: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(crate) file: Option<Cow<'a, str>>,
    #[serde(default)]
    pub(crate) line: Option<u32>,
    #[serde(borrow, default)]
    pub(crate) reason: Option<Cow<'a, str>>,
    #[serde(default)]
    pub(crate) pid: Option<u32>,
    #[serde(default)]
    pub(crate) tgid: Option<u32>,
    #[serde(default)]
    pub(crate) ppid: Option<u32>,
    #[serde(borrow, default)]
    pub(crate) comm: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(crate) exe: Option<Cow<'a, str>>,
    #[serde(default)]
    pub(crate) argv: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) ancestors: Vec<Ancestor>,
    #[serde(borrow, default)]
    pub(crate) policy: Option<Cow<'a, str>>,
    #[serde(default)]
    pub(crate) version: Option<u64>,
    #[serde(borrow, default)]
    pub(crate) digest: Option<Cow<'a, str>>,
    #[serde(default)]
    pub(crate) signers: Vec<String>,
    #[serde(default)]
    pub(crate) reasons: Vec<String>,
    #[serde(borrow, default)]
    pub(crate) message: Option<Cow<'a, str>>,
    #[serde(default)]
    pub(crate) count: Option<u64>,
    #[serde(default)]
    pub(crate) session: Option<u64>,
    #[serde(default)]
    pub(crate) question: Option<u64>,
    /// A word of an answer, a number of a verdict.
    #[serde(default)]
    pub(crate) answer: Option<serde_json::Value>,
    #[serde(borrow, default)]
    pub(crate) by: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(crate) what: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(crate) cause: Option<Cow<'a, str>>,
    #[serde(default)]
    pub(crate) lost: Option<u64>,
    #[serde(default)]
    pub(crate) size: Option<u64>,
    #[serde(default)]
    pub(crate) first: Option<u64>,
    #[serde(borrow, default)]
    pub(crate) set_aside: Option<Cow<'a, str>>,
}

/// A governed process above the one that asked.
#[derive(Debug, Deserialize)]
pub(crate) struct Ancestor {
    pub(crate) pid: u32,
    pub(crate) comm: String,
}

impl<'a> Record<'a> {
    /// How many verdicts it stands for.
    pub(crate) fn times(&self) -> u64 {
        self.count.unwrap_or(1)
    }

    /// Whether it is of a process, or of one that came from it.
    fn is_of(&self, pid: u32) -> bool {
        [self.pid, self.tgid, self.ppid].contains(&Some(pid))
            || self.ancestors.iter().any(|above| above.pid == pid)
    }

    /// Takes a record's bytes apart.
    pub(crate) fn of(bytes: &'a [u8]) -> Result<Self, CliError> {
        serde_json::from_slice(bytes).map_err(|error| {
            CliError::failure(format!("a record is not readable: {error}"))
                .help("sudo execlayer audit verify")
        })
    }

    /// What it is about, byte for byte.
    fn subject_bytes(&self) -> Option<Vec<u8>> {
        match (&self.subject_hex, &self.subject) {
            (Some(hex), _) => from_hex(hex),
            (None, subject) => subject.as_ref().map(|subject| subject.as_bytes().to_vec()),
        }
    }
}

/// Which records are wanted: all conditions hold.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Filter {
    /// Only of this agent
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
    /// Only with this verdict
    #[arg(long, value_name = "VERDICT", value_parser = ["allow", "ask", "deny"])]
    verdict: Option<String>,
    /// Only what this rule decided
    #[arg(long, value_name = "ID")]
    rule: Option<String>,
    /// Only of this kind: verdict, repeat, question, answer, grant, policy, gate, state, lost, removed or trail
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    /// Only about paths that a policy's pattern matches, such as '/etc/**'
    #[arg(long, value_name = "PATTERN", value_parser = wanted_path)]
    path: Option<WantedPath>,
    /// Only about this address: `10.0.0.1`, `10.0.0.1:443` or `[::1]:80`
    #[arg(long, value_name = "ADDRESS")]
    address: Option<String>,
    /// Only of this process and of all that came from it
    #[arg(long, value_name = "PID")]
    pid: Option<u32>,
    /// Only of this session of an agent
    #[arg(long, value_name = "NUMBER")]
    session: Option<u64>,
    /// Only from then on: 30m, 2h, 7d, 2027-01-31 or 2027-01-31T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = then)]
    since: Option<u64>,
    /// Only before then
    #[arg(long, value_name = "TIME", value_parser = then)]
    until: Option<u64>,
}

/// A pattern of paths, and a text that everything has in it that it matches.
#[derive(Clone, Debug)]
struct WantedPath {
    pattern: Pattern,
    literal: String,
}

fn wanted_path(text: &str) -> Result<WantedPath, String> {
    let pattern = path_pattern(text)?;
    // Behind a choice or an escape, what stands in the text need not stand in the path.
    let plain = text.split(['{', '[', '\\']).next().unwrap_or_default();
    let is_same_in_json = |c: char| c.is_ascii_alphanumeric() || "/._-+=@".contains(c);
    let literal = plain.split(|c: char| !is_same_in_json(c)).max_by_key(|part| part.len());
    Ok(WantedPath { pattern, literal: literal.unwrap_or_default().to_owned() })
}

/// Seconds since 1970.
fn then(text: &str) -> Result<u64, String> {
    match words::duration(text) {
        Ok(span) => Ok(words::now().saturating_sub(span)),
        Err(_no_duration) => execlayer_api::time::parse(text),
    }
}

/// A filter, made ready.
#[derive(Debug)]
pub(crate) struct Sieve<'a> {
    filter: &'a Filter,
    needles: Vec<memmem::Finder<'static>>,
    since: Option<String>,
    until: Option<String>,
}

impl Filter {
    /// The same, of denials unless it says which verdicts are wanted.
    pub(crate) fn or_denials(&self) -> Self {
        let denied = || Some("deny".to_owned());
        Self { verdict: self.verdict.clone().or_else(denied), ..self.clone() }
    }

    /// Made ready to look at records.
    pub(crate) fn sieve(&self) -> Sieve<'_> {
        let mut needles = Vec::new();
        let texts = [
            ("agent", &self.agent),
            ("verdict", &self.verdict),
            ("rule", &self.rule),
            ("kind", &self.kind),
        ];
        for (name, value) in texts {
            // As the daemon writes it: one spelling, no spaces.
            if let Some(value) = value.as_ref().and_then(|value| serde_json::to_string(value).ok())
            {
                needles.push(format!("\"{name}\":{value}"));
            }
        }
        needles.extend(self.session.map(|session| format!("\"session\":{session}")));
        needles.extend(self.path.as_ref().map(|path| path.literal.clone()));
        needles.extend(self.address.as_ref().map(|_any| "\"operation\":\"connect\"".to_owned()));
        let needles =
            needles.iter().map(|needle| memmem::Finder::new(needle).into_owned()).collect();
        let (since, until) = (self.since, self.until);
        Sieve {
            filter: self,
            needles,
            since: since.map(execlayer_api::time::shown),
            until: until.map(execlayer_api::time::shown),
        }
    }
}

impl Sieve<'_> {
    /// The record in these bytes, if it is wanted.
    pub(crate) fn take<'b>(&self, bytes: &'b [u8]) -> Result<Option<Record<'b>>, CliError> {
        if !self.may_pass(bytes) {
            return Ok(None);
        }
        let record = Record::of(bytes)?;
        Ok(self.passes(&record).then_some(record))
    }

    /// Whether a record can be wanted: a look at its bytes.
    fn may_pass(&self, bytes: &[u8]) -> bool {
        self.needles.iter().all(|needle| needle.find(bytes).is_some())
    }

    /// Whether it is.
    fn passes(&self, record: &Record<'_>) -> bool {
        let filter = self.filter;
        let is = |wanted: &Option<String>, found: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| found == Some(wanted))
        };
        is(&filter.agent, record.agent.as_deref())
            && is(&filter.verdict, record.verdict.as_deref())
            && is(&filter.rule, record.rule.as_deref())
            && is(&filter.kind, Some(&record.kind))
            && filter.session.is_none_or(|session| record.session == Some(session))
            && filter.pid.is_none_or(|pid| record.is_of(pid))
            && filter.path.as_ref().is_none_or(|path| is_about(record, &path.pattern))
            && filter.address.as_deref().is_none_or(|address| is_at(record, address))
            && self.since.as_ref().is_none_or(|since| is_from(&record.time, since))
            && self.until.as_ref().is_none_or(|until| !is_from(&record.time, until))
    }
}

fn is_about(record: &Record<'_>, pattern: &Pattern) -> bool {
    let is_path = matches!(record.operation.as_deref(), Some("open" | "exec" | "connect-unix"));
    is_path && record.subject_bytes().is_some_and(|subject| evaluate::matches(pattern, &subject))
}

/// With its protocol and port or without.
fn is_at(record: &Record<'_>, address: &str) -> bool {
    let Some(subject) = record.subject.as_deref() else { return false };
    let place = subject.split_once(':').map_or(subject, |(_protocol, place)| place);
    let host = place.rsplit_once(':').map_or(place, |(host, _port)| host);
    [subject, place, host, host.trim_matches(['[', ']'])].contains(&address)
}

/// Times are written alike, to the second and with nanoseconds behind it: their texts are in order.
fn is_from(time: &str, since: &str) -> bool {
    let seconds = |text: &str| text.get(..19).unwrap_or_default().to_owned();
    seconds(time) >= seconds(since)
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let byte = |pair: &[u8; 2]| u8::from_str_radix(core::str::from_utf8(pair).ok()?, 16).ok();
    rest.is_empty().then(|| pairs.iter().map(byte).collect())?
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::{Filter, Record};

    #[derive(Debug, Parser)]
    struct Command {
        #[command(flatten)]
        filter: Filter,
    }

    const DENIED: &str = r#"{"seq":7,"format":1,"kind":"verdict","time":"2027-01-31T12:00:00.500000000Z","agent":"claude-code","verdict":"deny","operation":"open","access":["read"],"subject":"/etc/shadow","rule":"no-\"keys\"","pid":12,"tgid":11,"ppid":10,"ancestors":[{"pid":10,"comm":"sh"},{"pid":4,"comm":"agent"}],"session":3}"#;
    const DIALLED: &str = r#"{"seq":8,"kind":"verdict","time":"2027-01-31T12:00:01.000000000Z","agent":"claude-code","verdict":"deny","operation":"connect","access":["connect"],"subject":"tcp:[::1]:443","pid":12}"#;
    const RAW: &str = r#"{"seq":9,"kind":"verdict","time":"2027-01-31T12:00:01.000000000Z","verdict":"deny","operation":"open","subject":"/a\\xff","subject_hex":"2f61ff"}"#;

    fn passes(arguments: &[&str], record: &str) -> bool {
        let command = Command::parse_from([&["x"], arguments].concat());
        let sieve = command.filter.sieve();
        let taken = sieve.passes(&Record::of(record.as_bytes()).unwrap());
        assert!(!taken || sieve.may_pass(record.as_bytes()), "what passes may pass: {arguments:?}");
        taken
    }

    #[test]
    fn each_condition_takes_what_it_names_and_nothing_else() {
        for (arguments, other) in [
            (["--agent", "claude-code"], ["--agent", "codex"]),
            (["--verdict", "deny"], ["--verdict", "allow"]),
            (["--rule", "no-\"keys\""], ["--rule", "no-keys"]),
            (["--kind", "verdict"], ["--kind", "question"]),
            (["--path", "/etc/**"], ["--path", "/etc/*/**"]),
            (["--path", "/{usr,etc}/shado?"], ["--path", "/{usr,etc}/shado"]),
            (["--pid", "10"], ["--pid", "9"]),
            (["--pid", "4"], ["--pid", "1"]),
            (["--session", "3"], ["--session", "33"]),
            (["--since", "2027-01-31T12:00:00Z"], ["--since", "2027-01-31T12:00:01Z"]),
            (["--until", "2027-01-31T12:00:01Z"], ["--until", "2027-01-31T12:00:00Z"]),
        ] {
            assert!(passes(&arguments, DENIED), "{arguments:?}");
            assert!(!passes(&other, DENIED), "{other:?}");
        }
        assert!(passes(&[], DENIED));
        assert!(
            !passes(&["--agent", "claude-code", "--verdict", "allow"], DENIED),
            "all hold, or none"
        );
    }

    #[test]
    fn addresses_are_found_with_their_port_and_without() {
        for address in ["::1", "[::1]", "[::1]:443", "tcp:[::1]:443"] {
            assert!(passes(&["--address", address], DIALLED), "{address}");
        }
        assert!(!passes(&["--address", "[::1]:80"], DIALLED));
        assert!(!passes(&["--address", "::1"], DENIED));
        assert!(!passes(&["--path", "/**"], DIALLED), "an address is no path");
    }

    #[test]
    fn a_path_that_is_no_utf8_is_matched_by_its_bytes() {
        assert!(passes(&["--path", "/a?"], RAW));
        assert!(!passes(&["--path", "/a"], RAW));
    }
}
