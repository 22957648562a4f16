//! The word that says which image a profile is judged by. Replacing it is the whole policy swap.

/// A profile's slot: one aligned 64-bit word, so that a swap is one store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Slot(pub u64);

impl Slot {
    /// No policy.
    pub const EMPTY: Self = Self(0);

    /// A slot that points to `table` of size class `class` (see
    /// [`crate::limits::CLASS_WORDS`]) and expects `generation` in that image's header.
    #[must_use]
    pub const fn new(class: u8, table: u8, generation: u32) -> Self {
        Self(((generation as u64) << 32) | ((table as u64) << 8) | (class as u64) | 0x80)
    }

    /// Whether a policy is installed.
    #[must_use]
    pub const fn is_used(self) -> bool {
        self.0 & 0x80 != 0
    }

    /// Size class, 0 to 3.
    #[must_use]
    pub const fn class(self) -> u32 {
        (self.0 & 0x3) as u32
    }

    /// Index in the class's table map.
    #[must_use]
    pub const fn table(self) -> u32 {
        ((self.0 >> 8) & 0x7f) as u32
    }

    /// The generation that the image must carry.
    #[must_use]
    pub const fn generation(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

const _: () = assert!(crate::limits::MAX_TABLES == 128 && crate::limits::CLASS_WORDS.len() == 4);
