//! What is signed of a bundle: the manifest, and image, provenance and terms within it. Behind a signature that
//! counts, so that everything after it is reached.

use base64ct::{Base64, Encoding};
use execlayer_bundle::{Here, Kind, UnsignedBundle, sign, unverified_claims, verify};
use execlayer_common::image::{H_GENERATION, H_RULE_COUNT, check_header};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{
    image, seeds,
    signed::{OWN, STRANGER, key, payload, signed, trusted},
};

pub(crate) fn body(bytes: &[u8]) {
    as_it_is(bytes);
    if let Some(repaired) = repaired(bytes) {
        as_it_is(&repaired);
    }
}

fn as_it_is(bytes: &[u8]) {
    let keys = trusted(&[OWN]);
    let file = signed(Kind::Policy, bytes, &[OWN]);
    assert!(verify(&signed(Kind::Policy, bytes, &[STRANGER]), &keys).is_err());
    let verified = verify(&file, &keys);
    // Who looks at it unverified sees the same, and the same is wrong with it.
    let claims = unverified_claims(&file);
    assert_eq!(verified.as_ref().err(), claims.as_ref().err());
    let (Ok(verified), Ok(claims)) = (verified, claims) else { return };
    let (image, provenance) = (verified.image(), verified.provenance());
    assert_eq!((image, provenance), (&*claims.image, &claims.provenance));
    assert_eq!(check_header(image), Ok(()));
    assert_eq!(image[H_GENERATION as usize], 0);
    assert_eq!(image[H_RULE_COUNT as usize] as usize, provenance.rules.len());
    let files = provenance.files.len();
    assert!(provenance.rules.iter().all(|rule| (rule.file as usize) < files), "a file is missing");
    for (now, agent, machine) in [(0, [0; 3], ""), (u64::MAX, [u32::MAX; 3], "m")] {
        if let Err(error) = verified.terms().judge(&Here { now, agent, machine }) {
            assert!(!error.to_string().is_empty());
        }
    }
    image::judged(image, b"/usr/bin/git", u32::MAX);
    let unsigned = UnsignedBundle::new(image.to_vec(), provenance.clone())
        .and_then(|bundle| bundle.under(verified.terms().clone()))
        .expect("what was verified can be signed");
    let written = sign::sign(&unsigned, &key(OWN)).unwrap();
    let again = verify(written.bytes(), &keys).expect("what was signed can be verified");
    assert_eq!((again.image(), again.provenance()), (image, provenance));
    assert_eq!(again.terms(), verified.terms());
}

/// The manifest with the length and the digest that its image really has.
fn repaired(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut manifest: Value = serde_json::from_slice(bytes).ok()?;
    let image = manifest.get_mut("image")?.as_object_mut()?;
    let words = Base64::decode_vec(image.get("words")?.as_str()?).ok()?;
    image.insert("length".to_owned(), words.len().into());
    let digest: String = Sha256::digest(&words).iter().map(|byte| format!("{byte:02x}")).collect();
    image.insert("sha256".to_owned(), digest.into());
    serde_json::to_vec(&manifest).ok()
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let terms = execlayer_bundle::Terms {
        issued: Some(5),
        not_before: Some(1),
        not_after: Some(9),
        least_agent: Some([0, 1, 0]),
        machines: vec!["a".to_owned(), "b".to_owned()],
    };
    let mut bundles = seeds::bundles();
    bundles.truncate(6);
    let limited = bundles[0].clone().under(terms).unwrap();
    bundles.push(limited);
    bundles.iter().map(|bundle| payload(sign::sign(bundle, &key(OWN)).unwrap().bytes())).collect()
}
