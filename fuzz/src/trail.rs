//! The audit trail's files as whoever verifies them finds them: keys, signed heads, proofs, records. Nothing counts that
//! the device did not sign, and no file makes the verifier stop.

use execlayer_audit::{
    Checkpoint, Hash, LogKey, Proof, Signer, Tree, segment, verify::Verification,
};
use zeroize::Zeroizing;

const ORIGIN: &str = "host/execlayer/0badcafe";

fn signer() -> Signer {
    Signer::from_random(&Zeroizing::new([7; 32]), "host/execlayer").unwrap()
}

/// A head of a log with one record.
fn head() -> (String, Hash) {
    let mut tree = Tree::default();
    tree.append(Hash::of_leaf(b"{\"seq\":0,}"), |_tile, _hashes| {});
    let head = Checkpoint { origin: ORIGIN.to_owned(), size: 1, root: tree.root() };
    (signer().sign(&head).unwrap(), head.root)
}

pub(crate) fn body(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (signer, (signed, root)) = (signer(), head());
    if let Ok(key) = LogKey::parse(&text) {
        assert_eq!(LogKey::parse(&key.to_string()).as_ref(), Ok(&key));
    }
    if let Ok(key) = Signer::parse(&text) {
        assert_eq!(Signer::parse(&key.to_secret_text()).unwrap().public(), key.public());
    }
    if let Ok(found) = Checkpoint::open(&text, signer.public()) {
        // Others may have added signatures and lines; what the device signed is this head, and no other.
        assert_eq!((&*found.origin, found.size, found.root), (ORIGIN, 1, root));
    }
    if let Ok(proof) = Proof::parse(&text) {
        assert_eq!(Proof::parse(&proof.to_text()).as_ref(), Ok(&proof));
        if let Some(record) = &proof.record
            && proof.verify(record, signer.public()).is_ok()
        {
            assert_eq!((proof.index, &**record), (0, &b"{\"seq\":0,}"[..]), "a forged record");
        }
    }
    let heads = [(segment::CHECKPOINT.to_owned(), signed), ("other".to_owned(), text.into_owned())];
    let mut walk = Verification::new(&heads, signer.public());
    for line in bytes.split(|&byte| byte == b'\n') {
        // A number far ahead is so many records that are missing.
        if segment::seq_of(line).is_none_or(|seq| seq < 4_096) {
            walk.line(line, &mut |_seq| None);
        }
    }
    let report = walk.finish(&mut |_seq| None);
    let mut lines = bytes.split(|&byte| byte == b'\n');
    let is_there = lines.any(|line| line == b"{\"seq\":0,}");
    assert!(report.proved <= u64::from(is_there), "it believes other records: {report:?}");
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let (signer, (signed, _root)) = (signer(), head());
    let record = b"{\"seq\":0,}".to_vec();
    let proof =
        Proof { index: 0, hashes: Vec::new(), checkpoint: signed.clone(), record: Some(record) };
    [
        signer.public().to_string(),
        signer.to_secret_text().to_string(),
        signed,
        proof.to_text(),
        "{\"seq\":0,}".to_owned(),
        "{\"seq\":0,\"a\":1}\n{\"seq\":1,\"a\":2}\n{\"seq\":2,\"a\":3}\n".to_owned(),
    ]
    .map(String::into_bytes)
    .to_vec()
}
