//! Every way to tamper with a log that anyone named, and what is said about it.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use super::{Finding, Report, Verification};
use crate::{
    Checkpoint, CheckpointError, Hash, LogKey, NoteError, Proof, Signer, TILE, Tile, Tree, prove,
    segment,
};

const ORIGIN: &str = "host.example/execlayer/0badcafe";

/// A log as it lies on a disk.
#[derive(Clone)]
struct Log {
    lines: Vec<Vec<u8>>,
    leaves: BTreeMap<u64, Hash>,
    heads: Vec<(String, String)>,
}

fn signer(byte: u8) -> Signer {
    Signer::from_random(&Zeroizing::new([byte; 32]), "host.example/execlayer").unwrap()
}

fn head(signer: &Signer, origin: &str, tree: &Tree) -> String {
    signer
        .sign(&Checkpoint { origin: origin.to_owned(), size: tree.size(), root: tree.root() })
        .unwrap()
}

fn record(seq: u64, text: &str) -> Vec<u8> {
    (segment::begin(seq) + "\"a\":\"" + text + "\"}").into_bytes()
}

/// Records, a head at 512 as of a segment that is closed, and one at the end, all but `unsigned` records below it.
fn log(count: u64, unsigned: u64) -> Log {
    let key = signer(7);
    let (mut tree, mut heads, mut newest) = (Tree::default(), Vec::new(), String::new());
    let lines = (0..count).map(|seq| record(seq, "x")).collect::<Vec<_>>();
    for line in &lines {
        tree.append(Hash::of_leaf(line), |_tile, _hashes| {});
        if tree.size() == 512 {
            heads.push((segment::checkpoint_name(0), head(&key, ORIGIN, &tree)));
        }
        if tree.size() == count - unsigned {
            newest = head(&key, ORIGIN, &tree);
        }
    }
    heads.insert(0, (segment::CHECKPOINT.to_owned(), newest));
    let leaves = (0..).zip(&lines).map(|(seq, line)| (seq, Hash::of_leaf(line))).collect();
    Log { lines, leaves, heads }
}

impl Log {
    fn verify_with(&self, key: &LogKey) -> Report {
        let mut walk = Verification::new(&self.heads, key);
        let mut leaf = |seq| self.leaves.get(&seq).copied();
        for line in &self.lines {
            walk.line(line, &mut leaf);
        }
        walk.finish(&mut leaf)
    }

    fn verify(&self) -> Report {
        self.verify_with(signer(7).public())
    }

    fn findings(&self) -> Vec<Finding> {
        self.verify().findings
    }
}

#[test]
fn an_untouched_log_is_proved_up_to_its_head() {
    let report = log(1000, 30).verify();
    let expected = Report {
        origin: Some(ORIGIN.to_owned()),
        removed: 0,
        end: 1000,
        proved: 970,
        findings: vec![],
    };
    assert_eq!(report, expected);
    let mut without_tiles = log(1000, 30);
    without_tiles.leaves.clear();
    assert_eq!(without_tiles.verify(), expected);
    assert_eq!(log(1, 0).verify().proved, 1);
}

#[test]
fn an_edit_is_found_and_named() {
    let mut edited = log(1000, 0);
    edited.lines[700] = record(700, "y");
    edited.lines[701] = record(701, "y");
    edited.lines[20] = record(20, "y");
    let altered = |from, to| Finding::Altered { from, to };
    assert_eq!(edited.findings(), [altered(20, 21), altered(700, 702)]);
    assert_eq!(edited.verify().proved, 1000, "the rest is what was signed");
    assert!(edited.findings()[1].to_string().contains("records 700 to 701 (2) were changed"));
}

#[test]
fn an_edit_of_records_and_tiles_is_found_between_two_heads() {
    let mut edited = log(1000, 0);
    edited.lines[700] = record(700, "y");
    edited.leaves.insert(700, Hash::of_leaf(&edited.lines[700]));
    let rewritten =
        Finding::Rewritten { whence: segment::CHECKPOINT.to_owned(), from: 512, to: 1000 };
    assert_eq!(edited.findings(), [rewritten]);
    assert_eq!(edited.verify().proved, 512);
    edited.leaves.clear();
    assert_eq!(edited.findings().len(), 1, "the same without any tiles");
}

#[test]
fn tiles_that_were_changed_are_no_harm_to_the_records() {
    let mut log = log(1000, 0);
    log.leaves.insert(3, Hash([0; 32]));
    assert_eq!(log.findings(), [Finding::Tiles { from: 3, to: 4 }]);
    assert_eq!(log.verify().proved, 1000);
}

#[test]
fn truncation_and_removal_are_found() {
    let mut cut = log(1000, 0);
    cut.lines.truncate(900);
    assert_eq!(cut.findings(), [Finding::Missing { from: 900, to: 1000 }]);
    cut.leaves.clear();
    let unproved = Finding::Unproved { from: 512, to: 900 };
    assert_eq!(cut.findings(), [Finding::Missing { from: 900, to: 1000 }, unproved]);
    assert_eq!((cut.verify().end, cut.verify().proved), (900, 512));

    let mut holed = log(1000, 0);
    holed.lines.drain(100..200);
    assert_eq!(holed.findings(), [Finding::Missing { from: 100, to: 200 }]);
    assert_eq!(holed.verify().proved, 1000, "by the tiles, the others are what was signed");

    let mut behead = log(1000, 0);
    behead.lines.drain(..300);
    assert_eq!(behead.findings(), [Finding::Missing { from: 0, to: 300 }]);
}

#[test]
fn what_the_daemon_removed_itself_is_not_missing_and_no_more_than_that() {
    let removed = |seq: u64, first: u64, with_tiles: bool| {
        let mut log = log(1000, 10);
        log.lines.drain(..512);
        if !with_tiles {
            log.leaves.clear();
        }
        let mut walk = Verification::new(&log.heads, signer(7).public());
        let mut leaf = |seq| log.leaves.get(&seq).copied();
        log.lines.iter().for_each(|line| walk.line(line, &mut leaf));
        walk.removal(seq, first);
        walk.finish(&mut leaf)
    };
    let missing = Finding::Missing { from: 0, to: 512 };
    let report = removed(600, 512, true);
    assert_eq!((report.removed, report.proved, report.findings), (512, 990, vec![]));
    assert_eq!(removed(600, 256, true).findings, std::slice::from_ref(&missing));
    assert_eq!(
        removed(995, 512, true).findings,
        std::slice::from_ref(&missing),
        "nothing proves that record"
    );
    let unproved = Finding::Unproved { from: 0, to: 990 };
    assert_eq!(removed(600, 512, false).findings, [missing, unproved], "nor any without the tiles");
}

#[test]
fn a_head_that_was_published_shows_that_the_tail_behind_an_old_one_is_missing() {
    let whole = log(1000, 0);
    let mut rolled_back = log(600, 0);
    assert_eq!(rolled_back.findings(), [], "by itself, an old copy of a log is a log");
    rolled_back.heads.push(("published".to_owned(), whole.heads[0].1.clone()));
    assert_eq!(rolled_back.findings(), [Finding::Missing { from: 600, to: 1000 }]);

    let mut forked = log(1000, 0);
    forked.lines[999] = record(999, "y");
    let last = Hash::of_leaf(&forked.lines[999]);
    forked.leaves.insert(999, last);
    let mut tree = Tree::default();
    forked.leaves.values().for_each(|leaf| tree.append(*leaf, |_tile, _hashes| {}));
    forked.heads[0].1 = head(&signer(7), ORIGIN, &tree);
    assert_eq!(forked.findings(), [], "whoever has the key can sign anything");
    forked.heads.push(("published".to_owned(), whole.heads[0].1.clone()));
    let rewritten = Finding::Rewritten { whence: "published".to_owned(), from: 512, to: 1000 };
    assert_eq!(forked.findings().len(), 1);
    assert!(matches!(&forked.findings()[0], Finding::Rewritten { to: 1000, .. }), "{rewritten}");
}

#[test]
fn a_log_without_its_newest_head_may_have_lost_its_end() {
    let mut log = log(1000, 0);
    log.heads.remove(0);
    assert_eq!(log.findings(), [Finding::NoNewest]);
    assert_eq!(log.verify().proved, 512);
}

#[test]
fn reordering_insertion_and_repetition_are_found() {
    let stray = |seq, before| Finding::Stray { seq, before };
    let mut swapped = log(1000, 0);
    swapped.lines.swap(10, 11);
    assert_eq!(swapped.findings(), [Finding::Missing { from: 10, to: 11 }, stray(Some(10), 12)]);

    let mut inserted = log(1000, 0);
    inserted.lines.insert(10, record(10, "put in"));
    assert_eq!(inserted.findings(), [stray(Some(10), 11), Finding::Altered { from: 10, to: 11 }]);

    let mut foreign = log(1000, 0);
    foreign.lines.insert(1000, b"not a record".to_vec());
    assert_eq!(foreign.findings(), [stray(None, 1000)]);

    let mut repeated = log(1000, 0);
    repeated.lines.insert(11, record(10, "x"));
    assert_eq!(repeated.findings(), [stray(Some(10), 11)]);
}

#[test]
fn heads_of_another_key_another_log_or_another_text_do_not_count() {
    let theirs = signer(8);
    let report = log(600, 0).verify_with(theirs.public());
    assert!(matches!(
        &report.findings[0],
        Finding::Head { error: CheckpointError::Note(NoteError::UnknownSigners(names)), .. } if names == &[ORIGIN]
    ));
    assert_eq!(report.findings.last(), Some(&Finding::NoHead));
    assert_eq!(report.proved, 0);

    let mut mixed = log(600, 0);
    let mut tree = Tree::default();
    tree.append(Hash::of_leaf(b"x"), |_tile, _hashes| {});
    mixed.heads.push(("other".to_owned(), head(&signer(7), "host.example/execlayer/2", &tree)));
    let other = Finding::OtherLog {
        whence: "other".to_owned(),
        origin: "host.example/execlayer/2".to_owned(),
    };
    assert_eq!(mixed.findings(), [other]);

    let mut edited = log(600, 0);
    edited.heads[0].1 = edited.heads[0].1.replace("\n600\n", "\n599\n");
    assert!(matches!(
        &edited.findings()[0],
        Finding::Head { error: CheckpointError::Note(NoteError::BadSignature(_)), .. }
    ));
    assert_eq!(edited.verify().proved, 512, "by the head of the closed segment");
}

#[test]
fn a_record_is_proved_without_its_log() {
    let log = log(1000, 0);
    let mut tree = Tree::default();
    let mut tiles = BTreeMap::new();
    for leaf in log.leaves.values() {
        tree.append(*leaf, |tile, hashes| assert!(tiles.insert(tile, hashes.to_vec()).is_none()));
    }
    tiles.extend(tree.partials().map(|(tile, hashes)| (tile, hashes.to_vec())));
    let hashes = prove(700, 1000, |tile: Tile| tiles.get(&tile).cloned().ok_or(tile)).unwrap();
    assert!(hashes.len() < TILE as usize);
    let proof = Proof { index: 700, hashes, checkpoint: log.heads[0].1.clone(), record: None };
    let read = Proof::parse(&proof.to_text()).unwrap();
    let key = signer(7);
    assert_eq!(read.verify(&log.lines[700], key.public()).unwrap().size, 1000);
    assert!(read.verify(&log.lines[701], key.public()).is_err());
    assert!(read.verify(&log.lines[700], signer(8).public()).is_err());
}

#[test]
fn keys_come_back_from_their_files() {
    let key = signer(7);
    assert_eq!(LogKey::parse(&key.public().to_string()).unwrap(), *key.public());
    let back = Signer::parse(&key.to_secret_text()).unwrap();
    assert_eq!(back.public(), key.public());
    assert_eq!(format!("{back:?}"), "Signer(host.example/execlayer)", "and nothing of the key");
    assert!(Signer::parse(&key.public().to_string()).is_err());
    assert!(LogKey::parse(&key.to_secret_text()).is_err());
}

proptest::proptest! {
    #[test]
    fn no_change_of_a_byte_goes_unnoticed(line in 0..600_usize, at: u16, bit in 0..8_u32, with_tiles: bool) {
        let mut log = log(600, 0);
        if !with_tiles {
            log.leaves.clear();
        }
        let bytes = &mut log.lines[line];
        let at = usize::from(at) % bytes.len();
        bytes[at] ^= 1 << bit;
        proptest::prop_assert_ne!(log.findings(), []);
    }

    #[test]
    fn no_change_of_a_head_goes_unnoticed(at: u16, bit in 0..8_u32) {
        let mut log = log(300, 0);
        let mut bytes = log.heads[0].1.clone().into_bytes();
        let at = usize::from(at) % bytes.len();
        bytes[at] ^= 1 << bit;
        // What is no UTF-8 any more is refused by whoever reads the file.
        if let Ok(text) = String::from_utf8(bytes) {
            log.heads[0].1 = text;
            proptest::prop_assert_ne!(log.findings(), []);
        }
    }
}
