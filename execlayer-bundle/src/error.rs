//! Why a bundle or a key is refused. Says what is wrong; what to do about it is for the tool.

use execlayer_common::image::ImageError;

use crate::{envelope::PAYLOAD_TYPE, key::KeyId, manifest::FORMAT};

/// Why a bundle is refused. Whoever hands over the bytes can cause every one of these; none of them
/// changes what is in force.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// A signature that names a trusted key does not fit the content.
    #[error("the signature of key {0} does not fit the content")]
    BadSignature(KeyId),
    /// A part that is base64 is not, or not in its one canonical form.
    #[error("`{0}` is not canonical base64")]
    Base64(&'static str),
    /// The bytes end in the middle.
    #[error("the bundle is cut short")]
    CutShort,
    /// The list of signatures has no entry.
    #[error("the bundle's list of signatures is empty")]
    EmptySignatures,
    /// The manifest has another version.
    #[error("bundle format {0} is not known here (this version reads {FORMAT})")]
    Format(u64),
    /// The manifest's image is none.
    #[error("the image is refused: {0}")]
    Image(#[from] ImageError),
    /// The image's bytes are not the ones that the manifest names.
    #[error("the image's SHA-256 is not the one that the manifest names")]
    ImageDigest,
    /// The image has another length than the manifest says, or is not whole words.
    #[error("the image has {found} bytes, and the manifest says {claimed}")]
    ImageLength {
        /// What the manifest says.
        claimed: u64,
        /// What is there.
        found: usize,
    },
    /// An image in a bundle has no generation: the daemon writes it.
    #[error("the image already carries generation {0}")]
    ImageGeneration(u32),
    /// The signed payload is no manifest.
    #[error("the signed content is not a manifest: {0}")]
    Manifest(String),
    /// Manifest and provenance disagree.
    #[error("manifest and provenance name a different {0}")]
    Mismatch(&'static str),
    /// The list of signatures is missing.
    #[error("the bundle is not signed")]
    NoSignature,
    /// The bytes are not JSON, or not an envelope.
    #[error("the bundle is not an envelope in JSON: {0}")]
    NotJson(String),
    /// The envelope is for something else.
    #[error("the envelope holds `{0}` and not `{PAYLOAD_TYPE}`")]
    PayloadType(String),
    /// The provenance has another version.
    #[error("provenance format {0} is not known here")]
    ProvenanceFormat(u32),
    /// A rule comes from a file that the provenance does not list.
    #[error("rule {rule} comes from file {file}, which the provenance does not list")]
    ProvenanceFile {
        /// Number of the rule.
        rule: usize,
        /// Number of the file.
        file: u32,
    },
    /// A key is named by two signatures.
    #[error("key `{0}` is named by two signatures")]
    RepeatedKey(String),
    /// Image and provenance have different numbers of rules.
    #[error("the image has {image} rules and the provenance {provenance}")]
    RuleCount {
        /// Rules of the image.
        image: u32,
        /// Rules of the provenance.
        provenance: usize,
    },
    /// More or longer than allowed.
    #[error("{what}: {found}, and the limit is {limit}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// How large it is.
        found: usize,
        /// How large it may be.
        limit: usize,
    },
    /// No signature names a trusted key; the first key that is named.
    #[error("no signature is of a trusted key (the bundle names `{0}`)")]
    UnknownKey(String),
}

/// Why a key's file is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The second word is not 32 bytes in canonical base64.
    #[error("the key is not 32 bytes in base64")]
    Encoding,
    /// Not one line of tag, key and comment.
    #[error("a key's file is one line: `{0} <base64> <comment>`")]
    Line(&'static str),
    /// The file holds the other half of a key.
    #[error("this is a private key where a public one is expected")]
    Private,
    /// The file holds the other half of a key.
    #[error("this is a public key where a private one is expected")]
    Public,
    /// A key is trusted already.
    #[error("key {0} is listed twice")]
    Repeated(KeyId),
    /// Too many keys, or too long a file.
    #[error("{what}: {found}, and the limit is {limit}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// How large it is.
        found: usize,
        /// How large it may be.
        limit: usize,
    },
    /// The point is not on the curve, or of small order: anything would pass as its signature.
    #[error("this is not a usable ed25519 public key")]
    Weak,
}
