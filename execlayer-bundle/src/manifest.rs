//! The manifest: how image and provenance are written in the payload. Must not know signatures.

use execlayer_common::provenance::Provenance;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    base64,
    content::{self, UnsignedBundle},
    envelope::within,
    error::BundleError,
    hex,
    terms::Terms,
};

/// Version of the bundle's format.
pub const FORMAT: u32 = 1;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    format: u32,
    name: String,
    version: u64,
    agent: String,
    #[serde(default, skip_serializing_if = "Terms::is_empty")]
    terms: Terms,
    image: Image,
    provenance: Provenance,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Image {
    length: u64,
    sha256: String,
    words: String,
}

/// Read first, so that another version is refused by its number and not by its fields.
#[derive(Deserialize)]
struct AnyFormat {
    format: u64,
}

#[cfg(feature = "sign")]
pub(crate) fn write(bundle: &UnsignedBundle) -> Result<Vec<u8>, BundleError> {
    let bytes: Vec<u8> = bundle.image.iter().flat_map(|word| word.to_le_bytes()).collect();
    let provenance = bundle.provenance.clone();
    let manifest = Manifest {
        format: FORMAT,
        name: provenance.policy.clone(),
        version: provenance.version,
        agent: provenance.agent.clone(),
        terms: bundle.terms.clone(),
        image: Image {
            length: bytes.len() as u64,
            sha256: sha256(&bytes),
            words: base64::encode(&bytes),
        },
        provenance,
    };
    serde_json::to_vec(&manifest).map_err(|error| BundleError::Manifest(error.to_string()))
}

pub(crate) fn read(payload: &[u8]) -> Result<UnsignedBundle, BundleError> {
    let refused = |error: serde_json::Error| BundleError::Manifest(error.to_string());
    let any: AnyFormat = serde_json::from_slice(payload).map_err(refused)?;
    if any.format != u64::from(FORMAT) {
        return Err(BundleError::Format(any.format));
    }
    let manifest: Manifest = serde_json::from_slice(payload).map_err(refused)?;
    let provenance = manifest.provenance;
    for (what, agrees) in [
        ("name", manifest.name == provenance.policy),
        ("version", manifest.version == provenance.version),
        ("agent", manifest.agent == provenance.agent),
    ] {
        if !agrees {
            return Err(BundleError::Mismatch(what));
        }
    }
    let image = image(&manifest.image)?;
    content::check(&image, &provenance)?;
    manifest.terms.check()?;
    Ok(UnsignedBundle { image, provenance, terms: manifest.terms })
}

fn image(image: &Image) -> Result<Vec<u32>, BundleError> {
    let limit = execlayer_common::limits::MAX_IMAGE_BYTES as usize;
    within("bytes of the image in base64", image.words.len(), limit.div_ceil(3) * 4)?;
    let bytes = base64::decode(&image.words).ok_or(BundleError::Base64("words"))?;
    let (words, rest) = bytes.as_chunks::<4>();
    if image.length != bytes.len() as u64 || !rest.is_empty() {
        return Err(BundleError::ImageLength { claimed: image.length, found: bytes.len() });
    }
    if image.sha256 != sha256(&bytes) {
        return Err(BundleError::ImageDigest);
    }
    Ok(words.iter().map(|&word| u32::from_le_bytes(word)).collect())
}

/// SHA-256 in hex.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex::encode(&Sha256::digest(bytes))
}
