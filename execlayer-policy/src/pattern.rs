//! Patterns as trees of bytes: what a glob or an address means, without its text. Owns the meaning
//! of each node; must not know how it is written or how it is compiled.

/// A set of bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ByteSet([u64; 4]);

impl ByteSet {
    /// No byte.
    pub const EMPTY: Self = Self([0; 4]);
    /// Every byte.
    pub const ALL: Self = Self([u64::MAX; 4]);

    /// With `byte` added.
    #[must_use]
    pub fn with(mut self, byte: u8) -> Self {
        if let Some(word) = self.0.get_mut(usize::from(byte >> 6)) {
            *word |= 1 << (byte & 63);
        }
        self
    }

    /// With every byte from `first` to `last` added.
    #[must_use]
    pub fn with_range(self, first: u8, last: u8) -> Self {
        (first..=last).fold(self, Self::with)
    }

    /// Without `byte`.
    #[must_use]
    pub fn without(mut self, byte: u8) -> Self {
        if let Some(word) = self.0.get_mut(usize::from(byte >> 6)) {
            *word &= !(1 << (byte & 63));
        }
        self
    }

    /// Every byte that is not here.
    #[must_use]
    pub fn complement(self) -> Self {
        let [a, b, c, d] = self.0;
        Self([!a, !b, !c, !d])
    }

    /// What both sets have.
    #[must_use]
    pub fn intersection(self, other: Self) -> Self {
        let ([a, b, c, d], [e, f, g, h]) = (self.0, other.0);
        Self([a & e, b & f, c & g, d & h])
    }

    /// The lowest byte.
    #[must_use]
    pub fn first(&self) -> Option<u8> {
        let (word, bits) = (0..).zip(self.0).find(|&(_, bits)| bits != 0)?;
        u8::try_from(word * 64 + bits.trailing_zeros()).ok()
    }

    /// Whether `byte` is here.
    #[must_use]
    pub fn contains(&self, byte: u8) -> bool {
        self.0.get(usize::from(byte >> 6)).is_some_and(|word| word >> (byte & 63) & 1 == 1)
    }

    /// Number of bytes.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.0.iter().map(|word| word.count_ones()).sum()
    }

    /// Whether no byte is here.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0 == [0; 4]
    }

    /// The bytes in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = u8> + '_ {
        (0..=u8::MAX).filter(|&byte| self.contains(byte))
    }
}

impl core::fmt::Debug for ByteSet {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_set().entries(self.iter().map(|byte| byte.escape_ascii().to_string())).finish()
    }
}

/// A node of a pattern.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Node {
    /// Exactly this byte.
    Byte(u8),
    /// Exactly one byte of the set.
    Class(ByteSet),
    /// Any number of bytes of the set, none included.
    Repeat(ByteSet),
    /// One of these sequences.
    Either(Vec<Vec<Node>>),
}

/// A pattern: it matches a subject if its nodes, one after another, match all of its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pattern(pub Vec<Node>);
