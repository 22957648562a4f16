//! Hashes of leaves and nodes (RFC 6962, section 2.1). Must not know how they are arranged.

use base64ct::{Base64, Encoding};
use sha2::{Digest, Sha256};

/// A SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// Of the tree without leaves.
    #[must_use]
    pub fn of_nothing() -> Self {
        Self(Sha256::digest([]).into())
    }

    /// Of one record's bytes.
    #[must_use]
    pub fn of_leaf(record: &[u8]) -> Self {
        Self(Sha256::new().chain_update([0]).chain_update(record).finalize().into())
    }

    /// Of two subtrees.
    #[must_use]
    pub fn of_node(left: Self, right: Self) -> Self {
        Self(
            Sha256::new()
                .chain_update([1])
                .chain_update(left.0)
                .chain_update(right.0)
                .finalize()
                .into(),
        )
    }

    /// Of a subtree whose leaves, or subtrees of one size, are `nodes`: a power of two, at least one.
    #[must_use]
    pub(crate) fn of_perfect(nodes: &[Self]) -> Self {
        match nodes {
            [] => Self::of_nothing(),
            [only] => *only,
            more => {
                let (left, right) = more.split_at(more.len() / 2);
                Self::of_node(Self::of_perfect(left), Self::of_perfect(right))
            }
        }
    }

    /// In standard base64.
    #[must_use]
    pub fn to_base64(self) -> String {
        Base64::encode_string(&self.0)
    }

    /// What [`Hash::to_base64`] writes.
    #[must_use]
    pub fn from_base64(text: &str) -> Option<Self> {
        Base64::decode_vec(text).ok()?.try_into().ok().map(Self)
    }
}

impl core::fmt::Debug for Hash {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Hash({})", self.to_base64())
    }
}
