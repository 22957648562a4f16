//! Images: whatever words a trusted signer has signed, judging by them ends, and soon. Also on the words as the
//! kernel sees them, where an index outside of them comes out within.

use std::cell::Cell;

use execlayer_common::{
    access::{Access, Operation},
    automaton::{FREE, Table},
    image::{
        self, FORMAT, H_FORMAT, H_GENERATION, H_MAGIC, H_WORDS, HEADER_WORDS, MAGIC, check_header,
        class_of,
    },
    limits::{CLASS_WORDS, MAX_LANES, MAX_SET_ENTRIES},
    verdict::Verdict,
};
use execlayer_policy::{evaluate::Facts, image_world::ImageWorld};

use crate::seeds;

/// The first byte says how many bytes at the end are a subject; what is between are the image's words.
pub(crate) fn body(bytes: &[u8]) {
    let Some((&length, rest)) = bytes.split_first() else { return };
    let (words, subject) = rest.split_at(rest.len().saturating_sub(usize::from(length)));
    let (words, _) = words.as_chunks::<4>();
    let mut words: Vec<u32> = words.iter().map(|&word| u32::from_le_bytes(word)).collect();
    if check_header(&words).is_ok() {
        judged(&words, subject, 0);
    }
    // As it would look if it claimed to be one.
    if words.len() < HEADER_WORDS as usize {
        words.resize(HEADER_WORDS as usize, 0);
    }
    let length = words.len() as u32;
    for (at, value) in [(H_MAGIC, MAGIC), (H_FORMAT, FORMAT), (H_WORDS, length), (H_GENERATION, 0)]
    {
        words[at as usize] = value;
    }
    if check_header(&words).is_ok() {
        judged(&words, subject, 1_001);
    }
}

/// Judges a subject by an image that was checked.
pub(crate) fn judged(words: &[u32], subject: &[u8], uid: u32) {
    for operation in Operation::ALL {
        for is_masked in [false, true] {
            let reads = Cell::new(0);
            let facts = Facts { uid, minute: 61 };
            let table = Counted { words, is_masked, reads: &reads };
            let world = ImageWorld::new(table, subject, facts, |number, _, _| number % 2 == 0);
            let verdict = execlayer_common::decide::judge(&world, operation, Access::of(operation));
            let limit = bound(subject.len());
            assert!(reads.get() <= limit, "{} words read, at most {limit}", reads.get());
            if words[image::start_index(operation, 0) as usize] == 0 {
                assert!(matches!(verdict, Verdict::Deny(..)), "{verdict:?} and nothing is listed");
            }
        }
    }
}

/// Words that judging a subject of so many bytes may look at.
fn bound(subject: usize) -> u64 {
    let lanes = u64::from(MAX_LANES);
    // Two for each byte; per lane the start, the end and a set; per entry itself and its condition, in two passes.
    lanes * (2 * subject as u64 + 8) + 2 * lanes * (u64::from(MAX_SET_ENTRIES) * 10 + 2) + 8
}

/// An image's words, and how many were read.
struct Counted<'a> {
    words: &'a [u32],
    is_masked: bool,
    reads: &'a Cell<u64>,
}

impl Table for Counted<'_> {
    fn word(&self, index: u32) -> u32 {
        self.reads.set(self.reads.get() + 1);
        if !self.is_masked {
            return self.words.get(index as usize).copied().unwrap_or(FREE);
        }
        let class = class_of(self.words.len() as u32).map_or(0, usize::from);
        let masked = index & (CLASS_WORDS[class] - 1);
        self.words.get(masked as usize).copied().unwrap_or(0)
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let subjects: [&[u8]; 4] =
        [b"/usr/bin/git", b"/workspace/a.rs", b"t4\x0a\0\0\x01\x01\xbb", b"/"];
    let bundles = seeds::bundles();
    let seed = |(number, words): (usize, &[u32])| {
        let subject = subjects[number % subjects.len()];
        let words = words.iter().flat_map(|word| word.to_le_bytes());
        std::iter::once(subject.len() as u8).chain(words).chain(subject.iter().copied()).collect()
    };
    let images = bundles.iter().map(execlayer_bundle::UnsignedBundle::image);
    images.filter(|words| words.len() < 1_200).take(6).enumerate().map(seed).collect()
}
