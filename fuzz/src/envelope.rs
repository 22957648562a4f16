//! Files of every signed kind, as they come: the envelope, its signatures, and which kind it is.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use execlayer_bundle::{
    BundleError, Kind, Terms, UnsignedBundle, VerifiedBundle, kind, order, root, sign, signed_by,
    unverified_claims, verify,
};

use crate::{
    root as roots, seeds,
    signed::{OTHER, OWN, STRANGER, key, payload, signed, trusted},
};

pub(crate) fn body(bytes: &[u8]) {
    let keys = trusted(&[OWN, OTHER]);
    let found = kind(bytes);
    let claims = unverified_claims(bytes);
    if let Ok(bundle) = verify(bytes, &keys) {
        assert_eq!(found, Ok(Kind::Policy));
        // Nobody but the seeds' signer has the key.
        assert!(known().contains(bundle.digest()), "a forged bundle: {}", bundle.digest());
        let claims = claims.as_ref().expect("verified, and not to be read");
        assert_eq!(claims.digest, bundle.digest());
        assert_eq!(claims.image, bundle.image());
        again(&bundle);
    }
    if let Ok(root) = root::verify(bytes, None) {
        assert_eq!(found, Ok(Kind::Root));
        assert!(known().contains(root.digest()), "a forged root: {}", root.digest());
    }
    if let Ok(order) = order::verify(bytes, &keys) {
        assert_eq!(found, Ok(Kind::Rollback));
        assert_eq!(*order.order(), roots::order(), "a forged order");
    }
    let _ = (root::unverified(bytes), order::unverified(bytes));
    let stranger = trusted(&[STRANGER]);
    if let Ok(added) = sign::add(bytes, &key(STRANGER)) {
        match signed_by(added.bytes(), &stranger) {
            Ok(signers) => assert_eq!(signers, [key(STRANGER).id()]),
            Err(error) => assert!(matches!(error, BundleError::RepeatedKey(_)), "{error}"),
        }
        assert_eq!(kind(added.bytes()), found, "signing changed what it is");
        let digest = claims.map(|claims| claims.digest);
        assert_eq!(unverified_claims(added.bytes()).map(|claims| claims.digest), digest);
    }
}

/// What was read of a bundle is all that is in it: written again it is the same.
fn again(bundle: &VerifiedBundle) {
    let (image, provenance) = (bundle.image().to_vec(), bundle.provenance().clone());
    let unsigned = UnsignedBundle::new(image, provenance).unwrap();
    let unsigned = unsigned.under(bundle.terms().clone()).unwrap();
    let written = sign::sign(&unsigned, &key(OWN)).unwrap();
    assert_eq!(written.digest(), bundle.digest(), "read and written again, it is another one");
}

/// Digests of all that was ever signed with the targets' keys, as far as it is in seeds.
fn known() -> &'static BTreeSet<String> {
    static KNOWN: OnceLock<BTreeSet<String>> = OnceLock::new();
    KNOWN.get_or_init(|| {
        let digest = |file: &Vec<u8>| Some(sign::add(file, &key(OWN)).ok()?.digest().to_owned());
        seeds().iter().filter_map(digest).collect()
    })
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let bundles = seeds::bundles();
    let mut files: Vec<Vec<u8>> = bundles
        .iter()
        .take(4)
        .map(|bundle| sign::sign(bundle, &key(OWN)).unwrap().bytes().to_vec())
        .collect();
    let terms = Terms { issued: Some(1), machines: vec!["m".to_owned()], ..Terms::default() };
    let limited = bundles[0].clone().under(terms).unwrap();
    files.push(sign::sign(&limited, &key(OTHER)).unwrap().bytes().to_vec());
    files.push(sign::add(&files[0], &key(OTHER)).unwrap().bytes().to_vec());
    files.push(sign::add(&files[1], &key(STRANGER)).unwrap().bytes().to_vec());
    files.push(signed(Kind::Policy, &payload(&files[2]), &[STRANGER]));
    files.extend(roots::files());
    files.push(b"{}".to_vec());
    files
}
