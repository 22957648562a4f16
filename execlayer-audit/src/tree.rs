//! The tree while it grows: what is not yet in a full tile, and its root. Must not keep what is in full tiles.

use crate::{
    hash::Hash,
    tile::{TILE, Tile},
};

/// A tree of which only the tiles that are not full are held: at most 255 hashes a level.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    size: u64,
    levels: Vec<Vec<Hash>>,
}

impl Tree {
    /// The tree of `size` leaves, a multiple of [`TILE`], from the tiles below its top: `full` gives the hashes of a
    /// full tile.
    ///
    /// # Errors
    ///
    /// What `full` returned.
    pub fn restore<E>(
        size: u64,
        mut full: impl FnMut(Tile) -> Result<Vec<Hash>, E>,
    ) -> Result<Self, E> {
        let mut levels = vec![Vec::new()];
        for level in 1..8 {
            let Some(partial) = Tile::partial(level, size) else {
                levels.push(Vec::new());
                continue;
            };
            let first = partial.index * TILE;
            let below = first..first + u64::from(partial.width);
            let hashes =
                below.map(|index| Ok(Hash::of_perfect(&full(Tile::full(level - 1, index))?)));
            levels.push(hashes.collect::<Result<_, E>>()?);
        }
        Ok(Self { size: size - size % TILE, levels })
    }

    /// How many leaves it has.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Adds a leaf. `full` is given each tile that becomes full by it, the lowest first.
    pub fn append(&mut self, leaf: Hash, mut full: impl FnMut(Tile, &[Hash])) {
        self.size += 1;
        let mut hash = leaf;
        for level in 0.. {
            if self.levels.len() == level {
                self.levels.push(Vec::with_capacity(TILE as usize));
            }
            let Some(hashes) = self.levels.get_mut(level) else { return };
            hashes.push(hash);
            if (hashes.len() as u64) < TILE {
                return;
            }
            let level = level as u8;
            full(Tile::full(level, (self.size >> (8 * (u32::from(level) + 1))) - 1), hashes);
            hash = Hash::of_perfect(hashes);
            hashes.clear();
        }
    }

    /// The tiles that are not full, with their hashes.
    pub fn partials(&self) -> impl Iterator<Item = (Tile, &[Hash])> {
        Tile::partials(self.size).filter_map(|tile| {
            let hashes = self.levels.get(usize::from(tile.level))?;
            Some((tile, hashes.as_slice()))
        })
    }

    /// The root's hash (RFC 6962, section 2.1).
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut root = None;
        for hashes in &self.levels {
            let mut end = hashes.len();
            // From the right: the smallest perfect subtree of what is left is that of its lowest bit.
            while end != 0 {
                let begin = end & (end - 1);
                let left = Hash::of_perfect(hashes.get(begin..end).unwrap_or_default());
                root = Some(root.map_or(left, |right| Hash::of_node(left, right)));
                end = begin;
            }
        }
        root.unwrap_or_else(Hash::of_nothing)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// The definition, word by word: MTH of RFC 6962, section 2.1.
    pub(crate) fn mth(leaves: &[Hash]) -> Hash {
        match leaves.len() {
            0 => Hash::of_nothing(),
            1 => leaves[0],
            n => {
                let k = n.next_power_of_two() / 2;
                Hash::of_node(mth(&leaves[..k]), mth(&leaves[k..]))
            }
        }
    }

    pub(crate) fn leaves(count: u64) -> Vec<Hash> {
        (0..count).map(|index| Hash::of_leaf(&index.to_be_bytes())).collect()
    }

    /// A tree and its full tiles.
    pub(crate) fn grown(count: u64) -> (Tree, BTreeMap<Tile, Vec<Hash>>) {
        let (mut tree, mut tiles) = (Tree::default(), BTreeMap::new());
        for leaf in leaves(count) {
            tree.append(leaf, |tile, hashes| assert_eq!(tiles.insert(tile, hashes.to_vec()), None));
        }
        (tree, tiles)
    }

    #[test]
    fn the_root_is_that_of_the_definition_at_every_size() {
        let leaves = leaves(1100);
        let mut tree = Tree::default();
        assert_eq!(tree.root(), mth(&[]));
        for (size, leaf) in (1..).zip(&leaves) {
            tree.append(*leaf, |_tile, _hashes| {});
            if size < 300 || size % 37 == 0 || size % 256 < 2 {
                assert_eq!(tree.root(), mth(&leaves[..size]), "size {size}");
            }
        }
    }

    #[test]
    fn full_tiles_hold_what_the_specification_says() {
        let (tree, tiles) = grown(70_000);
        let leaves = leaves(70_000);
        assert_eq!(tiles.keys().filter(|tile| tile.level == 0).count(), 273);
        assert_eq!(tiles.keys().filter(|tile| tile.level == 1).count(), 1);
        for (tile, hashes) in &tiles {
            let span = 256_usize.pow(u32::from(tile.level));
            for (place, hash) in hashes.iter().enumerate() {
                let begin = (tile.index as usize * 256 + place) * span;
                assert_eq!(*hash, mth(&leaves[begin..begin + span]), "{tile:?} {place}");
            }
        }
        let widths =
            tree.partials().map(|(tile, hashes)| (tile.level, hashes.len())).collect::<Vec<_>>();
        assert_eq!(widths, [(0, 112), (1, 17), (2, 1)]);
    }

    #[test]
    fn a_tree_comes_back_from_its_tiles() {
        for size in [0, 256, 512, 255 * 256, 256 * 256, 257 * 256] {
            let (tree, tiles) = grown(size);
            let back = Tree::restore(size, |tile| tiles.get(&tile).cloned().ok_or(tile)).unwrap();
            assert_eq!((back.size(), back.root()), (size, tree.root()), "{size}");
        }
        assert_eq!(Tree::restore(256, Err).unwrap_err(), Tile::full(0, 0), "a tile that is gone");
    }
}
