//! Tokens of callers over TCP: a file with a line for each, which holds no token but its SHA-256. Owns their format and
//! their comparison; must not know sockets.
//!
//! A line: 64 hexadecimal digits, then `read`, `answer` and `administer` separated by commas or `agent=NAME`, then a name
//! for the audit trail. `#` begins a comment.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use sha2::{Digest as _, Sha256};

use crate::caller::{Caller, Roles};

/// A file of tokens, read again every second, so that one that is taken out is one no more.
#[derive(Debug)]
pub struct TokenFile {
    path: PathBuf,
    read: Mutex<Option<(Instant, Arc<Tokens>)>>,
}

impl TokenFile {
    /// The file with that path.
    #[must_use]
    pub const fn at(path: PathBuf) -> Self {
        Self { path, read: Mutex::new(None) }
    }

    /// Its tokens.
    ///
    /// # Errors
    ///
    /// A [`TokenError`]; then nobody has a token.
    pub fn tokens(&self) -> Result<Arc<Tokens>, TokenError> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, tokens)) = &*read
            && at.elapsed() < FRESH
        {
            return Ok(Arc::clone(tokens));
        }
        // What cannot be read counts no more, not even for the rest of its second.
        *read = None;
        let tokens = Arc::new(Tokens::read(&self.path)?);
        *read = Some((Instant::now(), Arc::clone(&tokens)));
        Ok(tokens)
    }
}

/// How long what was read is believed.
const FRESH: Duration = Duration::from_secs(1);

/// Every token of a file.
#[derive(Debug, Default)]
pub struct Tokens(Vec<([u8; 32], Caller)>);

/// Why a file has no tokens.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// It cannot be read.
    #[error("cannot read it: {0}")]
    Unreadable(#[from] io::Error),
    /// Others could read or write it.
    #[error("others than its owner may read or write it: chmod 600")]
    Open,
    /// A line is wrong.
    #[error("line {line}: {what}")]
    Line {
        /// From 1.
        line: usize,
        /// What is wrong.
        what: &'static str,
    },
}

impl Tokens {
    /// Those of a file.
    ///
    /// # Errors
    ///
    /// A [`TokenError`]; then nobody has a token.
    pub fn read(path: &Path) -> Result<Self, TokenError> {
        if fs::metadata(path)?.mode() & 0o077 != 0 {
            return Err(TokenError::Open);
        }
        Self::parse(&fs::read_to_string(path)?)
    }

    fn parse(text: &str) -> Result<Self, TokenError> {
        let mut all = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            let wrong = |what| TokenError::Line { line: number + 1, what };
            let mut parts = line.split_ascii_whitespace();
            let digest = parts.next().and_then(digest);
            let digest = digest.ok_or_else(|| wrong("it begins with no SHA-256 in hex"))?;
            let may = parts.next().ok_or_else(|| wrong("it does not say what the token may"))?;
            let name = parts.next().ok_or_else(|| wrong("it has no name"))?;
            if parts.next().is_some() {
                return Err(wrong("there is more behind the name"));
            }
            all.push((digest, caller(may, name).map_err(wrong)?));
        }
        Ok(Self(all))
    }

    /// Whose token this is. Takes the same time for every token that is as long.
    #[must_use]
    pub fn caller(&self, token: &str) -> Option<&Caller> {
        let given: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let mut found = None;
        for (digest, caller) in &self.0 {
            let differ = digest.iter().zip(given).fold(0, |all, (one, other)| all | (one ^ other));
            if differ == 0 {
                found = Some(caller);
            }
        }
        found
    }
}

fn caller(may: &str, name: &str) -> Result<Caller, &'static str> {
    if let Some(agent) = may.strip_prefix("agent=") {
        return match agent {
            "" => Err("`agent=` names nobody"),
            agent => Ok(Caller::Agent { name: agent.to_owned(), session: 0, pid: 0, uid: NOBODY }),
        };
    }
    let mut roles = Roles::default();
    for role in may.split(',') {
        match role {
            "read" => roles.read = true,
            "answer" => roles.answer = true,
            "administer" => roles.administer = true,
            _ => return Err("roles are `read`, `answer` and `administer`, or `agent=NAME`"),
        }
    }
    Ok(Caller::Operator { name: name.to_owned(), roles, pid: 0, uid: NOBODY })
}

/// The uid of a caller that has none here.
const NOBODY: u32 = 65_534;

fn digest(hex: &str) -> Option<[u8; 32]> {
    let mut digest = [0; 32];
    if hex.len() != 64 || !hex.is_ascii() {
        return None;
    }
    for (byte, at) in digest.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(hex.get(at..at + 2)?, 16).ok()?;
    }
    Some(digest)
}

#[cfg(test)]
mod tests {
    use super::{Caller, Roles, TokenError, Tokens};

    /// SHA-256 of `abc` (FIPS 180-2, appendix B.1).
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn a_token_is_its_holders_and_no_other_is() {
        let tokens =
            Tokens::parse(&format!("# desk\n{ABC} read,answer desk # the desk\n")).unwrap();
        let roles = Roles { read: true, answer: true, administer: false };
        let Some(Caller::Operator { name, roles: found, .. }) = tokens.caller("abc") else {
            panic!()
        };
        assert_eq!((name.as_str(), *found), ("desk", roles));
        for other in ["", "ab", "abcd", ABC] {
            assert_eq!(tokens.caller(other), None);
        }
        let tokens = Tokens::parse(&format!("{ABC} agent=coder box\n")).unwrap();
        assert!(
            matches!(tokens.caller("abc"), Some(Caller::Agent { name, .. }) if name == "coder")
        );
    }

    #[test]
    fn a_wrong_line_is_named_and_nobody_has_a_token() {
        for line in [
            "abc read desk",
            &ABC[1..],
            &format!("{ABC} write desk"),
            &format!("{ABC} read"),
            &format!("{ABC} agent= box"),
            &format!("{ABC} read desk 2"),
            &format!("{}\u{e9} read a", &ABC[2..]),
        ] {
            let error = Tokens::parse(&format!("\n{line}")).unwrap_err();
            assert!(matches!(error, TokenError::Line { line: 2, .. }), "{line}: {error}");
        }
    }
}
