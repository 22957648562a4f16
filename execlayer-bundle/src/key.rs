//! Public keys, their ids and their files. Must not know private keys: they are in `sign.rs`.
//!
//! A public key's file is one line: `execlayer-ed25519 <base64> <comment>`, the base64 of 32 bytes,
//! the comment any text or none. A private key's file is the same with the tag
//! `execlayer-ed25519-secret`, and belongs to root with mode 0600.

use ed25519_dalek::VerifyingKey;
use sha2::{Digest, Sha256};

use crate::{base64, error::KeyError, hex, limits};

/// First word of a public key's file.
pub const PUBLIC_TAG: &str = "execlayer-ed25519";
/// First word of a private key's file.
pub const PRIVATE_TAG: &str = "execlayer-ed25519-secret";

/// A key's id: the first 16 bytes of the SHA-256 of its public half, shown in hex.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId([u8; 16]);

impl KeyId {
    pub(crate) fn of(key: &VerifyingKey) -> Self {
        let digest: [u8; 32] = Sha256::digest(key.as_bytes()).into();
        let mut id = [0; 16];
        id.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
        Self(id)
    }
}

impl core::fmt::Display for KeyId {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.pad(&hex::encode(&self.0))
    }
}

impl core::fmt::Debug for KeyId {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "KeyId({self})")
    }
}

/// A public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    pub(crate) key: VerifyingKey,
    comment: String,
}

impl PublicKey {
    #[cfg(feature = "sign")]
    pub(crate) fn new(key: VerifyingKey, comment: &str) -> Self {
        Self { key, comment: comment.to_owned() }
    }

    /// Reads a public key's file.
    ///
    /// # Errors
    ///
    /// A [`KeyError`] that says what is wrong.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let (tag, key, comment) = fields(text, PUBLIC_TAG)?;
        match tag {
            PUBLIC_TAG => {}
            PRIVATE_TAG => return Err(KeyError::Private),
            _ => return Err(KeyError::Line(PUBLIC_TAG)),
        }
        let bytes = base64::decode(key).ok_or(KeyError::Encoding)?;
        let bytes = bytes.try_into().map_err(|_other_length| KeyError::Encoding)?;
        let key = VerifyingKey::from_bytes(&bytes).map_err(|_not_on_curve| KeyError::Weak)?;
        if key.is_weak() {
            return Err(KeyError::Weak);
        }
        Ok(Self { key, comment: comment.to_owned() })
    }

    /// The key's id.
    #[must_use]
    pub fn id(&self) -> KeyId {
        KeyId::of(&self.key)
    }

    /// Its 32 bytes (RFC 8032, section 5.1.5).
    #[must_use]
    pub fn bytes(&self) -> &[u8; 32] {
        self.key.as_bytes()
    }

    /// The comment of its file.
    #[must_use]
    pub fn comment(&self) -> &str {
        &self.comment
    }

    /// The text of its file.
    #[must_use]
    pub fn to_text(&self) -> String {
        let key = base64::encode(self.key.as_bytes());
        let space = if self.comment.is_empty() { "" } else { " " };
        format!("{PUBLIC_TAG} {key}{space}{}\n", self.comment)
    }
}

/// The three words of a key's file: tag, base64 and comment.
pub(crate) fn fields<'a>(
    text: &'a str,
    tag: &'static str,
) -> Result<(&'a str, &'a str, &'a str), KeyError> {
    let line = text.strip_suffix('\n').unwrap_or(text);
    // With the line's end, which may be missing here, and is written: what is read can be written and read again.
    let (found, limit) = (line.len().saturating_add(1), limits::MAX_KEY_FILE_BYTES);
    if found > limit {
        return Err(KeyError::TooLarge { what: "bytes of the key's file", found, limit });
    }
    if line.contains(['\n', '\r']) {
        return Err(KeyError::Line(tag));
    }
    let mut words = line.splitn(3, ' ');
    match (words.next(), words.next()) {
        (Some(found), Some(key)) => Ok((found, key, words.next().unwrap_or(""))),
        _ => Err(KeyError::Line(tag)),
    }
}
