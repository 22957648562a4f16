//! Why a bundle or a key is refused. Says what is wrong; what to do about it is for the tool.

use execlayer_common::image::ImageError;

use crate::{key::KeyId, kind::Kind, manifest::FORMAT};

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
    /// Another bundle was verified before.
    #[error("the bundle is not the one that was verified before")]
    NotNoted,
    /// The bytes are not JSON, or not an envelope.
    #[error("the bundle is not an envelope in JSON: {0}")]
    NotJson(String),
    /// No rule of the root lets anybody sign this.
    #[error("the root lets nobody sign policy `{policy}` of agent `{agent}`")]
    NobodyMaySign {
        /// The policy's name.
        policy: String,
        /// The agent's.
        agent: String,
    },
    /// An order that orders nothing.
    #[error("an order goes from a version to an older one, and this goes from {from} to {to}")]
    Order {
        /// The version that is given up.
        from: u64,
        /// The version that may be put in force.
        to: u64,
    },
    /// The envelope is for something else.
    #[error(
        "this holds `{}`, where `{}` is expected",
        found.payload_type(),
        expected.payload_type()
    )]
    OtherKind {
        /// What it is.
        found: Kind,
        /// What it should be.
        expected: Kind,
    },
    /// The envelope is for something that is not known here.
    #[error("the envelope holds `{0}`, which is not known here")]
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
    /// A root that contradicts itself.
    #[error("the root is refused: {0}")]
    Root(String),
    /// A root is followed by the next one.
    #[error("root version {found} does not follow version {current}: it is replaced by version {}", current.saturating_add(1))]
    RootVersion {
        /// The version in force.
        current: u64,
        /// The version that is there.
        found: u64,
    },
    /// Image and provenance have different numbers of rules.
    #[error("the image has {image} rules and the provenance {provenance}")]
    RuleCount {
        /// Rules of the image.
        image: u32,
        /// Rules of the provenance.
        provenance: usize,
    },
    /// The terms cannot be meant.
    #[error("the bundle's terms are refused: {0}")]
    Terms(&'static str),
    /// Too few of those who may sign did.
    #[error("{found} of the {needed} signatures that are needed: {what}")]
    Threshold {
        /// What is signed.
        what: String,
        /// Valid signatures of different keys that may sign it.
        found: usize,
        /// How many are needed.
        needed: u32,
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

impl BundleError {
    pub(crate) fn of_json(error: &serde_json::Error) -> Self {
        if error.is_eof() { Self::CutShort } else { Self::NotJson(error.to_string()) }
    }
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
