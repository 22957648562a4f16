//! Signing, for key holders. Must not reach the daemon: it is behind the feature `sign`.

use ed25519_dalek::{Signer, SigningKey};
use zeroize::Zeroizing;

use crate::{
    base64,
    content::UnsignedBundle,
    envelope::{self, Signed},
    error::{BundleError, KeyError},
    key::{self, KeyId, PRIVATE_TAG, PUBLIC_TAG, PublicKey},
    kind::Kind,
    manifest,
    order::Rollback,
    root::Root,
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

    /// The 32 bytes that it was made from.
    #[must_use]
    pub fn secret(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.key.to_bytes())
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

/// Something signed, in its final form.
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
    sign_payload(Kind::Policy, &manifest::write(bundle)?, key)
}

/// Signs a root. Others add their signatures with [`add`].
///
/// # Errors
///
/// A [`BundleError`] if it would be refused whoever signs it.
pub fn sign_root(root: &Root, key: &PrivateKey) -> Result<SignedBundle, BundleError> {
    root.check()?;
    sign_payload(Kind::Root, &json(root)?, key)
}

/// Signs an order to go back.
///
/// # Errors
///
/// A [`BundleError`] if it would be refused whoever signs it.
pub fn sign_rollback(order: &Rollback, key: &PrivateKey) -> Result<SignedBundle, BundleError> {
    order.check()?;
    sign_payload(Kind::Rollback, &json(order)?, key)
}

/// Signs the same as others did, beside them. A signature of this key that is there is replaced.
///
/// # Errors
///
/// A [`BundleError`] if it is none of this, or has too many signatures.
pub fn add(bytes: &[u8], key: &PrivateKey) -> Result<SignedBundle, BundleError> {
    let kind = crate::kind(bytes)?;
    let mut opened = envelope::open(bytes, kind)?;
    let own = key.id().to_string();
    opened.signatures.retain(|signed| signed.keyid != own);
    opened.signatures.push(signature(kind, &opened.payload, key));
    let digest = manifest::sha256(&opened.payload);
    Ok(SignedBundle { bytes: envelope::close(kind, &opened.payload, opened.signatures)?, digest })
}

pub(crate) fn sign_payload(
    kind: Kind,
    payload: &[u8],
    key: &PrivateKey,
) -> Result<SignedBundle, BundleError> {
    let bytes = envelope::close(kind, payload, vec![signature(kind, payload, key)])?;
    Ok(SignedBundle { bytes, digest: manifest::sha256(payload) })
}

fn signature(kind: Kind, payload: &[u8], key: &PrivateKey) -> Signed {
    let message = envelope::pre_authentication(kind.payload_type(), payload);
    Signed { keyid: key.id().to_string(), sig: key.key.sign(&message).to_bytes().to_vec() }
}

fn json(content: &impl serde::Serialize) -> Result<Vec<u8>, BundleError> {
    serde_json::to_vec(content).map_err(|error| BundleError::Manifest(error.to_string()))
}
