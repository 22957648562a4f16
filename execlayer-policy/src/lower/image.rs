//! The image as lowering hands it on. Owns its bytes; must not know how they came about.

/// An image. Made by [`super::lower`] only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    words: Vec<u32>,
}

impl Image {
    pub(super) fn new(words: Vec<u32>) -> Self {
        Self { words }
    }

    /// The words that the kernel walks.
    #[must_use]
    pub fn words(&self) -> &[u32] {
        &self.words
    }

    /// The words, little endian: what a bundle holds and a map's value is.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }
}
