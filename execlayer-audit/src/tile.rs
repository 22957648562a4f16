//! Where hashes lie in files (c2sp.org/tlog-tiles, "Merkle Tree"). Names and bytes only.

use crate::hash::Hash;

/// Hashes of a full tile.
pub const TILE: u64 = 256;

/// A file of up to [`TILE`] hashes: those of leaves at level 0, those of full tiles of the level below above.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tile {
    /// Its level, 0 to 7: 2^64 leaves have no more.
    pub level: u8,
    /// Its place in its level.
    pub index: u64,
    /// How many hashes it holds, 1 to [`TILE`].
    pub width: u16,
}

impl Tile {
    /// Where it lies below the log's folder.
    #[must_use]
    pub fn path(&self) -> String {
        format!("tile/{}/{}", self.level, place(self.index, self.width))
    }

    /// Where the records of a tile of level 0 lie, in the form of c2sp.org/tlog-tiles, "Log entries".
    #[must_use]
    pub fn entries_path(&self) -> String {
        format!("tile/entries/{}", place(self.index, self.width))
    }

    /// The full tile at a place.
    #[must_use]
    pub const fn full(level: u8, index: u64) -> Self {
        Self { level, index, width: TILE as u16 }
    }

    /// Whether all its hashes are there.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.width as u64 == TILE
    }

    /// The tile that is not full at a level, in a tree of `size` leaves.
    #[must_use]
    pub fn partial(level: u8, size: u64) -> Option<Self> {
        let nodes = size.checked_shr(8 * u32::from(level))?;
        let width = (nodes % TILE) as u16;
        (width != 0).then_some(Self { level, index: nodes / TILE, width })
    }

    /// The bytes of a tile's file.
    #[must_use]
    pub fn to_bytes(hashes: &[Hash]) -> Vec<u8> {
        hashes.iter().flat_map(|hash| hash.0).collect()
    }

    /// The hashes in its file, if that is of the right length.
    #[must_use]
    pub fn hashes_of(&self, bytes: &[u8]) -> Option<Vec<Hash>> {
        let (hashes, rest) = bytes.as_chunks::<32>();
        (rest.is_empty() && hashes.len() == usize::from(self.width))
            .then(|| hashes.iter().copied().map(Hash).collect())
    }

    /// Every tile that is not full in a tree of `size` leaves.
    pub fn partials(size: u64) -> impl Iterator<Item = Self> {
        (0..8).filter_map(move |level| Self::partial(level, size))
    }
}

/// Three digits each, all but the last behind an `x`.
fn place(index: u64, width: u16) -> String {
    let mut text = format!("{:03}", index % 1000);
    let mut rest = index / 1000;
    while rest != 0 {
        text = format!("x{:03}/{text}", rest % 1000);
        rest /= 1000;
    }
    if u64::from(width) != TILE {
        text.push_str(&format!(".p/{width}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_specification_hold() {
        assert_eq!(Tile::full(0, 1_234_067).path(), "tile/0/x001/x234/067");
        assert_eq!(Tile { level: 1, index: 0, width: 17 }.path(), "tile/1/000.p/17");
        assert_eq!(Tile::full(0, 5).entries_path(), "tile/entries/005");
        // "a tree of size 70,000 ..." and "a tree of size 256 ...".
        let partial = |size| {
            Tile::partials(size)
                .map(|tile| (tile.level, tile.index, tile.width))
                .collect::<Vec<_>>()
        };
        assert_eq!(partial(70_000), [(0, 273, 112), (1, 1, 17), (2, 0, 1)]);
        assert_eq!(partial(256), [(1, 0, 1)]);
        assert_eq!(partial(0), []);
    }

    #[test]
    fn a_tile_of_another_length_is_none() {
        let hashes = [Hash([7; 32]), Hash([8; 32])];
        let of = |width| Tile { level: 0, index: 0, width };
        assert_eq!(of(2).hashes_of(&Tile::to_bytes(&hashes)).as_deref(), Some(hashes.as_slice()));
        assert_eq!(of(1).hashes_of(&Tile::to_bytes(&hashes)), None);
        assert_eq!(of(2).hashes_of(&[0; 63]), None);
    }
}
