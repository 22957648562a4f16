//! The signed bundle: one file that carries one policy's image and provenance from a key holder to
//! the daemon. Pure: bytes in, bytes out; must not open files, ask the time or draw random numbers.
//!
//! # Stages
//!
//! [`UnsignedBundle`] -> `sign` (feature `sign`, key holders only) -> `SignedBundle` ->
//! [`verify()`] -> [`VerifiedBundle`]. Only `verify.rs` makes the last one, and it hands out what it
//! read from the very bytes whose signature it checked.
//!
//! # Format 1
//!
//! A DSSE envelope in JSON: `payloadType` (a [`Kind`]), `payload` in standard base64, and `signatures`,
//! each with `keyid` and `sig` (ed25519 over DSSE's pre-authentication encoding, version 1). A policy's
//! payload is a JSON object, the manifest: `format`, `name`, `version`, `agent`, `terms` (if there are
//! any), `image` (`length` in bytes, `sha256` in hex, `words`: base64 of the image's 32-bit words, little
//! endian) and `provenance`. The same input gives the same bytes.
//!
//! A reader looks at `format` before any other field, so that a later version is refused by its
//! number. A later version may add fields; it may not give one of these another meaning.
//!
//! # Whose signature counts
//!
//! With a [`root`], as it says: so many different keys of those that it names for the policy and the
//! agent. Without one, one valid signature of a trusted key. Signatures of unknown keys beside them are
//! passed over, so that a bundle can be signed with an old and a new key at once. A bad signature that
//! names a trusted key, or a key that is named twice, refuses the whole bundle.
//!
//! # Keys
//!
//! A key's id is the SHA-256 of the 32 bytes of its public key, the first 16 bytes of it in hex. It
//! only chooses which trusted key to try. Files are described in [`key`].
#![forbid(unsafe_code)]

mod base64;
mod content;
mod envelope;
mod error;
mod hex;
pub mod key;
mod kind;
pub mod limits;
mod manifest;
pub mod order;
pub mod root;
#[cfg(feature = "sign")]
pub mod sign;
mod signatures;
mod terms;
mod trust;
mod unverified;
mod verify;

pub use content::UnsignedBundle;
pub use error::{BundleError, KeyError};
pub use key::{KeyId, PublicKey};
pub use kind::{Kind, kind};
pub use manifest::FORMAT;
#[cfg(feature = "sign")]
pub use sign::{PrivateKey, SignedBundle};
pub use signatures::signed_by;
pub use terms::{Here, Terms, TermsError};
pub use trust::TrustedKeys;
pub use unverified::{UnverifiedClaims, unverified_claims};
pub use verify::{VerifiedBundle, verify, verify_again};

#[cfg(test)]
mod tests;
