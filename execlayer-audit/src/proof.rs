//! Proofs that a record is in a log (RFC 6962, section 2.1.1; RFC 9162, section 2.1.3; c2sp.org/tlog-proof). Must not
//! trust what a proof says of itself: only a checkpoint whose signature fits counts.

use base64ct::{Base64, Encoding};

use crate::{
    checkpoint::{Checkpoint, CheckpointError},
    hash::Hash,
    note::LogKey,
    tile::{TILE, Tile},
};

const FIRST_LINE: &str = "c2sp.org/tlog-proof@v1";

/// Why a proof proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// Not a proof's file.
    #[error("it is not a proof (c2sp.org/tlog-proof@v1): {0}")]
    Form(&'static str),
    /// The signed head in it.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The record is not the one that is in the log.
    #[error("the record is not number {index} of the log `{origin}`")]
    Mismatch {
        /// The place that the proof names.
        index: u64,
        /// The log that the checkpoint names.
        origin: String,
    },
}

/// A proof's file, taken apart. Nothing of it is to be trusted before [`Proof::verify`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// Which record, from 0.
    pub index: u64,
    /// From the leaf's sibling to the child of the root.
    pub hashes: Vec<Hash>,
    /// The signed head.
    pub checkpoint: String,
    /// The record itself, as the format's extra data: without it, whoever checks has to have it.
    pub record: Option<Vec<u8>>,
}

impl Proof {
    /// The text of its file.
    #[must_use]
    pub fn to_text(&self) -> String {
        let hashes = self.hashes.iter().map(|hash| hash.to_base64() + "\n").collect::<String>();
        let extra =
            self.record.as_ref().map(|record| format!("extra {}\n", Base64::encode_string(record)));
        let extra = extra.unwrap_or_default();
        format!("{FIRST_LINE}\n{extra}index {}\n{hashes}\n{}", self.index, self.checkpoint)
    }

    /// Reads a proof's file.
    ///
    /// # Errors
    ///
    /// [`ProofError::Form`].
    pub fn parse(text: &str) -> Result<Self, ProofError> {
        let (head, checkpoint) = text
            .split_once("\n\n")
            .ok_or(ProofError::Form("an empty line comes before the checkpoint"))?;
        let mut lines = head.lines();
        if lines.next() != Some(FIRST_LINE) {
            return Err(ProofError::Form("its first line is another"));
        }
        let mut line = lines.next();
        let mut record = None;
        if let Some(extra) = line.and_then(|line| line.strip_prefix("extra ")) {
            let bytes = Base64::decode_vec(extra);
            record = Some(bytes.map_err(|_bad| ProofError::Form("its extra data is not base64"))?);
            line = lines.next();
        }
        let digits = line.and_then(|line| line.strip_prefix("index ")).unwrap_or_default();
        let index = digits.parse::<u64>().ok().filter(|index| index.to_string() == digits);
        let hashes = lines.map(Hash::from_base64).collect::<Option<Vec<_>>>();
        Ok(Self {
            index: index.ok_or(ProofError::Form("no line says `index` and a number"))?,
            hashes: hashes.ok_or(ProofError::Form("a line is not the base64 of a hash"))?,
            checkpoint: checkpoint.to_owned(),
            record,
        })
    }

    /// Whether `record` is in the log of the device with this key; the head by which it is.
    ///
    /// # Errors
    ///
    /// A [`ProofError`] that says why it is not shown to be.
    pub fn verify(&self, record: &[u8], key: &LogKey) -> Result<Checkpoint, ProofError> {
        let head = Checkpoint::open(&self.checkpoint, key)?;
        if includes(self.index, head.size, Hash::of_leaf(record), &self.hashes) == Some(head.root) {
            return Ok(head);
        }
        Err(ProofError::Mismatch { index: self.index, origin: head.origin })
    }
}

/// The root that a leaf and the hashes beside its way up make (RFC 9162, section 2.1.3.2).
fn includes(index: u64, size: u64, leaf: Hash, hashes: &[Hash]) -> Option<Hash> {
    let (mut at, mut last) = (index, size.checked_sub(1)?);
    if at > last {
        return None;
    }
    let mut root = leaf;
    for hash in hashes {
        if last == 0 {
            return None;
        }
        if at & 1 == 1 || at == last {
            root = Hash::of_node(*hash, root);
            while at & 1 == 0 && at != 0 {
                (at, last) = (at >> 1, last >> 1);
            }
        } else {
            root = Hash::of_node(root, *hash);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    (last == 0).then_some(root)
}

/// The hashes beside a leaf's way up, in a tree of `size` leaves: those of [`Proof::hashes`]. `tile` gives a tile's
/// hashes; it is asked for the widths that a tree of that size has.
///
/// # Errors
///
/// What `tile` returned.
///
/// # Panics
///
/// Never: an index beyond the tree has an empty proof.
pub fn prove<E>(
    index: u64,
    size: u64,
    mut tile: impl FnMut(Tile) -> Result<Vec<Hash>, E>,
) -> Result<Vec<Hash>, E> {
    let (mut begin, mut end) = (0, size);
    let mut beside = Vec::new();
    // PATH of RFC 6962, section 2.1.1, from the root down.
    while index < end && end - begin > 1 {
        let middle = begin + split(end - begin);
        if index < middle {
            beside.push((middle, end));
            end = middle;
        } else {
            beside.push((begin, middle));
            begin = middle;
        }
    }
    beside.iter().rev().map(|&(begin, end)| subtree(begin, end, size, &mut tile)).collect()
}

/// The largest power of two below `n`, which is above 1.
const fn split(n: u64) -> u64 {
    1 << (u64::BITS - 1 - (n - 1).leading_zeros())
}

/// MTH of RFC 6962, section 2.1, for leaves `begin..end` of a tree of `size`.
fn subtree<E>(
    begin: u64,
    end: u64,
    size: u64,
    tile: &mut impl FnMut(Tile) -> Result<Vec<Hash>, E>,
) -> Result<Hash, E> {
    let leaves = end - begin;
    if !leaves.is_power_of_two() {
        let middle = begin + split(leaves);
        let left = subtree(begin, middle, size, tile)?;
        return Ok(Hash::of_node(left, subtree(middle, end, size, tile)?));
    }
    // A perfect subtree of height h lies in one tile of level h / 8.
    let level = (leaves.trailing_zeros() / 8) as u8;
    let (first, nodes) = (begin >> (8 * u32::from(level)), leaves >> (8 * u32::from(level)));
    let index = first / TILE;
    let width = ((size >> (8 * u32::from(level))) - index * TILE).min(TILE);
    let hashes = tile(Tile { level, index, width: width as u16 })?;
    let place = (first % TILE) as usize;
    Ok(Hash::of_perfect(hashes.get(place..place + nodes as usize).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::tests::{grown, leaves, mth};

    #[test]
    fn every_leaf_is_proved_at_every_size_and_no_other_is() {
        for size in (1..40).chain([255, 256, 257, 511, 513, 700, 66_000]) {
            let (tree, full) = grown(size);
            let leaves = leaves(size);
            let mut tiles = full;
            tiles.extend(tree.partials().map(|(tile, hashes)| (tile, hashes.to_vec())));
            let indices = if size < 600 {
                (0..size).collect()
            } else {
                vec![0, 1, 255, 256, size / 2, size - 1]
            };
            for index in indices {
                let hashes =
                    prove(index, size, |tile| tiles.get(&tile).cloned().ok_or(tile)).unwrap();
                let leaf = leaves[index as usize];
                assert_eq!(
                    includes(index, size, leaf, &hashes),
                    Some(tree.root()),
                    "{index} of {size}"
                );
                assert_ne!(includes(index, size, Hash::of_leaf(b"x"), &hashes), Some(tree.root()));
                assert_eq!(includes(size, size, leaf, &hashes), None, "beyond the tree");
                let mut longer = hashes.clone();
                longer.push(leaf);
                assert_ne!(
                    includes(index, size, leaf, &longer),
                    Some(tree.root()),
                    "one hash more"
                );
            }
        }
        assert_eq!(mth(&leaves(3)), grown(3).0.root());
    }

    #[test]
    fn a_proofs_file_comes_back_and_a_wrong_one_is_refused() {
        let proof = Proof {
            index: 3,
            hashes: vec![Hash([1; 32])],
            checkpoint: "a\n4\nb\n\nc\n".to_owned(),
            record: None,
        };
        assert_eq!(Proof::parse(&proof.to_text()), Ok(proof.clone()));
        let with_record = Proof { record: Some(vec![0; 3]), ..proof.clone() };
        assert!(with_record.to_text().contains("v1\nextra AAAA\nindex"));
        assert_eq!(Proof::parse(&with_record.to_text()), Ok(with_record));
        let text = proof.to_text();
        for wrong in [
            text.replace("v1", "v2"),
            text.replace("index 3", "index 03"),
            text.replace("index 3", "index -3"),
            text.replace("AQEB", "AQE"),
            text.replace("\n\n", "\n"),
            String::new(),
        ] {
            assert!(matches!(Proof::parse(&wrong), Err(ProofError::Form(_))), "{wrong}");
        }
    }
}
