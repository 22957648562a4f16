//! Private keys that a passphrase locks: PKCS #8 in PEM (RFC 5958, RFC 7468, RFC 8410), which openssl and others read
//! and write, too. scrypt and AES-256-CBC lock them. Must not know where a passphrase comes from.

use execlayer_bundle::{PrivateKey, PublicKey};
use pkcs8::{
    AlgorithmIdentifierRef, EncryptedPrivateKeyInfoRef, LineEnding, ObjectIdentifier,
    PrivateKeyInfoRef, SecretDocument, SubjectPublicKeyInfoRef,
    der::{
        Document,
        asn1::{BitStringRef, OctetStringRef},
    },
    pkcs5::pbes2::Kdf,
};
use zeroize::Zeroizing;

use crate::error::CliError;

/// RFC 8410, section 3.
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
/// RFC 7468, sections 10 and 11.
const PLAIN: &str = "PRIVATE KEY";
const LOCKED: &str = "ENCRYPTED PRIVATE KEY";
/// An octet string of 32 bytes in DER: what is within the private key's own (RFC 8410, section 7).
const SEED: [u8; 2] = [0x04, 0x20];
/// What a file may have spent on trying a passphrase, before anything of it is known to be right: 256 MiB and a few
/// seconds. openssl and this tool write 16 MiB (scrypt), other tools up to some 100,000 rounds (PBKDF2).
const MAX_SCRYPT_BLOCKS: u64 = 1 << 21;
const MAX_SCRYPT_LANES: u16 = 16;
const MAX_PBKDF2_ROUNDS: u32 = 10_000_000;

/// Whether a key's file is PEM.
pub(crate) fn is_pem(text: &str) -> bool {
    text.starts_with("-----BEGIN ")
}

/// The text of a locked key's file.
pub(crate) fn lock(key: &PrivateKey, passphrase: &str) -> Result<Zeroizing<String>, CliError> {
    let mut seed = Zeroizing::new([0; 34]);
    let (head, bytes) = seed.split_at_mut(SEED.len());
    head.copy_from_slice(&SEED);
    bytes.copy_from_slice(key.secret().as_slice());
    let failed = |error: pkcs8::Error| CliError::failure(format!("cannot lock the key: {error}"));
    let seed = OctetStringRef::new(seed.as_slice()).map_err(|error| failed(error.into()))?;
    let algorithm = AlgorithmIdentifierRef { oid: ED25519, parameters: None };
    let locked = PrivateKeyInfoRef::new(algorithm, seed).encrypt(passphrase).map_err(failed)?;
    locked.to_pem(LOCKED, LineEnding::LF).map_err(|error| failed(error.into()))
}

/// The key of such a file, `what`; `passphrase` is asked for only if it is locked.
pub(crate) fn open(
    text: &str,
    what: &str,
    passphrase: impl FnOnce() -> Result<Zeroizing<String>, CliError>,
) -> Result<PrivateKey, CliError> {
    let refused = |why: String| CliError::failure(format!("{what} is refused: {why}"));
    let unread = |error: pkcs8::Error| refused(format!("its PEM cannot be read: {error}"));
    let (label, document) = SecretDocument::from_pem(text).map_err(|error| unread(error.into()))?;
    let document = match label {
        PLAIN => document,
        LOCKED => {
            let locked =
                EncryptedPrivateKeyInfoRef::try_from(document.as_bytes()).map_err(unread)?;
            if !is_affordable(&locked) {
                return Err(refused("it asks for more time or memory than a key needs".to_owned()));
            }
            locked
                .decrypt(passphrase()?.as_bytes())
                .map_err(|_wrong| refused("the passphrase does not open it".to_owned()))?
        }
        other => return Err(refused(format!("it holds a `{other}`, not a private key"))),
    };
    let info = PrivateKeyInfoRef::try_from(document.as_bytes()).map_err(unread)?;
    let seed = info.private_key.as_bytes().strip_prefix(&SEED);
    match seed.and_then(|seed| <[u8; 32]>::try_from(seed).ok()) {
        Some(seed) if info.algorithm.oid == ED25519 => {
            Ok(PrivateKey::from_random(Zeroizing::new(seed), ""))
        }
        _ => Err(refused("it is not an Ed25519 key".to_owned())),
    }
}

/// Whether trying a passphrase ends soon. The file says what that costs, and a cost of 0 would end in a panic.
pub(crate) fn is_affordable(locked: &EncryptedPrivateKeyInfoRef<'_>) -> bool {
    match locked.encryption_algorithm.pbes2().map(|settings| &settings.kdf) {
        Some(Kdf::Scrypt(scrypt)) => {
            let blocks = scrypt.cost_parameter.checked_mul(scrypt.block_size.into());
            scrypt.cost_parameter != 0
                && blocks.is_some_and(|blocks| blocks <= MAX_SCRYPT_BLOCKS)
                && scrypt.parallelization <= MAX_SCRYPT_LANES
        }
        Some(Kdf::Pbkdf2(pbkdf2)) => pbkdf2.iteration_count <= MAX_PBKDF2_ROUNDS,
        // Nothing else is known to the crate, which says so.
        _ => true,
    }
}

/// The public half in PEM.
pub(crate) fn public_pem(key: &PublicKey) -> Result<String, CliError> {
    let failed =
        |error: pkcs8::spki::Error| CliError::failure(format!("cannot write PEM: {error}"));
    let algorithm = AlgorithmIdentifierRef { oid: ED25519, parameters: None };
    let bits = BitStringRef::from_bytes(key.bytes()).map_err(|error| failed(error.into()))?;
    let info = SubjectPublicKeyInfoRef { algorithm, subject_public_key: bits };
    let document = Document::try_from(info).map_err(failed)?;
    document.to_pem("PUBLIC KEY", LineEnding::LF).map_err(|error| failed(error.into()))
}

#[cfg(test)]
mod tests {
    use pkcs8::pkcs5::pbes2::{EncryptionScheme, Parameters, Pbkdf2Params, Salt, ScryptParams};

    use super::*;

    fn key() -> PrivateKey {
        PrivateKey::from_random(Zeroizing::new([7; 32]), "a comment")
    }

    fn with(passphrase: &str) -> impl FnOnce() -> Result<Zeroizing<String>, CliError> {
        let passphrase = passphrase.to_owned();
        || Ok(Zeroizing::new(passphrase))
    }

    #[test]
    fn only_the_same_passphrase_opens_a_locked_key() {
        let text = lock(&key(), "correct horse").unwrap();
        assert!(is_pem(&text) && !is_pem(&key().to_secret_text()));
        let other = lock(&key(), "correct horse").unwrap();
        assert_ne!(*text, *other, "the same salt twice");
        assert_eq!(open(&text, "it", with("correct horse")).unwrap().id(), key().id());
        for wrong in ["", "correct", "correct horse "] {
            assert!(open(&text, "it", with(wrong)).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_changed_or_cut_file_opens_nothing_else() {
        let text = lock(&key(), "p").unwrap();
        for at in 0..text.len() {
            assert!(
                open(&text[..at], "it", with("p")).is_err() || at + 1 == text.len(),
                "cut at {at}"
            );
        }
        // Some changes are of salt or padding; none may give another key.
        for at in (60..text.len() - 40).step_by(90) {
            let mut bytes = text.as_bytes().to_vec();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            if let Ok(opened) = open(&changed, "it", with("p")) {
                assert_eq!(opened.id(), key().id(), "{at}");
            }
        }
    }

    /// A file that says that it is locked with this, and holds nothing.
    fn claiming(kdf: Kdf) -> Zeroizing<String> {
        let encryption = EncryptionScheme::Aes256Cbc { iv: [0; 16] };
        let info = EncryptedPrivateKeyInfoRef {
            encryption_algorithm: Parameters { kdf, encryption }.into(),
            encrypted_data: OctetStringRef::new(&[0; 64]).unwrap(),
        };
        SecretDocument::try_from(info).unwrap().to_pem(LOCKED, LineEnding::LF).unwrap()
    }

    fn why(text: &str) -> String {
        format!("{:?}", open(text, "it", with("p")).unwrap_err())
    }

    #[test]
    fn a_file_that_asks_for_too_much_is_refused_before_it_is_tried() {
        let salt = Salt::new([0; 16]).unwrap();
        let scrypt = |cost_parameter, block_size, parallelization| {
            let key_length = None;
            Kdf::from(ScryptParams {
                salt,
                cost_parameter,
                block_size,
                parallelization,
                key_length,
            })
        };
        let pbkdf2 = |iteration_count| {
            let mut settings = Pbkdf2Params::hmac_sha256(1, &[0; 16]).unwrap();
            settings.iteration_count = iteration_count;
            Kdf::from(settings)
        };
        for kdf in [
            scrypt(0, 8, 1),
            scrypt(1 << 40, 8, 1),
            scrypt(1 << 63, u16::MAX, 1),
            scrypt(1 << 14, u16::MAX, 1),
            scrypt(1 << 14, 8, u16::MAX),
            pbkdf2(u32::MAX),
        ] {
            assert!(why(&claiming(kdf.clone())).contains("more time or memory"), "{kdf:?}");
        }
        for kdf in [scrypt(1 << 14, 8, 1), scrypt(1 << 15, 8, 2), pbkdf2(2_048)] {
            assert!(why(&claiming(kdf.clone())).contains("does not open it"), "{kdf:?}");
        }
    }

    #[test]
    fn keys_of_other_tools_are_read_without_a_passphrase() {
        // RFC 8410, section 10.3: an example of a private key.
        let text = "-----BEGIN PRIVATE KEY-----\n\
                    MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
                    -----END PRIVATE KEY-----\n";
        let unasked = || -> Result<Zeroizing<String>, CliError> { panic!("it is not locked") };
        let opened = open(text, "it", unasked).unwrap();
        // Section 10.1: its public half.
        let public = "execlayer-ed25519 Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n";
        assert_eq!(opened.public().to_text(), public);
        // The same with X25519's number.
        let other = text.replace("BQYDK2VwBCIE", "BQYDK2VuBCIE");
        assert!(open(&other, "it", with("")).is_err());
    }
}
