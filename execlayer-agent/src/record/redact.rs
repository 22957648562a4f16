//! Secrets in arguments, taken out before anything is stored. Best effort: what looks like none stays. Must not know
//! what arguments are for.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

/// What a secret's name has in it, in lower case.
const NAMES: [&str; 11] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "apikey",
    "api-key",
    "api_key",
    "credential",
    "private-key",
    "authorization",
];
/// What well-known secrets begin with.
const BEGINNINGS: [&str; 14] = [
    "ghp_",
    "gho_",
    "ghs_",
    "github_pat_",
    "glpat-",
    "sk-",
    "sk_live_",
    "xoxb-",
    "xoxp-",
    "AKIA",
    "ASIA",
    "AIza",
    "eyJhbGci",
    "-----BEGIN",
];
/// Bytes of a name.
const LONGEST_NAME: usize = 64;
/// What stands for a secret.
const TAKEN_OUT: &str = "[redacted]";

/// What is taken out of arguments.
#[derive(Clone, Debug, Default)]
pub struct Redaction {
    /// Further names, in lower case.
    names: Vec<String>,
}

impl Redaction {
    /// The usual ones, and the values of what has one of these in its name.
    #[must_use]
    pub fn with(names: &[String]) -> Self {
        Self { names: names.iter().map(|name| name.to_lowercase()).collect() }
    }

    /// Arguments without their secrets.
    #[must_use]
    pub fn of(&self, words: Vec<String>) -> Vec<String> {
        let mut is_value = false;
        let mut redacted = Vec::with_capacity(words.len());
        for word in words {
            if std::mem::take(&mut is_value) && !word.starts_with('-') {
                redacted.push(TAKEN_OUT.to_owned());
                continue;
            }
            // `--token VALUE`; `--token=VALUE` and `TOKEN=VALUE` are below.
            is_value = word.starts_with('-') && !word.contains('=') && self.names_a_secret(&word);
            redacted.push(self.of_word(word));
        }
        redacted
    }

    /// An object of named values as text, without its secrets.
    ///
    /// # Errors
    ///
    /// If it is no object.
    pub fn of_object(&self, json: &str) -> serde_json::Result<Box<RawValue>> {
        let object: BTreeMap<String, &RawValue> = serde_json::from_str(json)?;
        let redacted = object.into_iter().map(|(name, value)| {
            let taken_out = || serde_json::value::to_raw_value(TAKEN_OUT);
            let value = match serde_json::from_str::<String>(value.get()) {
                _ if self.names_a_secret(&name) => taken_out()?,
                Ok(text) => serde_json::value::to_raw_value(&self.of_text(&text))?,
                // Numbers as they were written, and lists.
                Err(_no_text) => value.to_owned(),
            };
            Ok((name, value))
        });
        let redacted: BTreeMap<String, Box<RawValue>> =
            redacted.collect::<serde_json::Result<_>>()?;
        serde_json::value::to_raw_value(&redacted)
    }

    /// A command line as text, without its secrets.
    #[must_use]
    pub fn of_text(&self, text: &str) -> String {
        let words = self.of(text.split(' ').map(str::to_owned).collect());
        words.join(" ")
    }

    fn of_word(&self, word: String) -> String {
        // A header: all behind it. `Authorization: Bearer ...`
        if let Some((name, value)) = word.split_once(':')
            && !value.is_empty()
            && !value.starts_with("//")
            && name.len() <= LONGEST_NAME
            && !name.contains('=')
            && self.names_a_secret(name)
        {
            return format!("{name}: {TAKEN_OUT}");
        }
        // A shell's command line is one word: each part of it is looked at.
        let is_between = |letter: char| letter.is_whitespace() || "\"'`;&|()<>".contains(letter);
        let parts = word.split_inclusive(is_between).map(|part| {
            let bare = part.trim_end_matches(is_between);
            self.of_part(bare) + part.get(bare.len()..).unwrap_or_default()
        });
        parts.collect()
    }

    fn of_part(&self, part: &str) -> String {
        if let Some((name, value)) = part.split_once('=')
            && name.len() <= LONGEST_NAME
            && self.names_a_secret(name)
        {
            // The value may stand in quotes, which end a part.
            return if value.is_empty() {
                format!("{name}=")
            } else {
                format!("{name}={TAKEN_OUT}")
            };
        }
        if let Some((scheme, rest)) = part.split_once("://")
            && let Some((login, place)) = rest.split_once('@')
            && let Some((user, _password)) = login.split_once(':')
            && !login.contains('/')
        {
            return format!("{scheme}://{user}:{TAKEN_OUT}@{place}");
        }
        let is_between = |letter: char| "/:@,=?#".contains(letter);
        let pieces = part.split_inclusive(is_between).map(|piece| {
            let bare = piece.trim_end_matches(is_between);
            let is_secret =
                |begin: &&str| bare.strip_prefix(*begin).is_some_and(|rest| rest.len() >= 8);
            let shown = if BEGINNINGS.iter().any(is_secret) { TAKEN_OUT } else { bare };
            shown.to_owned() + piece.get(bare.len()..).unwrap_or_default()
        });
        pieces.collect()
    }

    fn names_a_secret(&self, name: &str) -> bool {
        let name = name.to_lowercase();
        let further = self.names.iter().map(String::as_str);
        NAMES.into_iter().chain(further).any(|known| name.contains(known))
    }
}

#[cfg(test)]
mod tests {
    use super::Redaction;

    fn redacted(line: &[&str]) -> Vec<String> {
        let redaction = Redaction::with(&["Tan".to_owned()]);
        redaction.of(line.iter().map(|word| (*word).to_owned()).collect())
    }

    #[test]
    fn what_is_named_a_secret_is_taken_out() {
        for (line, expected) in [
            (&["x", "--password", "hunter2", "y"][..], &["x", "--password", "[redacted]", "y"][..]),
            (&["x", "--api-key=abc"], &["x", "--api-key=[redacted]"]),
            (&["env", "GITHUB_TOKEN=abc", "gh"], &["env", "GITHUB_TOKEN=[redacted]", "gh"]),
            (
                &["curl", "-H", "Authorization: Bearer abc"],
                &["curl", "-H", "Authorization: [redacted]"],
            ),
            (
                &["git", "clone", "https://me:pw@host/x"],
                &["git", "clone", "https://me:[redacted]@host/x"],
            ),
            (&["bank", "--tan=123"], &["bank", "--tan=[redacted]"]),
        ] {
            assert_eq!(redacted(line), expected);
        }
    }

    #[test]
    fn what_looks_like_a_known_secret_is_taken_out_wherever_it_stands() {
        assert_eq!(redacted(&["x", "ghp_0123456789abcdef"]), ["x", "[redacted]"]);
        let line = ["sh", "-c", "KEY=\"sk-0123456789abcdef\" run"];
        assert_eq!(redacted(&line), ["sh", "-c", "KEY=\"[redacted]\" run"]);
        let line = ["git", "clone", "https://ghp_0123456789abcdef@host/x"];
        assert_eq!(redacted(&line), ["git", "clone", "https://[redacted]@host/x"]);
    }

    #[test]
    fn a_shells_command_line_is_looked_at_part_by_part() {
        let long = "/a/folder/whose/name/is/longer/than/any/name/of/a/variable/that/anybody/uses";
        let line =
            format!("cd {long} && A=1 GITHUB_TOKEN=x gh; curl https://me:pw@host|PASSWORD=y z");
        let expected = format!(
            "cd {long} && A=1 GITHUB_TOKEN=[redacted] gh; curl https://me:[redacted]@host|PASSWORD=[redacted] z"
        );
        assert_eq!(redacted(&["bash", "-c", &line]), ["bash", "-c", &expected]);
    }

    #[test]
    fn everything_else_stays() {
        let line = [
            "cat",
            "--color=auto",
            "--password",
            "-x",
            "/etc/passwd",
            "sk-1",
            "http://host:80/a@b",
            "a=b",
            "password=",
            "",
        ];
        assert_eq!(redacted(&line), line);
    }
}
