//! Secrets in arguments, taken out before anything is stored. Best effort: what looks like none stays. Must not know
//! what arguments are for.

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

    fn of_word(&self, word: String) -> String {
        if let Some((name, value)) = word.split_once('=')
            && !value.is_empty()
            && name.len() <= 64
            && self.names_a_secret(name)
        {
            return format!("{name}={TAKEN_OUT}");
        }
        // `Authorization: Bearer ...`, also within a longer word.
        if let Some((name, value)) = word.split_once(':')
            && !value.is_empty()
            && !value.starts_with("//")
            && name.len() <= 64
            && self.names_a_secret(name)
        {
            return format!("{name}: {TAKEN_OUT}");
        }
        if let Some((scheme, rest)) = word.split_once("://")
            && let Some((login, place)) = rest.split_once('@')
            && let Some((user, _password)) = login.split_once(':')
            && !login.contains('/')
        {
            return format!("{scheme}://{user}:{TAKEN_OUT}@{place}");
        }
        let is_known = |part: &str| {
            BEGINNINGS
                .iter()
                .any(|begin| part.strip_prefix(begin).is_some_and(|rest| rest.len() >= 8))
        };
        // A shell's command line is one word.
        if word
            .split(|letter: char| letter.is_whitespace() || "=\"'".contains(letter))
            .any(is_known)
        {
            return word
                .split_inclusive(|letter: char| letter.is_whitespace() || "=\"'".contains(letter))
                .map(|part| {
                    let bare = part.trim_end_matches(|letter: char| {
                        letter.is_whitespace() || "=\"'".contains(letter)
                    });
                    if is_known(bare) { part.replacen(bare, TAKEN_OUT, 1) } else { part.to_owned() }
                })
                .collect();
        }
        word
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
