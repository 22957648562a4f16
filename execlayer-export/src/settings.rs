//! What an operator wants to have sent where: one JSON file for each sink. Checks all of it, so that nothing is found out
//! later. Must not connect to anything.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use ureq::http::Uri;

/// Longest name of a sink.
const MAX_NAME: usize = 32;
/// Bytes of the largest file.
const MAX_FILE: u64 = 64 << 10;
/// Where the journal listens (systemd.io, Native Journal Protocol).
const JOURNAL: &str = "/run/systemd/journal/socket";
/// Seconds between two heads, if nothing else is said.
const EVERY: u64 = 60;

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A file or the folder.
    #[error("cannot read `{}`: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What a file says.
    #[error("`{}`: {problem}", path.display())]
    Wrong {
        /// Which.
        path: PathBuf,
        /// What is wrong with it, and what would be right.
        problem: String,
    },
}

/// How a record is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// As it is in the log.
    Records,
    /// The Open Cybersecurity Schema Framework, JSON.
    Ocsf,
    /// The Elastic Common Schema, JSON.
    Ecs,
    /// The Common Event Format, text.
    Cef,
    /// OpenTelemetry's logs, OTLP over HTTP in JSON.
    Otlp,
    /// No records: the log's signed heads.
    Checkpoint,
}

impl Format {
    const ALL: &str = "records, ocsf, ecs, cef, otlp or checkpoint";
}

/// A verdict that a record can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The call went on.
    Allow,
    /// Somebody was asked.
    Ask,
    /// The call failed.
    Deny,
}

impl Verdict {
    /// As in a record.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Ask => "ask",
            Self::Deny => "deny",
        }
    }
}

/// Where a sink that has sent nothing yet begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Begin {
    /// At the oldest record that there is.
    #[default]
    Oldest,
    /// Behind the newest signed head.
    Now,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    to: String,
    #[serde(default)]
    format: Option<Format>,
    #[serde(default)]
    verdicts: Option<Vec<Verdict>>,
    #[serde(default)]
    begin: Begin,
    #[serde(default)]
    ca: Option<PathBuf>,
    #[serde(default)]
    headers: Option<PathBuf>,
    #[serde(default)]
    every: Option<u64>,
}

/// A way for syslog messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Syslog {
    /// A unix socket, of datagrams or of a stream.
    Unix(PathBuf),
    /// One datagram a message (RFC 5426), to `host:port`.
    Udp(String),
    /// Counted octets (RFC 6587, section 3.4.1), to `host:port`.
    Tcp(String),
}

/// Where to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Lines at the end of a file; or of heads, files in a folder.
    File(PathBuf),
    /// The systemd journal's socket.
    Journal(PathBuf),
    /// Messages of RFC 5424.
    Syslog(Syslog),
    /// A POST for each batch.
    Http {
        /// Where.
        url: String,
        /// A file of certificates (PEM) that the server's must come from; else the system's.
        ca: Option<PathBuf>,
        /// A file of headers, `Name: value` a line.
        headers: Option<PathBuf>,
    },
}

/// A sink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Its name: the file's, without its ending.
    pub name: String,
    /// Where to.
    pub target: Target,
    /// In which form.
    pub format: Format,
    /// Of records with a verdict, only those with one of these.
    pub verdicts: Option<Vec<Verdict>>,
    /// From where on.
    pub begin: Begin,
    /// Of heads: how many seconds are between two, at least.
    pub every: u64,
}

/// Every sink of a folder, in the order of their names. None if there is no folder.
///
/// # Errors
///
/// A [`SettingsError`]: one wrong file is enough, so that none is missing silently.
pub fn read(folder: &Path) -> Result<Vec<Settings>, SettingsError> {
    let failed = |source| SettingsError::File { path: folder.to_owned(), source };
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|ending| ending == "json") {
            paths.push(path);
        }
    }
    paths.sort();
    let mut all: Vec<Settings> = Vec::new();
    for path in paths {
        let settings = read_one(&path)?;
        let is_file = matches!(settings.target, Target::File(_));
        if let Some(other) = all.iter().find(|one| is_file && one.target == settings.target) {
            let problem = format!("it writes to the same file as `{}`", other.name);
            return Err(SettingsError::Wrong { path, problem });
        }
        all.push(settings);
    }
    Ok(all)
}

fn read_one(path: &Path) -> Result<Settings, SettingsError> {
    let failed = |source| SettingsError::File { path: path.to_owned(), source };
    let wrong = |problem| SettingsError::Wrong { path: path.to_owned(), problem };
    if fs::metadata(path).map_err(failed)?.len() > MAX_FILE {
        return Err(wrong(format!("more than {MAX_FILE} bytes")));
    }
    let text = fs::read(path).map_err(failed)?;
    let written = serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
    let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
    check(name, written).map_err(wrong)
}

fn check(name: &str, written: Written) -> Result<Settings, String> {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(is_plain) {
        return Err(format!(
            "a sink's name is 1 to {MAX_NAME} of a-z, 0-9 and -, and the file's name is it"
        ));
    }
    let Written { to, format, verdicts, begin, ca, headers, every } = written;
    let is_https = to.starts_with("https:");
    let target = target(&to, ca.clone(), headers.clone())?;
    if ca.is_some() && !is_https {
        return Err("`ca` is for https only".to_owned());
    }
    if headers.is_some() && !matches!(target, Target::Http { .. }) {
        return Err("`headers` is for http and https only".to_owned());
    }
    if every.is_some() && format != Some(Format::Checkpoint) {
        return Err("`every` is for the format `checkpoint` only".to_owned());
    }
    let format = match (&target, format) {
        (Target::Journal(_), None | Some(Format::Records)) => Format::Records,
        (Target::Journal(_), Some(format)) if format != Format::Checkpoint => {
            return Err("the journal gets fields: leave `format` out, or say `checkpoint`".into());
        }
        (Target::Syslog(_), Some(Format::Checkpoint)) => {
            return Err("heads have several lines: send them to a file, http or the journal".into());
        }
        (Target::File(_) | Target::Syslog(_), Some(Format::Otlp)) => {
            return Err("`otlp` is for http and https only".to_owned());
        }
        (_, Some(format)) => format,
        (_, None) => return Err(format!("`format` is missing: {}", Format::ALL)),
    };
    if verdicts.is_some() && format == Format::Checkpoint {
        return Err("heads have no verdicts".to_owned());
    }
    let every = every.unwrap_or(EVERY);
    Ok(Settings { name: name.to_owned(), target, format, verdicts, begin, every })
}

fn target(to: &str, ca: Option<PathBuf>, headers: Option<PathBuf>) -> Result<Target, String> {
    let absolute = |path: &str| match path.starts_with('/') {
        true => Ok(PathBuf::from(path)),
        false => Err(format!("`{path}` is no absolute path")),
    };
    let kinds = "file:/PATH, journal:, syslog+unix:/PATH, syslog+udp://HOST:PORT, \
                 syslog+tcp://HOST:PORT, https://... or http:// to a loopback address";
    let Some((scheme, rest)) = to.split_once(':') else {
        return Err(format!("`to` names no place: {kinds}"));
    };
    match scheme {
        "file" => absolute(rest).map(Target::File),
        "journal" if rest.is_empty() => Ok(Target::Journal(JOURNAL.into())),
        "journal" => absolute(rest).map(Target::Journal),
        "syslog+unix" => absolute(rest).map(|path| Target::Syslog(Syslog::Unix(path))),
        "syslog+udp" => authority(rest).map(|host| Target::Syslog(Syslog::Udp(host))),
        "syslog+tcp" => authority(rest).map(|host| Target::Syslog(Syslog::Tcp(host))),
        "http" | "https" => {
            http(to)?;
            Ok(Target::Http { url: to.to_owned(), ca, headers })
        }
        _ => Err(format!("`{scheme}:` is no place: {kinds}")),
    }
}

fn authority(rest: &str) -> Result<String, String> {
    let host = rest.strip_prefix("//").unwrap_or(rest);
    let port = host.rsplit_once(':').filter(|(name, _port)| !name.is_empty());
    if port.is_none_or(|(_name, port)| port.parse::<u16>().is_err()) {
        return Err(format!("`{rest}` is no //HOST:PORT"));
    }
    Ok(host.to_owned())
}

/// Without TLS only on this machine.
fn http(url: &str) -> Result<(), String> {
    let uri: Uri = url.parse().map_err(|error| format!("`{url}` is no URL: {error}"))?;
    let host = uri.host().unwrap_or_default();
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err("a URL with a user in it: put `Authorization: ...` into the file of `headers`"
            .to_owned());
    }
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    match uri.scheme_str() {
        Some("http") if !address.is_ok_and(|address| address.to_canonical().is_loopback()) => {
            Err("http is for loopback addresses only, such as 127.0.0.1: others can read it on \
                 its way"
                .to_owned())
        }
        _ if host.is_empty() => Err(format!("`{url}` names no host")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{Begin, Format, Syslog, Target, Verdict, read};

    fn read_as(name: &str, text: &str) -> Result<super::Settings, String> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(name), text).unwrap();
        fs::write(folder.path().join("notes.txt"), "passed over").unwrap();
        read(folder.path()).map(|mut all| all.remove(0)).map_err(|error| error.to_string())
    }

    #[test]
    fn every_place_can_be_named() {
        for (to, format, target) in [
            ("file:/var/log/x", "ocsf", Target::File("/var/log/x".into())),
            ("syslog+unix:/dev/log", "cef", Target::Syslog(Syslog::Unix("/dev/log".into()))),
            ("syslog+udp://[::1]:514", "ecs", Target::Syslog(Syslog::Udp("[::1]:514".into()))),
            ("syslog+tcp://siem:601", "records", Target::Syslog(Syslog::Tcp("siem:601".into()))),
        ] {
            let text = format!(r#"{{"to":"{to}","format":"{format}"}}"#);
            assert_eq!(read_as("a.json", &text).unwrap().target, target, "{to}");
        }
        let all = r#"{"to":"https://collector.example/v1/logs","format":"otlp","ca":"/a.pem",
            "headers":"/h","verdicts":["deny","ask"],"begin":"now"}"#;
        let settings = read_as("far-away.json", all).unwrap();
        assert_eq!((settings.name.as_str(), settings.begin), ("far-away", Begin::Now));
        assert_eq!(settings.verdicts, Some(vec![Verdict::Deny, Verdict::Ask]));
        let journal = read_as("j.json", r#"{"to":"journal:"}"#).unwrap();
        assert_eq!(journal.target, Target::Journal(super::JOURNAL.into()));
        let heads = r#"{"to":"file:/mnt/heads","format":"checkpoint","every":3600}"#;
        let heads = read_as("heads.json", heads).unwrap();
        assert_eq!((heads.format, heads.every), (Format::Checkpoint, 3_600));
    }

    #[test]
    fn what_is_wrong_is_said_with_the_file_and_what_would_be_right() {
        for (name, text, part) in [
            ("a.json", "{", "line 1 column 1"),
            ("a.json", r#"{"to":"file:/a","fromat":"cef"}"#, "unknown field `fromat`"),
            ("A.json", r#"{"to":"file:/a","format":"cef"}"#, "a-z"),
            ("a.json", r#"{"to":"file:/a"}"#, "records, ocsf"),
            ("a.json", r#"{"to":"file:a","format":"cef"}"#, "absolute"),
            ("a.json", r#"{"to":"/var/log/x","format":"cef"}"#, "syslog+tcp://HOST:PORT"),
            ("a.json", r#"{"to":"ftp://a","format":"cef"}"#, "syslog+tcp://HOST:PORT"),
            ("a.json", r#"{"to":"syslog+tcp://siem","format":"cef"}"#, "HOST:PORT"),
            ("a.json", r#"{"to":"http://a.example/","format":"cef"}"#, "loopback"),
            ("a.json", r#"{"to":"https://u:p@a.example/","format":"cef"}"#, "Authorization"),
            ("a.json", r#"{"to":"file:/a","format":"otlp"}"#, "http"),
            ("a.json", r#"{"to":"journal:","format":"cef"}"#, "leave `format` out"),
            ("a.json", r#"{"to":"syslog+unix:/a","format":"checkpoint"}"#, "several lines"),
            ("a.json", r#"{"to":"file:/a","format":"cef","ca":"/a"}"#, "https only"),
            ("a.json", r#"{"to":"file:/a","format":"cef","every":5}"#, "`checkpoint` only"),
            ("a.json", r#"{"to":"http://127.0.0.1/","format":"cef","ca":"/a"}"#, "https only"),
        ] {
            let problem = read_as(name, text).unwrap_err();
            assert!(problem.contains(part) && problem.contains(name), "{text}: {problem}");
        }
    }

    #[test]
    fn two_sinks_do_not_write_to_one_file() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.json", "b.json"] {
            let text = r#"{"to":"file:/x","format":"cef"}"#;
            fs::write(folder.path().join(name), text).unwrap();
        }
        let problem = read(folder.path()).unwrap_err().to_string();
        assert!(problem.contains("b.json") && problem.contains("`a`"), "{problem}");
    }

    #[test]
    fn a_folder_that_is_not_there_has_no_sinks() {
        assert_eq!(read(std::path::Path::new("/nowhere/at/all")).unwrap(), []);
    }
}
