//! Signed notes and the public keys that check them (c2sp.org/signed-note). Must not know what a note says.
//!
//! A public key is written as the Go module `golang.org/x/mod/sumdb/note` writes it:
//! `<name>+<key id, 8 hex digits>+<base64 of 0x01 and the 32 bytes of the key>`.

use base64ct::{Base64, Encoding};
use ed25519_dalek::{Signature, VerifyingKey};
use sha2::{Digest, Sha256};

/// Ed25519, as in the specification's table of types.
pub(crate) const ED25519: u8 = 1;
/// Before each signature: an em dash and a space.
pub(crate) const DASH: &str = "\u{2014} ";
/// More than any log's head needs with 16 signatures.
const MAX_NOTE: usize = 64 << 10;

/// Why a note or a key is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Not a note.
    #[error("it is not a signed note: {0}")]
    Form(&'static str),
    /// Not a key.
    #[error("it is not a log's public key (`name+hash+base64`): {0}")]
    Key(&'static str),
    /// Signed by others only.
    #[error("it is signed by {}, and not by the key that was given", names(.0))]
    UnknownSigners(Vec<String>),
    /// The key's own signature is wrong.
    #[error("the signature of `{0}` does not fit: the text was changed after it was signed")]
    BadSignature(String),
}

fn names(signers: &[String]) -> String {
    let names = signers.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>();
    if names.is_empty() { "nobody".to_owned() } else { names.join(", ") }
}

/// The public key of a device, under the name of one of its logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogKey {
    name: String,
    key: VerifyingKey,
}

impl LogKey {
    pub(crate) fn new(name: &str, key: VerifyingKey) -> Result<Self, NoteError> {
        if !is_name(name) {
            return Err(NoteError::Key("a name has no spaces and no `+`"));
        }
        Ok(Self { name: name.to_owned(), key })
    }

    /// Reads a public key.
    ///
    /// # Errors
    ///
    /// [`NoteError::Key`].
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let mut parts = text.trim_end().splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(NoteError::Key("it has three parts"));
        };
        let bytes =
            Base64::decode_vec(key).map_err(|_bad| NoteError::Key("its base64 is wrong"))?;
        let Some((&ED25519, bytes)) = bytes.split_first() else {
            return Err(NoteError::Key("it is not of type Ed25519"));
        };
        let bytes =
            bytes.try_into().map_err(|_length| NoteError::Key("an Ed25519 key has 32 bytes"))?;
        let key =
            VerifyingKey::from_bytes(bytes).map_err(|_point| NoteError::Key("it is no point"))?;
        if key.is_weak() {
            return Err(NoteError::Key("anything would fit it"));
        }
        let parsed = Self::new(name, key)?;
        if id != format!("{:08x}", parsed.id()) {
            return Err(NoteError::Key("its hash does not fit its name and key"));
        }
        Ok(parsed)
    }

    /// The same key under another log's name.
    ///
    /// # Errors
    ///
    /// [`NoteError::Key`] if that cannot be a name.
    pub fn named(&self, name: &str) -> Result<Self, NoteError> {
        Self::new(name, self.key)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its id under its name.
    #[must_use]
    pub fn id(&self) -> u32 {
        let digest = Sha256::new()
            .chain_update(self.name.as_bytes())
            .chain_update([b'\n', ED25519])
            .chain_update(self.key.as_bytes())
            .finalize();
        digest.iter().take(4).fold(0, |id, &byte| id << 8 | u32::from(byte))
    }

    /// Checks a note; its text, with its last newline.
    ///
    /// # Errors
    ///
    /// A [`NoteError`]; without a signature of this key that fits, nothing of the note may be used.
    pub fn open<'a>(&self, note: &'a str) -> Result<&'a str, NoteError> {
        let (text, signatures) = split(note)?;
        let mut others = Vec::new();
        let mut is_signed = false;
        for line in signatures.lines() {
            let line =
                line.strip_prefix(DASH).ok_or(NoteError::Form("a signature begins with a dash"))?;
            let (name, encoded) =
                line.split_once(' ').ok_or(NoteError::Form("a signature has two parts"))?;
            let bytes = Base64::decode_vec(encoded)
                .map_err(|_bad| NoteError::Form("a signature's base64 is wrong"))?;
            let (id, signature) = bytes
                .split_first_chunk::<4>()
                .ok_or(NoteError::Form("a signature is too short"))?;
            if name != self.name || u32::from_be_bytes(*id) != self.id() {
                others.push(name.to_owned());
                continue;
            }
            let fits = Signature::from_slice(signature)
                .is_ok_and(|signature| self.key.verify_strict(text.as_bytes(), &signature).is_ok());
            if !fits {
                return Err(NoteError::BadSignature(self.name.clone()));
            }
            is_signed = true;
        }
        if is_signed { Ok(text) } else { Err(NoteError::UnknownSigners(others)) }
    }
}

impl core::fmt::Display for LogKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let mut bytes = vec![ED25519];
        bytes.extend_from_slice(self.key.as_bytes());
        write!(f, "{}+{:08x}+{}", self.name, self.id(), Base64::encode_string(&bytes))
    }
}

/// Text and signatures. The text is not to be trusted yet.
pub(crate) fn split(note: &str) -> Result<(&str, &str), NoteError> {
    if note.len() > MAX_NOTE {
        return Err(NoteError::Form("it is longer than 64 KiB"));
    }
    if note.chars().any(|letter| letter < ' ' && letter != '\n') {
        return Err(NoteError::Form("it has control characters"));
    }
    let blank =
        note.rfind("\n\n").ok_or(NoteError::Form("no blank line parts text and signatures"))?;
    let (text, rest) = note.split_at(blank + 1);
    let signatures = rest.strip_prefix('\n').unwrap_or_default();
    if signatures.is_empty() || !signatures.ends_with('\n') {
        return Err(NoteError::Form("it ends with lines of signatures"));
    }
    Ok((text, signatures))
}

pub(crate) fn is_name(name: &str) -> bool {
    !name.is_empty()
        && !name.contains(|letter: char| letter.is_whitespace() || letter == '+' || letter < ' ')
}

#[cfg(test)]
mod tests;
