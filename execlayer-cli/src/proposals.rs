//! Rules that somebody's yes proposes, and the file that they are collected in. Must not touch a policy:
//! what is proposed has no effect until a person takes it over.

use std::{
    io::{Read, Write},
    net::SocketAddr,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::Path,
    time::SystemTime,
};

use execlayer_api::Question;
use execlayer_common::{access::Access, limits::MAX_POLICY_BYTES};
use execlayer_policy::{
    check,
    check::Options,
    source::{LoadError, Loaded, Loader},
};
use nix::{errno::Errno, fcntl::OFlag};

use crate::{error::CliError, files, output::printable, words};

/// Where proposals go if nothing else is said.
pub(crate) const FILE: &str = "./execlayer-proposed-rules.toml";

/// What makes a policy of proposals, so that they can be checked before anybody counts on them.
const FRAME: &str = "name = \"proposed\"\nversion = 1\n[agent]\nname = \"proposed\"\n\n";
/// Signs that mean something in a glob.
const SIGNS: [char; 9] = ['*', '?', '[', ']', '{', '}', ',', '\\', '$'];
/// Characters of a subject in an id.
const STEM: usize = 48;

/// A rule that would have allowed the call of a question.
#[derive(Debug)]
pub(crate) struct Proposal {
    question: u64,
    agent: String,
    rule: String,
    stem: String,
    access: Vec<String>,
    /// `path` or `to`.
    key: &'static str,
    pattern: String,
}

impl Proposal {
    /// Refused if the subject as it is shown is not surely the subject as it is.
    pub(crate) fn of(question: &Question) -> Result<Self, CliError> {
        let refuse = |why: &str| {
            let (id, subject) = (question.id, &question.subject);
            CliError::failure(format!("no rule can be proposed for question {id}: {why}"))
                .help(format!("its subject is `{subject}`; nothing was answered"))
                .help("approve it without `--always-this-subject`, and write a rule by hand")
        };
        let subject = question.subject.as_str();
        // `\x0a` may be a byte that is not printable, or four signs: one rule cannot mean both.
        if subject.contains('\\') || printable(subject) != subject {
            return Err(refuse("its subject has a backslash, or bytes that are not printable"));
        }
        let known = |name: &String| Access::NAMES.iter().any(|(known, _)| known == name);
        if question.access.is_empty() || !question.access.iter().all(known) {
            return Err(refuse("a policy has no names for what it wants"));
        }
        let (key, pattern) = if [["connect"], ["bind"]].iter().any(|to| question.access == to) {
            ("to", destination(subject).ok_or_else(|| refuse("it is no destination"))?)
        } else if subject.starts_with('/') {
            ("path", escaped(subject))
        } else {
            return Err(refuse("its subject is no absolute path"));
        };
        let rule = words::rule(question.rule.as_deref(), question.file.as_deref(), question.line);
        let proposal = Self {
            question: question.id,
            agent: printable(&question.agent),
            rule,
            stem: stem(subject),
            access: question.access.clone(),
            key,
            pattern,
        };
        match mistake(format!("{FRAME}{}", proposal.text(&proposal.stem, ""))) {
            Some(why) => Err(refuse(&why)),
            None => Ok(proposal),
        }
    }

    fn text(&self, id: &str, date: &str) -> String {
        let access: Vec<String> = self.access.iter().map(|name| quoted(name)).collect();
        format!(
            "# {date}: agent `{}`, question {}, asked by {}.\n\
             # Ask beats allow: that rule has to leave this subject out, too.\n\
             [[rule]]\nid = {}\nallow = [{}]\n{} = {}\n",
            self.agent,
            self.question,
            self.rule,
            quoted(id),
            access.join(", "),
            self.key,
            quoted(&self.pattern),
        )
    }
}

/// Adds rules to a file, and gives their ids. All of them or none.
pub(crate) fn append(
    path: &Path,
    proposals: &[Proposal],
    now: SystemTime,
) -> Result<Vec<String>, CliError> {
    let fail = |error: std::io::Error| files::cannot("write", path, &error);
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let mut options = std::fs::OpenOptions::new();
    options.read(true).append(true).create(true).mode(0o600).custom_flags(flags.bits());
    let shown = path.display();
    let elsewhere = "name another file with `--rules-file`; nothing was answered";
    let mut file = options.open(path).map_err(|error| {
        if error.raw_os_error() == Some(Errno::ELOOP as i32) {
            return CliError::failure(format!("`{shown}` is a symbolic link")).help(elsewhere);
        }
        fail(error)
    })?;
    file.lock().map_err(fail)?;
    let metadata = file.metadata().map_err(fail)?;
    let user = nix::unistd::geteuid().as_raw();
    // Whoever else can write there, or hangs another file's name there, must not gain by it.
    if !metadata.is_file()
        || metadata.nlink() != 1
        || metadata.uid() != user
        || metadata.mode() & 0o022 != 0
    {
        let message = format!("`{shown}` is not a file of this user alone");
        return Err(CliError::failure(message).help(elsewhere));
    }
    let mut old = String::new();
    let room = MAX_POLICY_BYTES as u64;
    (&file).take(room + 1).read_to_string(&mut old).map_err(fail)?;
    let date = date(now);
    let (mut new, mut ids) = (String::new(), Vec::new());
    for proposal in proposals {
        let id = unused(&proposal.stem, |id| {
            let written = [format!("\"{id}\""), format!("'{id}'")];
            written.iter().any(|id| old.contains(id) || new.contains(id))
        });
        let gap = if old.is_empty() && new.is_empty() { "" } else { "\n" };
        new.push_str(&format!("{gap}{}", proposal.text(&id, &date)));
        ids.push(id);
    }
    if let Some(why) = mistake(format!("{FRAME}{old}\n{new}")) {
        return Err(CliError::failure(format!("`{shown}` would not be a list of rules: {why}"))
            .help(elsewhere));
    }
    if !old.is_empty() && !old.ends_with('\n') {
        new.insert(0, '\n');
    }
    file.write_all(new.as_bytes()).and_then(|()| file.sync_all()).map_err(fail)?;
    Ok(ids)
}

/// What the compiler says against a policy.
fn mistake(text: String) -> Option<String> {
    struct Text(Vec<u8>);
    impl Loader for Text {
        fn load(&mut self, name: &str) -> Result<Loaded, LoadError> {
            Ok(Loaded { name: name.to_owned(), bytes: std::mem::take(&mut self.0) })
        }
    }
    if text.len() > MAX_POLICY_BYTES {
        return Some(format!("it has {} bytes, and the limit is {MAX_POLICY_BYTES}", text.len()));
    }
    let outcome = check("proposed", &mut Text(text.into_bytes()), &Options::default());
    outcome.errors().next().map(|error| error.message.clone())
}

/// As a policy writes it; a socket's path or abstract name is a glob.
fn destination(subject: &str) -> Option<String> {
    if subject.starts_with('/') || (subject.starts_with('@') && subject.len() > 1) {
        return Some(format!("unix:{}", escaped(subject)));
    }
    let address = subject.strip_prefix("tcp:").or_else(|| subject.strip_prefix("udp:"))?;
    address.parse::<SocketAddr>().ok().map(|_| subject.to_owned())
}

/// A glob that matches this text and nothing else.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if SIGNS.contains(&c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// A TOML string. Backslashes stand for themselves between single quotes.
fn quoted(text: &str) -> String {
    if text.contains(['\\', '"']) && !text.contains('\'') {
        return format!("'{text}'");
    }
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// What an id says about its subject.
fn stem(subject: &str) -> String {
    let name = if subject.starts_with('/') { subject.rsplit('/').next() } else { Some(subject) };
    let mut stem = String::new();
    for c in name.unwrap_or_default().chars().take(STEM) {
        let kept = if c.is_ascii_alphanumeric() || matches!(c, '_' | '.') { c } else { '-' };
        if kept != '-' || !stem.ends_with('-') {
            stem.push(kept);
        }
    }
    match stem.trim_matches('-') {
        "" => "allow-this".to_owned(),
        stem => format!("allow-{stem}"),
    }
}

fn unused(stem: &str, is_used: impl Fn(&str) -> bool) -> String {
    let numbered = (2_u64..).map(|number| format!("{stem}-{number}"));
    std::iter::once(stem.to_owned())
        .chain(numbered)
        .find(|id| !is_used(id))
        .unwrap_or_else(|| stem.to_owned())
}

/// The day in UTC, as people write it.
fn date(time: SystemTime) -> String {
    let passed = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let mut days = passed.as_secs() / 86_400;
    let is_leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let mut year = 1970;
    loop {
        let length = if is_leap(year) { 366 } else { 365 };
        if days < length {
            break;
        }
        days -= length;
        year += 1;
    }
    let february = if is_leap(year) { 29 } else { 28 };
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    format!("{year}-{month:02}-{:02}", days + 1)
}

#[cfg(test)]
mod tests;
