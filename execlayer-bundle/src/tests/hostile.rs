//! Files that were made to harm whoever reads them: refused, and with memory and time that their size bounds.

use super::*;

/// Every door that takes a file from anybody.
fn all_refuse(bytes: &[u8]) {
    let trusted = trusting(&[1]);
    let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(60)]).into_owned();
    assert!(kind(bytes).is_err() || verify(bytes, &trusted).is_err(), "{shown}");
    assert!(verify(bytes, &trusted).is_err(), "{shown}");
    assert!(unverified_claims(bytes).is_err(), "{shown}");
    assert!(root::verify(bytes, None).is_err(), "{shown}");
    assert!(order::verify(bytes, &trusted).is_err(), "{shown}");
}

#[test]
fn a_gibibyte_of_zeros_is_refused_by_its_size() {
    // Zeroed memory that nobody touches takes none.
    let zeros = vec![0; 1 << 30];
    all_refuse(&zeros);
    let refused = verify(&zeros, &trusting(&[1])).map(|_bundle| ()).unwrap_err();
    assert!(matches!(refused, BundleError::TooLarge { found, .. } if found == 1 << 30));
}

#[test]
fn deep_nesting_is_refused_in_envelope_and_payload() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        for depth in [100, 200, 100_000] {
            let nested = format!("{}1{}", open.repeat(depth), close.repeat(depth));
            all_refuse(nested.as_bytes());
            let beside = String::from_utf8(signed()).unwrap();
            let beside = beside.replacen('{', &format!("{{\"more\":{nested},"), 1);
            all_refuse(beside.as_bytes());
            let payload = sign_payload(Kind::Policy, nested.as_bytes(), &key(1)).unwrap();
            all_refuse(payload.bytes());
        }
    }
}

#[test]
fn a_name_that_stands_twice_is_refused_even_with_the_same_value() {
    let twice = |text: &str, name: &str, value: &serde_json::Value| {
        text.replacen('{', &format!("{{\"{name}\":{value},"), 1)
    };
    let text = String::from_utf8(signed()).unwrap();
    for (name, value) in json().as_object().unwrap() {
        let refused = refusal(twice(&text, name, value).as_bytes());
        assert!(refused.to_string().contains("duplicate field"), "{name}: {refused}");
    }
    let payload = String::from_utf8(manifest::write(&unsigned()).unwrap()).unwrap();
    let manifest: serde_json::Value = serde_json::from_str(&payload).unwrap();
    for (name, value) in manifest.as_object().unwrap() {
        let changed = twice(&payload, name, value);
        let changed = sign_payload(Kind::Policy, changed.as_bytes(), &key(1)).unwrap();
        let refused = refusal(changed.bytes());
        assert!(refused.to_string().contains("duplicate field"), "{name}: {refused}");
    }
}

#[test]
fn parts_of_two_good_bundles_make_no_third() {
    let mut other = provenance();
    other.version = 8;
    let other = UnsignedBundle::new(image(), other).unwrap();
    let other: serde_json::Value =
        serde_json::from_slice(sign(&other, &key(1)).unwrap().bytes()).unwrap();
    assert!(verify(&serde_json::to_vec(&other).unwrap(), &trusting(&[1])).is_ok());
    for name in ["payload", "signatures"] {
        let refused = refusal_of_envelope(|envelope| envelope[name] = other[name].clone());
        assert!(matches!(refused, BundleError::BadSignature(_)), "{name}: {refused}");
    }
}
