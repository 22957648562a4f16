//! Signing, for key holders. Must not reach the daemon: it is behind the feature `sign`.

use ed25519_dalek::{Signer, SigningKey};
use zeroize::Zeroizing;

use crate::{
    base64,
    content::UnsignedBundle,
    envelope::{self, PAYLOAD_TYPE},
    error::{BundleError, KeyError},
    key::{self, KeyId, PRIVATE_TAG, PUBLIC_TAG, PublicKey},
    manifest,
};

/// A private key. Wiped from memory when it is dropped.
pub struct PrivateKey {
    key: SigningKey,
    comment: String,
}

impl PrivateKey {
    /// The key of these 32 secret random bytes.
    #[must_use]
    pub fn from_random(random: Zeroizing<[u8; 32]>, comment: &str) -> Self {
        // A line break would make the key's file unreadable.
        let comment = comment.split_whitespace().collect::<Vec<_>>().join(" ");
        Self { key: SigningKey::from_bytes(&random), comment }
    }

    /// Reads a private key's file.
    ///
    /// # Errors
    ///
    /// A [`KeyError`] that says what is wrong, and nothing of the key.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let (tag, key, comment) = key::fields(text, PRIVATE_TAG)?;
        match tag {
            PRIVATE_TAG => {}
            PUBLIC_TAG => return Err(KeyError::Public),
            _ => return Err(KeyError::Line(PRIVATE_TAG)),
        }
        let bytes = Zeroizing::new(base64::decode(key).ok_or(KeyError::Encoding)?);
        let bytes = bytes.as_slice().try_into().map_err(|_other_length| KeyError::Encoding)?;
        Ok(Self { key: SigningKey::from_bytes(bytes), comment: comment.to_owned() })
    }

    /// The text of its file.
    #[must_use]
    pub fn to_secret_text(&self) -> Zeroizing<String> {
        let key = Zeroizing::new(base64::encode(self.key.as_bytes()));
        let parts = [PRIVATE_TAG, " ", &key, " ", &self.comment];
        // Sized beforehand: growing would leave a copy of the key in freed memory.
        let room = parts.iter().map(|part| part.len()).sum::<usize>().saturating_add(1);
        let mut text = Zeroizing::new(String::with_capacity(room));
        parts.iter().for_each(|part| text.push_str(part));
        text.push('\n');
        text
    }

    /// The half that others may know.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey::new(self.key.verifying_key(), &self.comment)
    }

    /// The key's id.
    #[must_use]
    pub fn id(&self) -> KeyId {
        self.public().id()
    }
}

impl core::fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "PrivateKey({})", self.id())
    }
}

/// A bundle in its final form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedBundle {
    bytes: Vec<u8>,
    digest: String,
}

impl SignedBundle {
    /// The bytes of its file.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// SHA-256 of what was signed, in hex.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }
}

/// Signs a bundle.
///
/// # Errors
///
/// [`BundleError::TooLarge`].
pub fn sign(bundle: &UnsignedBundle, key: &PrivateKey) -> Result<SignedBundle, BundleError> {
    sign_payload(&manifest::write(bundle)?, key)
}

pub(crate) fn sign_payload(payload: &[u8], key: &PrivateKey) -> Result<SignedBundle, BundleError> {
    let signature = key.key.sign(&envelope::pre_authentication(PAYLOAD_TYPE, payload));
    let bytes = envelope::close(payload, &key.id().to_string(), &signature.to_bytes())?;
    Ok(SignedBundle { bytes, digest: manifest::sha256(payload) })
}
