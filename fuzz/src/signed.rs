//! Keys of the targets, and payloads of whatever bytes signed with them. The keys are no secret.

use base64ct::{Base64, Encoding};
use execlayer_bundle::{Kind, PrivateKey, TrustedKeys, sign};
use zeroize::Zeroizing;

/// A key by its number.
pub(crate) fn key(number: u8) -> PrivateKey {
    PrivateKey::from_random(Zeroizing::new([number; 32]), "fuzz")
}

/// Whom the targets' daemon trusts.
pub(crate) const OWN: u8 = 1;
/// Another whom it trusts.
pub(crate) const OTHER: u8 = 2;
/// Whom nobody knows.
pub(crate) const STRANGER: u8 = 3;

/// A daemon's keys: these, and each may sign everything.
pub(crate) fn trusted(numbers: &[u8]) -> TrustedKeys {
    let mut trusted = TrustedKeys::default();
    for &number in numbers {
        trusted.add(key(number).public()).unwrap();
    }
    trusted
}

/// An envelope around a payload, with a signature that says nothing.
pub(crate) fn unsigned(kind: Kind, payload: &[u8]) -> Vec<u8> {
    let payload = Base64::encode_string(payload);
    let kind = kind.payload_type();
    let signatures = r#"[{"keyid":"nobody","sig":""}]"#;
    format!(r#"{{"payloadType":"{kind}","payload":"{payload}","signatures":{signatures}}}"#).into()
}

/// An envelope around a payload, signed with these keys.
pub(crate) fn signed(kind: Kind, payload: &[u8], keys: &[u8]) -> Vec<u8> {
    keys.iter().fold(unsigned(kind, payload), |file, &number| {
        sign::add(&file, &key(number)).unwrap().bytes().to_vec()
    })
}

/// The payload of an envelope that the crate wrote.
pub(crate) fn payload(file: &[u8]) -> Vec<u8> {
    let file: serde_json::Value = serde_json::from_slice(file).unwrap();
    Base64::decode_vec(file["payload"].as_str().unwrap()).unwrap()
}
