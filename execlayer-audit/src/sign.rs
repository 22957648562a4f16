//! The device's private key. Must not reach who verifies: it is behind the feature `sign`.
//!
//! Its file is one line, as the Go module `golang.org/x/mod/sumdb/note` writes it:
//! `PRIVATE+KEY+<name>+<key id>+<base64 of 0x01 and the seed's 32 bytes>`.

use base64ct::{Base64, Encoding};
use ed25519_dalek::{Signer as _, SigningKey};
use zeroize::Zeroizing;

use crate::{
    checkpoint::Checkpoint,
    note::{DASH, ED25519, LogKey, NoteError},
};

const TAG: &str = "PRIVATE+KEY+";

/// Why a private key is refused. Says nothing of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is not a log's private key: {0}")]
pub struct SignerError(&'static str);

/// A device's private key. Wiped from memory when it is dropped.
pub struct Signer {
    public: LogKey,
    key: SigningKey,
}

impl Signer {
    /// The key of these 32 secret random bytes, under the name of a device.
    ///
    /// # Errors
    ///
    /// If that cannot be a name.
    pub fn from_random(random: &Zeroizing<[u8; 32]>, name: &str) -> Result<Self, NoteError> {
        let key = SigningKey::from_bytes(random);
        Ok(Self { public: LogKey::new(name, key.verifying_key())?, key })
    }

    /// Reads the key's file.
    ///
    /// # Errors
    ///
    /// If it is not one.
    pub fn parse(text: &str) -> Result<Self, SignerError> {
        let text =
            text.trim_end().strip_prefix(TAG).ok_or(SignerError("it has another first word"))?;
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(SignerError("it has five parts"));
        };
        let bytes = Base64::decode_vec(key).map(Zeroizing::new);
        let bytes = bytes.map_err(|_bad| SignerError("its base64 is wrong"))?;
        let Some((&ED25519, seed)) = bytes.split_first() else {
            return Err(SignerError("it is not of type Ed25519"));
        };
        let seed = Zeroizing::new(
            <[u8; 32]>::try_from(seed).map_err(|_length| SignerError("it has 32 bytes"))?,
        );
        let signer =
            Self::from_random(&seed, name).map_err(|_name| SignerError("its name is no name"))?;
        if id != format!("{:08x}", signer.public.id()) {
            return Err(SignerError("its hash does not fit"));
        }
        Ok(signer)
    }

    /// The text of its file.
    #[must_use]
    pub fn to_secret_text(&self) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new(vec![ED25519]);
        bytes.reserve_exact(32);
        bytes.extend_from_slice(self.key.as_bytes());
        let key = Zeroizing::new(Base64::encode_string(&bytes));
        let (name, id) = (self.public.name(), format!("{:08x}", self.public.id()));
        // Sized beforehand: growing would leave a copy of the key in freed memory.
        let mut text =
            Zeroizing::new(String::with_capacity(TAG.len() + name.len() + key.len() + 16));
        [TAG, name, "+", &id, "+", &key, "\n"].iter().for_each(|part| text.push_str(part));
        text
    }

    /// The half that others may know.
    #[must_use]
    pub const fn public(&self) -> &LogKey {
        &self.public
    }

    /// Signs a log's head under the log's name.
    ///
    /// # Errors
    ///
    /// If its origin cannot be a name.
    pub fn sign(&self, checkpoint: &Checkpoint) -> Result<String, NoteError> {
        let public = self.public.named(&checkpoint.origin)?;
        let text = checkpoint.to_text();
        let mut bytes = public.id().to_be_bytes().to_vec();
        bytes.extend_from_slice(&self.key.sign(text.as_bytes()).to_bytes());
        Ok(format!("{text}\n{DASH}{} {}\n", checkpoint.origin, Base64::encode_string(&bytes)))
    }
}

impl core::fmt::Debug for Signer {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Signer({})", self.public.name())
    }
}
