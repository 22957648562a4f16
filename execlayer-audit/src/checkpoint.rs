//! A log's head: whose, how large, which root (c2sp.org/tlog-checkpoint). Must not check signatures: `note` does.

use crate::{
    hash::Hash,
    note::{self, LogKey, NoteError},
};

/// A log's head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log.
    pub origin: String,
    /// How many records it has.
    pub size: u64,
    /// The root of their tree.
    pub root: Hash,
}

/// Why a head is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// The note around it.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The text in it.
    #[error("it is not a log's checkpoint: {0}")]
    Form(&'static str),
}

impl Checkpoint {
    /// The text that is signed.
    #[must_use]
    pub fn to_text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, self.root.to_base64())
    }

    /// Checks a signed head with the device's key, whichever of its logs it is of.
    ///
    /// # Errors
    ///
    /// A [`CheckpointError`].
    pub fn open(note: &str, key: &LogKey) -> Result<Self, CheckpointError> {
        // The origin is the signer's name, so it has to be read first; used it is after the signature fits.
        let (text, _signatures) = note::split(note)?;
        let claimed = Self::parse(text)?;
        key.named(&claimed.origin)?.open(note)?;
        Ok(claimed)
    }

    /// Reads the text. Lines that extend it are passed over.
    pub(crate) fn parse(text: &str) -> Result<Self, CheckpointError> {
        let mut lines = text.lines();
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next())
        else {
            return Err(CheckpointError::Form("it has three lines"));
        };
        if origin.is_empty() || lines.any(str::is_empty) {
            return Err(CheckpointError::Form("no line is empty"));
        }
        let number = size.parse::<u64>().ok().filter(|number| number.to_string() == size);
        Ok(Self {
            origin: origin.to_owned(),
            size: number.ok_or(CheckpointError::Form("the second line is a number"))?,
            root: Hash::from_base64(root)
                .ok_or(CheckpointError::Form("the third line is a hash"))?,
        })
    }
}
