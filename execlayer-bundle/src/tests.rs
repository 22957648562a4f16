//! Claims about bundles: what is refused, and with which error.

use execlayer_common::{
    image::{
        self, H_FORMAT, H_GENERATION, H_MAGIC, H_RULE_COUNT, H_WORDS, HEADER_WORDS, ImageError,
    },
    provenance::{self, Provenance, RuleOrigin},
};
use proptest::prelude::*;
use zeroize::Zeroizing;

use crate::{
    base64, envelope, limits, manifest,
    sign::{sign, sign_payload},
    *,
};

mod hostile;
mod trust;
mod vectors;

fn key(seed: u8) -> PrivateKey {
    PrivateKey::from_random(Zeroizing::new([seed; 32]), "a test")
}

fn trusting(seeds: &[u8]) -> TrustedKeys {
    let mut trusted = TrustedKeys::default();
    for &seed in seeds {
        trusted.add(key(seed).public()).unwrap();
    }
    trusted
}

fn image() -> Vec<u32> {
    let mut words = vec![0; HEADER_WORDS as usize + 5];
    words[H_MAGIC as usize] = image::MAGIC;
    words[H_FORMAT as usize] = image::FORMAT;
    words[H_WORDS as usize] = HEADER_WORDS + 5;
    words[H_RULE_COUNT as usize] = 1;
    *words.last_mut().unwrap() = 0xdead_beef;
    words
}

fn provenance() -> Provenance {
    Provenance {
        format: provenance::FORMAT,
        policy: "p".into(),
        version: 7,
        agent: "a".into(),
        files: vec!["policy.toml".into()],
        cgroups: vec![],
        executables: vec![],
        accepts_from: vec![],
        deciders: vec![],
        context: vec![],
        rules: vec![RuleOrigin {
            id: "r".into(),
            file: 0,
            line: 3,
            reason: Some("why".into()),
            transition: None,
            asking: None,
        }],
    }
}

fn unsigned() -> UnsignedBundle {
    UnsignedBundle::new(image(), provenance()).unwrap()
}

fn signed() -> Vec<u8> {
    sign(&unsigned(), &key(1)).unwrap().bytes().to_vec()
}

fn refusal(bytes: &[u8]) -> BundleError {
    verify(bytes, &trusting(&[1])).map(|_bundle| ()).unwrap_err()
}

fn json() -> serde_json::Value {
    serde_json::from_slice(&signed()).unwrap()
}

/// The error for the envelope after `change`.
fn refusal_of_envelope(change: impl FnOnce(&mut serde_json::Value)) -> BundleError {
    let mut envelope = json();
    change(&mut envelope);
    refusal(&serde_json::to_vec(&envelope).unwrap())
}

/// The error for the manifest after `change`, signed again with the trusted key.
fn refusal_of_manifest(change: impl FnOnce(&mut serde_json::Value)) -> BundleError {
    let payload = manifest::write(&unsigned()).unwrap();
    let mut manifest = serde_json::from_slice(&payload).unwrap();
    change(&mut manifest);
    let payload = serde_json::to_vec(&manifest).unwrap();
    refusal(sign_payload(Kind::Policy, &payload, &key(1)).unwrap().bytes())
}

#[test]
fn what_was_signed_is_what_is_verified() {
    let bundle = verify(&signed(), &trusting(&[9, 1])).unwrap();
    assert_eq!(bundle.image(), image());
    assert_eq!(bundle.provenance(), &provenance());
    assert_eq!(bundle.signers(), [key(1).id()]);
    let payload = manifest::write(&unsigned()).unwrap();
    assert_eq!(bundle.digest(), manifest::sha256(&payload));
    assert_eq!(sign(&unsigned(), &key(1)).unwrap().digest(), bundle.digest());
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    assert_eq!(signed(), signed());
    // Golden: a change here changes the format.
    assert_eq!(
        manifest::sha256(&signed()),
        "3a97be378d54f0b70e31964d3ae860cf4ebb63ee73bd0834b69d416ea2036296"
    );
}

#[test]
fn a_bundle_without_signatures_is_refused() {
    let error = refusal_of_envelope(|envelope| {
        envelope.as_object_mut().unwrap().remove("signatures");
    });
    assert_eq!(error, BundleError::NoSignature);
    let error = refusal_of_envelope(|envelope| envelope["signatures"] = serde_json::Value::Null);
    assert_eq!(error, BundleError::NoSignature);
}

#[test]
fn an_empty_list_of_signatures_is_refused() {
    let error = refusal_of_envelope(|envelope| envelope["signatures"] = serde_json::json!([]));
    assert_eq!(error, BundleError::EmptySignatures);
}

#[test]
fn a_signature_of_an_unknown_key_is_refused() {
    let bytes = sign(&unsigned(), &key(2)).unwrap();
    assert_eq!(refusal(bytes.bytes()), BundleError::UnknownKey(key(2).id().to_string()));
    let none = verify(&signed(), &TrustedKeys::default()).unwrap_err();
    assert_eq!(none, BundleError::UnknownKey(key(1).id().to_string()));
}

#[test]
fn an_unknown_key_that_takes_a_trusted_keys_id_is_refused() {
    let mut forged: serde_json::Value =
        serde_json::from_slice(sign(&unsigned(), &key(2)).unwrap().bytes()).unwrap();
    forged["signatures"][0]["keyid"] = key(1).id().to_string().into();
    let error = refusal(&serde_json::to_vec(&forged).unwrap());
    assert_eq!(error, BundleError::BadSignature(key(1).id()));
}

#[test]
fn a_signature_over_other_content_is_refused() {
    let error = refusal_of_envelope(|envelope| {
        let mut other = provenance();
        other.version = 8;
        let other = UnsignedBundle::new(image(), other).unwrap();
        envelope["payload"] = base64::encode(&manifest::write(&other).unwrap()).into();
    });
    assert_eq!(error, BundleError::BadSignature(key(1).id()));
}

#[test]
fn a_signature_of_the_wrong_length_is_refused() {
    let error = refusal_of_envelope(|envelope| envelope["signatures"][0]["sig"] = "AAAA".into());
    assert_eq!(error, BundleError::BadSignature(key(1).id()));
}

#[test]
fn an_unknown_signature_beside_a_good_one_is_passed_over_and_a_bad_one_is_not() {
    let mut envelope = json();
    let other = serde_json::json!({ "keyid": "someone", "sig": "AAAA" });
    envelope["signatures"].as_array_mut().unwrap().insert(0, other);
    let bytes = serde_json::to_vec(&envelope).unwrap();
    assert_eq!(verify(&bytes, &trusting(&[1])).unwrap().signers(), [key(1).id()]);

    let bad = envelope["signatures"][1]["sig"].clone();
    let other = serde_json::json!({ "keyid": key(2).id().to_string(), "sig": bad });
    envelope["signatures"].as_array_mut().unwrap().push(other);
    let bytes = serde_json::to_vec(&envelope).unwrap();
    assert_eq!(
        verify(&bytes, &trusting(&[1, 2])).unwrap_err(),
        BundleError::BadSignature(key(2).id())
    );
}

#[test]
fn a_key_that_is_named_twice_is_refused_known_or_not() {
    let error = refusal_of_envelope(|envelope| {
        let first = envelope["signatures"][0].clone();
        envelope["signatures"].as_array_mut().unwrap().push(first);
    });
    assert_eq!(error, BundleError::RepeatedKey(key(1).id().to_string()));
    let error = refusal_of_envelope(|envelope| {
        let other = serde_json::json!({ "keyid": "someone", "sig": "AAAA" });
        envelope["signatures"].as_array_mut().unwrap().extend([other.clone(), other]);
    });
    assert_eq!(error, BundleError::RepeatedKey("someone".into()));
}

#[test]
fn another_payload_type_is_refused_signed_or_not() {
    let error = refusal_of_envelope(|envelope| envelope["payloadType"] = "text/plain".into());
    assert_eq!(error, BundleError::PayloadType("text/plain".into()));
    // Signed for another type, and then relabelled.
    let payload = manifest::write(&unsigned()).unwrap();
    let message = envelope::pre_authentication("text/plain", &payload);
    let sig =
        ed25519_dalek::Signer::sign(&ed25519_dalek::SigningKey::from_bytes(&[1; 32]), &message);
    let error = refusal_of_envelope(|envelope| {
        envelope["signatures"][0]["sig"] = base64::encode(&sig.to_bytes()).into();
    });
    assert_eq!(error, BundleError::BadSignature(key(1).id()));
}

#[test]
fn a_bundle_that_is_cut_short_anywhere_is_refused() {
    let bytes = signed();
    for end in 0..bytes.len() {
        assert_eq!(refusal(&bytes[..end]), BundleError::CutShort, "after {end} bytes");
    }
}

#[test]
fn bytes_that_are_not_an_envelope_are_refused() {
    let mut doubled = signed();
    doubled.extend(signed());
    for bytes in [&b"\x7fELF"[..], b"[]", b"{}", b"null", b"\xff", &doubled] {
        assert!(matches!(refusal(bytes), BundleError::NotJson(_)), "{}", bytes.escape_ascii());
    }
    let error = refusal_of_envelope(|envelope| envelope["more"] = 1.into());
    assert!(matches!(error, BundleError::NotJson(_)));
    let error = refusal_of_envelope(|envelope| envelope["payload"] = "Zg".into());
    assert_eq!(error, BundleError::Base64("payload"));
}

#[test]
fn sizes_are_refused_before_anything_is_read() {
    let long = vec![b' '; limits::MAX_BUNDLE_BYTES + 1];
    assert!(matches!(refusal(&long), BundleError::TooLarge { what: "bytes of the bundle", .. }));
    let error = refusal_of_envelope(|envelope| {
        envelope["signatures"] = vec![envelope["signatures"][0].clone(); 17].into();
    });
    assert!(matches!(error, BundleError::TooLarge { what: "signatures", found: 17, limit: 16 }));
}

#[test]
fn an_unknown_format_is_refused_by_its_number_whatever_else_it_holds() {
    let error = refusal_of_manifest(|manifest| {
        *manifest = serde_json::json!({ "format": 2, "wings": true });
    });
    assert_eq!(error, BundleError::Format(2));
}

#[test]
fn a_signed_payload_that_is_no_manifest_is_refused() {
    let changes: [fn(&mut serde_json::Value); 5] = [
        |manifest| *manifest = serde_json::json!([]),
        |manifest| manifest["more"] = 1.into(),
        |manifest| manifest["format"] = "1".into(),
        |manifest| manifest["image"]["length"] = (-1).into(),
        |manifest| manifest["provenance"]["rules"][0]["line"] = serde_json::Value::Null,
    ];
    for change in changes {
        let error = refusal_of_manifest(change);
        assert!(matches!(error, BundleError::Manifest(_)), "{error}");
    }
}

#[test]
fn an_image_that_is_not_the_one_that_the_manifest_names_is_refused() {
    let error = refusal_of_manifest(|manifest| {
        manifest["image"]["sha256"] = "0".repeat(64).into();
    });
    assert_eq!(error, BundleError::ImageDigest);
    let error = refusal_of_manifest(|manifest| manifest["image"]["length"] = 4.into());
    assert!(matches!(error, BundleError::ImageLength { claimed: 4, .. }));
    let error = refusal_of_manifest(|manifest| {
        manifest["image"]["words"] = "AAAA".into();
        manifest["image"]["length"] = 3.into();
    });
    assert_eq!(error, BundleError::ImageLength { claimed: 3, found: 3 });
    let error = refusal_of_manifest(|manifest| manifest["image"]["words"] = "AA".into());
    assert_eq!(error, BundleError::Base64("words"));
}

#[test]
fn manifest_and_provenance_must_agree() {
    for (field, other) in [("name", "x".into()), ("version", 8.into()), ("agent", "x".into())] {
        let error = refusal_of_manifest(|manifest| manifest[field] = other);
        assert_eq!(error, BundleError::Mismatch(field));
    }
}

#[test]
fn what_the_daemon_would_refuse_cannot_be_signed() {
    let with = |word: u32, value: u32| {
        let mut words = image();
        words[word as usize] = value;
        UnsignedBundle::new(words, provenance()).unwrap_err()
    };
    assert_eq!(with(H_MAGIC, 0), BundleError::Image(ImageError::Magic));
    assert_eq!(with(H_FORMAT, 9), BundleError::Image(ImageError::Format(9)));
    assert_eq!(with(H_WORDS, 9), BundleError::Image(ImageError::Length));
    assert_eq!(with(H_GENERATION, 1), BundleError::ImageGeneration(1));
    assert_eq!(with(H_RULE_COUNT, 2), BundleError::RuleCount { image: 2, provenance: 1 });

    let with = |change: fn(&mut Provenance)| {
        let mut provenance = provenance();
        change(&mut provenance);
        UnsignedBundle::new(image(), provenance).unwrap_err()
    };
    assert_eq!(with(|p| p.format = 9), BundleError::ProvenanceFormat(9));
    assert_eq!(with(|p| p.rules[0].file = 1), BundleError::ProvenanceFile { rule: 0, file: 1 });
    assert!(matches!(with(|p| p.agent = "x".repeat(257)), BundleError::TooLarge { .. }));
    assert!(matches!(with(|p| p.files = vec!["f".into(); 34]), BundleError::TooLarge { .. }));
}

#[test]
fn the_verifier_checks_the_image_and_the_rule_count_itself() {
    let with = |word: u32, value: u32| {
        refusal_of_manifest(|manifest| {
            let mut words = image();
            words[word as usize] = value;
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            manifest["image"]["sha256"] = manifest::sha256(&bytes).into();
            manifest["image"]["words"] = base64::encode(&bytes).into();
        })
    };
    assert_eq!(with(H_MAGIC, 0), BundleError::Image(ImageError::Magic));
    assert_eq!(with(H_GENERATION, 5), BundleError::ImageGeneration(5));
    assert_eq!(with(H_RULE_COUNT, 0), BundleError::RuleCount { image: 0, provenance: 1 });
}

#[test]
fn keys_come_back_from_their_files() {
    let private = key(3);
    let public = private.public();
    assert_eq!(PublicKey::parse(&public.to_text()), Ok(public.clone()));
    let again = PrivateKey::parse(&private.to_secret_text()).unwrap();
    assert_eq!(again.public(), public);
    assert_eq!(public.comment(), "a test");
    let plain = PrivateKey::from_random(Zeroizing::new([3; 32]), "");
    assert_eq!(PublicKey::parse(&plain.public().to_text()).unwrap().comment(), "");
    assert_eq!(PrivateKey::parse(&plain.to_secret_text()).unwrap().id(), private.id());
}

#[test]
fn a_key_id_is_half_the_sha_256_of_the_public_key() {
    // Seed of RFC 8032, section 7.1, test 1; the public key is the one given there.
    let hex = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
    let mut seed = [0; 32];
    for (at, byte) in seed.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap();
    }
    let public = PrivateKey::from_random(Zeroizing::new(seed), "").public();
    assert_eq!(
        public.to_text(),
        "execlayer-ed25519 11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n"
    );
    assert_eq!(public.id().to_string(), "21fe31dfa154a261626bf854046fd227");
}

#[test]
fn broken_key_files_are_refused() {
    let good = key(1).public().to_text();
    let secret = key(1).to_secret_text();
    assert_eq!(PublicKey::parse(&secret), Err(KeyError::Private));
    assert_eq!(PrivateKey::parse(&good).unwrap_err(), KeyError::Public);
    for text in ["", "\n", "ssh-ed25519 AAAA", "execlayer-ed25519"] {
        let error = PublicKey::parse(text).unwrap_err();
        assert!(matches!(error, KeyError::Line(_)), "{text:?}: {error}");
    }
    assert!(matches!(PublicKey::parse(&format!("{good}{good}")), Err(KeyError::Line(_))));
    assert_eq!(PublicKey::parse("execlayer-ed25519 AAAA x"), Err(KeyError::Encoding));
    // The neutral point, whose signatures anybody can make.
    let mut weak = [0; 32];
    weak[0] = 1;
    let weak = format!("execlayer-ed25519 {}", base64::encode(&weak));
    assert_eq!(PublicKey::parse(&weak), Err(KeyError::Weak));
    assert!(matches!(PublicKey::parse(&"x".repeat(2000)), Err(KeyError::TooLarge { .. })));
    assert!(matches!(trusting(&[1]).add(key(1).public()), Err(KeyError::Repeated(_))));
}

#[test]
fn a_key_that_is_read_can_be_written_and_read_again() {
    let text = key(1).public().to_text();
    let padded = |length: usize| {
        let line = text.trim_end();
        format!("{line}{}", "x".repeat(length - line.len()))
    };
    let longest = limits::MAX_KEY_FILE_BYTES - 1;
    let read = PublicKey::parse(&padded(longest)).unwrap();
    assert_eq!(PublicKey::parse(&read.to_text()), Ok(read));
    let beyond = PublicKey::parse(&padded(longest + 1));
    assert!(matches!(beyond, Err(KeyError::TooLarge { .. })), "{beyond:?}");
}

#[test]
fn a_comment_cannot_break_the_line() {
    let key = PrivateKey::from_random(Zeroizing::new([1; 32]), "two\nlines");
    assert!(PrivateKey::parse(&key.to_secret_text()).is_ok());
}

#[test]
fn debug_does_not_print_the_private_key() {
    let private = key(1);
    let shown = format!("{private:?} {private:#?}");
    let secret = private.to_secret_text();
    let secret = secret.split(' ').nth(1).unwrap();
    assert!(!shown.contains(secret) && !shown.contains("1, 1, 1"), "{shown}");
}

#[test]
fn what_a_bundle_claims_can_be_read_without_a_key_and_is_not_verified() {
    let mut envelope = json();
    envelope["signatures"][0] = serde_json::json!({ "keyid": "someone", "sig": "AAAA" });
    let claims = unverified_claims(&serde_json::to_vec(&envelope).unwrap()).unwrap();
    assert_eq!(claims.provenance, provenance());
    assert_eq!(claims.key_ids, ["someone"]);
}

#[test]
fn a_changed_byte_anywhere_is_refused() {
    let bytes = signed();
    let trusted = trusting(&[1]);
    for at in 0..bytes.len() {
        for change in [0x01, 0x02, 0x20, 0x80] {
            let mut changed = bytes.clone();
            changed[at] ^= change;
            assert!(verify(&changed, &trusted).is_err(), "byte {at} xor {change:#x}");
        }
    }
}

proptest! {
    #[test]
    fn any_change_of_a_byte_a_loss_or_an_insertion_is_refused(
        at in any::<prop::sample::Index>(),
        byte: u8,
        kind in 0..3,
    ) {
        let bytes = signed();
        let at = at.index(bytes.len());
        let mut changed = bytes.clone();
        match kind {
            0 => changed[at] = byte,
            1 => drop(changed.remove(at)),
            _ => changed.insert(at, byte),
        }
        // White space between the envelope's parts is the one thing that JSON lets pass.
        let same = serde_json::from_slice::<serde_json::Value>(&changed).is_ok_and(|v| v == json());
        prop_assert_eq!(verify(&changed, &trusting(&[1])).is_ok(), same);
    }

    #[test]
    fn any_bytes_are_refused_without_a_panic(bytes: Vec<u8>) {
        prop_assert!(verify(&bytes, &trusting(&[1])).is_err());
    }
}
