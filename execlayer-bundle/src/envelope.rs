//! The DSSE envelope: payload, type and signatures, and the bytes that are signed. Must not look into
//! the payload nor judge a signature.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::{base64, error::BundleError, kind::Kind, limits};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope<'a> {
    #[serde(rename = "payloadType", borrow)]
    payload_type: Cow<'a, str>,
    #[serde(borrow)]
    payload: Cow<'a, str>,
    #[serde(borrow, default)]
    signatures: Option<Vec<Signature<'a>>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Signature<'a> {
    #[serde(borrow)]
    keyid: Cow<'a, str>,
    #[serde(borrow)]
    sig: Cow<'a, str>,
}

/// An envelope that was opened; nothing about it is verified.
pub(crate) struct Opened {
    pub(crate) kind: Kind,
    pub(crate) payload: Vec<u8>,
    /// At least one.
    pub(crate) signatures: Vec<Signed>,
}

/// One signature, as it stands there.
pub(crate) struct Signed {
    pub(crate) keyid: String,
    pub(crate) sig: Vec<u8>,
}

/// What is signed: DSSE's pre-authentication encoding, version 1. Lengths stand before type and
/// payload, so that no byte can move from one to the other.
pub(crate) fn pre_authentication(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len());
    let mut bytes = Vec::with_capacity(head.len().saturating_add(payload.len()));
    bytes.extend_from_slice(head.as_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

pub(crate) fn open(bytes: &[u8], expected: Kind) -> Result<Opened, BundleError> {
    within("bytes of the bundle", bytes.len(), limits::MAX_BUNDLE_BYTES)?;
    let envelope: Envelope<'_> =
        serde_json::from_slice(bytes).map_err(|error| BundleError::of_json(&error))?;
    let found = Kind::of_type(&envelope.payload_type)?;
    if found != expected {
        return Err(BundleError::OtherKind { found, expected });
    }
    let signatures = envelope.signatures.ok_or(BundleError::NoSignature)?;
    if signatures.is_empty() {
        return Err(BundleError::EmptySignatures);
    }
    within("signatures", signatures.len(), limits::MAX_SIGNATURES)?;
    let payload = base64::decode(&envelope.payload).ok_or(BundleError::Base64("payload"))?;
    let signatures = signatures
        .into_iter()
        .map(|signature| {
            within("bytes of a key id", signature.keyid.len(), limits::MAX_NAME_BYTES)?;
            within("bytes of a signature", signature.sig.len(), limits::MAX_NAME_BYTES)?;
            let sig = base64::decode(&signature.sig).ok_or(BundleError::Base64("sig"))?;
            Ok(Signed { keyid: signature.keyid.into_owned(), sig })
        })
        .collect::<Result<_, BundleError>>()?;
    Ok(Opened { kind: expected, payload, signatures })
}

/// Writes an envelope. In the order of the keys' ids, so that it does not matter who signed first.
#[cfg(feature = "sign")]
pub(crate) fn close(
    kind: Kind,
    payload: &[u8],
    mut signatures: Vec<Signed>,
) -> Result<Vec<u8>, BundleError> {
    within("signatures", signatures.len(), limits::MAX_SIGNATURES)?;
    signatures.sort_by(|a, b| a.keyid.cmp(&b.keyid));
    let signatures = signatures.into_iter().map(|signed| Signature {
        keyid: signed.keyid.into(),
        sig: base64::encode(&signed.sig).into(),
    });
    let envelope = Envelope {
        payload_type: kind.payload_type().into(),
        payload: base64::encode(payload).into(),
        signatures: Some(signatures.collect()),
    };
    let bytes =
        serde_json::to_vec(&envelope).map_err(|error| BundleError::NotJson(error.to_string()))?;
    within("bytes of the bundle", bytes.len(), limits::MAX_BUNDLE_BYTES)?;
    Ok(bytes)
}

pub(crate) fn within(what: &'static str, found: usize, limit: usize) -> Result<(), BundleError> {
    if found > limit { Err(BundleError::TooLarge { what, found, limit }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signed_bytes_are_those_of_the_dsse_specification() {
        assert_eq!(
            pre_authentication("http://example.com/HelloWorld", b"hello world"),
            b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
        );
        assert_eq!(pre_authentication("", b""), b"DSSEv1 0  0 ");
    }
}
