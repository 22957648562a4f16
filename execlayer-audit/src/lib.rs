//! The Merkle log below the audit trail: hashes, tiles, checkpoints, proofs, and what a verifier concludes from them.
//! Pure: must not open files, and must not know what is in a record.
//!
//! Formats: RFC 6962 section 2.1 (the tree), c2sp.org/tlog-tiles (its hashes in files), c2sp.org/tlog-checkpoint and
//! c2sp.org/signed-note (its head, signed), c2sp.org/tlog-proof (a proof in one file). What is ours, the files of
//! records, is in [`segment`] and in `docs/formats.md`.
#![forbid(unsafe_code)]

mod checkpoint;
mod hash;
mod note;
mod proof;
#[cfg(feature = "read")]
pub mod read;
pub mod segment;
#[cfg(feature = "sign")]
mod sign;
mod tile;
mod tree;
pub mod verify;

pub use checkpoint::{Checkpoint, CheckpointError};
pub use hash::Hash;
pub use note::{LogKey, NoteError};
pub use proof::{Proof, ProofError, prove};
#[cfg(feature = "sign")]
pub use sign::{Signer, SignerError};
pub use tile::{TILE, Tile};
pub use tree::Tree;
